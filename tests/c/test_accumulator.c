// kernels: accumulator rows loghist tdigest column edges hll moments topk obs
#include "accumulator.h"

#include <math.h>

#include "check.h"

static void init(obs_accumulator_t *accumulator)
{
    CHECK_OK(obs_accumulator_init(accumulator, OBS_LOGHIST_MAX_SCALE));
}

static void the_last_of_the_later_time_wins(void)
{
    obs_accumulator_t gauge;
    init(&gauge);
    CHECK_EQ(gauge.last_ms, OBS_ACCUMULATOR_NEVER);
    CHECK_OK(obs_accumulator_add_gauge(&gauge, 1, 1, 100));
    CHECK_OK(obs_accumulator_add_gauge(&gauge, 2, 1, 300));
    CHECK_OK(obs_accumulator_add_gauge(&gauge, 3, 1, 200));
    CHECK(gauge.last == 2 && gauge.last_ms == 300);
    CHECK_OK(obs_accumulator_add_gauge(&gauge, 1.5, 1, 300));
    CHECK(gauge.last == 1.5);
    CHECK_OK(obs_accumulator_add_gauge(&gauge, 9, 0, 400));
    CHECK(gauge.last == 1.5 && gauge.last_ms == 300);
    CHECK_EQ(obs_accumulator_samples(&gauge), 4);
    obs_accumulator_free(&gauge);
}

/* Merges left and right both ways; both must end with the same last value. */
static double merged_last(double left, int64_t left_ms, double right, int64_t right_ms)
{
    double last[2];
    for (int order = 0; order < 2; order++) {
        obs_accumulator_t a, b;
        init(&a);
        init(&b);
        CHECK_OK(obs_accumulator_add_gauge(order ? &b : &a, left, 1, left_ms));
        CHECK_OK(obs_accumulator_add_gauge(order ? &a : &b, right, 1, right_ms));
        CHECK_OK(obs_accumulator_merge(&a, &b));
        CHECK_EQ(a.last_ms, left_ms > right_ms ? left_ms : right_ms);
        CHECK_EQ(obs_accumulator_samples(&a), 2);
        last[order] = a.last;
        obs_accumulator_free(&a);
        obs_accumulator_free(&b);
    }
    CHECK(last[0] == last[1] || (isnan(last[0]) && isnan(last[1])));
    return last[0];
}

static void merging_gauges_is_free_of_order(void)
{
    CHECK(merged_last(5, 100, 3, 200) == 3);
    CHECK(merged_last(5, 100, 3, 100) == 5);
    CHECK(merged_last(-5, -100, -7, -100) == -5);
    CHECK(merged_last((double)NAN, 100, 3, 100) == 3);
    CHECK(isnan(merged_last((double)NAN, 101, 3, 100)));
    CHECK(isnan(merged_last((double)NAN, 100, (double)NAN, 100)));
}

static void an_empty_partner_changes_nothing(void)
{
    obs_accumulator_t gauge, empty;
    init(&gauge);
    init(&empty);
    CHECK_OK(obs_accumulator_add_gauge(&gauge, -4, 1, -100));
    CHECK_OK(obs_accumulator_merge(&gauge, &empty));
    CHECK(gauge.last == -4 && gauge.last_ms == -100);
    CHECK_OK(obs_accumulator_merge(&empty, &gauge));
    CHECK(empty.last == -4 && empty.last_ms == -100);
    obs_accumulator_free(&gauge);
    obs_accumulator_free(&empty);
}

static void merging_takes_the_coarser_scale(void)
{
    obs_accumulator_t into, coarse;
    init(&into);
    CHECK_OK(obs_accumulator_init(&coarse, 3));
    CHECK_OK(obs_loghist_add(&coarse.hist, 1.5, 10));
    CHECK_OK(obs_accumulator_merge(&into, &coarse));
    CHECK_EQ(into.hist.scale, 3);
    CHECK_OK(obs_accumulator_merge(&into, &into));
    CHECK_EQ(into.hist.count, 20);
    obs_accumulator_free(&into);
    obs_accumulator_free(&coarse);
}

/* A row of 2^63 samples and 2^63 increments fits once and not twice; the second time nothing changes. */
static void a_full_accumulator_stays_as_it_is(void)
{
    const uint64_t half = UINT64_C(1) << 63;
    obs_accumulator_t into, large;
    init(&into);
    init(&large);
    CHECK_OK(obs_loghist_add(&large.hist, 1.5, half));
    obs_accumulator_add_counter(&large, half, 8);
    obs_bytes_t rows;
    obs_bytes_init(&rows);
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, &rows);
    CHECK_OK(obs_accumulator_put(&large, OBS_KIND_HISTOGRAM, 1, &writer));
    CHECK_OK(obs_accumulator_put(&large, OBS_KIND_COUNTER, 2, &writer));
    for (int round = 0; round < 2; round++) {
        obs_rows_reader_t reader;
        obs_row_t row;
        obs_rows_reader_init(&reader, rows.bytes, rows.size);
        while (obs_rows_next(&reader, &row) == 1)
            CHECK_OK(obs_accumulator_merge_row(&into, &row));
        CHECK(into.hist.count == half && into.increments == half && into.sum == 8);
    }
    CHECK_OK(obs_accumulator_merge(&into, &large));
    CHECK(into.hist.count == half && into.increments == half && into.sum == 8);
    obs_bytes_free(&rows);
    obs_accumulator_free(&into);
    obs_accumulator_free(&large);
}

static void digests(obs_accumulator_t *accumulator)
{
    init(accumulator);
    accumulator->keeps_digest = true;
}

/* However the samples come, the digest has each of them once, or there is none. */
static void a_digest_has_every_sample_or_is_none(void)
{
    double values[200];
    for (int i = 0; i < 200; i++)
        values[i] = i % 50 == 0 ? (double)NAN : i;
    obs_accumulator_t whole, part, plain;
    digests(&whole);
    digests(&part);
    init(&plain);
    CHECK_OK(obs_accumulator_add_many(&whole, values, 200));
    CHECK_OK(obs_accumulator_add_value(&part, 5, 1000));
    CHECK_OK(obs_accumulator_add_value(&part, (double)INFINITY, 3));
    CHECK_OK(obs_accumulator_merge(&whole, &part));
    const obs_tdigest_t *digest = obs_accumulator_digest(&whole);
    CHECK(digest != NULL && digest->count == 1196 && digest->nan_count == 4 && digest->positive_infinity_count == 3);
    CHECK_EQ(obs_accumulator_observed(&whole), 1203);

    CHECK_OK(obs_accumulator_add_value(&plain, 7, 1));
    CHECK(plain.digest == NULL);
    CHECK_OK(obs_accumulator_merge(&plain, &part));
    CHECK(plain.digest == NULL);
    CHECK_OK(obs_accumulator_merge(&whole, &plain));
    CHECK(obs_accumulator_digest(&whole) == NULL);
    CHECK_OK(obs_accumulator_add_many(&whole, values, 20));
    CHECK(whole.digest == NULL); /* and takes no memory any more */
    CHECK_EQ(obs_accumulator_observed(&whole), 1203 + 1004 + 20);
    obs_accumulator_free(&whole);
    obs_accumulator_free(&part);
    obs_accumulator_free(&plain);
}

static void what_is_no_digest_is_refused(void)
{
    const uint8_t other_compression[] = {19, 0, 0, 0, 0};
    obs_accumulator_t accumulator, plain;
    digests(&accumulator);
    init(&plain);
    CHECK_STATUS(obs_accumulator_merge_digest(&accumulator, other_compression, 5), OBS_ERR_CORRUPT);
    CHECK_STATUS(obs_accumulator_merge_digest(&accumulator, other_compression, 0), OBS_ERR_CORRUPT);
    CHECK_OK(obs_accumulator_merge_digest(&plain, other_compression, 5)); /* not even looked at */
    obs_accumulator_free(&accumulator);
}

static void knows_what_it_allocated(void)
{
    obs_accumulator_t accumulator;
    init(&accumulator);
    CHECK_EQ(obs_accumulator_heap_bytes(&accumulator), 0);
    CHECK_OK(obs_loghist_add(&accumulator.hist, 1.5, 1));
    size_t without_digest = obs_accumulator_heap_bytes(&accumulator);
    CHECK(without_digest >= OBS_LOGHIST_PAGE_BUCKETS * sizeof(uint32_t));
    obs_accumulator_free(&accumulator);
    digests(&accumulator);
    CHECK_OK(obs_accumulator_add_value(&accumulator, 1.5, 1));
    CHECK_EQ(obs_accumulator_heap_bytes(&accumulator), without_digest + obs_tdigest_memory_bytes(accumulator.digest));
    obs_accumulator_free(&accumulator);
}

static void refuses_a_kind_that_is_none(void)
{
    obs_accumulator_t accumulator;
    init(&accumulator);
    obs_bytes_t rows;
    obs_bytes_init(&rows);
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, &rows);
    CHECK_STATUS(obs_accumulator_put(&accumulator, 0, 1, &writer), OBS_ERR_RANGE);
    CHECK_STATUS(obs_accumulator_put(&accumulator, 5, 1, &writer), OBS_ERR_RANGE);
    CHECK_EQ(rows.size, 0);
    CHECK_STATUS(obs_accumulator_init(&accumulator, 9), OBS_ERR_RANGE);
    obs_bytes_free(&rows);
    obs_accumulator_free(&accumulator);
}

int main(void)
{
    RUN(the_last_of_the_later_time_wins);
    RUN(merging_gauges_is_free_of_order);
    RUN(an_empty_partner_changes_nothing);
    RUN(merging_takes_the_coarser_scale);
    RUN(a_full_accumulator_stays_as_it_is);
    RUN(a_digest_has_every_sample_or_is_none);
    RUN(what_is_no_digest_is_refused);
    RUN(knows_what_it_allocated);
    RUN(refuses_a_kind_that_is_none);
    return 0;
}
