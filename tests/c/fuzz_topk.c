// kernels: topk obs
/* Any bytes as a summary of frequent keys: there is one way to write one, so that what is accepted is written again
 * byte for byte; merged into others its totals add up, and the bound on the error holds. */
#include "fuzz.h"
#include "topk.h"

/* What was lost is at least (k + 1) times what was subtracted. */
static void check_invariants(const obs_topk_t *topk)
{
    static obs_topk_item_t items[2 * OBS_TOPK_MAX_K];
    uint32_t listed = obs_topk_list(topk, items);
    uint64_t left = topk->total - topk->other;
    CHECK(topk->entry_count <= 2 * topk->k && listed <= topk->k && topk->other <= topk->total);
    for (uint32_t i = 0; i < topk->entry_count; i++) {
        CHECK(items[i].count > 0 && items[i].count <= left);
        CHECK(i == 0 || items[i].count <= items[i - 1].count);
        left -= items[i].count;
    }
    CHECK(topk->subtracted <= left / (topk->k + 1));
    CHECK(obs_topk_error(topk) <= topk->total);
}

static void check_encoding(const obs_topk_t *topk, const uint8_t *data, size_t size)
{
    size_t bound = obs_topk_encoded_bound(topk), written = 0;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_topk_encode(topk, bytes, bound, &written));
    CHECK_EQ(written, size);
    CHECK(memcmp(bytes, data, size) == 0);
    free(bytes);
}

static void check_merging(const uint8_t *data, size_t size, uint64_t samples)
{
    static const uint32_t KS[] = {1, 3, OBS_TOPK_DEFAULT_K};
    for (size_t i = 0; i < sizeof KS / sizeof *KS; i++) {
        obs_topk_t into;
        CHECK_OK(obs_topk_init(&into, KS[i]));
        CHECK_OK(obs_topk_add(&into, "ab", 2, 4));
        uint64_t expected = 4;
        for (int time = 0; time < 2; time++) {
            int fits = samples <= UINT64_MAX - expected;
            CHECK_STATUS(obs_topk_merge_encoded(&into, data, size), fits ? OBS_OK : OBS_ERR_RANGE);
            expected += fits ? samples : 0;
            CHECK(into.total == expected);
            check_invariants(&into);
        }
        obs_topk_free(&into);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 77;
    obs_topk_t topk;
    int status = obs_topk_check(data, size, &samples);
    CHECK_STATUS(obs_topk_decode(data, size, &topk), status);
    if (status != OBS_OK) {
        fuzz_check_status(status);
        CHECK(samples == 77);
        return 0;
    }
    CHECK(topk.total == samples);
    check_invariants(&topk);
    check_encoding(&topk, data, size);
    check_merging(data, size, samples);
    obs_topk_free(&topk);
    return 0;
}
