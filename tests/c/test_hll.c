// kernels: hll obs
#include <math.h>
#include <string.h>

#include "alloc_seam.h"
#include "distributions.h"
#include "hll.h"

#define MANY 200000

static double values[MANY];

static obs_hll_t hll_of(uint32_t p)
{
    obs_hll_t hll;
    CHECK_OK(obs_hll_init(&hll, p));
    return hll;
}

/* count values that differ, in no order. */
static void add_distinct(obs_hll_t *hll, size_t count, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number = check_random(seed);
        CHECK_OK(obs_hll_add_hash(hll, obs_hash_bytes(&number, sizeof number)));
    }
}

static void check_same(const obs_hll_t *left, const obs_hll_t *right)
{
    uint32_t used = 0;
    CHECK_EQ(left->p, right->p);
    CHECK_EQ(left->used, right->used);
    for (uint32_t i = 0; i < 1u << left->p; i++) {
        CHECK_EQ(obs_hll_register(left, i), obs_hll_register(right, i));
        used += obs_hll_register(left, i) > 0;
    }
    CHECK_EQ(used, left->used);
    CHECK(obs_hll_count(left) == obs_hll_count(right));
}

/* What the reference implementation of XXH64 says (python-xxhash 3). */
static void test_hashes_are_those_of_the_specification(void)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } OF_PREFIXES[] = {
        {0, UINT64_C(0xef46db3751d8e999)},   {1, UINT64_C(0x1f25c8d0bc1f4bb6)},   {3, UINT64_C(0x31d2363f52e564c9)},
        {4, UINT64_C(0x9bb64b7d66ee9fda)},   {5, UINT64_C(0xc7608efddb7051fe)},   {7, UINT64_C(0x9a7b149959ce60d8)},
        {8, UINT64_C(0xdab99d95c6f90092)},   {12, UINT64_C(0xd52e407833af5133)},  {15, UINT64_C(0x1b47cb8243cc8e32)},
        {31, UINT64_C(0xa2aa5f33cc4a6119)},  {32, UINT64_C(0x23c3c17ef790fd97)},  {33, UINT64_C(0x50a7cfc7ba588784)},
        {63, UINT64_C(0x5e3e54b431c7493c)},  {64, UINT64_C(0x0eb64b3ef6eeb01f)},  {65, UINT64_C(0xa383b724b2bd12f1)},
        {100, UINT64_C(0xa61f8d4c170fe531)}, {200, UINT64_C(0xa6cb3c09bc829b24)},
    };
    uint8_t text[201];
    for (size_t unaligned = 0; unaligned < 2; unaligned++) {
        for (size_t i = 0; i < 200; i++)
            text[i + unaligned] = (uint8_t)(i * 7 + 3);
        for (size_t i = 0; i < COUNT_OF(OF_PREFIXES); i++)
            CHECK(obs_hash_bytes(text + unaligned, OF_PREFIXES[i].size) == OF_PREFIXES[i].hash);
    }
    CHECK(obs_hash_bytes(NULL, 0) == UINT64_C(0xef46db3751d8e999));
    CHECK(obs_hash_bytes("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
    CHECK(obs_hash_double(0.0) == UINT64_C(0x34c96acdcadb1bbb));
    CHECK(obs_hash_double(1.0) == UINT64_C(0x949522f153a1a395));
    CHECK(obs_hash_double(-1.5) == UINT64_C(0xff8a177da21dc0ae));
    CHECK(obs_hash_double(INFINITY) == UINT64_C(0xfa3d9d79a96b3705));
    CHECK(obs_hash_double(-INFINITY) == UINT64_C(0x328b3ff0c87b53d2));
    CHECK(obs_hash_double(5e-324) == UINT64_C(0x9f29cb17a2a49995));
    CHECK(obs_hash_double(NAN) == UINT64_C(0xe9adb09fee122aac));
}

/* Root mean square, bias and worst error over seeds, each against what the standard error allows. The estimator is
 * unbiased for many registers; the constant of few is larger by about 1 / m. */
static void check_errors(uint32_t p, size_t count, size_t seeds)
{
    double squares = 0, bias = 0, worst = 0, expected = obs_hll_relative_error(p), few = 1.4 / (1u << p);
    for (size_t s = 0; s < seeds; s++) {
        uint64_t seed = s * 1000003 + count;
        obs_hll_t hll = hll_of(p);
        add_distinct(&hll, count, &seed);
        double error = obs_hll_count(&hll) / (double)count - 1;
        squares += error * error / (double)seeds;
        bias += error / (double)seeds;
        worst = fmax(worst, fabs(error));
        obs_hll_free(&hll);
    }
    if (!(sqrt(squares) <= (1 + 3 / sqrt(2 * (double)seeds)) * expected && worst <= 5 * expected + few &&
          fabs(bias) <= 4 * expected / sqrt((double)seeds) + few))
        CHECK_FAILED("p %u, %zu values: error %.4f, bias %.4f, worst %.4f, expected %.4f", p, count, sqrt(squares),
                     bias, worst, expected);
}

static void test_error_over_seeds(void)
{
    static const uint32_t PS[] = {6, 9, 12};
    static const size_t COUNTS[] = {100, 400, 1000, 4000, 10000, 30000};
    for (size_t i = 0; i < COUNT_OF(PS); i++)
        for (size_t j = 0; j < COUNT_OF(COUNTS); j++)
            check_errors(PS[i], COUNTS[j], 100);
    check_errors(OBS_HLL_MIN_P, 50, 200);
    check_errors(OBS_HLL_MAX_P, 100000, 10);
    check_errors(12, 1000000, 10);
}

/* Where there are far fewer values than registers, no two fall to one: nearly every count is right when rounded. */
static void test_few_values_are_counted_nearly_exactly(void)
{
    for (uint64_t seed = 1; seed < 30; seed++) {
        uint64_t chance = seed;
        obs_hll_t hll = hll_of(12);
        CHECK(obs_hll_count(&hll) == 0);
        for (int count = 1; count <= 30; count++) {
            add_distinct(&hll, 1, &chance);
            CHECK(fabs(obs_hll_count(&hll) - count) < 0.2 + 2);
            CHECK(hll.used == (uint32_t)count ? fabs(obs_hll_count(&hll) - count) < 0.5 : 1);
        }
        obs_hll_free(&hll);
    }
}

static void test_add_many_is_the_plain_loop(void)
{
    static const uint32_t PS[] = {OBS_HLL_MIN_P, 5, 8, 12, OBS_HLL_MAX_P};
    for (size_t d = 0; d < COUNT_OF(DISTRIBUTIONS); d++)
        for (size_t i = 0; i < COUNT_OF(PS); i++) {
            fill_from(values, 20000, &DISTRIBUTIONS[d], 9);
            values[3] = -0.0;
            values[4] = 0.0;
            values[5] = NAN;
            values[6] = -NAN;
            values[7] = INFINITY;
            obs_hll_t many = hll_of(PS[i]), plain = hll_of(PS[i]);
            for (size_t at = 0, size = 1; at < 20000; at += size, size = size * 3 % 997) {
                size = at + size > 20000 ? 20000 - at : size;
                CHECK_OK(obs_hll_add_many(&many, values + at, size));
            }
            CHECK_OK(obs_hll_add_many_reference(&plain, values, 20000));
            check_same(&many, &plain);
            obs_hll_free(&many);
            obs_hll_free(&plain);
        }
}

static void test_which_numbers_are_one_value(void)
{
    const double odd[] = {0.0, -0.0, NAN, -NAN, INFINITY, -INFINITY, 5e-324, -5e-324};
    obs_hll_t hll = hll_of(16);
    CHECK_OK(obs_hll_add_many(&hll, odd, COUNT_OF(odd)));
    CHECK_EQ(hll.used, 6);
    CHECK_NEAR(obs_hll_count(&hll), 6, 0.01);
    for (int i = 0; i < 1000; i++)
        CHECK_OK(obs_hll_add_many(&hll, odd, COUNT_OF(odd)));
    CHECK_EQ(hll.used, 6);
    obs_hll_free(&hll);
}

/* Sizes on both sides of where the sparse table becomes registers. */
static void test_merging_is_exact_in_any_order(void)
{
    static const size_t SIZES[] = {0, 1, 12, 50, 200, 700, 1500, 30000};
    for (size_t p = OBS_HLL_MIN_P; p <= 13; p += 3)
        for (size_t i = 0; i < COUNT_OF(SIZES); i++)
            for (size_t j = 0; j < COUNT_OF(SIZES); j++) {
                uint64_t left_seed = i, right_seed = 1000 + j;
                obs_hll_t left = hll_of((uint32_t)p), right = hll_of((uint32_t)p), all = hll_of((uint32_t)p), copy;
                add_distinct(&left, SIZES[i], &left_seed);
                add_distinct(&right, SIZES[j], &right_seed);
                left_seed = i;
                right_seed = 1000 + j;
                add_distinct(&all, SIZES[j], &right_seed);
                add_distinct(&all, SIZES[i], &left_seed);
                CHECK_OK(obs_hll_copy(&left, &copy));
                CHECK_OK(obs_hll_merge(&copy, &right));
                CHECK_OK(obs_hll_merge(&right, &left));
                check_same(&copy, &all);
                check_same(&right, &all);
                CHECK_OK(obs_hll_merge(&right, &right));
                check_same(&right, &all);
                obs_hll_free(&left);
                obs_hll_free(&right);
                obs_hll_free(&all);
                obs_hll_free(&copy);
            }
}

static void test_memory_is_never_more_than_the_registers(void)
{
    for (uint32_t p = OBS_HLL_MIN_P; p <= OBS_HLL_MAX_P; p++) {
        uint64_t seed = p;
        obs_hll_t hll = hll_of(p);
        CHECK_EQ(obs_hll_memory_bytes(&hll), sizeof hll);
        for (size_t i = 0; i < 3000; i++) {
            add_distinct(&hll, 1, &seed);
            CHECK(obs_hll_memory_bytes(&hll) <= sizeof hll + (1u << p));
        }
        obs_hll_free(&hll);
    }
}

static void test_a_reset_is_empty(void)
{
    for (size_t count = 10; count <= 10000; count *= 1000) {
        uint64_t seed = 1, again = 1;
        obs_hll_t hll = hll_of(10), fresh = hll_of(10);
        add_distinct(&hll, count, &seed);
        obs_hll_reset(&hll);
        CHECK(obs_hll_count(&hll) == 0);
        seed = 1;
        add_distinct(&hll, 300, &seed);
        add_distinct(&fresh, 300, &again);
        check_same(&hll, &fresh);
        obs_hll_free(&hll);
        obs_hll_free(&fresh);
    }
}

static void test_refuses_what_is_out_of_range(void)
{
    obs_hll_t hll;
    CHECK_STATUS(obs_hll_init(&hll, OBS_HLL_MIN_P - 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_hll_init(&hll, OBS_HLL_MAX_P + 1), OBS_ERR_RANGE);
    obs_hll_t left = hll_of(10), right = hll_of(11);
    CHECK_STATUS(obs_hll_merge(&left, &right), OBS_ERR_STATE);
}

/* Every register at its largest rank: no stream does that, but bytes from outside can. */
static void test_full_registers_are_infinitely_many(void)
{
    obs_hll_t hll = hll_of(4);
    for (uint64_t index = 0; index < 16; index++)
        CHECK_OK(obs_hll_add_hash(&hll, index << 60));
    CHECK(obs_hll_count(&hll) == INFINITY);
    obs_hll_free(&hll);
}

static int fill_and_merge(size_t left_count, size_t right_count)
{
    obs_hll_t left = hll_of(8), right = hll_of(8), before = hll_of(8);
    uint64_t numbers[2] = {1, 100000};
    int status = OBS_OK;
    for (size_t i = 0; i < left_count && status == OBS_OK; i++, numbers[0]++)
        status = obs_hll_add_hash(&left, obs_hash_bytes(&numbers[0], sizeof numbers[0]));
    for (size_t i = 0; i < right_count && status == OBS_OK; i++, numbers[1]++)
        status = obs_hll_add_hash(&right, obs_hash_bytes(&numbers[1], sizeof numbers[1]));
    if (status == OBS_OK)
        status = obs_hll_copy(&left, &before);
    if (status == OBS_OK) {
        status = obs_hll_merge(&left, &right);
        if (status != OBS_OK)
            check_same(&left, &before);
    }
    obs_hll_free(&left);
    obs_hll_free(&right);
    obs_hll_free(&before);
    return status;
}

static void test_survives_failed_allocations(void)
{
    static const size_t SIZES[][2] = {{0, 5}, {5, 5}, {20, 20}, {20, 500}, {500, 20}, {500, 500}};
    for (size_t i = 0; i < COUNT_OF(SIZES); i++)
        for (size_t n = 1;; n++) {
            obs_alloc_fail_at(n);
            int status = fill_and_merge(SIZES[i][0], SIZES[i][1]);
            obs_alloc_fail_at(0);
            CHECK_EQ(obs_alloc_live(), 0);
            if (status == OBS_OK)
                break;
            CHECK_STATUS(status, OBS_ERR_NOMEM);
        }
}

int main(void)
{
    RUN(test_hashes_are_those_of_the_specification);
    RUN(test_error_over_seeds);
    RUN(test_few_values_are_counted_nearly_exactly);
    RUN(test_add_many_is_the_plain_loop);
    RUN(test_which_numbers_are_one_value);
    RUN(test_merging_is_exact_in_any_order);
    RUN(test_memory_is_never_more_than_the_registers);
    RUN(test_a_reset_is_empty);
    RUN(test_refuses_what_is_out_of_range);
    RUN(test_full_registers_are_infinitely_many);
    RUN(test_survives_failed_allocations);
    return 0;
}
