// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* Threads that come and go, stop and start, fork, wrong definitions, allocations that fail. */
#include "drain_lab.h"

static void threads_come_and_go(void)
{
    fixture_t fixture;
    double values[300] = {0};
    set_up(&fixture);
    for (int round = 0; round < 20; round++) {
        obs_producer_t *producer = attach(&fixture);
        observe(&fixture, producer, 7);
        obs_producer_add_many(producer, fixture.histogram, 6, false, values, 300);
        leave(&fixture, producer);
        if (round % 3 == 0)
            step_after(&fixture, MS);
    }
    step_after(&fixture, 100 * MS);
    CHECK(fixture.drain->producers == NULL);
    CHECK_EQ(accounts(&fixture).observed, 20 * 307);
    obs_batch_t *batch;
    while ((batch = take(&fixture)) != NULL)
        obs_batch_free(batch);
    CHECK_EQ(fixture.samples, 20 * 307);
    CHECK_EQ(fixture.drain->pool.credit, fixture.drain->pool.chunk_count);
    tear_down(&fixture);
}

static void a_thread_may_outlive_the_drain(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    observe(&fixture, producer, 5);
    obs_drain_destroy(fixture.drain);
    CHECK_STATUS(obs_ring_push(&producer->ring, 0, 0), OBS_ERR_STATE);
    leave(&fixture, producer);
    CHECK_EQ(obs_alloc_live(), 0);
}

static void stop_closes_and_start_begins_again(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(1 << 20);
    fixture = (fixture_t){0};
    CHECK_OK(obs_drain_create(&chosen, &fixture.drain));
    CHECK_OK(obs_open_batch_define(&fixture.drain->open, OBS_KIND_HISTOGRAM, 6, false, &fixture.histogram));
    for (int round = 0; round < 3; round++) {
        CHECK_OK(obs_drain_start(fixture.drain));
        CHECK_STATUS(obs_drain_start(fixture.drain), OBS_ERR_STATE);
        obs_producer_t *producer = attach(&fixture);
        observe(&fixture, producer, 9);
        obs_drain_stop(fixture.drain);
        CHECK_STATUS(obs_ring_push(&producer->ring, 0, 0), OBS_ERR_STATE);
        leave(&fixture, producer);
        obs_batch_t *batch;
        while ((batch = take(&fixture)) != NULL)
            obs_batch_free(batch);
        CHECK_EQ(fixture.samples, 9 * (round + 1));
    }
    obs_drain_step(fixture.drain, obs_monotonic_ns());
    CHECK_EQ(fixture.drain->pool.credit, fixture.drain->pool.chunk_count);
    tear_down(&fixture);
}

static void a_child_begins_anew_with_the_same_series(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_drain_t *fresh = NULL, *inherited = fixture.drain;
    obs_producer_t *orphan = attach(&fixture);
    observe(&fixture, orphan, 5);
    CHECK_OK(obs_drain_renew(inherited, &fresh));
    CHECK_EQ(fresh->open.series_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const obs_series_t *ours = obs_open_batch_series(&fresh->open, i);
        CHECK_EQ(ours->kind, obs_open_batch_series(&inherited->open, i)->kind);
        CHECK_EQ(ours->keeps_digest, i == fixture.digested);
    }
    fixture.drain = fresh;
    CHECK_EQ(accounts(&fixture).observed, 0);
    observe(&fixture, attach(&fixture), 4);
    CHECK_OK(obs_drain_seal(fresh, 0));
    expect_batch(&fixture, 4);
    obs_drain_destroy(inherited); /* a child leaks it; the test does not */
    tear_down(&fixture);
}

static void wrong_definitions_are_refused(void)
{
    fixture_t fixture;
    uint32_t series;
    set_up(&fixture);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, 0, 6, false, &series), OBS_ERR_RANGE);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, 5, 6, false, &series), OBS_ERR_RANGE);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, OBS_KIND_HISTOGRAM, 9, false, &series), OBS_ERR_RANGE);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, OBS_KIND_HISTOGRAM, -1, false, &series), OBS_ERR_RANGE);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, OBS_KIND_COUNTER, 6, true, &series), OBS_ERR_RANGE);
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, OBS_KIND_GAUGE, 6, true, &series), OBS_ERR_RANGE);
    CHECK(obs_open_batch_series(&fixture.drain->open, 4) == NULL);
    CHECK(obs_open_batch_series(&fixture.drain->open, UINT32_MAX) == NULL);
    tear_down(&fixture);
}

enum { FEW = 200 }; /* series with one sample each: more than the body has room for at first */

/* Samples of many series by both ways; whatever allocation fails, the accounts hold. */
static void record_everything(fixture_t *fixture, uint32_t few)
{
    obs_producer_t *producer = NULL;
    double values[300];
    for (int i = 0; i < 300; i++)
        values[i] = i * 1e3;
    if (obs_drain_attach(fixture->drain, &producer) != OBS_OK) {
        obs_drain_drop_ringless(fixture->drain, 1);
        return;
    }
    fixture->attached[0] = producer;
    observe(fixture, producer, 40);
    observe_of(producer, fixture->digested, 100);
    obs_producer_add_many(producer, fixture->histogram, 6, false, values, 300);
    obs_producer_add_many(producer, fixture->digested, 6, true, values, 300);
    CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_INCREMENT, fixture->counter), 2));
    step_after(fixture, MS);
    obs_producer_add_many(producer, fixture->histogram, 6, false, values, 300);
    obs_producer_add_many(producer, fixture->digested, 6, true, values, 300);
    for (uint32_t i = 0; i < FEW; i += 2) {
        CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, few + i), i));
        CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_INCREMENT, few + i + 1), i));
    }
    leave(fixture, producer);
    step_after(fixture, 100 * MS);
}

/* How many samples were dropped when the n-th allocation, or all from there on, failed. */
static uint64_t dropped_without_memory(void (*fail)(size_t), size_t n)
{
    fixture_t fixture;
    uint32_t last = 0;
    set_up(&fixture);
    for (int i = 0; i < FEW; i++)
        CHECK_OK(obs_open_batch_define(&fixture.drain->open, i % 2 ? OBS_KIND_COUNTER : OBS_KIND_HISTOGRAM, 6, false,
                                       &last));
    fail(n);
    record_everything(&fixture, last + 1 - FEW);
    obs_alloc_fail_at(0);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    obs_batch_t *batch;
    while ((batch = take(&fixture)) != NULL)
        obs_batch_free(batch);
    obs_accounts_t found = accounts(&fixture);
    CHECK_EQ(found.observed, fixture.samples + found.dropped);
    CHECK(found.observed == 1341 + FEW || (found.observed == 1 && found.dropped == 1));
    tear_down(&fixture);
    return found.dropped;
}

static void every_failed_allocation_is_counted(void)
{
    enum { FAILURES = 100 }; /* more than the recording allocates */
    for (size_t n = 1; n < FAILURES; n++) {
        dropped_without_memory(obs_alloc_fail_at, n);
        dropped_without_memory(obs_alloc_fail_from, n);
    }
    CHECK_EQ(dropped_without_memory(obs_alloc_fail_from, FAILURES), 0);
}

static int create_once(void)
{
    obs_drain_t *drain = NULL;
    obs_drain_options_t chosen = options(1 << 20);
    int status = obs_drain_create(&chosen, &drain);
    if (status == OBS_OK)
        obs_drain_destroy(drain);
    return status;
}

static void creation_survives_failed_allocations(void)
{
    for (size_t n = 1;; n++) {
        obs_alloc_fail_at(n);
        int status = create_once();
        obs_alloc_fail_at(0);
        CHECK_EQ(obs_alloc_live(), 0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
    obs_drain_options_t wrong = options(OBS_RING_BYTES_MAX + 1);
    obs_drain_t *drain;
    CHECK_STATUS(obs_drain_create(&wrong, &drain), OBS_ERR_RANGE);
    wrong = options(0);
    wrong.window_ns = 0;
    CHECK_STATUS(obs_drain_create(&wrong, &drain), OBS_ERR_RANGE);
}

int main(void)
{
    RUN(threads_come_and_go);
    RUN(a_thread_may_outlive_the_drain);
    RUN(stop_closes_and_start_begins_again);
    RUN(a_child_begins_anew_with_the_same_series);
    RUN(wrong_definitions_are_refused);
    RUN(every_failed_allocation_is_counted);
    RUN(creation_survives_failed_allocations);
    return 0;
}
