// kernels: loghist obs
/* Is every double in the right bucket? The expectation uses no table, no logarithm and no floating point:
 * with value = m * 2^e and power = 2^scale, the bucket is ceil(log2(value^power)) - 1, and m^power is an
 * integer whose bits can be counted. */
#include "loghist_check.h"

enum { LIMBS = 53 * 256 / 64 + 1 };

typedef struct {
    uint64_t limbs[LIMBS]; /* lowest first */
    int count;
} big_t;

static void big_square(const big_t *x, big_t *out)
{
    big_t product = {.count = 2 * x->count};
    CHECK(2 * x->count <= LIMBS + 1);
    uint64_t limbs[2 * LIMBS] = {0};
    for (int i = 0; i < x->count; i++) {
        unsigned __int128 carry = 0;
        for (int j = 0; j < x->count; j++) {
            carry += (unsigned __int128)x->limbs[i] * x->limbs[j] + limbs[i + j];
            limbs[i + j] = (uint64_t)carry;
            carry >>= 64;
        }
        limbs[i + x->count] = (uint64_t)carry;
    }
    while (product.count > 1 && limbs[product.count - 1] == 0)
        product.count--;
    CHECK(product.count <= LIMBS);
    memcpy(product.limbs, limbs, (size_t)product.count * sizeof(uint64_t));
    *out = product;
}

static int ceil_log2(const big_t *x)
{
    int bit_count = 64 * x->count - __builtin_clzll(x->limbs[x->count - 1]);
    int ones = 0;
    for (int i = 0; i < x->count; i++)
        ones += __builtin_popcountll(x->limbs[i]);
    return ones == 1 ? bit_count - 1 : bit_count;
}

/* All nine scales of one value: expected[scale]. */
static void exact_indices(double value, int32_t expected[9])
{
    uint64_t bits = bits_of(value);
    int exponent = bits >> 52 == 0 ? -1074 : (int)(bits >> 52) - 1075;
    uint64_t significand = (bits & ((UINT64_C(1) << 52) - 1)) | (bits >> 52 == 0 ? 0 : UINT64_C(1) << 52);
    int trailing = __builtin_ctzll(significand);
    big_t power = {.limbs = {significand >> trailing}, .count = 1};
    for (int scale = 0; scale <= 8; scale++) {
        expected[scale] = ceil_log2(&power) - 1 + (exponent + trailing) * (1 << scale);
        if (scale != 8)
            big_square(&power, &power);
    }
}

static void check_value(double value)
{
    int32_t expected[9];
    exact_indices(value, expected);
    for (int scale = 0; scale <= 8; scale++)
        CHECK_EQ(obs_loghist_index(value, scale), expected[scale]);
}

/* The expectation itself, where anyone can check it by eye. */
static void expectation_is_right_where_it_is_obvious(void)
{
    int32_t expected[9];
    exact_indices(1.0, expected); /* (gamma^-1, 1] */
    CHECK_EQ(expected[0], -1);
    CHECK_EQ(expected[8], -1);
    exact_indices(nextafter(1.0, 2), expected);
    CHECK_EQ(expected[8], 0);
    exact_indices(8.0, expected);
    CHECK_EQ(expected[0], 2);
    CHECK_EQ(expected[1], 5);
    exact_indices(1.4142135623730951, expected); /* just above the root of 2 */
    CHECK_EQ(expected[1], 1);
    exact_indices(1.4142135623730950, expected); /* just below */
    CHECK_EQ(expected[1], 0);
    exact_indices(0x1p-1074, expected);
    CHECK_EQ(expected[0], -1075);
}

/* Every bound of an octave at scale 8, and so of every lower scale, with four neighbours on both sides, at
 * exponents from the least normal to the greatest. */
static void neighbours_of_every_bound(void)
{
    for (int j = 0; j <= 256; j++) {
        double bound = exp2(j / 256.0);
        for (int step = -4; step <= 4; step++) {
            double value = double_of(bits_of(bound) + (uint64_t)(int64_t)step);
            int32_t expected[9];
            exact_indices(value, expected);
            for (int exponent = -1021; exponent <= 1022; exponent += exponent < -1000 || exponent > 1000 ? 1 : 41)
                for (int scale = 0; scale <= 8; scale++)
                    CHECK_EQ(obs_loghist_index(ldexp(value, exponent), scale),
                             expected[scale] + exponent * (1 << scale));
        }
    }
}

/* Where the table changes from one cell to the next. */
static void neighbours_of_every_cell(void)
{
    for (uint64_t cell = 0; cell < 512; cell++)
        for (int64_t step = -2; step <= 2; step++)
            check_value(double_of(bits_of(1.0) + (cell << 43) + (uint64_t)step));
}

static void subnormals(void)
{
    for (uint64_t bits = 1; bits < 2000; bits++)
        check_value(double_of(bits));
    for (int bit = 11; bit <= 52; bit++)
        for (int64_t step = -3; step <= 3; step++)
            check_value(double_of((UINT64_C(1) << bit) + (uint64_t)step));
}

static void extremes_and_random_bits(void)
{
    check_value(0x1.fffffffffffffp1023);
    check_value(0x1p1023);
    uint64_t state = 1;
    for (int i = 0; i < 2000; i++) {
        double value = fabs(double_of(check_random(&state)));
        if (isfinite(value) && value != 0)
            check_value(value);
    }
}

/* The greatest double that is not above gamma^index lies in the bucket below, its successor not. */
static void lower_bounds_separate_buckets(void)
{
    for (int scale = 0; scale <= 8; scale++) {
        for (int32_t index = -1022 * (1 << scale); index < 1024 * (1 << scale); index++) {
            double bound = obs_loghist_lower_bound(index, scale);
            CHECK_EQ(obs_loghist_index(bound, scale), index - 1);
            CHECK_EQ(obs_loghist_index(nextafter(bound, INFINITY), scale), index);
        }
        for (int32_t index = -1074 * (1 << scale); index < -1022 * (1 << scale); index++) {
            double bound = obs_loghist_lower_bound(index, scale);
            CHECK(obs_loghist_index(bound, scale) < index);
            CHECK(obs_loghist_index(nextafter(bound, INFINITY), scale) >= index);
        }
        CHECK(obs_loghist_lower_bound(1024 * (1 << scale), scale) == INFINITY);
        CHECK(obs_loghist_lower_bound(-1074 * (1 << scale), scale) == 0x1p-1074);
        CHECK(obs_loghist_lower_bound(-1074 * (1 << scale) - 1, scale) == 0);
        CHECK(obs_loghist_lower_bound(-1100 * (1 << scale), scale) == 0);
    }
}

static void relative_errors(void)
{
    CHECK_NEAR(obs_loghist_relative_error(0), 1.0 / 3, 1e-15);
    CHECK_NEAR(obs_loghist_relative_error(6), 0.0054151594159, 1e-11);
    for (int scale = 0; scale <= 8; scale++) {
        double gamma = exp2(exp2(-scale));
        CHECK_NEAR(obs_loghist_relative_error(scale), (gamma - 1) / (gamma + 1), 1e-12);
    }
}

int main(void)
{
    RUN(expectation_is_right_where_it_is_obvious);
    RUN(neighbours_of_every_bound);
    RUN(neighbours_of_every_cell);
    RUN(subnormals);
    RUN(extremes_and_random_bits);
    RUN(lower_bounds_separate_buckets);
    RUN(relative_errors);
    return 0;
}
