// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* What samples become on their way through the drain: columns, histograms, digests, sums. */
#include <math.h>

#include "drain_lab.h"

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

#define SOME_MORE (OBS_STAGED_VALUES + 4) /* enough for a sketch, and few enough to be staged one by one before */

static void record_some_of_everything(fixture_t *fixture, obs_producer_t *const producers[2])
{
    static double wide[2][600];
    for (int i = 0; i < 600; i++) {
        wide[0][i] = i + 1;
        wide[1][i] = (i + 1) * 1e12; /* octaves for which the histogram of the first has no memory yet */
    }
    for (int i = 0; i < 2; i++)
        obs_producer_add_many(producers[i], fixture->histogram, 6, false, wide[i], 600);
    observe_of(producers[0], fixture->digested, SOME_MORE);
}

/* Whichever allocation fails, on the way to a batch: what it costs is counted as dropped, and no sample twice. */
static void what_there_is_no_memory_for_is_dropped(void)
{
    for (size_t n = 1;; n++) {
        fixture_t fixture;
        set_up(&fixture);
        obs_producer_t *producers[2] = {attach(&fixture), attach(&fixture)};
        obs_alloc_fail_at(n);
        record_some_of_everything(&fixture, producers);
        step_after(&fixture, 1 * MS);
        step_after(&fixture, 100 * MS);
        int is_last = obs_alloc_is_armed();
        obs_alloc_fail_at(0);
        step_after(&fixture, 100 * MS);
        CHECK_OK(obs_drain_seal(fixture.drain, 0));
        obs_batch_t *batch;
        while ((batch = take(&fixture)) != NULL)
            obs_batch_free(batch);
        obs_accounts_t found = accounts(&fixture);
        CHECK_EQ(found.observed, fixture.samples + found.dropped + found.rejected);
        CHECK_EQ(found.observed, 2 * 600 + SOME_MORE);
        CHECK(found.dropped == 0 || !is_last);
        tear_down(&fixture);
        if (is_last)
            break;
    }
}

int main(void)
{
    RUN(few_samples_travel_as_they_are);
    RUN(many_samples_travel_as_a_histogram);
    RUN(a_digest_travels_beside_its_histogram);
    RUN(few_samples_of_a_digest_travel_as_they_are);
    RUN(bulk_values_are_digested_by_the_thread);
    RUN(increments_are_summed);
    RUN(bulk_values_are_bucketed_by_the_thread);
    RUN(runs_of_every_length_pass_the_ring);
    RUN(bulk_goes_through_the_ring_while_the_drain_has_the_delta);
    RUN(a_busy_delta_is_wanted_and_handed_over);
    RUN(what_there_is_no_memory_for_is_dropped);
    return 0;
}
