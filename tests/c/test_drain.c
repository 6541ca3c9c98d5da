// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* The drain without its thread: obs_drain_step with times of our own. */
#include "drain_lab.h"

static void nothing_is_sealed_before_the_interval(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    observe(&fixture, producer, 1);
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 1);
    observe(&fixture, producer, 2);
    step_after(&fixture, 99 * MS);
    expect_none(&fixture);
    observe(&fixture, producer, 3);
    step_after(&fixture, MS);
    expect_batch(&fixture, 5);
    step_after(&fixture, 500 * MS);
    expect_none(&fixture);
    tear_down(&fixture);
}

static void batches_cover_the_time_of_their_samples(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    step_after(&fixture, 500 * MS);
    int64_t idle_until_ns = fixture.now_ns;
    observe(&fixture, producer, 1);
    step_after(&fixture, 30 * MS);
    step_after(&fixture, 80 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->start_ns, idle_until_ns);
    CHECK(batch->end_ns == idle_until_ns + 30 * MS || batch->end_ns == idle_until_ns + 110 * MS);
    obs_batch_free(batch);
    tear_down(&fixture);
}

static void an_edge_ends_the_batch(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    int64_t edge_ns = fixture.now_ns + WINDOW;
    step_after(&fixture, WINDOW - 20 * MS);
    observe(&fixture, producer, 3);
    step_after(&fixture, 30 * MS); /* ten milliseconds late */
    obs_batch_t *before = take(&fixture);
    CHECK_EQ(before->samples, 3);
    CHECK_EQ(before->end_ns, edge_ns);
    observe(&fixture, producer, 4);
    step_after(&fixture, 200 * MS);
    obs_batch_t *after = take(&fixture);
    CHECK_EQ(after->samples, 4);
    CHECK(after->start_ns >= edge_ns);
    obs_batch_free(before);
    obs_batch_free(after);
    tear_down(&fixture);
}

static void a_process_that_slept_through_windows_goes_on(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    int64_t edge_ns = fixture.now_ns + WINDOW;
    observe(&fixture, producer, 3);
    step_after(&fixture, 5 * WINDOW + 40 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->end_ns, edge_ns);
    obs_batch_free(batch);
    observe(&fixture, producer, 2);
    step_after(&fixture, 200 * MS);
    batch = take(&fixture);
    CHECK_EQ(batch->samples, 2);
    CHECK(batch->start_ns >= edge_ns + 4 * WINDOW);
    obs_batch_free(batch);
    tear_down(&fixture);
}

static void a_new_clock_moves_the_edges(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(1 << 20);
    set_up_with(&fixture, &chosen);
    obs_producer_t *producer = attach(&fixture);
    observe(&fixture, producer, 2);
    int64_t offset_ns = WINDOW - fixture.now_ns % WINDOW - 50 * MS;
    obs_drain_set_clock(fixture.drain, offset_ns); /* the edge is 50 ms from now */
    expect_batch(&fixture, 2);
    observe(&fixture, producer, 3);
    step_after(&fixture, 60 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->samples, 3);
    CHECK_EQ((batch->end_ns + batch->clock_offset_ns) % WINDOW, 0);
    obs_batch_free(batch);
    obs_drain_set_clock(fixture.drain, -fixture.now_ns - 123456789); /* epochs may be negative */
    observe(&fixture, producer, 1);
    step_after(&fixture, 200 * MS); /* crosses one */
    CHECK(fixture.drain->edge_ns > fixture.now_ns && fixture.drain->edge_ns <= fixture.now_ns + WINDOW);
    tear_down(&fixture);
}

static void gauges_are_sampled_once_a_second(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_series_t *gauge = obs_open_batch_series(&fixture.drain->open, fixture.gauge);
    step_after(&fixture, 1000 * MS);
    expect_none(&fixture); /* never set */
    obs_gauge_add(gauge, 2);
    obs_gauge_add(gauge, 0.5);
    step_after(&fixture, 500 * MS);
    expect_none(&fixture);
    step_after(&fixture, 500 * MS);
    obs_batch_t *batch = take(&fixture);
    obs_body_entry_t entry = only_entry(batch);
    CHECK_EQ(entry.type, OBS_BODY_GAUGE);
    CHECK(entry.value == 2.5);
    obs_batch_free(batch);
    obs_gauge_set(gauge, -1);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    expect_batch(&fixture, 1);
    obs_gauge_unset(gauge);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    expect_none(&fixture);
    CHECK_EQ(accounts(&fixture).observed, 2);
    tear_down(&fixture);
}

static void losses_are_told_even_alone(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_drain_reject(fixture.drain, 3);
    obs_drain_drop_ringless(fixture.drain, 4);
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->samples, 0);
    CHECK_EQ(batch->accounts.rejected, 3);
    CHECK_EQ(batch->accounts.dropped, 4);
    CHECK_EQ(batch->accounts.observed, 7);
    obs_batch_free(batch);
    step_after(&fixture, 100 * MS);
    expect_none(&fixture);
    tear_down(&fixture);
}

static void overflow_is_counted(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(1);
    set_up_with(&fixture, &chosen);
    obs_producer_t *producer = attach(&fixture);
    observe(&fixture, producer, 10000);
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->samples, OBS_RING_HOME_CHUNKS * OBS_RING_CHUNK_RECORDS);
    CHECK_EQ(batch->accounts.observed, 10000);
    CHECK_EQ(accounts(&fixture).observed, 10000);
    CHECK_EQ(accounts(&fixture).dropped, 10000 - batch->samples);
    obs_batch_free(batch);
    tear_down(&fixture);
}

static void large_bodies_are_sealed_at_once(void)
{
    enum { SERIES = 3000 };
    fixture_t fixture;
    obs_drain_options_t chosen = options(8 << 20);
    chosen.frame_bytes = 4096;
    set_up_with(&fixture, &chosen);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < SERIES; i++) {
        uint32_t series;
        CHECK_OK(obs_open_batch_define(&fixture.drain->open, OBS_KIND_HISTOGRAM, 6, false, &series));
        for (int k = 0; k < 20; k++)
            CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, series), i));
    }
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch;
    int batch_count = 0;
    while ((batch = take(&fixture)) != NULL) {
        CHECK(batch->size < 200000); /* a chunk of records is read between two looks at the size */
        batch_count++;
        obs_batch_free(batch);
    }
    CHECK(batch_count >= 10);
    CHECK_EQ(fixture.samples, SERIES * 20);
    tear_down(&fixture);
}

static void a_batch_sealed_for_its_size_does_not_stretch_the_next(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(1 << 20);
    chosen.frame_bytes = 100;
    set_up_with(&fixture, &chosen);
    obs_producer_t *producer = attach(&fixture);
    observe(&fixture, producer, 1);
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 1);
    int64_t opened_ns = fixture.now_ns;
    observe(&fixture, producer, 1);
    step_after(&fixture, 10 * MS);
    while (obs_ring_head(&producer->ring) % OBS_RING_CHUNK_RECORDS != 0)
        CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, fixture.histogram), 1));
    observe(&fixture, producer, 3); /* in the next chunk: read after the first was sealed */
    step_after(&fixture, 10 * MS);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    obs_batch_t *first = take(&fixture), *second = take(&fixture);
    CHECK_EQ(first->start_ns, opened_ns);
    CHECK_EQ(second->samples, 3);
    CHECK_EQ(second->start_ns, opened_ns + 10 * MS);
    obs_batch_free(first);
    obs_batch_free(second);
    tear_down(&fixture);
}

static void an_untaken_queue_is_bounded_and_counted(void)
{
    enum { SERIES = 2000 };
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    uint32_t first = 0;
    for (int i = 0; i < SERIES; i++)
        CHECK_OK(
            obs_open_batch_define(&fixture.drain->open, OBS_KIND_HISTOGRAM, 6, false, i ? &(uint32_t){0} : &first));
    for (int round = 0; round < 100; round++) {
        for (uint32_t i = 0; i < 10 * SERIES; i++)
            CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, first + i % SERIES), i));
        step_after(&fixture, 100 * MS);
    }
    CHECK(fixture.drain->queue.byte_count <= 8 << 20);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    obs_batch_t *batch;
    while ((batch = take(&fixture)) != NULL)
        obs_batch_free(batch);
    obs_accounts_t found = accounts(&fixture);
    CHECK_EQ(found.observed, 100 * 10 * SERIES);
    CHECK_EQ(found.observed, fixture.samples + found.dropped);
    CHECK(found.dropped > 0);
    tear_down(&fixture);
}

static void a_long_queue_makes_longer_batches(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < 60; i++) {
        observe(&fixture, producer, 5);
        step_after(&fixture, 100 * MS);
    }
    CHECK_EQ(obs_batch_queue_count(&fixture.drain->queue), 8 + 6); /* eight and one a second, for the gauges */
    tear_down(&fixture);
}

static void an_idle_drain_gives_memory_back(void)
{
    fixture_t fixture;
    obs_drain_options_t chosen = options(8 << 20);
    set_up_with(&fixture, &chosen);
    observe(&fixture, attach(&fixture), 100000); /* twenty-five chunks */
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 100000);
    CHECK(fixture.drain->pool.touched_bits[0] > 0xfffff);
    CHECK(fixture.drain->open.stock[6] != NULL);
    step_after(&fixture, 1000 * MS);
    CHECK(fixture.drain->pool.touched_bits[0] > 0xfffff);
    step_after(&fixture, MS);
    CHECK_EQ(fixture.drain->pool.touched_bits[0], 0xf); /* a few stay warm */
    CHECK(fixture.drain->open.stock[6] == NULL);
    tear_down(&fixture);
}

int main(void)
{
    RUN(nothing_is_sealed_before_the_interval);
    RUN(batches_cover_the_time_of_their_samples);
    RUN(an_edge_ends_the_batch);
    RUN(a_process_that_slept_through_windows_goes_on);
    RUN(a_new_clock_moves_the_edges);
    RUN(gauges_are_sampled_once_a_second);
    RUN(losses_are_told_even_alone);
    RUN(overflow_is_counted);
    RUN(large_bodies_are_sealed_at_once);
    RUN(a_batch_sealed_for_its_size_does_not_stretch_the_next);
    RUN(an_untaken_queue_is_bounded_and_counted);
    RUN(a_long_queue_makes_longer_batches);
    RUN(an_idle_drain_gives_memory_back);
    return 0;
}
