// kernels: hll obs
/* Any bytes as a HyperLogLog: there is one way to write its registers, so that what is accepted is written again byte
 * for byte; merging it twice is merging it once. */
#include "fuzz.h"
#include "hll.h"

static void check_encoding(const obs_hll_t *hll, const uint8_t *data, size_t size)
{
    size_t bound = obs_hll_encoded_bound(hll), written = 0;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_hll_encode(hll, bytes, bound, &written));
    CHECK_EQ(written, size);
    CHECK(memcmp(bytes, data, size) == 0);
    free(bytes);
}

static void check_merging(const uint8_t *data, size_t size, const obs_hll_t *hll)
{
    obs_hll_t into;
    CHECK_OK(obs_hll_init(&into, hll->p));
    for (int time = 0; time < 2; time++) {
        CHECK_OK(obs_hll_merge_encoded(&into, data, size));
        check_encoding(&into, data, size);
    }
    for (uint64_t number = 0; number < 100; number++)
        CHECK_OK(obs_hll_add_hash(&into, obs_hash_bytes(&number, sizeof number)));
    CHECK(into.used >= hll->used && into.used <= 1u << into.p);
    CHECK(obs_hll_count(&into) >= obs_hll_count(hll));
    obs_hll_free(&into);
    CHECK_OK(obs_hll_init(&into, hll->p == OBS_HLL_MIN_P ? OBS_HLL_MAX_P : hll->p - 1));
    CHECK_STATUS(obs_hll_merge_encoded(&into, data, size), OBS_ERR_STATE);
    CHECK(into.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t p = 77;
    obs_hll_t hll;
    int status = obs_hll_check(data, size, &p);
    CHECK_STATUS(obs_hll_decode(data, size, &hll), status);
    if (status != OBS_OK) {
        fuzz_check_status(status);
        CHECK(p == 77);
        return 0;
    }
    CHECK(hll.p == p);
    CHECK(obs_hll_memory_bytes(&hll) <= sizeof hll + (1u << p));
    check_encoding(&hll, data, size);
    check_merging(data, size, &hll);
    obs_hll_free(&hll);
    return 0;
}
