// kernels: moments obs
#include <float.h>
#include <math.h>
#include <string.h>

#include "distributions.h"
#include "moments.h"

#define MANY 20000

static double values[MANY];

static obs_moments_t moments_of(const double *from, size_t count)
{
    obs_moments_t moments;
    obs_moments_init(&moments);
    CHECK_OK(obs_moments_add_many(&moments, from, count));
    return moments;
}

static void check_invariants(const obs_moments_t *moments)
{
    if (moments->count == 0) {
        CHECK(moments->mean == 0 && moments->m2 == 0 && moments->m3 == 0 && moments->m4 == 0);
        CHECK(moments->min == INFINITY && moments->max == -INFINITY);
        return;
    }
    CHECK(moments->min <= moments->mean && moments->mean <= moments->max);
    CHECK(moments->m2 >= 0 && moments->m4 >= 0);
    CHECK(isfinite(moments->m3) || isnan(moments->m3));
    if (moments->min == moments->max)
        CHECK(moments->m2 == 0 && moments->m3 == 0 && moments->m4 == 0);
}

/* The definition, in long double and around the exact mean: the oracle. */
static obs_moments_t by_definition(const double *from, size_t count)
{
    obs_moments_t moments;
    obs_moments_init(&moments);
    long double sum = 0, m2 = 0, m3 = 0, m4 = 0;
    for (size_t i = 0; i < count; i++) {
        sum += from[i];
        moments.min = fmin(moments.min, from[i]);
        moments.max = fmax(moments.max, from[i]);
    }
    long double mean = count == 0 ? 0 : sum / (long double)count;
    for (size_t i = 0; i < count; i++) {
        long double d = from[i] - mean;
        m2 += d * d;
        m3 += d * d * d;
        m4 += d * d * d * d;
    }
    moments.count = count;
    moments.mean = (double)mean;
    moments.m2 = (double)m2;
    moments.m3 = (double)m3;
    moments.m4 = (double)m4;
    return moments;
}

/* The third moment can cancel to nothing: its error is measured against its scale, m2^1.5 and m4^0.75. Each of so many
 * merges rounds the mean, which is felt where values are far from zero and near to each other. */
static void check_close(const char *what, const obs_moments_t *moments, const obs_moments_t *expected, size_t merges)
{
    check_invariants(moments);
    CHECK_EQ(moments->count, expected->count);
    if (expected->count == 0)
        return;
    double n = (double)expected->count, deviation = sqrt(expected->m2 / n);
    double magnitude = fmax(fabs(expected->min), fabs(expected->max));
    CHECK(moments->min == expected->min && moments->max == expected->max);
    double rounding = 0x1p-53 * magnitude * (2 + sqrt((double)merges)) + 5e-324 * (2 + (double)merges);
    double error = 1e-12 + (deviation > 0 ? rounding / deviation : 0);
    double scale_3 = n * fmax(pow(deviation, 3), pow(expected->m4 / n, 0.75));
    if (!(fabs(moments->mean - expected->mean) <= rounding + 1e-13 * deviation) ||
        !(fabs(moments->m2 - expected->m2) <= error * expected->m2 + DBL_MIN) ||
        !(fabs(moments->m3 - expected->m3) <= 4 * error * scale_3 + DBL_MIN) ||
        !(fabs(moments->m4 - expected->m4) <= 4 * error * expected->m4 + DBL_MIN))
        CHECK_FAILED("%s, %zu values: mean %.17g m2 %.17g m3 %.17g m4 %.17g, expected %.17g %.17g %.17g %.17g", what,
                     (size_t)expected->count, moments->mean, moments->m2, moments->m3, moments->m4, expected->mean,
                     expected->m2, expected->m3, expected->m4);
}

/* In pieces of a size, merged one after the other. */
static obs_moments_t merged(size_t count, size_t piece)
{
    obs_moments_t all;
    obs_moments_init(&all);
    for (size_t i = 0; i < count; i += piece) {
        obs_moments_t part = moments_of(values + i, count - i < piece ? count - i : piece);
        CHECK_OK(obs_moments_merge(&all, &part));
    }
    return all;
}

static obs_moments_t merged_as_a_tree(size_t first, size_t count)
{
    if (count < 10)
        return moments_of(values + first, count);
    obs_moments_t left = merged_as_a_tree(first, count / 3);
    obs_moments_t right = merged_as_a_tree(first + count / 3, count - count / 3);
    CHECK_OK(obs_moments_merge(&right, &left));
    return right;
}

static void test_distributions_by_sizes_by_ways(void)
{
    static const size_t SIZES[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 511, 512, 513, 520, 1025, MANY};
    for (size_t d = 0; d < COUNT_OF(DISTRIBUTIONS); d++)
        for (size_t s = 0; s < COUNT_OF(SIZES); s++) {
            size_t count = SIZES[s];
            fill_from(values, count, &DISTRIBUTIONS[d], 11 + s);
            obs_moments_t expected = by_definition(values, count), plainly;
            obs_moments_t at_once = moments_of(values, count), in_tens = merged(count, 10);
            obs_moments_t in_hundreds = merged(count, 700), tree = merged_as_a_tree(0, count);
            obs_moments_init(&plainly);
            CHECK_OK(obs_moments_add_many_reference(&plainly, values, count));
            check_close(DISTRIBUTIONS[d].name, &at_once, &expected, count / 512);
            check_close(DISTRIBUTIONS[d].name, &plainly, &expected, count);
            check_close(DISTRIBUTIONS[d].name, &in_tens, &expected, count / 10);
            check_close(DISTRIBUTIONS[d].name, &in_hundreds, &expected, count / 350);
            check_close(DISTRIBUTIONS[d].name, &tree, &expected, 20);
        }
}

static void test_every_kind_of_number_has_its_count(void)
{
    const double odd[] = {NAN, INFINITY, -INFINITY, -NAN, 1, -0.0, 5e-324, -5e-324, INFINITY};
    for (int plainly = 0; plainly < 2; plainly++) {
        obs_moments_t moments;
        obs_moments_init(&moments);
        CHECK_OK(plainly ? obs_moments_add_many_reference(&moments, odd, COUNT_OF(odd))
                         : obs_moments_add_many(&moments, odd, COUNT_OF(odd)));
        CHECK_OK(obs_moments_add_nulls(&moments, 3));
        CHECK_OK(obs_moments_add_wrong_types(&moments, 4));
        CHECK_EQ(moments.count, 4);
        CHECK_EQ(moments.nan_count, 2);
        CHECK_EQ(moments.positive_infinity_count, 2);
        CHECK_EQ(moments.negative_infinity_count, 1);
        CHECK_EQ(moments.null_count, 3);
        CHECK_EQ(moments.wrong_type_count, 4);
        CHECK_EQ(obs_moments_samples(&moments), 16);
        CHECK(moments.min == -5e-324 && moments.max == 1 && moments.mean == 0.25 && moments.m2 == 0.75);
    }
}

static void test_a_block_of_nothing_finite(void)
{
    for (size_t i = 0; i < 2000; i++)
        values[i] = i % 3 == 0 ? (double)NAN : (i % 3 == 1 ? INFINITY : -INFINITY);
    obs_moments_t moments = moments_of(values, 2000);
    CHECK_EQ(moments.count, 0);
    CHECK_EQ(moments.nan_count, 667);
    check_invariants(&moments);
    CHECK(isnan(obs_moments_variance(&moments)) && isnan(obs_moments_skewness(&moments)));
    CHECK(isnan(obs_moments_kurtosis(&moments)));
}

static void test_negative_zero_is_zero(void)
{
    obs_moments_t moments = moments_of((const double[]){-0.0, -0.0}, 2);
    CHECK(!signbit(moments.min) && !signbit(moments.max) && !signbit(moments.mean));
    CHECK_OK(obs_moments_add(&moments, -0.0, 1));
    CHECK(!signbit(moments.min) && !signbit(moments.max) && !signbit(moments.mean));
}

/* 0.1 summed ten times is not 1: still a constant has no variance, merged in whatever way. */
static void test_a_constant_has_no_spread(void)
{
    static const double CONSTANTS[] = {0.1, -1e9 / 3, DBL_MAX, -DBL_MAX, 5e-324, 0};
    for (size_t c = 0; c < COUNT_OF(CONSTANTS); c++) {
        for (size_t i = 0; i < 1000; i++)
            values[i] = CONSTANTS[c];
        obs_moments_t moments = merged(1000, 77);
        CHECK_OK(obs_moments_add(&moments, CONSTANTS[c], 1u << 20));
        check_invariants(&moments);
        CHECK(moments.mean == CONSTANTS[c] && obs_moments_variance(&moments) == 0);
        CHECK(isnan(obs_moments_skewness(&moments)) && isnan(obs_moments_kurtosis(&moments)));
    }
}

/* The sum of the values overflows, their mean does not; powers of the deviations do. */
static void test_overflow_is_told(void)
{
    values[0] = values[1] = DBL_MAX;
    values[2] = DBL_MAX / 2;
    values[3] = -DBL_MAX;
    for (int plainly = 0; plainly < 2; plainly++) {
        obs_moments_t moments;
        obs_moments_init(&moments);
        CHECK_OK(plainly ? obs_moments_add_many_reference(&moments, values, 4)
                         : obs_moments_add_many(&moments, values, 4));
        check_invariants(&moments);
        CHECK_NEAR(moments.mean, 0.375 * DBL_MAX, 1e-15);
        CHECK(moments.m2 == INFINITY && moments.m4 == INFINITY && isnan(moments.m3));
        obs_moments_t same = moments;
        CHECK_OK(obs_moments_merge(&moments, &same));
        CHECK_OK(obs_moments_add(&moments, 1, 1));
        check_invariants(&moments);
        CHECK(moments.m2 == INFINITY && moments.m4 == INFINITY && isnan(moments.m3));
        CHECK_EQ(moments.count, 9);
    }
    obs_moments_t wide = moments_of((const double[]){1e80, -1e80, 1e80}, 3);
    CHECK(isfinite(wide.m2) && isfinite(wide.m3) && wide.m4 == INFINITY);
}

/* Outliers just where a block looks for its centre: it is passed over once more. */
static void test_a_centre_far_from_the_mean(void)
{
    static const double OUTLIERS[] = {10, 1e3, 1e6, -1e8};
    for (size_t o = 0; o < COUNT_OF(OUTLIERS); o++) {
        fill_from(values, 512, &DISTRIBUTIONS[2], 11);
        for (size_t i = 32; i < 512; i += 64)
            values[i] += OUTLIERS[o];
        obs_moments_t moments = moments_of(values, 512), expected = by_definition(values, 512);
        check_close("outliers", &moments, &expected, 1);
    }
    for (size_t i = 0; i < 512; i++)
        values[i] = 1e9 + (i % 64 == 32) + 1e-3 * (double)i;
    obs_moments_t moments = moments_of(values, 512), expected = by_definition(values, 512);
    check_close("far from zero", &moments, &expected, 1);
}

static void test_a_weight_equals_repeats(void)
{
    obs_moments_t weighted = moments_of((const double[]){1, 2, 5}, 3), repeated = weighted;
    CHECK_OK(obs_moments_add(&weighted, 7.5, 1000));
    CHECK_OK(obs_moments_add(&weighted, NAN, 5));
    CHECK_OK(obs_moments_add(&weighted, 99, 0));
    for (int i = 0; i < 1000; i++)
        CHECK_OK(obs_moments_add(&repeated, 7.5, 1));
    check_close("weighted", &weighted, &repeated, 1000);
    CHECK_EQ(weighted.nan_count, 5);
}

static void test_values_may_be_unaligned(void)
{
    static char bytes[sizeof values + 1];
    fill_from(values, 1500, &DISTRIBUTIONS[2], 3);
    memcpy(bytes + 1, values, 1500 * sizeof *values);
    obs_moments_t aligned = moments_of(values, 1500);
    obs_moments_t unaligned = moments_of((const double *)(const void *)(bytes + 1), 1500);
    CHECK(memcmp(&aligned, &unaligned, sizeof aligned) == 0);
}

static void test_refuses_two_to_the_64_samples(void)
{
    obs_moments_t moments = moments_of((const double[]){1, 2}, 2);
    CHECK_OK(obs_moments_add_nulls(&moments, UINT64_MAX - 3));
    obs_moments_t full = moments;
    CHECK_STATUS(obs_moments_add_many(&moments, values, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_moments_add(&moments, NAN, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_moments_add_nulls(&moments, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_moments_add_wrong_types(&moments, 2), OBS_ERR_RANGE);
    CHECK_STATUS(obs_moments_merge(&moments, &full), OBS_ERR_RANGE);
    CHECK(memcmp(&moments, &full, sizeof full) == 0);
    CHECK_OK(obs_moments_add_wrong_types(&moments, 1));
    CHECK(obs_moments_samples(&moments) == UINT64_MAX);
}

/* Numbers by hand: 0, 0, 0, 4 have mean 1, deviations -1, -1, -1, 3. */
static void test_answers_by_hand(void)
{
    obs_moments_t moments = moments_of((const double[]){0, 0, 0, 4}, 4);
    CHECK(moments.m2 == 12 && moments.m3 == 24 && moments.m4 == 84);
    CHECK_NEAR(obs_moments_variance(&moments), 3, 1e-15);
    CHECK_NEAR(obs_moments_skewness(&moments), 6 / (3 * sqrt(3)), 1e-15);
    CHECK_NEAR(obs_moments_kurtosis(&moments), 21 / 9.0 - 3, 1e-15);
}

int main(void)
{
    RUN(test_distributions_by_sizes_by_ways);
    RUN(test_every_kind_of_number_has_its_count);
    RUN(test_a_block_of_nothing_finite);
    RUN(test_negative_zero_is_zero);
    RUN(test_a_constant_has_no_spread);
    RUN(test_overflow_is_told);
    RUN(test_a_centre_far_from_the_mean);
    RUN(test_a_weight_equals_repeats);
    RUN(test_values_may_be_unaligned);
    RUN(test_refuses_two_to_the_64_samples);
    RUN(test_answers_by_hand);
    return 0;
}
