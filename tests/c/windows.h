/* windows.h: windows with known content, shared by the tests of window, frames and groups. */
#ifndef OBS_TEST_WINDOWS_H
#define OBS_TEST_WINDOWS_H

#include <string.h>

#include "body.h"
#include "check.h"
#include "frames.h"
#include "window.h"

/* Series 1..series_count by number: histogram, counter, gauge, histogram, ... */
static inline uint8_t kind_of_series(uint32_t series)
{
    return (uint8_t)(1 + (series - 1) % 3);
}

/* Every other histogram keeps a t-digest. With at most 100 samples it is exact, and so the same in any order. */
static inline obs_series_target_t target_of_series(uint32_t series)
{
    return (obs_series_target_t){
        .series = series, .kind = kind_of_series(series), .scale = 6, .keeps_digest = series % 6 == 1};
}

/* Integers, so that sums are the same in any order. */
static inline double sample_of(uint32_t series, uint32_t index)
{
    return (double)(1 + (series * 31 + index * index * 7) % 1000);
}

static inline int add_sample(obs_window_t *window, uint32_t series, uint32_t index)
{
    obs_series_target_t target = target_of_series(series);
    if (target.kind == OBS_KIND_COUNTER)
        return obs_window_add_counter(window, series, 1, sample_of(series, index));
    return obs_window_add_value(window, &target, sample_of(series, index), 1, index);
}

/* sample_count samples for each series. */
static inline int fill_window(obs_window_t *window, uint32_t series_count, uint32_t sample_count)
{
    int status = OBS_OK;
    for (uint32_t series = 1; status == OBS_OK && series <= series_count; series++)
        for (uint32_t index = 0; status == OBS_OK && index < sample_count; index++)
            status = add_sample(window, series, index);
    return status;
}

/* The whole window as one frame of rows: equal windows give equal bytes. */
static inline obs_bytes_t rows_of(const obs_window_t *window)
{
    obs_frames_t frames;
    obs_frames_init(&frames);
    CHECK_OK(obs_frames_encode(&frames, window, SIZE_MAX));
    CHECK(frames.frame_count <= 1);
    obs_bytes_t rows = frames.rows;
    frames.rows = (obs_bytes_t){0};
    CHECK_OK(obs_bytes_reserve(&rows, 1)); /* an empty window too has bytes to read from */
    obs_frames_free(&frames);
    CHECK_OK(obs_rows_check(rows.bytes, rows.size));
    return rows;
}

static inline int same_bytes(const obs_bytes_t *left, const obs_bytes_t *right)
{
    return left->size == right->size && (left->size == 0 || memcmp(left->bytes, right->bytes, left->size) == 0);
}

static inline int same_windows(const obs_window_t *left, const obs_window_t *right)
{
    obs_bytes_t left_rows = rows_of(left), right_rows = rows_of(right);
    int same = same_bytes(&left_rows, &right_rows);
    obs_bytes_free(&left_rows);
    obs_bytes_free(&right_rows);
    return same;
}

/* What the window keeps up to date is what a walk finds. */
static inline void check_window_totals(const obs_window_t *window)
{
    size_t bytes = 0;
    uint64_t samples = 0;
    for (size_t index = 0; index < window->slot_count; index++) {
        const obs_window_slot_t *slot = obs_window_slot_at(window, index);
        CHECK(obs_window_find(window, slot->series) == slot);
        bytes += obs_accumulator_heap_bytes(&slot->accumulator);
        samples += obs_accumulator_samples(&slot->accumulator);
    }
    CHECK_EQ(window->accumulator_bytes, bytes);
    CHECK_EQ(window->sample_count, samples);
}

#endif
