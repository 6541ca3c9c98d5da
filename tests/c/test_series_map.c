// kernels: series_map series_index obs
#include "series_map.h"

#include "alloc_seam.h"
#include "check.h"

static obs_series_target_t target_of(uint32_t number)
{
    return (obs_series_target_t){.series = number * 3, .kind = (uint8_t)(number % 4), .scale = (uint8_t)(number % 9)};
}

static int is_target_of(const obs_series_target_t *target, uint32_t number)
{
    obs_series_target_t expected = target_of(number);
    return target->series == expected.series && target->kind == expected.kind && target->scale == expected.scale;
}

static void numbers_are_found_with_their_last_target(void)
{
    obs_series_map_t map;
    obs_series_map_init(&map);
    CHECK(obs_series_map_find(&map, 0) == NULL);
    for (uint32_t number = 0; number < 3000; number++)
        CHECK_OK(obs_series_map_set(&map, number, (obs_series_target_t){.series = 7}));
    for (uint32_t number = 0; number < 3000; number++)
        CHECK_OK(obs_series_map_set(&map, number, target_of(number)));
    CHECK_EQ(map.count, 3000);
    for (uint32_t number = 0; number < 3000; number++) {
        CHECK(is_target_of(obs_series_map_find(&map, number), number));
        CHECK_EQ(map.numbers[number], number);
    }
    CHECK(obs_series_map_find(&map, 3000) == NULL);
    obs_series_map_free(&map);
    CHECK(obs_series_map_find(&map, 0) == NULL);
}

static void a_large_number_takes_no_more_memory_than_a_small_one(void)
{
    obs_series_map_t map;
    obs_series_map_init(&map);
    CHECK_OK(obs_series_map_set(&map, UINT32_MAX, target_of(5)));
    CHECK(is_target_of(obs_series_map_find(&map, UINT32_MAX), 5));
    CHECK_EQ(map.capacity, 16);
    CHECK(obs_series_index_memory_bytes(&map.index) <= 512);
    obs_series_map_free(&map);
}

static int set_many(obs_series_map_t *map, uint32_t number_count)
{
    int status = OBS_OK;
    for (uint32_t number = 0; status == OBS_OK && number < number_count; number++)
        status = obs_series_map_set(map, number, target_of(number));
    return status;
}

static void survives_each_failed_allocation(void)
{
    for (size_t n = 1;; n++) {
        obs_series_map_t map;
        obs_series_map_init(&map);
        obs_alloc_fail_at(n);
        int status = set_many(&map, 300);
        obs_alloc_fail_at(0);
        for (uint32_t number = 0; number < map.count; number++)
            CHECK(is_target_of(obs_series_map_find(&map, number), number));
        CHECK(obs_series_map_find(&map, (uint32_t)map.count) == NULL);
        CHECK_OK(set_many(&map, 300)); /* and can go on */
        CHECK_EQ(map.count, 300);
        obs_series_map_free(&map);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(numbers_are_found_with_their_last_target);
    RUN(a_large_number_takes_no_more_memory_than_a_small_one);
    RUN(survives_each_failed_allocation);
    return 0;
}
