// kernels: window accumulator series_map series_index body rows frames loghist tdigest column edges hll moments topk obs
/* What bodies and single samples come to in a window, and what a failed allocation leaves of it. */
#include <math.h>

#include "alloc_seam.h"
#include "hostile.h"
#include "window_bodies.h"

static void applies_every_type_of_entry(void)
{
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 0, 0, 15);
    put_loghist(&body, 0, 15, 85, 6);
    CHECK_OK(obs_body_put_counter(&body, 1, 7, 3.5));
    CHECK_OK(obs_body_put_counter(&body, 1, 2, 1.5));
    CHECK_OK(obs_body_put_gauge(&body, 2, 40));
    CHECK_OK(obs_body_put_gauge(&body, 2, 30));
    obs_window_t window;
    obs_window_init(&window);
    obs_applied_t applied;
    CHECK_OK(apply(&window, &body, &applied));
    CHECK_EQ(applied.applied, 100 + 9 + 2);
    CHECK_EQ(applied.refused, 0);

    const obs_window_slot_t *slot = obs_window_find(&window, 10);
    CHECK(slot != NULL && slot->kind == OBS_KIND_HISTOGRAM && slot->accumulator.hist.count == 100);
    double sum = 0;
    for (uint32_t index = 0; index < 100; index++)
        sum += sample_of(10, index);
    CHECK(slot->accumulator.hist.sum == sum);
    CHECK_EQ(slot->accumulator.hist.scale, 6);
    slot = obs_window_find(&window, 11);
    CHECK(slot != NULL && slot->accumulator.increments == 9 && slot->accumulator.sum == 5);
    slot = obs_window_find(&window, 12);
    CHECK(slot != NULL && slot->accumulator.last == 30 && slot->accumulator.last_ms == END_MS);
    CHECK_EQ(slot->accumulator.hist.count, 2);
    CHECK(obs_window_find(&window, 13) == NULL);
    check_window_totals(&window);
    obs_window_free(&window);
    obs_body_free(&body);
}

static void counts_what_it_refuses(void)
{
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 3, 0, 5);        /* refused by the map */
    put_loghist(&body, 5, 0, 6, 6); /* not in the map */
    put_loghist(&body, 1, 0, 7, 6); /* a histogram for a counter */
    CHECK_OK(obs_body_put_counter(&body, 2, 8, 1));
    CHECK_OK(obs_body_put_gauge(&body, 0, 1));
    put_run(&body, 0, 0, 1);
    obs_window_t window;
    obs_window_init(&window);
    obs_applied_t applied;
    CHECK_OK(apply(&window, &body, &applied));
    CHECK_EQ(applied.applied, 1);
    CHECK_EQ(applied.refused, 5 + 6 + 7 + 8 + 1);
    CHECK_EQ(window.slot_count, 1);
    obs_series_map_t empty;
    obs_series_map_init(&empty);
    CHECK_OK(obs_window_apply(&window, body.bytes, body.size, &empty, END_MS, &applied));
    CHECK_EQ(applied.refused, 28);
    obs_window_free(&window);
    obs_body_free(&body);
}

/* Where the map names no kind, the first one that comes is the series' kind in this window. */
static void the_first_kind_stays(void)
{
    obs_series_map_t map;
    obs_series_map_init(&map);
    CHECK_OK(obs_series_map_set(&map, 0, (obs_series_target_t){.series = 5, .kind = 0, .scale = 6}));
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    CHECK_OK(obs_body_put_counter(&body, 0, 3, 1));
    put_run(&body, 0, 0, 4);
    obs_window_t window;
    obs_window_init(&window);
    obs_applied_t applied;
    CHECK_OK(obs_window_apply(&window, body.bytes, body.size, &map, END_MS, &applied));
    CHECK(applied.applied == 3 && applied.refused == 4);
    obs_series_map_free(&map);
    obs_window_free(&window);
    obs_body_free(&body);
}

static void any_partition_into_bodies_gives_the_same_window(void)
{
    obs_window_t whole;
    obs_window_init(&whole);
    obs_body_t body;
    obs_body_init(&body);
    obs_applied_t applied;
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 0, 0, 1000);
    CHECK_OK(apply(&whole, &body, &applied));

    uint64_t state = 5;
    for (int round = 0; round < 20; round++) {
        obs_window_t parts;
        obs_window_init(&parts);
        CHECK_OK(obs_body_begin(&body));
        for (uint32_t first = 0; first < 1000;) {
            uint32_t count = 1 + (uint32_t)(check_random(&state) % 90);
            count = count > 1000 - first ? 1000 - first : count;
            if (check_random(&state) % 2)
                put_run(&body, 0, first, count);
            else
                put_loghist(&body, 0, first, count, 6);
            first += count;
            if (check_random(&state) % 3 == 0) {
                CHECK_OK(apply(&parts, &body, &applied));
                CHECK_OK(obs_body_begin(&body));
            }
        }
        CHECK_OK(apply(&parts, &body, &applied));
        CHECK(same_windows(&whole, &parts));
        obs_window_free(&parts);
    }
    obs_window_free(&whole);
    obs_body_free(&body);
}

static void a_coarser_histogram_lowers_the_scale(void)
{
    obs_body_t body;
    obs_body_init(&body);
    obs_window_t window;
    obs_window_init(&window);
    obs_applied_t applied;
    CHECK_OK(obs_body_begin(&body));
    put_loghist(&body, 0, 0, 50, 8);
    CHECK_OK(apply(&window, &body, &applied));
    CHECK_EQ(obs_window_find(&window, 10)->accumulator.hist.scale, 6);
    CHECK_OK(obs_body_begin(&body));
    put_loghist(&body, 0, 0, 50, 2);
    CHECK_OK(apply(&window, &body, &applied));
    CHECK_EQ(obs_window_find(&window, 10)->accumulator.hist.scale, 2);
    CHECK_EQ(obs_window_find(&window, 10)->accumulator.hist.count, 100);
    obs_window_free(&window);
    obs_body_free(&body);
}

static void adds_single_samples(void)
{
    const obs_series_target_t hist = {.series = 1, .kind = OBS_KIND_HISTOGRAM, .scale = 4};
    const obs_series_target_t gauge = {.series = 2, .kind = OBS_KIND_GAUGE, .scale = 6};
    const obs_series_target_t counter = {.series = 3, .kind = OBS_KIND_COUNTER, .scale = 6};
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(obs_window_add_value(&window, &hist, 1.5, 10, 0));
    CHECK_OK(obs_window_add_value(&window, &gauge, 2.5, 2, 77));
    CHECK_OK(obs_window_add_counter(&window, 3, 4, 8));
    CHECK_EQ(window.sample_count, 16);
    CHECK_EQ(obs_window_find(&window, 1)->accumulator.hist.scale, 4);
    CHECK_EQ(obs_window_find(&window, 2)->accumulator.last_ms, 77);

    CHECK_STATUS(obs_window_add_value(&window, &counter, 1, 1, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_window_add_counter(&window, 1, 1, 1), OBS_ERR_STATE);
    CHECK_STATUS(obs_window_add_counter(&window, 3, 1, -1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_window_add_counter(&window, 3, 1, (double)NAN), OBS_ERR_RANGE);
    CHECK_STATUS(obs_window_add_value(&window, &hist, 1, OBS_WINDOW_MAX_SAMPLES + 1, 0), OBS_ERR_RANGE);
    CHECK_EQ(window.sample_count, 16);
    check_window_totals(&window);
    obs_window_free(&window);
}

static void a_full_series_refuses(void)
{
    obs_window_t window;
    obs_window_init(&window);
    CHECK_OK(obs_window_add_value(&window, &MAP[0], 1, OBS_WINDOW_MAX_SAMPLES, 0));
    CHECK_OK(obs_window_add_counter(&window, 11, OBS_WINDOW_MAX_SAMPLES, 0));
    CHECK_STATUS(obs_window_add_value(&window, &MAP[0], 1, 1, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_window_add_counter(&window, 11, 1, 0), OBS_ERR_RANGE);
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 0, 0, 5);
    CHECK_OK(obs_body_put_counter(&body, 1, 6, 1));
    obs_applied_t applied;
    CHECK_OK(apply(&window, &body, &applied));
    CHECK(applied.applied == 0 && applied.refused == 11);
    obs_body_free(&body);
    obs_window_free(&window);
}

/* Bytes that nobody has checked: nothing outside is read, and what was added is counted. */
static int apply_hostile_body(const uint8_t *bytes, size_t size)
{
    obs_window_t window;
    obs_window_init(&window);
    obs_applied_t applied;
    int status = apply_bytes(&window, bytes, size, &applied);
    CHECK_EQ(window.sample_count, applied.applied);
    check_window_totals(&window);
    obs_window_free(&window);
    return status;
}

static void an_unchecked_body_does_no_harm(void)
{
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 0, 0, 20);
    put_loghist(&body, 0, 0, 300, 6);
    put_run(&body, 4, 0, 20);
    put_loghist(&body, 4, 0, 200, 6);
    put_tdigest(&body, 4, 0, 200);
    CHECK_OK(obs_body_put_counter(&body, 1, 9, 1));
    CHECK_OK(obs_body_put_gauge(&body, 2, 1));
    put_column(&body, 5, 4, 100);
    CHECK_EQ(hostile_truncations(apply_hostile_body, body.bytes, body.size), 8);
    CHECK(hostile_flips(apply_hostile_body, body.bytes, body.size, 10000, 4) < 10000);
    obs_body_free(&body);
}

typedef int (*operation_t)(obs_window_t *window, const obs_window_t *other, const obs_bytes_t *rows,
                           const obs_body_t *body);

static obs_series_map_t lasting_map; /* made before allocations fail */

static int do_apply(obs_window_t *window, const obs_window_t *other, const obs_bytes_t *rows, const obs_body_t *body)
{
    (void)other;
    (void)rows;
    obs_applied_t applied;
    uint64_t samples_before = window->sample_count;
    int status = obs_window_apply(window, body->bytes, body->size, &lasting_map, END_MS, &applied);
    CHECK_EQ(window->sample_count - samples_before, applied.applied);
    return status;
}

static int do_merge(obs_window_t *window, const obs_window_t *other, const obs_bytes_t *rows, const obs_body_t *body)
{
    (void)rows;
    (void)body;
    return obs_window_merge(window, other);
}

static int do_merge_rows(obs_window_t *window, const obs_window_t *other, const obs_bytes_t *rows,
                         const obs_body_t *body)
{
    (void)other;
    (void)body;
    return obs_window_merge_rows(window, rows->bytes, rows->size);
}

static int do_add(obs_window_t *window, const obs_window_t *other, const obs_bytes_t *rows, const obs_body_t *body)
{
    (void)other;
    (void)rows;
    (void)body;
    return fill_window(window, 70, 3);
}

static void fail_each_allocation_of(operation_t operation, const obs_window_t *other, const obs_bytes_t *rows,
                                    const obs_body_t *body)
{
    for (size_t n = 1;; n++) {
        obs_window_t window;
        obs_window_init(&window);
        obs_alloc_fail_at(n);
        int status = operation(&window, other, rows, body);
        int is_last = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        check_window_totals(&window);
        obs_bytes_t readable = rows_of(&window);
        obs_bytes_free(&readable);
        obs_window_free(&window);
        CHECK(status == OBS_OK || (status == OBS_ERR_NOMEM && !is_last));
        if (is_last)
            break;
    }
}

static void survives_each_failed_allocation(void)
{
    obs_window_t other;
    obs_window_init(&other);
    CHECK_OK(fill_window(&other, 140, 5));
    obs_bytes_t rows = rows_of(&other);
    obs_body_t body;
    obs_body_init(&body);
    CHECK_OK(obs_body_begin(&body));
    put_run(&body, 0, 0, 400);
    put_loghist(&body, 0, 400, 400, 5);
    put_run(&body, 4, 0, 400);
    put_loghist(&body, 4, 400, 400, 6);
    put_tdigest(&body, 4, 400, 400);
    CHECK_OK(obs_body_put_counter(&body, 1, 1, 1));
    CHECK_OK(obs_body_put_gauge(&body, 2, 1));
    put_column(&body, 5, 5, 100);
    put_column(&body, 5, 6, 100);
    lasting_map = make_map();
    const operation_t operations[] = {do_apply, do_merge, do_merge_rows, do_add};
    for (size_t index = 0; index < sizeof operations / sizeof *operations; index++)
        fail_each_allocation_of(operations[index], &other, &rows, &body);
    obs_series_map_free(&lasting_map);
    obs_body_free(&body);
    obs_bytes_free(&rows);
    obs_window_free(&other);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(applies_every_type_of_entry);
    RUN(counts_what_it_refuses);
    RUN(the_first_kind_stays);
    RUN(any_partition_into_bodies_gives_the_same_window);
    RUN(a_coarser_histogram_lowers_the_scale);
    RUN(adds_single_samples);
    RUN(a_full_series_refuses);
    RUN(an_unchecked_body_does_no_harm);
    RUN(survives_each_failed_allocation);
    return 0;
}
