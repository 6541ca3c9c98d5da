// kernels: topk obs
#include <string.h>

#include "alloc_seam.h"
#include "check.h"
#include "hostile.h"
#include "topk.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ROOM (1 << 20)

static uint8_t bytes[ROOM];

/* Keys of 1 to 20 bytes. */
static obs_topk_t topk_of(uint32_t k, uint32_t distinct)
{
    obs_topk_t topk;
    CHECK_OK(obs_topk_init(&topk, k));
    for (uint32_t i = 0; i < distinct; i++) {
        char key[32];
        int size = snprintf(key, sizeof key, "%u%.*s", i * 7919 % 10007, (int)(i % 16), "................");
        CHECK_OK(obs_topk_add(&topk, key, (size_t)size, 1 + i % 5));
    }
    return topk;
}

static size_t encode(const obs_topk_t *topk, uint8_t *out)
{
    size_t size;
    CHECK_OK(obs_topk_encode(topk, out, ROOM, &size));
    CHECK(size <= obs_topk_encoded_bound(topk));
    return size;
}

static void check_same(const obs_topk_t *left, const obs_topk_t *right)
{
    static uint8_t one[ROOM], other[ROOM];
    size_t size = encode(left, one);
    CHECK_EQ(encode(right, other), size);
    CHECK(memcmp(one, other, size) == 0);
}

static void test_encoding_is_lossless(void)
{
    static const uint32_t KS[] = {1, 3, 128, OBS_TOPK_MAX_K}, DISTINCT[] = {0, 1, 2, 100, 256, 257, 3000};
    for (size_t i = 0; i < COUNT_OF(KS); i++)
        for (size_t j = 0; j < COUNT_OF(DISTINCT); j++) {
            obs_topk_t topk = topk_of(KS[i], DISTINCT[j]), decoded;
            CHECK_OK(obs_topk_add_other(&topk, j));
            size_t size = encode(&topk, bytes);
            uint64_t samples;
            CHECK_OK(obs_topk_check(bytes, size, &samples));
            CHECK(samples == topk.total);
            CHECK_OK(obs_topk_decode(bytes, size, &decoded));
            check_same(&topk, &decoded);
            CHECK(decoded.total == topk.total && obs_topk_error(&decoded) == obs_topk_error(&topk));
            size_t unused;
            CHECK_STATUS(obs_topk_encode(&topk, bytes, obs_topk_encoded_bound(&topk) - 1, &unused), OBS_ERR_FULL);
            obs_topk_free(&topk);
            obs_topk_free(&decoded);
        }
}

static void test_merging_bytes_is_merging_the_summary(void)
{
    obs_topk_t left = topk_of(20, 30), same = topk_of(20, 30), right = topk_of(10, 900);
    size_t size = encode(&right, bytes);
    CHECK_OK(obs_topk_merge_encoded(&left, bytes, size));
    CHECK_OK(obs_topk_merge(&same, &right));
    check_same(&left, &same);
    CHECK_EQ(left.k, 10);
    CHECK_STATUS(obs_topk_merge_encoded(&left, bytes, size - 1), OBS_ERR_CORRUPT);
    CHECK_OK(obs_topk_add_other(&left, UINT64_MAX - left.total));
    CHECK_OK(obs_topk_add_other(&same, UINT64_MAX - same.total));
    CHECK_STATUS(obs_topk_merge_encoded(&left, bytes, size), OBS_ERR_RANGE);
    check_same(&left, &same);
    obs_topk_free(&left);
    obs_topk_free(&same);
    obs_topk_free(&right);
}

static int read(const uint8_t *from, size_t size)
{
    static uint8_t again[ROOM];
    obs_topk_t topk;
    int status = obs_topk_decode(from, size, &topk);
    CHECK_STATUS(obs_topk_check(from, size, NULL), status);
    if (status == OBS_OK) {
        CHECK_EQ(encode(&topk, again), size);
        CHECK(memcmp(from, again, size) == 0);
        obs_topk_free(&topk);
    } else {
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
    }
    return status;
}

static void test_refuses_hostile_bytes(void)
{
    static const uint32_t DISTINCT[] = {0, 9, 200};
    for (size_t i = 0; i < COUNT_OF(DISTINCT); i++) {
        obs_topk_t topk = topk_of(8, DISTINCT[i]);
        size_t size = encode(&topk, bytes);
        CHECK_EQ(hostile_truncations(read, bytes, size), 0);
        hostile_flips(read, bytes, size, 3000, 7);
        bytes[size] = 0;
        CHECK_STATUS(read(bytes, size + 1), OBS_ERR_CORRUPT);
        obs_topk_free(&topk);
    }
}

/* Each breaks one rule; head: k, total, other, subtracted, entries. */
static void test_names_each_malformation(void)
{
    static const struct {
        size_t size;
        uint8_t bytes[24];
    } WRONG[] = {
        {5, {0, 0, 0, 0, 0}},                                   /* k */
        {6, {0x81, 0x08, 0, 0, 0, 0}},                          /* k = 1025 */
        {5, {2, 3, 4, 0, 0}},                                   /* more other than total */
        {14, {1, 9, 0, 0, 3, 1, 'a', 3, 1, 'b', 3, 1, 'c', 3}}, /* more than 2k entries */
        {11, {2, 9, 0, 0, 2, 1, 'b', 5, 1, 'a', 4}},            /* keys descend */
        {11, {2, 9, 0, 0, 2, 1, 'a', 5, 1, 'a', 4}},            /* a key twice */
        {12, {2, 9, 0, 0, 2, 2, 'a', 'b', 5, 1, 'a', 4}},       /* a prefix behind */
        {8, {2, 9, 0, 3, 1, 1, 'a', 0}},                        /* count 0 */
        {8, {2, 9, 1, 0, 1, 1, 'a', 9}},                        /* counts above the total */
        {8, {2, 9, 0, 0, 1, 1, 'a', 8}},                        /* something lost, nothing subtracted */
        {8, {2, 9, 0, 2, 1, 1, 'a', 4}},                        /* more subtracted than was lost / (k + 1) */
        {8, {2, 9, 0, 1, 1, 1, 'a', 9}},                        /* subtracted, nothing lost */
        {9, {2, 9, 0, 0, 1, 0x81, 0x02, 'a', 9}},               /* a key of 257 bytes */
        {8, {2, 9, 0, 0, 1, 2, 'a', 9}},                        /* no room for the count */
    };
    for (size_t i = 0; i < COUNT_OF(WRONG); i++)
        CHECK_STATUS(read(WRONG[i].bytes, WRONG[i].size), OBS_ERR_CORRUPT);
    const uint8_t sound[] = {2, 12, 1, 2, 2, 1, 'a', 4, 2, 'a', 'b', 1};
    CHECK_OK(read(sound, sizeof sound));
    const uint8_t nothing_kept[] = {2, 3, 0, 1, 0};
    CHECK_OK(read(nothing_kept, sizeof nothing_kept));
}

static void test_survives_failed_allocations(void)
{
    obs_topk_t topk = topk_of(30, 500), into = topk_of(30, 7), same = topk_of(30, 7);
    size_t size = encode(&topk, bytes), live = obs_alloc_live();
    for (size_t n = 1;; n++) {
        obs_alloc_fail_at(n);
        int status = obs_topk_merge_encoded(&into, bytes, size);
        obs_alloc_fail_at(0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
        CHECK_EQ(obs_alloc_live(), live);
        check_same(&into, &same);
    }
    obs_topk_free(&topk);
    obs_topk_free(&into);
    obs_topk_free(&same);
    CHECK_EQ(obs_alloc_live(), 0);
}

int main(void)
{
    RUN(test_encoding_is_lossless);
    RUN(test_merging_bytes_is_merging_the_summary);
    RUN(test_refuses_hostile_bytes);
    RUN(test_names_each_malformation);
    RUN(test_survives_failed_allocations);
    return 0;
}
