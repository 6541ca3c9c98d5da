// kernels: hll obs
#include <string.h>

#include "alloc_seam.h"
#include "check.h"
#include "hll.h"
#include "hostile.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ROOM 65536

static obs_hll_t hll_of(uint32_t p, uint64_t count)
{
    obs_hll_t hll;
    CHECK_OK(obs_hll_init(&hll, p));
    for (uint64_t number = 0; number < count; number++)
        CHECK_OK(obs_hll_add_hash(&hll, obs_hash_bytes(&number, sizeof number)));
    return hll;
}

static size_t encode(const obs_hll_t *hll, uint8_t *bytes)
{
    size_t size;
    CHECK_OK(obs_hll_encode(hll, bytes, ROOM, &size));
    CHECK(size <= obs_hll_encoded_bound(hll));
    return size;
}

static void check_same(const obs_hll_t *left, const obs_hll_t *right)
{
    CHECK(left->p == right->p && left->used == right->used);
    for (uint32_t i = 0; i < 1u << left->p; i++)
        CHECK_EQ(obs_hll_register(left, i), obs_hll_register(right, i));
}

static void test_encoding_is_lossless(void)
{
    static uint8_t bytes[ROOM], again[ROOM];
    static const uint64_t COUNTS[] = {0, 1, 2, 5, 30, 300, 700, 1000, 1100, 1200, 5000, 100000};
    for (uint32_t p = OBS_HLL_MIN_P; p <= OBS_HLL_MAX_P; p += 2)
        for (size_t i = 0; i < COUNT_OF(COUNTS); i++) {
            obs_hll_t hll = hll_of(p, COUNTS[i]), decoded;
            size_t size = encode(&hll, bytes);
            uint32_t read = 0;
            CHECK_OK(obs_hll_check(bytes, size, &read));
            CHECK_EQ(read, p);
            CHECK_OK(obs_hll_decode(bytes, size, &decoded));
            check_same(&hll, &decoded);
            CHECK_EQ(encode(&decoded, again), size);
            CHECK(memcmp(bytes, again, size) == 0);
            size_t unused;
            CHECK_STATUS(obs_hll_encode(&hll, bytes, obs_hll_encoded_bound(&hll) - 1, &unused), OBS_ERR_FULL);
            obs_hll_free(&hll);
            obs_hll_free(&decoded);
        }
}

/* The same registers, once as a table and once as an array. */
static void test_bytes_do_not_depend_on_the_memory(void)
{
    static uint8_t sparse_bytes[ROOM], dense_bytes[ROOM];
    obs_hll_t sparse = hll_of(12, 600), dense = hll_of(12, 30000);
    obs_hll_reset(&dense);
    CHECK_OK(obs_hll_merge(&dense, &sparse));
    CHECK(sparse.registers == NULL && dense.registers != NULL);
    size_t size = encode(&sparse, sparse_bytes);
    CHECK_EQ(encode(&dense, dense_bytes), size);
    CHECK(memcmp(sparse_bytes, dense_bytes, size) == 0);
    obs_hll_free(&sparse);
    obs_hll_free(&dense);
}

static void test_merging_bytes_is_merging_the_sketch(void)
{
    static uint8_t bytes[ROOM];
    obs_hll_t left = hll_of(12, 3), same = hll_of(12, 3), right = hll_of(12, 4000), other = hll_of(11, 1);
    size_t size = encode(&right, bytes);
    CHECK_OK(obs_hll_merge_encoded(&left, bytes, size));
    CHECK_OK(obs_hll_merge(&same, &right));
    check_same(&left, &same);
    CHECK_STATUS(obs_hll_merge_encoded(&left, bytes, size - 1), OBS_ERR_CORRUPT);
    CHECK_STATUS(obs_hll_merge_encoded(&other, bytes, size), OBS_ERR_STATE);
    obs_hll_free(&left);
    obs_hll_free(&same);
    obs_hll_free(&right);
    obs_hll_free(&other);
}

static int read(const uint8_t *bytes, size_t size)
{
    static uint8_t again[ROOM];
    obs_hll_t hll;
    int status = obs_hll_decode(bytes, size, &hll);
    CHECK_STATUS(obs_hll_check(bytes, size, NULL), status);
    if (status == OBS_OK) {
        CHECK(obs_hll_count(&hll) >= 0);
        CHECK_EQ(encode(&hll, again), size);
        CHECK(memcmp(bytes, again, size) == 0);
        obs_hll_free(&hll);
    } else {
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
    }
    return status;
}

static void test_refuses_hostile_bytes(void)
{
    static uint8_t bytes[ROOM];
    static const uint64_t COUNTS[] = {0, 20, 400};
    for (size_t i = 0; i < COUNT_OF(COUNTS); i++) {
        obs_hll_t hll = hll_of(8, COUNTS[i]);
        size_t size = encode(&hll, bytes);
        CHECK_EQ(hostile_truncations(read, bytes, size), 0);
        hostile_flips(read, bytes, size, 2000, 7);
        bytes[size] = 0;
        CHECK_STATUS(read(bytes, size + 1), OBS_ERR_CORRUPT);
        obs_hll_free(&hll);
    }
}

/* Each breaks one rule: p 4, so 16 registers, four of them in a sparse one, ranks up to 61. */
static void test_names_each_malformation(void)
{
    const struct {
        size_t size;
        uint8_t bytes[20];
    } WRONG[] = {
        {3, {3, 0, 0}},                                /* p */
        {3, {17, 0, 0}},                               /* p */
        {3, {4, 2, 0}},                                /* form */
        {13, {4, 0, 5, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}}, /* more than a quarter used */
        {5, {4, 0, 1, 0, 0}},                          /* rank 0 */
        {5, {4, 0, 1, 0, 62}},                         /* rank 62 */
        {5, {4, 0, 1, 16, 1}},                         /* no such register */
        {7, {4, 0, 2, 15, 1, 0, 1}},                   /* none behind the last */
        {14, {4, 1, 0x41, 0x10, 0x04}},                /* dense with four registers used */
        {14, {4, 1, 0x41, 0x10, 0x04, 62}},            /* rank 62 */
    };
    for (size_t i = 0; i < COUNT_OF(WRONG); i++)
        CHECK_STATUS(read(WRONG[i].bytes, WRONG[i].size), OBS_ERR_CORRUPT);
    const uint8_t sparse[] = {4, 0, 2, 0, 61, 14, 1}, dense[14] = {4, 1, 0x41, 0x10, 0x04, 61};
    CHECK_OK(read(sparse, sizeof sparse));
    CHECK_OK(read(dense, sizeof dense));
}

static void test_survives_failed_allocations(void)
{
    static uint8_t bytes[ROOM];
    static const uint64_t COUNTS[] = {30, 200, 5000};
    for (size_t i = 0; i < COUNT_OF(COUNTS); i++) {
        obs_hll_t hll = hll_of(10, COUNTS[i]), into = hll_of(10, 7), same = hll_of(10, 7);
        size_t size = encode(&hll, bytes), live = obs_alloc_live();
        for (size_t n = 1;; n++) {
            obs_alloc_fail_at(n);
            int status = obs_hll_merge_encoded(&into, bytes, size);
            obs_alloc_fail_at(0);
            if (status == OBS_OK)
                break;
            CHECK_STATUS(status, OBS_ERR_NOMEM);
            CHECK_EQ(obs_alloc_live(), live);
            check_same(&into, &same);
        }
        check_same(&into, &hll);
        obs_hll_free(&hll);
        obs_hll_free(&into);
        obs_hll_free(&same);
    }
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(test_encoding_is_lossless);
    RUN(test_bytes_do_not_depend_on_the_memory);
    RUN(test_merging_bytes_is_merging_the_sketch);
    RUN(test_refuses_hostile_bytes);
    RUN(test_names_each_malformation);
    RUN(test_survives_failed_allocations);
    return 0;
}
