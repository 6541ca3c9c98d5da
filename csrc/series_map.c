#include "series_map.h"

#include "obs_alloc.h"

#define FIRST_CAPACITY 16u

void obs_series_map_init(obs_series_map_t *map)
{
    *map = (obs_series_map_t){0};
    obs_series_index_init(&map->index);
}

void obs_series_map_free(obs_series_map_t *map)
{
    obs_series_index_free(&map->index);
    obs_free(map->targets);
    obs_free(map->numbers);
    obs_series_map_init(map);
}

static int reserve(obs_series_map_t *map)
{
    if (map->count < map->capacity)
        return OBS_OK;
    size_t capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
    obs_series_target_t *targets = obs_realloc(map->targets, capacity * sizeof *targets);
    if (targets == NULL)
        return OBS_ERR_NOMEM;
    map->targets = targets;
    uint32_t *numbers = obs_realloc(map->numbers, capacity * sizeof *numbers);
    if (numbers == NULL)
        return OBS_ERR_NOMEM;
    map->numbers = numbers;
    map->capacity = capacity;
    return OBS_OK;
}

int obs_series_map_set(obs_series_map_t *map, uint32_t number, obs_series_target_t target)
{
    uint32_t position = obs_series_index_get(&map->index, number);
    if (position == OBS_SERIES_INDEX_ABSENT) {
        int status = reserve(map);
        if (status == OBS_OK)
            status = obs_series_index_set(&map->index, number, (uint32_t)map->count);
        if (status != OBS_OK)
            return status;
        position = (uint32_t)map->count++;
        map->numbers[position] = number;
    }
    map->targets[position] = target;
    return OBS_OK;
}
