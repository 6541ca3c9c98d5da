// kernels: series_index obs
#include "series_index.h"

#include "alloc_seam.h"
#include "check.h"

static void an_empty_index_has_nothing(void)
{
    obs_series_index_t index;
    obs_series_index_init(&index);
    CHECK_EQ(obs_series_index_get(&index, 0), OBS_SERIES_INDEX_ABSENT);
    CHECK_EQ(obs_series_index_get(&index, UINT32_MAX), OBS_SERIES_INDEX_ABSENT);
    CHECK_EQ(obs_series_index_memory_bytes(&index), 0);
    obs_series_index_free(&index);
}

static uint32_t value_of(uint32_t series)
{
    return (series ^ 0x5aa5u) & 0x7fffffffu;
}

/* Ids first, first + stride, ...: all found with their last value, none of their neighbours. */
static void fill_and_find(uint32_t first, uint32_t stride, uint32_t id_count)
{
    obs_series_index_t index;
    obs_series_index_init(&index);
    for (uint32_t i = 0; i < id_count; i++)
        CHECK_OK(obs_series_index_set(&index, first + i * stride, 0));
    for (uint32_t i = 0; i < id_count; i++)
        CHECK_OK(obs_series_index_set(&index, first + i * stride, value_of(first + i * stride)));
    CHECK_EQ(index.count, id_count);
    for (uint32_t i = 0; i < id_count; i++) {
        uint32_t series = first + i * stride;
        CHECK_EQ(obs_series_index_get(&index, series), value_of(series));
        if (stride > 1)
            CHECK_EQ(obs_series_index_get(&index, series + 1), OBS_SERIES_INDEX_ABSENT);
    }
    CHECK_EQ(obs_series_index_get(&index, first - 1), OBS_SERIES_INDEX_ABSENT);
    /* Proportional to what is used: at most four cells an id beyond the first few. */
    CHECK(obs_series_index_memory_bytes(&index) <= (size_t)(4 * id_count + 64) * sizeof(obs_series_cell_t));
    obs_series_index_free(&index);
}

static void finds_dense_and_sparse_ids(void)
{
    const uint32_t strides[] = {1, 2, 3, 8, 64, 256, 1u << 12, 1u << 16};
    for (size_t i = 0; i < sizeof strides / sizeof *strides; i++)
        fill_and_find(1, strides[i], 5000);
    fill_and_find(UINT32_MAX - 5000, 1, 5000);
    fill_and_find(1, 1, 100000);
}

/* No stride of ids piles up: the longest way from home to the cell stays short. */
static void strides_do_not_pile_up(void)
{
    for (unsigned shift = 0; shift < 20; shift++) {
        obs_series_index_t index;
        obs_series_index_init(&index);
        for (uint32_t i = 0; i < 4000; i++)
            CHECK_OK(obs_series_index_set(&index, i << shift, i));
        size_t longest = 0;
        for (uint32_t i = 0; i < 4000; i++) {
            size_t home = obs_series_index_home(&index, i << shift);
            size_t at = (size_t)(obs_series_index_cell(&index, i << shift) - index.cells);
            size_t way = (at - home) & index.mask;
            longest = way > longest ? way : longest;
        }
        CHECK(longest <= 64);
        obs_series_index_free(&index);
    }
}

static void refuses_the_mark_of_a_free_cell(void)
{
    obs_series_index_t index;
    obs_series_index_init(&index);
    CHECK_STATUS(obs_series_index_set(&index, 1, OBS_SERIES_INDEX_ABSENT), OBS_ERR_RANGE);
    CHECK_OK(obs_series_index_set(&index, UINT32_MAX, 5));
    CHECK_EQ(obs_series_index_get(&index, UINT32_MAX), 5);
    obs_series_index_free(&index);
}

static int set_many(obs_series_index_t *index, uint32_t id_count)
{
    int status = OBS_OK;
    for (uint32_t series = 0; status == OBS_OK && series < id_count; series++)
        status = obs_series_index_set(index, series, series + 1);
    return status;
}

static void survives_each_failed_allocation(void)
{
    for (size_t n = 1;; n++) {
        obs_series_index_t index;
        obs_series_index_init(&index);
        obs_alloc_fail_at(n);
        int status = set_many(&index, 500);
        obs_alloc_fail_at(0);
        for (uint32_t series = 0; series < index.count; series++)
            CHECK_EQ(obs_series_index_get(&index, series), series + 1);
        CHECK_EQ(obs_series_index_get(&index, (uint32_t)index.count), OBS_SERIES_INDEX_ABSENT);
        obs_series_index_free(&index);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(an_empty_index_has_nothing);
    RUN(finds_dense_and_sparse_ids);
    RUN(strides_do_not_pile_up);
    RUN(refuses_the_mark_of_a_free_cell);
    RUN(survives_each_failed_allocation);
    return 0;
}
