// kernels: obs
#include <math.h>

#include "check.h"
#include "radix_sort.h"

#define MOST 5000

static int compare_keys(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void sorts_like_qsort(const uint64_t *keys, size_t count)
{
    static uint64_t expected[MOST], work[MOST], scratch[MOST];
    memcpy(expected, keys, count * sizeof *keys);
    memcpy(work, keys, count * sizeof *keys);
    qsort(expected, count, sizeof *expected, compare_keys);
    const uint64_t *sorted = obs_radix_sort(work, scratch, count);
    CHECK(memcmp(sorted, expected, count * sizeof *expected) == 0);
}

static void test_keys_keep_the_order_of_numbers(void)
{
    const double ascending[] = {-INFINITY, -1.7e308, -1,       -2.3e-308, -5e-324, -0.0,
                                0.0,       5e-324,   2.3e-308, 1,         1.7e308, INFINITY};
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        double back = obs_key_to_f64(obs_key_from_f64(ascending[i]));
        CHECK(memcmp(&back, &ascending[i], sizeof back) == 0);
        if (i > 0)
            CHECK(obs_key_from_f64(ascending[i - 1]) < obs_key_from_f64(ascending[i]));
    }
}

/* The bits that differ are chosen: the sort must be right wherever they lie, and however many keys are equal. */
static void test_sorts_whichever_bits_differ(void)
{
    static uint64_t keys[MOST];
    const uint64_t masks[] = {0,
                              1,
                              UINT64_MAX,
                              UINT64_C(0xffffffff),
                              UINT64_C(0xffffffff00000000),
                              UINT64_C(0x8000000000000001),
                              UINT64_C(0xf00f00000000000f),
                              UINT64_C(0xc000000000000fff),
                              UINT64_C(0x00000ff000000ff0)};
    const size_t counts[] = {0,
                             1,
                             2,
                             OBS_RADIX_INSERTION_MAX,
                             OBS_RADIX_INSERTION_MAX + 1,
                             300,
                             OBS_RADIX_WIDE_MIN - 1,
                             OBS_RADIX_WIDE_MIN,
                             MOST};
    uint64_t random = 1;
    for (size_t mask = 0; mask < sizeof masks / sizeof *masks; mask++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            for (size_t j = 0; j < counts[i]; j++)
                keys[j] = UINT64_C(0x3fe123456789abcd) ^ (check_random(&random) & masks[mask]);
            sorts_like_qsort(keys, counts[i]);
        }
    }
}

/* One key far away makes the common prefix empty, so that all the others form one run. */
static void test_sorts_long_runs_below_an_outlier(void)
{
    static uint64_t keys[MOST];
    uint64_t random = 2;
    for (size_t outlier = 0; outlier < MOST; outlier += MOST - 1) {
        for (size_t i = 0; i < MOST; i++)
            keys[i] = obs_key_from_f64(1 + 0x1p-40 * check_random_unit(&random));
        keys[outlier] = obs_key_from_f64(outlier == 0 ? -1e300 : 1e300);
        sorts_like_qsort(keys, MOST);
    }
}

static void test_sorts_sorted_and_reversed(void)
{
    static uint64_t keys[MOST];
    for (size_t i = 0; i < MOST; i++)
        keys[i] = obs_key_from_f64((double)i / 7);
    sorts_like_qsort(keys, MOST);
    for (size_t i = 0; i < MOST; i++)
        keys[i] = obs_key_from_f64(-(double)i / 7);
    sorts_like_qsort(keys, MOST);
}

int main(void)
{
    RUN(test_keys_keep_the_order_of_numbers);
    RUN(test_sorts_whichever_bits_differ);
    RUN(test_sorts_long_runs_below_an_outlier);
    RUN(test_sorts_sorted_and_reversed);
    return 0;
}
