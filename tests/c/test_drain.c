// kernels: drain producer delta ring open_batch batch_queue body loghist tdigest obs
/* The drain without its thread: obs_drain_step with times of our own. */
#include <math.h>
#include <string.h>

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

static obs_drain_options_t options(size_t ring_bytes)
{
    return (obs_drain_options_t){
        .ring_bytes = ring_bytes, .window_ns = WINDOW, .batch_interval_ns = 100 * MS, .frame_bytes = 256 << 10};
}

static void set_up_with(fixture_t *fixture, const obs_drain_options_t *chosen)
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

static void set_up(fixture_t *fixture)
{
    obs_drain_options_t chosen = options(1 << 20);
    set_up_with(fixture, &chosen);
}

static obs_producer_t *attach(fixture_t *fixture)
{
    int i = 0;
    while (fixture->attached[i] != NULL)
        CHECK(++i < 4);
    CHECK_OK(obs_drain_attach(fixture->drain, &fixture->attached[i]));
    return fixture->attached[i];
}

static void leave(fixture_t *fixture, obs_producer_t *producer)
{
    obs_producer_leave_thread(producer);
    for (int i = 0; i < 4; i++)
        if (fixture->attached[i] == producer)
            fixture->attached[i] = NULL;
}

static void tear_down(fixture_t *fixture)
{
    obs_drain_destroy(fixture->drain);
    for (int i = 0; i < 4; i++)
        if (fixture->attached[i] != NULL)
            leave(fixture, fixture->attached[i]);
    CHECK_EQ(obs_alloc_live(), 0);
}

static void step_after(fixture_t *fixture, int64_t ns)
{
    fixture->now_ns += ns;
    obs_drain_step(fixture->drain, fixture->now_ns);
}

/* The samples 1, 2, ... count. */
static void observe_of(obs_producer_t *producer, uint32_t series, int count)
{
    for (int i = 1; i <= count; i++) {
        int status = obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, series), i);
        CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    }
}

static void observe(fixture_t *fixture, obs_producer_t *producer, int count)
{
    observe_of(producer, fixture->histogram, count);
}

/* Takes a batch and checks what holds for every batch. */
static obs_batch_t *take(fixture_t *fixture)
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

static void expect_batch(fixture_t *fixture, uint64_t samples)
{
    obs_batch_t *batch = take(fixture);
    CHECK(batch != NULL);
    CHECK_EQ(batch->samples, samples);
    obs_batch_free(batch);
}

static void expect_none(fixture_t *fixture)
{
    CHECK(obs_batch_queue_take(&fixture->drain->queue, 0) == NULL);
}

static obs_accounts_t accounts(fixture_t *fixture)
{
    obs_accounts_t found;
    obs_drain_accounts(fixture->drain, &found);
    return found;
}

/* The only entry of the next batch's body. */
static obs_body_entry_t only_entry(obs_batch_t *batch)
{
    obs_body_reader_t reader;
    obs_body_entry_t entry = {0}, another;
    CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK_EQ(obs_body_next(&reader, &another), 0);
    return entry;
}

static void few_samples_travel_as_they_are(void)
{
    fixture_t fixture;
    set_up(&fixture);
    observe(&fixture, attach(&fixture), 15);
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch = take(&fixture);
    obs_body_entry_t entry = only_entry(batch);
    CHECK_EQ(entry.type, OBS_BODY_RUN);
    CHECK_EQ(entry.series, fixture.histogram);
    CHECK_EQ(entry.count, 15);
    for (int i = 0; i < 15; i++)
        CHECK_EQ(obs_load_f64(entry.bytes + 8 * i), i + 1);
    obs_batch_free(batch);
    tear_down(&fixture);
}

static void many_samples_travel_as_a_histogram(void)
{
    for (int count = 16; count < 5000; count += 391) {
        fixture_t fixture;
        obs_loghist_t found, expected;
        set_up(&fixture);
        CHECK_OK(obs_loghist_init(&found, 6));
        CHECK_OK(obs_loghist_init(&expected, 6));
        observe(&fixture, attach(&fixture), count);
        step_after(&fixture, 100 * MS);
        obs_batch_t *batch = take(&fixture);
        obs_body_entry_t entry = only_entry(batch);
        CHECK_EQ(entry.type, OBS_BODY_LOGHIST);
        CHECK_OK(obs_loghist_merge_encoded(&found, entry.bytes, entry.size));
        for (int i = 1; i <= count; i++)
            CHECK_OK(obs_loghist_add(&expected, i, 1));
        CHECK(found.count == expected.count && found.sum == expected.sum && found.max == expected.max);
        for (int i = 1; i <= 99; i++) {
            double left, right;
            CHECK_OK(obs_loghist_quantile(&found, i / 99.0, 0, &left));
            CHECK_OK(obs_loghist_quantile(&expected, i / 99.0, 0, &right));
            CHECK(left == right);
        }
        obs_loghist_free(&found);
        obs_loghist_free(&expected);
        obs_batch_free(batch);
        tear_down(&fixture);
    }
}

/* The first two entries of a batch: a histogram and its digest, of so many samples from 1 on. */
static void expect_digest(obs_batch_t *batch, uint32_t series, uint64_t samples, double max)
{
    obs_body_reader_t reader;
    obs_body_entry_t entry;
    obs_tdigest_t digest;
    uint64_t found;
    CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.type == OBS_BODY_LOGHIST && entry.series == series);
    CHECK_OK(obs_loghist_check(entry.bytes, entry.size, &found));
    CHECK_EQ(found, samples);
    CHECK_EQ(obs_body_next(&reader, &entry), 1);
    CHECK(entry.type == OBS_BODY_TDIGEST && entry.series == series);
    CHECK_OK(obs_tdigest_decode(entry.bytes, entry.size, &digest));
    CHECK_EQ(digest.compression, OBS_TDIGEST_SERIES_COMPRESSION);
    CHECK(digest.count == samples && digest.min == 1 && digest.max == max);
    obs_tdigest_free(&digest);
}

static void a_digest_travels_beside_its_histogram(void)
{
    for (int count = 64; count < 5000; count += 391) {
        fixture_t fixture;
        set_up(&fixture);
        observe_of(attach(&fixture), fixture.digested, count);
        step_after(&fixture, 100 * MS);
        obs_batch_t *batch = take(&fixture);
        CHECK_EQ(batch->samples, count);
        expect_digest(batch, fixture.digested, (uint64_t)count, count);
        obs_batch_free(batch);
        tear_down(&fixture);
    }
}

/* Of fewer than 64 values a digest would be no shorter than they are. Increments between them: what a tight loop leaves
 * behind comes in one piece, and is sketched from 32 values on. */
static void few_samples_of_a_digest_travel_as_they_are(void)
{
    for (int count = 1; count < 64; count++) {
        fixture_t fixture;
        set_up(&fixture);
        obs_producer_t *producer = attach(&fixture);
        for (int i = 1; i <= count; i++) {
            CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, fixture.digested), i));
            CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_INCREMENT, fixture.counter), 1));
        }
        step_after(&fixture, 100 * MS);
        obs_batch_t *batch = take(&fixture);
        obs_body_reader_t reader;
        obs_body_entry_t entry;
        CHECK_OK(obs_body_reader_init(&reader, batch->bytes, batch->size));
        CHECK_EQ(obs_body_next(&reader, &entry), 1);
        CHECK(entry.type == OBS_BODY_RUN && entry.series == fixture.digested);
        CHECK_EQ(entry.count, count);
        for (int i = 0; i < count; i++)
            CHECK_EQ(obs_load_f64(entry.bytes + 8 * i), i + 1);
        CHECK_EQ(obs_body_next(&reader, &entry), 1);
        CHECK_EQ(entry.type, OBS_BODY_COUNTER);
        CHECK_EQ(obs_body_next(&reader, &entry), 0);
        obs_batch_free(batch);
        tear_down(&fixture);
    }
}

/* Staged values, pending ones and a delta in one batch, and another delta after it was given back. */
static void bulk_values_are_digested_by_the_thread(void)
{
    fixture_t fixture;
    static double values[10000];
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < 10000; i++)
        values[i] = i + 1;
    observe(&fixture, producer, 1);
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 1); /* the interval begins now */
    for (int round = 0; round < 3; round++) {
        obs_producer_add_many(producer, fixture.digested, 6, true, values, 10000);
        observe_of(producer, fixture.digested, 5);
        step_after(&fixture, MS);
        observe_of(producer, fixture.digested, 20);
        obs_producer_add_many(producer, fixture.digested, 6, true, values, 5000);
        step_after(&fixture, 100 * MS);
        obs_batch_t *batch = take(&fixture);
        expect_digest(batch, fixture.digested, 15025, 10000);
        obs_batch_free(batch);
    }
    const obs_delta_t *delta = producer->deltas[fixture.digested];
    CHECK(delta->digest.buffer == NULL && delta->digest.centroids == NULL); /* memory follows what is busy */
    tear_down(&fixture);
}

static void increments_are_summed(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    double amounts[] = {1, 2.5, 0, 1e308, 1e308, 1e308};
    for (int i = 0; i < 6; i++)
        CHECK_OK(obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_INCREMENT, fixture.counter), amounts[i]));
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch = take(&fixture);
    obs_body_entry_t entry = only_entry(batch);
    CHECK_EQ(entry.type, OBS_BODY_COUNTER);
    CHECK_EQ(entry.count, 6);
    CHECK(entry.value > 1.79e308 && isfinite(entry.value)); /* what no double holds is the largest double */
    obs_batch_free(batch);
    tear_down(&fixture);
}

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

static void bulk_values_are_bucketed_by_the_thread(void)
{
    fixture_t fixture;
    static double values[10000];
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    for (int i = 0; i < 10000; i++)
        values[i] = i;
    for (int round = 0; round < 50; round++)
        obs_producer_add_many(producer, fixture.histogram, 6, false, values, 10000);
    CHECK_EQ(obs_ring_head(&producer->ring), 0);
    CHECK_EQ(accounts(&fixture).observed, 500000);
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 500000);
    obs_producer_add_many(producer, fixture.histogram, 6, false, values, 100);
    step_after(&fixture, 100 * MS);
    expect_batch(&fixture, 100);
    tear_down(&fixture);
}

static void runs_of_every_length_pass_the_ring(void)
{
    fixture_t fixture;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    double values[OBS_BULK_VALUES_MIN], sum = 0;
    uint64_t expected = 0;
    for (size_t count = 0; count < OBS_BULK_VALUES_MIN; count++) {
        for (size_t i = 0; i < count; i++)
            sum += values[i] = (double)(count * 100 + i);
        obs_producer_add_many(producer, fixture.histogram, 6, false, values, count);
        expected += count;
    }
    CHECK_EQ(accounts(&fixture).observed, expected);
    step_after(&fixture, 100 * MS);
    obs_batch_t *batch = take(&fixture);
    CHECK_EQ(batch->samples, expected);
    obs_loghist_t found;
    CHECK_OK(obs_loghist_init(&found, 6));
    obs_body_entry_t entry = only_entry(batch);
    CHECK_OK(obs_loghist_merge_encoded(&found, entry.bytes, entry.size));
    CHECK(found.sum == sum);
    obs_loghist_free(&found);
    obs_batch_free(batch);
    tear_down(&fixture);
}

static void bulk_goes_through_the_ring_while_the_drain_has_the_delta(void)
{
    fixture_t fixture;
    double values[1000] = {0};
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    obs_producer_add_many(producer, fixture.histogram, 6, false, values, 1000);
    obs_delta_t *delta = producer->deltas[fixture.histogram];
    CHECK(obs_delta_take(delta, false)); /* as the drain in the middle of its work */
    obs_producer_add_many(producer, fixture.histogram, 6, false, values, 1000);
    CHECK(obs_ring_head(&producer->ring) > 0);
    CHECK_EQ(delta->hist.count, 1000);
    step_after(&fixture, 100 * MS); /* takes it to the end: a delta found taken is the drain's */
    expect_batch(&fixture, 2000);
    tear_down(&fixture);
}

static void a_busy_delta_is_wanted_and_handed_over(void)
{
    fixture_t fixture;
    double values[300] = {0};
    bool was_empty;
    set_up(&fixture);
    obs_producer_t *producer = attach(&fixture);
    obs_producer_add_many(producer, fixture.histogram, 6, false, values, 300);
    obs_delta_t *delta = producer->deltas[fixture.histogram];
    CHECK_OK(obs_delta_begin(delta, &was_empty)); /* as a thread in the middle of a bulk call */
    CHECK(!was_empty);
    CHECK_STATUS(obs_drain_seal(fixture.drain, 0), OBS_ERR_STATE);
    expect_none(&fixture);
    CHECK_STATUS(obs_delta_begin(delta, &was_empty), OBS_ERR_STATE);
    obs_delta_end(delta);
    CHECK_EQ(delta->state, OBS_DELTA_TAKEN);
    CHECK_OK(obs_drain_seal(fixture.drain, 0));
    expect_batch(&fixture, 300);
    CHECK_EQ(delta->state, OBS_DELTA_EMPTY);
    tear_down(&fixture);
}

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
    CHECK_STATUS(obs_open_batch_define(&fixture.drain->open, 4, 6, false, &series), OBS_ERR_RANGE);
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
    RUN(few_samples_travel_as_they_are);
    RUN(many_samples_travel_as_a_histogram);
    RUN(a_digest_travels_beside_its_histogram);
    RUN(few_samples_of_a_digest_travel_as_they_are);
    RUN(bulk_values_are_digested_by_the_thread);
    RUN(increments_are_summed);
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
    RUN(bulk_values_are_bucketed_by_the_thread);
    RUN(runs_of_every_length_pass_the_ring);
    RUN(bulk_goes_through_the_ring_while_the_drain_has_the_delta);
    RUN(a_busy_delta_is_wanted_and_handed_over);
    RUN(threads_come_and_go);
    RUN(a_thread_may_outlive_the_drain);
    RUN(stop_closes_and_start_begins_again);
    RUN(a_child_begins_anew_with_the_same_series);
    RUN(wrong_definitions_are_refused);
    RUN(every_failed_allocation_is_counted);
    RUN(creation_survives_failed_allocations);
    return 0;
}
