// kernels: tdigest obs
/* Any bytes as a t-digest: there is one way to write a digest, so that what is accepted is written again byte for byte;
 * it keeps the invariants of tdigest.h, also merged into others, and answers between its min and max. */
#include "fuzz.h"
#include "tdigest_check.h"

static void check_answers(obs_tdigest_t *digest)
{
    static const double QS[] = {0, 1e-9, 0.01, 0.5, 0.99, 1};
    double before = -INFINITY, share;
    for (size_t i = 0; i < COUNT_OF(QS); i++) {
        double value = quantile(digest, QS[i]);
        if (digest->count == 0) {
            CHECK(isnan(value));
            continue;
        }
        CHECK(value >= digest->min && value <= digest->max && value >= before);
        before = value;
        CHECK_OK(obs_tdigest_cdf(digest, value, &share));
        CHECK(share >= 0 && share <= 1);
        CHECK(obs_tdigest_rank_error(digest, QS[i]) >= 0);
    }
}

static void check_encoding(obs_tdigest_t *digest, const uint8_t *data, size_t size)
{
    size_t bound = obs_tdigest_encoded_bound(digest), written = 0;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_tdigest_encode(digest, bytes, bound, &written));
    CHECK_EQ(written, size);
    CHECK(memcmp(bytes, data, size) == 0);
    free(bytes);
}

/* Merged into a digest of each compression that it may meet, twice: samples add up or nothing changes. */
static void check_merging(const uint8_t *data, size_t size, uint64_t samples)
{
    static const uint32_t COMPRESSIONS[] = {OBS_TDIGEST_MIN_COMPRESSION, OBS_TDIGEST_SERIES_COMPRESSION,
                                            OBS_TDIGEST_MAX_COMPRESSION};
    for (size_t i = 0; i < COUNT_OF(COMPRESSIONS); i++) {
        obs_tdigest_t into = digest_of((const double[]){-3, 0, 0, 1e300}, 4, COMPRESSIONS[i]);
        uint64_t expected = obs_tdigest_samples(&into);
        for (int time = 0; time < 2; time++) {
            int fits = samples <= UINT64_MAX - expected;
            CHECK_STATUS(obs_tdigest_merge_encoded(&into, data, size), fits ? OBS_OK : OBS_ERR_RANGE);
            expected += fits ? samples : 0;
            CHECK(obs_tdigest_samples(&into) == expected);
            check_invariants(&into);
            check_answers(&into);
        }
        obs_tdigest_free(&into);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 77;
    obs_tdigest_t digest;
    int status = obs_tdigest_check(data, size, &samples);
    CHECK_STATUS(obs_tdigest_decode(data, size, &digest), status);
    if (status != OBS_OK) {
        fuzz_check_status(status);
        CHECK(samples == 77);
        return 0;
    }
    CHECK(obs_tdigest_samples(&digest) == samples);
    CHECK(obs_tdigest_memory_bytes(&digest) <= sizeof digest + size / 2 * sizeof *digest.centroids);
    check_invariants(&digest);
    check_encoding(&digest, data, size);
    check_answers(&digest);
    check_merging(data, size, samples);
    CHECK_OK(obs_tdigest_trim(&digest));
    check_encoding(&digest, data, size);
    obs_tdigest_free(&digest);
    return 0;
}
