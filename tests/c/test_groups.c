// kernels: groups sections frames window accumulator series_map series_index body rows loghist tdigest column edges hll moments topk obs
#include "groups.h"

#include "alloc_seam.h"
#include "hostile.h"
#include "windows.h"

/* Even series go to group 0, every fifth odd one to group 1, the others to none. */
static int group_of(uint32_t series)
{
    if (series % 2 == 0)
        return 0;
    return series % 5 == 0 ? 1 : -1;
}

static int make_groups(obs_groups_t *groups, uint32_t series_count)
{
    int status = obs_groups_init(groups, 3, 0, 0, 1);
    for (uint32_t series = 1; status == OBS_OK && series <= series_count; series++)
        if (group_of(series) >= 0)
            status = obs_groups_select(groups, series, (size_t)group_of(series));
    return status;
}

/* The groups are what the samples of their series come to. */
static void check_groups(const obs_groups_t *groups, uint32_t series_count, uint32_t sample_count)
{
    for (int group = 0; group < 3; group++) {
        uint64_t hist_count = 0, increments = 0;
        double hist_sum = 0, counter_sum = 0;
        for (uint32_t series = 1; series <= series_count; series++)
            for (uint32_t index = 0; index < sample_count && group_of(series) == group; index++) {
                int is_counter = kind_of_series(series) == OBS_KIND_COUNTER;
                *(is_counter ? &increments : &hist_count) += 1;
                *(is_counter ? &counter_sum : &hist_sum) += sample_of(series, index);
            }
        const obs_accumulator_t *accumulator = &groups->accumulators[group];
        CHECK_EQ(accumulator->hist.count, hist_count);
        CHECK_EQ(accumulator->increments, increments);
        CHECK(accumulator->hist.sum == hist_sum && accumulator->sum == counter_sum);
        CHECK_EQ(accumulator->last_ms, group < 2 ? (int64_t)sample_count - 1 : OBS_ACCUMULATOR_NEVER);
    }
}

static void gathers_selected_series(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 400, 10));
    obs_bytes_t rows = rows_of(&window);
    obs_groups_t by_rows, by_window;
    CHECK_OK(make_groups(&by_rows, 400));
    CHECK_OK(make_groups(&by_window, 400));
    size_t rows_used;
    CHECK_OK(obs_groups_merge_rows(&by_rows, 0, rows.bytes, rows.size, &rows_used));
    CHECK_EQ(rows_used, 200 + 40);
    CHECK_OK(obs_groups_collect(&by_window, 0, &window));
    check_groups(&by_rows, 400, 10);
    check_groups(&by_window, 400, 10);
    obs_groups_free(&by_rows);
    obs_groups_free(&by_window);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static void selecting_nothing_gathers_nothing(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 30, 2));
    obs_bytes_t rows = rows_of(&window);
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, 0, 0, 0, 1));
    CHECK_STATUS(obs_groups_select(&groups, 1, 0), OBS_ERR_RANGE);
    size_t rows_used = 1;
    CHECK_OK(obs_groups_merge_rows(&groups, 0, rows.bytes, rows.size, &rows_used));
    CHECK_EQ(rows_used, 0);
    CHECK_OK(obs_groups_collect(&groups, 0, &window));
    obs_groups_free(&groups);
    obs_bytes_free(&rows);
    obs_window_free(&window);
    CHECK_STATUS(obs_groups_init(&groups, UINT32_MAX, 0, 0, 1), OBS_ERR_RANGE);
    obs_groups_free(&groups);
}

static void a_series_may_change_its_group(void)
{
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, 2, 0, 0, 1));
    CHECK_OK(obs_groups_select(&groups, 5, 0));
    CHECK_OK(obs_groups_select(&groups, 5, 1));
    CHECK_STATUS(obs_groups_select(&groups, 5, 2), OBS_ERR_RANGE);
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(obs_window_add_counter(&window, 5, 3, 1));
    CHECK_OK(obs_groups_collect(&groups, 0, &window));
    CHECK(groups.accumulators[0].increments == 0 && groups.accumulators[1].increments == 3);
    obs_window_free(&window);
    obs_groups_free(&groups);
}

/* Windows of 10 ms from 100 on, steps of 30 ms: [100, 130) [130, 160). */
static void windows_go_to_their_steps(void)
{
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, 2, 100, 30, 2));
    CHECK_OK(obs_groups_select(&groups, 5, 1));
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(obs_window_add_counter(&window, 5, 1, 1));
    obs_bytes_t rows = rows_of(&window);
    size_t rows_used, used = 0;
    for (int64_t start_ms = 80; start_ms <= 180; start_ms += 10) {
        CHECK_OK(obs_groups_collect(&groups, start_ms, &window));
        CHECK_OK(obs_groups_merge_rows(&groups, start_ms, rows.bytes, rows.size, &rows_used));
        used += rows_used;
    }
    CHECK_EQ(used, 6);
    for (size_t step = 0; step < 2; step++) {
        CHECK_EQ(obs_groups_at(&groups, 0, step)->increments, 0);
        CHECK_EQ(obs_groups_at(&groups, 1, step)->increments, 6);
    }
    CHECK_OK(obs_groups_collect(&groups, INT64_MAX, &window));
    CHECK_OK(obs_groups_collect(&groups, INT64_MIN, &window));
    obs_groups_free(&groups);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static void refuses_impossible_steps(void)
{
    obs_groups_t groups;
    CHECK_STATUS(obs_groups_init(&groups, 1, 0, 0, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_groups_init(&groups, 1, 0, 0, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_groups_init(&groups, 1, 0, -10, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_groups_init(&groups, 70000, 0, 10, 70000), OBS_ERR_RANGE);
    obs_groups_free(&groups);
}

/* Series 1 and 7 keep a digest, series 4 does not: fill_window. */
static void a_group_has_a_digest_if_all_its_members_have(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 7, 20));
    obs_bytes_t rows = rows_of(&window);
    const struct {
        uint32_t series;
        size_t group;
    } selected[] = {{1, 0}, {7, 0}, {4, 1}, {2, 2}, {3, 2}};
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        obs_groups_t groups;
        CHECK_OK(obs_groups_init(&groups, 4, 0, 0, 1));
        obs_groups_keep_digests(&groups);
        for (size_t i = 0; i < sizeof selected / sizeof *selected; i++)
            CHECK_OK(obs_groups_select(&groups, selected[i].series, selected[i].group));
        size_t rows_used;
        if (by_rows)
            CHECK_OK(obs_groups_merge_rows(&groups, 0, rows.bytes, rows.size, &rows_used));
        else
            CHECK_OK(obs_groups_collect(&groups, 0, &window));
        const obs_tdigest_t *digest = obs_accumulator_digest(obs_groups_at(&groups, 0, 0));
        CHECK(digest != NULL && digest->count == 40);
        CHECK(obs_accumulator_digest(obs_groups_at(&groups, 1, 0)) == NULL);
        CHECK(obs_accumulator_digest(obs_groups_at(&groups, 2, 0)) == NULL); /* a gauge's samples are in none */
        CHECK_OK(obs_groups_select(&groups, 4, 0));
        CHECK_OK(obs_groups_collect(&groups, 0, &window));
        CHECK(obs_accumulator_digest(obs_groups_at(&groups, 0, 0)) == NULL);
        obs_groups_free(&groups);
    }
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static void who_wants_no_digests_has_none(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 1, 20));
    obs_bytes_t rows = rows_of(&window);
    obs_groups_t groups;
    CHECK_OK(obs_groups_init(&groups, 1, 0, 0, 1));
    CHECK_OK(obs_groups_select(&groups, 1, 0));
    CHECK_OK(obs_groups_collect(&groups, 0, &window));
    size_t rows_used;
    CHECK_OK(obs_groups_merge_rows(&groups, 0, rows.bytes, rows.size, &rows_used));
    CHECK_EQ(obs_groups_at(&groups, 0, 0)->hist.count, 40);
    CHECK(obs_groups_at(&groups, 0, 0)->digest == NULL);
    obs_groups_free(&groups);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static int merge_hostile_rows(const uint8_t *bytes, size_t size)
{
    obs_groups_t groups;
    CHECK_OK(make_groups(&groups, 12));
    obs_groups_keep_digests(&groups);
    size_t rows_used = 99;
    int status = obs_groups_merge_rows(&groups, 0, bytes, size, &rows_used);
    if (status != OBS_OK) {
        CHECK_EQ(rows_used, 99);
        for (size_t group = 0; group < 3; group++)
            CHECK_EQ(obs_accumulator_samples(&groups.accumulators[group]), 0);
    }
    obs_groups_free(&groups);
    return status;
}

static void bad_rows_change_nothing(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 12, 20));
    obs_bytes_t rows = rows_of(&window);
    CHECK_EQ(hostile_truncations(merge_hostile_rows, rows.bytes, rows.size), 12);
    CHECK(hostile_flips(merge_hostile_rows, rows.bytes, rows.size, 10000, 6) < 10000);
    obs_bytes_free(&rows);
    obs_window_free(&window);
}

static int gather(obs_groups_t *groups, const obs_window_t *window, const obs_bytes_t *rows)
{
    size_t rows_used;
    int status = make_groups(groups, 60);
    if (status == OBS_OK)
        obs_groups_keep_digests(groups);
    if (status == OBS_OK)
        status = obs_groups_collect(groups, 0, window);
    if (status == OBS_OK)
        status = obs_groups_merge_rows(groups, 0, rows->bytes, rows->size, &rows_used);
    return status;
}

static void survives_each_failed_allocation(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(fill_window(&window, 60, 9));
    obs_bytes_t rows = rows_of(&window);
    for (size_t n = 1;; n++) {
        obs_groups_t groups;
        obs_alloc_fail_at(n);
        int status = gather(&groups, &window, &rows);
        int is_last = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        obs_groups_free(&groups);
        CHECK(status == OBS_OK || (status == OBS_ERR_NOMEM && !is_last));
        if (is_last)
            break;
    }
    obs_bytes_free(&rows);
    obs_window_free(&window);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(gathers_selected_series);
    RUN(selecting_nothing_gathers_nothing);
    RUN(a_series_may_change_its_group);
    RUN(windows_go_to_their_steps);
    RUN(refuses_impossible_steps);
    RUN(a_group_has_a_digest_if_all_its_members_have);
    RUN(who_wants_no_digests_has_none);
    RUN(bad_rows_change_nothing);
    RUN(survives_each_failed_allocation);
    return 0;
}
