/* window_bodies.h: bodies with known content, and what their series numbers stand for, shared by the tests that apply
 * them. */
#ifndef OBS_TEST_WINDOW_BODIES_H
#define OBS_TEST_WINDOW_BODIES_H

#include "columns.h"
#include "windows.h"

#define END_MS 1700000000000

/* Session series 0, 1, 2 are store series 10, 11, 12: histogram, counter, gauge; 3 is refused; 4 keeps a digest; 5
 * is a column. */
static const obs_series_target_t MAP[] = {{10, OBS_KIND_HISTOGRAM, 6, false}, {11, OBS_KIND_COUNTER, 6, false},
                                          {12, OBS_KIND_GAUGE, 6, false},     {OBS_SERIES_REFUSED, 0, 6, false},
                                          {13, OBS_KIND_HISTOGRAM, 6, true},  {14, OBS_KIND_COLUMN, 6, false}};

static inline obs_series_map_t make_map(void)
{
    obs_series_map_t map;
    obs_series_map_init(&map);
    for (uint32_t number = 0; number < sizeof MAP / sizeof *MAP; number++)
        CHECK_OK(obs_series_map_set(&map, number, MAP[number]));
    return map;
}

static inline int apply_bytes(obs_window_t *window, const uint8_t *bytes, size_t size, obs_applied_t *applied)
{
    obs_series_map_t map = make_map();
    int status = obs_window_apply(window, bytes, size, &map, END_MS, applied);
    obs_series_map_free(&map);
    return status;
}

static inline int apply(obs_window_t *window, const obs_body_t *body, obs_applied_t *applied)
{
    return apply_bytes(window, body->bytes, body->size, applied);
}

static inline void put_run(obs_body_t *body, uint32_t series, uint32_t first, uint32_t value_count)
{
    double values[1000];
    for (uint32_t index = 0; index < value_count; index++)
        values[index] = sample_of(10, first + index);
    CHECK_OK(obs_body_put_run(body, series, values, value_count));
}

static inline void put_loghist(obs_body_t *body, uint32_t series, uint32_t first, uint32_t value_count, int scale)
{
    obs_loghist_t hist;
    CHECK_OK(obs_loghist_init(&hist, scale));
    for (uint32_t index = 0; index < value_count; index++)
        CHECK_OK(obs_loghist_add(&hist, sample_of(10, first + index), 1));
    CHECK_OK(obs_body_put_loghist(body, series, &hist));
    obs_loghist_free(&hist);
}

static inline void put_tdigest(obs_body_t *body, uint32_t series, uint32_t first, uint32_t value_count)
{
    obs_tdigest_t digest;
    CHECK_OK(obs_tdigest_init(&digest, 100));
    for (uint32_t index = 0; index < value_count; index++)
        CHECK_OK(obs_tdigest_add(&digest, sample_of(10, first + index), 1));
    CHECK_OK(obs_body_put_tdigest(body, series, &digest));
    obs_tdigest_free(&digest);
}

static inline uint64_t put_column(obs_body_t *body, uint32_t series, uint64_t seed, size_t value_count)
{
    sided_t sided;
    obs_cuts_t cuts = ten_bins();
    sided_init(&sided);
    fill_numbers(&sided, &cuts, seed, value_count);
    CHECK_OK(obs_body_put_column(body, series, &sided.hist, &sided.column));
    uint64_t samples = sided_samples(&sided);
    sided_free(&sided);
    obs_cuts_free(&cuts);
    return samples;
}

#endif
