// kernels: tdigest obs
#include <string.h>

#include "tdigest_check.h"

static size_t encode(obs_tdigest_t *digest, uint8_t *out, size_t capacity)
{
    size_t size;
    CHECK(obs_tdigest_encoded_bound(digest) <= capacity);
    CHECK_OK(obs_tdigest_encode(digest, out, capacity, &size));
    CHECK(size <= obs_tdigest_encoded_bound(digest));
    return size;
}

static void test_encoding_is_lossless(void)
{
    static uint8_t bytes[65536];
    const size_t counts[] = {0, 1, 2, 150, 3000, MANY};
    fill_values(MANY, 23);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        obs_tdigest_t digest = digest_of(values, counts[i], 200), decoded;
        CHECK_OK(obs_tdigest_add(&digest, INFINITY, 5));
        size_t size = encode(&digest, bytes, sizeof bytes);
        uint64_t samples;
        CHECK_OK(obs_tdigest_check(bytes, size, &samples));
        CHECK_EQ(samples, counts[i] + 5);
        CHECK_OK(obs_tdigest_decode(bytes, size, &decoded));
        check_same(&digest, &decoded);
        size_t unused;
        CHECK_STATUS(obs_tdigest_encode(&digest, bytes, size - 1, &unused), OBS_ERR_FULL);
        obs_tdigest_free(&digest);
        obs_tdigest_free(&decoded);
    }
}

static void test_merging_bytes_is_merging_the_digest(void)
{
    static uint8_t bytes[65536];
    fill_values(5000, 37);
    obs_tdigest_t left = digest_of(values, 2000, 100), same = digest_of(values, 2000, 100);
    obs_tdigest_t right = digest_of(values + 2000, 3000, 200);
    size_t size = encode(&right, bytes, sizeof bytes);
    CHECK_OK(obs_tdigest_merge_encoded(&left, bytes, size));
    CHECK_OK(obs_tdigest_merge(&same, &right));
    check_same(&left, &same);
    CHECK_STATUS(obs_tdigest_merge_encoded(&left, bytes, size - 1), OBS_ERR_CORRUPT);
    check_same(&left, &same);
    obs_tdigest_free(&left);
    obs_tdigest_free(&same);
    obs_tdigest_free(&right);
}

/* Changed bytes are refused or are a digest that keeps every invariant: never anything in between. */
static void survives(const uint8_t *bytes, size_t size)
{
    obs_tdigest_t digest;
    int status = obs_tdigest_decode(bytes, size, &digest);
    CHECK_STATUS(obs_tdigest_check(bytes, size, NULL), status);
    if (status == OBS_OK) {
        check_invariants(&digest);
        CHECK(quantile(&digest, 0.9) <= digest.max || digest.count == 0);
        CHECK_OK(obs_tdigest_add(&digest, 1, 1));
        check_invariants(&digest);
        obs_tdigest_free(&digest);
    } else {
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
    }
}

static void test_refuses_hostile_bytes(void)
{
    static uint8_t bytes[65536];
    fill_values(300, 29);
    obs_tdigest_t digest = digest_of(values, 300, 20);
    size_t size = encode(&digest, bytes, sizeof bytes);
    for (size_t shorter = 0; shorter < size; shorter++)
        CHECK_STATUS(obs_tdigest_check(bytes, shorter, NULL), OBS_ERR_CORRUPT);
    bytes[size] = 0;
    CHECK_STATUS(obs_tdigest_check(bytes, size + 1, NULL), OBS_ERR_CORRUPT);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        survives(bytes, size);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    obs_tdigest_free(&digest);
}

/* Each breaks one rule of the grammar; the head is compression 20, no odd samples. */
static void test_names_each_malformation(void)
{
    const uint8_t keys[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0xbf, 0x01}; /* 1.0, as a varint key */
    const uint8_t negative_zero[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    uint8_t bytes[128] = {20, 0, 0, 0, 1};
    size_t sum_end = 5 + 8;
    memcpy(bytes + sum_end, keys, sizeof keys);
    bytes[sum_end + sizeof keys] = 1;
    size_t size = sum_end + sizeof keys + 1;
    CHECK_OK(obs_tdigest_check(bytes, size, NULL));
    bytes[0] = 19; /* compression */
    CHECK_STATUS(obs_tdigest_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    bytes[0] = 20;
    bytes[4] = 49; /* more centroids than that compression allows */
    CHECK_STATUS(obs_tdigest_check(bytes, sizeof bytes, NULL), OBS_ERR_CORRUPT);
    bytes[4] = 1;
    bytes[size - 1] = 0; /* weight 0 */
    CHECK_STATUS(obs_tdigest_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    bytes[size - 1] = 2; /* an end of weight 2 */
    CHECK_STATUS(obs_tdigest_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    bytes[size - 1] = 1;
    bytes[sum_end + 7] = 0xff; /* a mean that is infinite */
    bytes[sum_end + 8] = 0xff;
    CHECK_STATUS(obs_tdigest_check(bytes, size, NULL), OBS_ERR_CORRUPT);
    memcpy(bytes + sum_end, negative_zero, sizeof negative_zero);
    bytes[sum_end + sizeof negative_zero] = 1;
    CHECK_STATUS(obs_tdigest_check(bytes, sum_end + sizeof negative_zero + 1, NULL), OBS_ERR_CORRUPT);
}

int main(void)
{
    RUN(test_encoding_is_lossless);
    RUN(test_merging_bytes_is_merging_the_digest);
    RUN(test_refuses_hostile_bytes);
    RUN(test_names_each_malformation);
    return 0;
}
