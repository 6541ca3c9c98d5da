// kernels: tdigest obs
#include <math.h>
#include <string.h>

#include "alloc_seam.h"
#include "tdigest_check.h"

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sort_values(size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
}

static double cdf(obs_tdigest_t *digest, double x)
{
    double share;
    CHECK_OK(obs_tdigest_cdf(digest, x, &share));
    return share;
}

static void test_refuses_a_compression_out_of_range(void)
{
    obs_tdigest_t digest;
    CHECK_STATUS(obs_tdigest_init(&digest, OBS_TDIGEST_MIN_COMPRESSION - 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_tdigest_init(&digest, OBS_TDIGEST_MAX_COMPRESSION + 1), OBS_ERR_RANGE);
}

static void test_empty_answers_nan(void)
{
    obs_tdigest_t digest = digest_of(NULL, 0, 200);
    CHECK(isnan(quantile(&digest, 0.5)) && isnan(cdf(&digest, 1)));
    CHECK_EQ(obs_tdigest_memory_bytes(&digest), sizeof digest);
    double unused;
    CHECK_STATUS(obs_tdigest_quantile(&digest, -0.1, &unused), OBS_ERR_RANGE);
    CHECK_STATUS(obs_tdigest_quantile(&digest, 1.1, &unused), OBS_ERR_RANGE);
    CHECK_STATUS(obs_tdigest_quantile(&digest, NAN, &unused), OBS_ERR_RANGE);
    obs_tdigest_free(&digest);
}

static void test_exact_up_to_compression_values(void)
{
    for (size_t count = 1; count <= 200; count += count < 20 ? 1 : 12) {
        fill_values(count, count);
        if (count > 3)
            values[count / 2] = values[0]; /* a tie */
        obs_tdigest_t digest = digest_of(values, count, 200);
        sort_values(count);
        for (size_t rank = 1; rank <= count; rank++) {
            CHECK(quantile(&digest, ((double)rank - 0.5) / (double)count) == values[rank - 1]);
            size_t up_to = rank;
            while (up_to < count && values[up_to] == values[rank - 1])
                up_to++;
            CHECK(cdf(&digest, values[rank - 1]) == (double)up_to / (double)count);
            double above = up_to < count ? nextafter(values[up_to], -INFINITY) : INFINITY;
            CHECK(cdf(&digest, above) == (double)up_to / (double)count);
        }
        CHECK(quantile(&digest, 0) == values[0] && quantile(&digest, 1) == values[count - 1]);
        check_invariants(&digest);
        obs_tdigest_free(&digest);
    }
}

/* Every cell: rank error within the weight that one unit of k spans there, far less on smooth data. */
static void test_rank_error_and_exact_tails(void)
{
    const double quantiles[] = {0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999};
    fill_values(MANY, 7);
    obs_tdigest_t digest = digest_of(values, MANY, 200);
    check_invariants(&digest);
    CHECK(digest.centroid_count <= 200);
    sort_values(MANY);
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        double q = quantiles[i], answer = quantile(&digest, q);
        size_t rank = 0;
        while (rank < MANY && values[rank] <= answer)
            rank++;
        CHECK(fabs((double)rank / MANY - q) <= 0.02 * q * (1 - q) + 1.0 / MANY);
        CHECK(fabs(cdf(&digest, values[(size_t)(q * MANY)]) - q) <= 0.02 * q * (1 - q) + 1.5 / MANY);
    }
    for (size_t rank = 1; rank <= 4; rank++) {
        CHECK(quantile(&digest, ((double)rank - 0.5) / MANY) == values[rank - 1]);
        CHECK(quantile(&digest, 1 - ((double)rank - 0.5) / MANY) == values[MANY - rank]);
    }
    obs_tdigest_free(&digest);
}

static void test_add_many_is_repeated_add(void)
{
    static char bytes[sizeof values + 1];
    fill_values(20000, 3);
    values[5] = NAN;
    values[6] = INFINITY;
    values[19999] = -0.0;
    obs_tdigest_t single = digest_of(NULL, 0, 100);
    for (size_t i = 0; i < 20000; i++)
        CHECK_OK(obs_tdigest_add(&single, values[i], 1));
    memcpy(bytes + 1, values, 20000 * sizeof *values);
    obs_tdigest_t many = digest_of((const double *)(const void *)(bytes + 1), 20000, 100);
    check_same(&single, &many);
    obs_tdigest_free(&single);
    obs_tdigest_free(&many);
}

static void weighted_equals_repeated(size_t others, uint64_t weight)
{
    fill_values(others, 5);
    obs_tdigest_t repeated = digest_of(values, others, 50);
    CHECK_OK(obs_tdigest_flush(&repeated));
    obs_tdigest_t weighted;
    CHECK_OK(obs_tdigest_copy(&repeated, &weighted));
    CHECK_OK(obs_tdigest_add(&weighted, 7.25, weight));
    for (uint64_t i = 0; i < weight; i++)
        CHECK_OK(obs_tdigest_add(&repeated, 7.25, 1));
    CHECK_OK(obs_tdigest_flush(&repeated));
    CHECK_OK(obs_tdigest_flush(&weighted));
    CHECK_EQ(weighted.centroid_count, repeated.centroid_count);
    for (size_t i = 0; i < weighted.centroid_count; i++) {
        CHECK_EQ(weighted.centroids[i].weight, repeated.centroids[i].weight);
        CHECK_NEAR(weighted.centroids[i].mean, repeated.centroids[i].mean, 1e-12);
    }
    check_invariants(&weighted);
    obs_tdigest_free(&weighted);
    obs_tdigest_free(&repeated);
}

static void test_a_weight_equals_repeats(void)
{
    weighted_equals_repeated(0, 1);
    weighted_equals_repeated(0, 30);
    weighted_equals_repeated(0, 2000);
    weighted_equals_repeated(10, 37);
    weighted_equals_repeated(1000, 2);
    weighted_equals_repeated(1000, 1999);
}

static void test_a_heavy_value_covers_its_ranks(void)
{
    obs_tdigest_t digest = digest_of(NULL, 0, 200);
    CHECK_OK(obs_tdigest_add(&digest, 5, 1000000));
    for (int i = 0; i < 1000; i++)
        CHECK_OK(obs_tdigest_add(&digest, i / 1000.0, 1));
    CHECK(quantile(&digest, 0.01) == 5 && quantile(&digest, 0.5) == 5 && quantile(&digest, 1) == 5);
    CHECK(quantile(&digest, 0.0005) < 1);
    check_invariants(&digest);
    obs_tdigest_free(&digest);
}

static void test_counts_apart_what_is_not_finite(void)
{
    const double odd[] = {NAN, INFINITY, -INFINITY, -NAN, 1, -0.0};
    obs_tdigest_t digest = digest_of(odd, COUNT_OF(odd), 200);
    CHECK_OK(obs_tdigest_add(&digest, -INFINITY, 3));
    CHECK_EQ(digest.count, 2);
    CHECK_EQ(digest.nan_count, 2);
    CHECK_EQ(digest.positive_infinity_count, 1);
    CHECK_EQ(digest.negative_infinity_count, 4);
    CHECK(digest.sum == 1 && digest.min == 0 && !signbit(digest.min) && digest.max == 1);
    CHECK(cdf(&digest, -INFINITY) == 0 && cdf(&digest, -0.0) == 0.5 && cdf(&digest, INFINITY) == 1);
    CHECK(isnan(cdf(&digest, NAN)));
    check_invariants(&digest);
    obs_tdigest_free(&digest);
}

static void test_the_ends_of_the_double_range(void)
{
    for (int i = 0; i < 3000; i++)
        values[i] = (i % 2 ? 1.7e308 : -1.7e308) * (1 - i * 1e-6);
    obs_tdigest_t digest = digest_of(values, 3000, 20);
    check_invariants(&digest);
    CHECK(fabs(quantile(&digest, 0.5)) <= 1.7e308 && cdf(&digest, 0) > 0.4 && cdf(&digest, 0) < 0.6);
    obs_tdigest_reset(&digest);
    for (int i = 0; i < 3000; i++)
        values[i] = 5e-324 * (i % 7 - 3);
    CHECK_OK(obs_tdigest_add_many(&digest, values, 3000));
    check_invariants(&digest);
    CHECK(quantile(&digest, 0) == -1.5e-323 && quantile(&digest, 1) == 1.5e-323);
    obs_tdigest_free(&digest);
}

static void test_a_constant_is_exact(void)
{
    for (int i = 0; i < 50000; i++)
        values[i] = 0.1;
    obs_tdigest_t digest = digest_of(values, 50000, 100);
    for (double q = 0; q <= 1; q += 0.01)
        CHECK(quantile(&digest, q) == 0.1);
    CHECK(cdf(&digest, 0.1) == 1 && cdf(&digest, 0.0999) == 0);
    check_invariants(&digest);
    obs_tdigest_free(&digest);
}

/* To the last bit, whatever the distance between neighbours: rounding must not make a line descend. */
static void test_quantiles_ascend(void)
{
    const double spreads[] = {1e-15, 1, 20, 700};
    uint64_t random = 37;
    for (size_t spread = 0; spread < COUNT_OF(spreads); spread++) {
        for (int i = 0; i < 20000; i++)
            values[i] = exp(spreads[spread] * check_random_unit(&random)) * (i % 3 ? 1 : -1);
        obs_tdigest_t digest = digest_of(values, 20000, 50);
        double before = -INFINITY;
        for (int rank = 1; rank <= 20000; rank++) {
            double value = quantile(&digest, (rank - 0.5) / 20000);
            CHECK(value >= before);
            before = value;
        }
        CHECK(before == digest.max);
        obs_tdigest_free(&digest);
    }
}

/* Just below the gap the digest answers with values that nobody measured. That is a property of
 * t-digests; the rank error stays within a centroid. */
static void test_answers_inside_a_gap(void)
{
    uint64_t random = 11;
    for (int i = 0; i < MANY; i++)
        values[i] = (i % 10 < 9 ? 0.010 : 0.500) * (1 + 0.1 * check_random_unit(&random));
    obs_tdigest_t digest = digest_of(values, MANY, 200);
    double answer = quantile(&digest, 0.8999);
    CHECK(answer > 0.011 && answer < 0.5);
    CHECK(quantile(&digest, 0.85) < 0.011 && quantile(&digest, 0.95) > 0.5);
    obs_tdigest_free(&digest);
}

static void test_merge_adds_up(void)
{
    fill_values(MANY, 13);
    obs_tdigest_t whole = digest_of(NULL, 0, 200);
    for (size_t begin = 0; begin < MANY; begin += 12500) {
        obs_tdigest_t part = digest_of(values + begin, 12500, begin % 25000 ? 100 : 200);
        CHECK_OK(obs_tdigest_add(&part, NAN, 2));
        CHECK_OK(obs_tdigest_merge(&whole, &part));
        obs_tdigest_free(&part);
    }
    CHECK_EQ(whole.count, MANY);
    CHECK_EQ(whole.nan_count, 16);
    check_invariants(&whole);
    sort_values(MANY);
    CHECK(whole.min == values[0] && whole.max == values[MANY - 1]);
    for (double q = 0.001; q < 1; q += 0.0499) {
        double answer = quantile(&whole, q), slack = 0.12 * q * (1 - q) * MANY + 1; /* compression 100 rules */
        double rank = q * MANY;
        CHECK(answer >= values[(size_t)fmax(0, rank - slack)] &&
              answer <= values[(size_t)fmin(MANY - 1, rank + slack)]);
    }
    obs_tdigest_free(&whole);
}

static void test_merge_with_empty_and_with_itself(void)
{
    fill_values(5000, 17);
    obs_tdigest_t digest = digest_of(values, 5000, 200);
    obs_tdigest_t empty = digest_of(NULL, 0, 200);
    obs_tdigest_t copy;
    CHECK_OK(obs_tdigest_copy(&digest, &copy));
    check_same(&digest, &copy);
    CHECK_OK(obs_tdigest_merge(&copy, &empty));
    check_same(&digest, &copy);
    CHECK_OK(obs_tdigest_merge(&empty, &digest));
    check_same(&digest, &empty);
    CHECK_OK(obs_tdigest_merge(&digest, &digest));
    CHECK_EQ(digest.count, 10000);
    CHECK(digest.sum == 2 * copy.sum);
    check_invariants(&digest);
    CHECK_NEAR(cdf(&copy, quantile(&digest, 0.5)), 0.5, 0.05);
    obs_tdigest_free(&digest);
    obs_tdigest_free(&empty);
    obs_tdigest_free(&copy);
}

static void test_memory_follows_the_values(void)
{
    fill_values(MANY, 19);
    obs_tdigest_t digest = digest_of(values, 10, 200);
    CHECK(obs_tdigest_memory_bytes(&digest) <= 512);
    CHECK_OK(obs_tdigest_add_many(&digest, values, MANY));
    size_t full = obs_tdigest_memory_bytes(&digest);
    CHECK(full <= 2 * 8 * OBS_TDIGEST_BUFFER_VALUES + 8192);
    CHECK_OK(obs_tdigest_trim(&digest));
    CHECK(digest.buffer == NULL && digest.centroid_capacity == digest.centroid_count);
    CHECK(obs_tdigest_memory_bytes(&digest) <= 4096);
    check_invariants(&digest);
    CHECK_OK(obs_tdigest_add(&digest, 1, 1));
    obs_tdigest_reset(&digest);
    CHECK_EQ(digest.count, 0);
    CHECK(isnan(quantile(&digest, 0.5)));
    obs_tdigest_free(&digest);
}

static void test_refuses_more_than_64_bits_of_samples(void)
{
    obs_tdigest_t digest = digest_of(NULL, 0, 200), other;
    CHECK_OK(obs_tdigest_add(&digest, 1, UINT64_MAX - 3));
    CHECK_OK(obs_tdigest_add(&digest, NAN, 2));
    CHECK_STATUS(obs_tdigest_add(&digest, 2, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_tdigest_add_many(&digest, values, 2), OBS_ERR_RANGE);
    CHECK_OK(obs_tdigest_copy(&digest, &other));
    CHECK_STATUS(obs_tdigest_merge(&digest, &other), OBS_ERR_RANGE);
    CHECK_OK(obs_tdigest_add(&digest, 2, 1));
    check_invariants(&digest);
    CHECK(quantile(&digest, 0.5) == 1 && quantile(&digest, 1) == 2);
    obs_tdigest_free(&digest);
    obs_tdigest_free(&other);
}

static int build_and_merge(size_t failing)
{
    uint8_t bytes[2048];
    size_t size = 0;
    obs_tdigest_t digest, other, copy;
    int status;
    CHECK_OK(obs_tdigest_init(&digest, 50));
    CHECK_OK(obs_tdigest_init(&other, 50));
    CHECK_OK(obs_tdigest_init(&copy, 50));
    obs_alloc_fail_at(failing);
    status = obs_tdigest_add_many(&digest, values, 5000);
    status = status ? status : obs_tdigest_add(&other, 3, 1000);
    status = status ? status : obs_tdigest_add(&other, 4, 1);
    status = status ? status : obs_tdigest_merge(&digest, &other);
    status = status ? status : obs_tdigest_add(&digest, 5, 1);
    status = status ? status : obs_tdigest_encode(&other, bytes, sizeof bytes, &size);
    status = status ? status : obs_tdigest_merge_encoded(&digest, bytes, size);
    status = status ? status : obs_tdigest_copy(&digest, &copy);
    obs_alloc_fail_at(0);
    if (status == OBS_OK)
        check_same(&digest, &copy);
    check_invariants(&digest); /* also what a failure left */
    check_invariants(&other);
    obs_tdigest_free(&digest);
    obs_tdigest_free(&other);
    obs_tdigest_free(&copy);
    return status;
}

static void test_every_allocation_may_fail(void)
{
    fill_values(5000, 31);
    for (size_t n = 1;; n++) {
        int status = build_and_merge(n);
        CHECK_EQ(obs_alloc_live(), 0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
    }
}

int main(void)
{
    RUN(test_refuses_a_compression_out_of_range);
    RUN(test_empty_answers_nan);
    RUN(test_exact_up_to_compression_values);
    RUN(test_rank_error_and_exact_tails);
    RUN(test_add_many_is_repeated_add);
    RUN(test_a_weight_equals_repeats);
    RUN(test_a_heavy_value_covers_its_ranks);
    RUN(test_counts_apart_what_is_not_finite);
    RUN(test_the_ends_of_the_double_range);
    RUN(test_a_constant_is_exact);
    RUN(test_quantiles_ascend);
    RUN(test_answers_inside_a_gap);
    RUN(test_merge_adds_up);
    RUN(test_merge_with_empty_and_with_itself);
    RUN(test_memory_follows_the_values);
    RUN(test_refuses_more_than_64_bits_of_samples);
    RUN(test_every_allocation_may_fail);
    return 0;
}
