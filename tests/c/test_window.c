// kernels: window accumulator series_map series_index body rows frames loghist tdigest column edges hll moments topk obs
/* Windows and rows that are merged into a window, and the memory that it takes. */
#include <math.h>

#include "alloc_seam.h"
#include "hostile.h"
#include "windows.h"

static void rows_give_the_window_back(void)
{
    obs_window_t window, copy;
    obs_window_init(&window);
    obs_window_init(&copy);
    CHECK_OK(fill_window(&window, 500, 20));
    obs_bytes_t rows = rows_of(&window);
    CHECK_OK(obs_window_merge_rows(&copy, rows.bytes, rows.size));
    CHECK(same_windows(&window, &copy));
    CHECK_EQ(copy.sample_count, 500 * 20);
    check_window_totals(&copy);
    obs_bytes_free(&rows);
    obs_window_free(&window);
    obs_window_free(&copy);
}

static void merging_windows_and_rows_is_adding_samples(void)
{
    obs_window_t whole, left, right, by_rows;
    obs_window_init(&whole);
    obs_window_init(&left);
    obs_window_init(&right);
    obs_window_init(&by_rows);
    for (uint32_t series = 1; series <= 300; series++)
        for (uint32_t index = 0; index < 12; index++) {
            CHECK_OK(add_sample(&whole, series, index));
            CHECK_OK(add_sample((series + index) % 4 ? &left : &right, series, index));
        }
    obs_bytes_t left_rows = rows_of(&left), right_rows = rows_of(&right);
    CHECK_OK(obs_window_merge_rows(&by_rows, right_rows.bytes, right_rows.size));
    CHECK_OK(obs_window_merge_rows(&by_rows, left_rows.bytes, left_rows.size));
    CHECK_OK(obs_window_merge(&left, &right));
    CHECK(same_windows(&whole, &left));
    CHECK(same_windows(&whole, &by_rows));
    check_window_totals(&left);
    CHECK_OK(obs_window_merge(&left, &left));
    CHECK_EQ(left.sample_count, 2 * whole.sample_count);
    obs_bytes_free(&left_rows);
    obs_bytes_free(&right_rows);
    obs_window_free(&whole);
    obs_window_free(&left);
    obs_window_free(&right);
    obs_window_free(&by_rows);
}

static void another_kind_changes_nothing(void)
{
    obs_window_t window, before, other;
    obs_window_init(&window);
    obs_window_init(&before);
    obs_window_init(&other);
    CHECK_OK(fill_window(&window, 6, 3));
    CHECK_OK(fill_window(&before, 6, 3));
    const obs_series_target_t sound = {.series = 1, .kind = OBS_KIND_HISTOGRAM, .scale = 6};
    CHECK_OK(obs_window_add_value(&other, &sound, 5, 1, 0));
    CHECK_OK(obs_window_add_counter(&other, 6, 1, 1)); /* a gauge there */
    CHECK_STATUS(obs_window_merge(&window, &other), OBS_ERR_STATE);
    obs_bytes_t rows = rows_of(&other);
    CHECK_STATUS(obs_window_merge_rows(&window, rows.bytes, rows.size), OBS_ERR_STATE);
    CHECK(same_windows(&window, &before));
    obs_bytes_free(&rows);
    obs_window_free(&window);
    obs_window_free(&before);
    obs_window_free(&other);
}

static int merge_hostile_rows(const uint8_t *bytes, size_t size)
{
    obs_window_t window, before;
    obs_window_init(&window);
    obs_window_init(&before);
    CHECK_OK(fill_window(&window, 3, 3));
    CHECK_OK(fill_window(&before, 3, 3));
    int status = obs_window_merge_rows(&window, bytes, size);
    CHECK(status == OBS_OK || same_windows(&window, &before));
    check_window_totals(&window);
    obs_window_free(&window);
    obs_window_free(&before);
    return status;
}

static void bad_rows_change_nothing(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 6, 40));
    obs_bytes_t rows = rows_of(&window);
    CHECK_EQ(hostile_truncations(merge_hostile_rows, rows.bytes, rows.size), 6);
    CHECK(hostile_flips(merge_hostile_rows, rows.bytes, rows.size, 3000, 3) < 3000);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static void memory_is_proportional_to_what_is_used(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_EQ(obs_window_memory_bytes(&window), sizeof window);
    CHECK_OK(obs_window_add_counter(&window, UINT32_MAX, 1, 1));
    CHECK(obs_window_memory_bytes(&window) < 32 << 10);
    obs_window_free(&window);
    CHECK_EQ(obs_window_memory_bytes(&window), sizeof window);

    for (uint32_t series = 0; series < 2000; series++) {
        const obs_series_target_t target = {.series = series * 50, .kind = OBS_KIND_HISTOGRAM, .scale = 6};
        uint64_t state = series;
        for (int index = 0; index < 300; index++) {
            double value = 0.01 * exp(check_random_unit(&state) + check_random_unit(&state) +
                                      check_random_unit(&state) + check_random_unit(&state));
            CHECK_OK(obs_window_add_value(&window, &target, value, 1, 0));
        }
    }
    CHECK(obs_window_memory_bytes(&window) / 2000 < 3584);
    check_window_totals(&window);
    obs_window_free(&window);
}

int main(void)
{
    RUN(rows_give_the_window_back);
    RUN(merging_windows_and_rows_is_adding_samples);
    RUN(another_kind_changes_nothing);
    RUN(bad_rows_change_nothing);
    RUN(memory_is_proportional_to_what_is_used);
    return 0;
}
