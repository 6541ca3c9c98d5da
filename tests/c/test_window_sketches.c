// kernels: window accumulator series_map series_index body rows frames loghist tdigest column edges hll moments topk obs
/* What digests and columns come to in a window: of every sample, once, or given up. */
#include "window_bodies.h"

/* Columns in bodies, in rows, in windows: every sample is counted once, and every part is kept or none. */
static void a_column_is_counted_whole(void)
{
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    uint64_t samples = put_column(&body, 5, 1, 300) + put_column(&body, 5, 2, 200);
    uint64_t refused = put_column(&body, 0, 3, 100);
    obs_window_t window, copy, totals;
    obs_window_init(&window);
    obs_window_init(&copy);
    obs_window_init(&totals);
    totals.drops_digests = true;
    obs_applied_t applied;
    CHECK_OK(apply(&window, &body, &applied));
    CHECK(applied.applied == samples && applied.refused == refused);
    obs_bytes_t rows = rows_of(&window);
    CHECK_OK(obs_window_merge_rows(&copy, rows.bytes, rows.size));
    CHECK(same_windows(&window, &copy));
    CHECK_OK(obs_window_merge_rows(&copy, rows.bytes, rows.size));
    CHECK_OK(obs_window_merge(&window, &window));
    CHECK_EQ(window.sample_count, 2 * samples);
    CHECK_EQ(copy.sample_count, 2 * samples);
    CHECK_OK(obs_window_merge(&totals, &copy));
    CHECK_EQ(totals.sample_count, 2 * samples);
    const obs_column_t *column = obs_window_find(&copy, 14)->accumulator.column;
    CHECK(column->edges != NULL && column->edges->total == column->moments.count && column->hll != NULL);
    column = obs_window_find(&totals, 14)->accumulator.column;
    CHECK(column->edges == NULL && column->hll == NULL && column->given_up == OBS_COLUMN_PARTS);
    check_window_totals(&window);
    check_window_totals(&copy);
    check_window_totals(&totals);
    CHECK(obs_window_memory_bytes(&totals) < obs_window_memory_bytes(&copy));
    obs_bytes_free(&rows);
    obs_body_free(&body);
    obs_window_free(&window);
    obs_window_free(&copy);
    obs_window_free(&totals);
}

static const obs_tdigest_t *digest_of_series(const obs_window_t *window, uint32_t series)
{
    return obs_accumulator_digest(&obs_window_find(window, series)->accumulator);
}

/* Runs, and histograms with their digests: the digest of the window has every sample, once. */
static void keeps_a_digest_beside_the_histogram(void)
{
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 4, 0, 15);
    put_loghist(&body, 4, 15, 85, 6);
    put_tdigest(&body, 4, 15, 85);
    put_run(&body, 4, 100, 900);
    put_run(&body, 0, 0, 15);
    obs_window_t window, copy;
    obs_window_init(&window);
    obs_window_init(&copy);
    obs_applied_t applied;
    CHECK_OK(apply(&window, &body, &applied));
    CHECK_EQ(applied.applied, 1015);
    const obs_tdigest_t *digest = digest_of_series(&window, 13);
    CHECK(digest != NULL && digest->count == 1000);
    CHECK(digest->min == window.chunks[0][0].accumulator.hist.min);
    CHECK(digest->max == window.chunks[0][0].accumulator.hist.max);
    CHECK(obs_tdigest_memory_bytes(digest) < 2560); /* its centroids, and a buffer that stays small */
    CHECK(digest_of_series(&window, 10) == NULL);
    check_window_totals(&window);

    obs_bytes_t rows = rows_of(&window);
    CHECK_OK(obs_window_merge_rows(&copy, rows.bytes, rows.size));
    CHECK_EQ(digest_of_series(&copy, 13)->count, 1000);
    CHECK_OK(obs_window_merge(&copy, &window));
    CHECK_EQ(digest_of_series(&copy, 13)->count, 2000);
    check_window_totals(&copy);
    obs_bytes_free(&rows);
    obs_window_free(&window);
    obs_window_free(&copy);
    obs_body_free(&body);
}

/* Whatever comes without its digest leaves the window without one, and no digest is made of what comes after. */
static void a_digest_that_missed_samples_is_given_up(void)
{
    for (int missing = 0; missing < 3; missing++) {
        obs_body_t body;
        obs_body_init(&body);
        CHECK_OK(obs_body_begin(&body));
        for (int entry = 0; entry < 3; entry++) {
            put_loghist(&body, 4, 0, 50, 6);
            if (entry != missing)
                put_tdigest(&body, 4, 0, 50);
        }
        put_run(&body, 4, 0, 10);
        obs_window_t window;
        obs_window_init(&window);
        obs_applied_t applied;
        CHECK_OK(apply(&window, &body, &applied));
        CHECK(applied.applied == 160 && applied.refused == 0);
        CHECK(digest_of_series(&window, 13) == NULL);
        CHECK(obs_window_find(&window, 13)->accumulator.digest == NULL);
        check_window_totals(&window);
        obs_window_free(&window);
        obs_body_free(&body);
    }
}

static void a_window_may_drop_digests(void)
{
    obs_window_t window, totals;
    obs_window_init(&window);
    obs_window_init(&totals);
    totals.drops_digests = true;
    CHECK_OK(fill_window(&window, 13, 20));
    obs_bytes_t rows = rows_of(&window);
    CHECK_OK(obs_window_merge_rows(&totals, rows.bytes, rows.size));
    CHECK_OK(obs_window_merge(&totals, &window));
    CHECK_EQ(totals.sample_count, 2 * window.sample_count);
    for (uint32_t series = 1; series <= 13; series += 6) {
        CHECK(digest_of_series(&window, series) != NULL);
        CHECK(obs_window_find(&totals, series)->accumulator.digest == NULL);
    }
    check_window_totals(&totals);
    obs_bytes_free(&rows);
    obs_window_free(&window);
    obs_window_free(&totals);
}

int main(void)
{
    RUN(a_column_is_counted_whole);
    RUN(keeps_a_digest_beside_the_histogram);
    RUN(a_digest_that_missed_samples_is_given_up);
    RUN(a_window_may_drop_digests);
    return 0;
}
