/* drain_lab.h: a drain whose time the test turns, shared by the tests of the drain. */
#ifndef OBS_TEST_DRAIN_LAB_H
#define OBS_TEST_DRAIN_LAB_H

#include "alloc_seam.h"
#include "check.h"
#include "drain.h"

#define MS INT64_C(1000000)
#define WINDOW (10000 * MS)

typedef struct {
    obs_drain_t *drain;
    int64_t now_ns;
    uint64_t samples; /* of all batches taken so far */
    uint32_t histogram, counter, gauge, digested;
    obs_producer_t *attached[4]; /* left when the test ends */
} fixture_t;

static inline obs_drain_options_t options(size_t ring_bytes)
{
    return (obs_drain_options_t){
        .ring_bytes = ring_bytes, .window_ns = WINDOW, .batch_interval_ns = 100 * MS, .frame_bytes = 256 << 10};
}

static inline void set_up_with(fixture_t *fixture, const obs_drain_options_t *chosen)
{
    *fixture = (fixture_t){0};
    CHECK_OK(obs_drain_create(chosen, &fixture->drain));
    CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_HISTOGRAM, 6, false, &fixture->histogram));
    CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_COUNTER, 6, false, &fixture->counter));
    CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_GAUGE, 6, false, &fixture->gauge));
    CHECK_OK(obs_open_batch_define(&fixture->drain->open, OBS_KIND_HISTOGRAM, 6, true, &fixture->digested));
    fixture->now_ns = obs_monotonic_ns() / WINDOW * WINDOW + 2 * WINDOW; /* a fresh window, ahead of the real time */
    obs_drain_set_clock(fixture->drain, 0);
    obs_drain_step(fixture->drain, fixture->now_ns);
}

static inline void set_up(fixture_t *fixture)
{
    obs_drain_options_t chosen = options(1 << 20);
    set_up_with(fixture, &chosen);
}

static inline obs_producer_t *attach(fixture_t *fixture)
{
    int i = 0;
    while (fixture->attached[i] != NULL)
        CHECK(++i < 4);
    CHECK_OK(obs_drain_attach(fixture->drain, &fixture->attached[i]));
    return fixture->attached[i];
}

static inline void leave(fixture_t *fixture, obs_producer_t *producer)
{
    obs_producer_leave_thread(producer);
    for (int i = 0; i < 4; i++)
        if (fixture->attached[i] == producer)
            fixture->attached[i] = NULL;
}

static inline void tear_down(fixture_t *fixture)
{
    obs_drain_destroy(fixture->drain);
    for (int i = 0; i < 4; i++)
        if (fixture->attached[i] != NULL)
            leave(fixture, fixture->attached[i]);
    CHECK_EQ(obs_alloc_live(), 0);
}

static inline void step_after(fixture_t *fixture, int64_t ns)
{
    fixture->now_ns += ns;
    obs_drain_step(fixture->drain, fixture->now_ns);
}

/* The samples 1, 2, ... count. */
static inline void observe_of(obs_producer_t *producer, uint32_t series, int count)
{
    for (int i = 1; i <= count; i++) {
        int status = obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, series), i);
        CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    }
}

static inline void observe(fixture_t *fixture, obs_producer_t *producer, int count)
{
    observe_of(producer, fixture->histogram, count);
}

/* Takes a batch and checks what holds for every batch. */
static inline obs_batch_t *take(fixture_t *fixture)
{
    obs_batch_t *batch = obs_batch_queue_take(&fixture->drain->queue, 0);
    if (batch == NULL)
        return NULL;
    uint64_t samples = ~UINT64_C(0);
    CHECK_OK(obs_body_check(batch->bytes, batch->size, &samples));
    CHECK_EQ(batch->samples, samples);
    fixture->samples += samples;
    CHECK_EQ(batch->accounts.observed, fixture->samples + batch->accounts.dropped + batch->accounts.rejected);
    CHECK(batch->start_ns <= batch->end_ns);
    int64_t epoch_ns = batch->start_ns + batch->clock_offset_ns, length_ns = batch->end_ns - batch->start_ns;
    CHECK(epoch_ns % WINDOW + length_ns <= WINDOW);
    return batch;
}

static inline void expect_batch(fixture_t *fixture, uint64_t samples)
{
    obs_batch_t *batch = take(fixture);
    CHECK(batch != NULL);
    CHECK_EQ(batch->samples, samples);
    obs_batch_free(batch);
}

static inline void expect_none(fixture_t *fixture)
{
    CHECK(obs_batch_queue_take(&fixture->drain->queue, 0) == NULL);
}

static inline obs_accounts_t accounts(fixture_t *fixture)
{
    obs_accounts_t found;
    obs_drain_accounts(fixture->drain, &found);
    return found;
}

/* The only entry of the next batch's body. */
static inline obs_body_entry_t only_entry(obs_batch_t *batch)
{
    obs_body_reader_t reader;
    obs_body_entry_t entry = {0}, another;
    CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK_EQ(obs_body_next(&reader, &another), 0);
    return entry;
}

#endif
