// kernels: topk obs
#include <string.h>

#include "alloc_seam.h"
#include "check.h"
#include "hash.h"
#include "topk.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define KEYS 50000 /* keys are the numbers below it, as four bytes */

static obs_topk_item_t items[2 * OBS_TOPK_MAX_K];
static uint64_t truth[KEYS];

static obs_topk_t topk_of(uint32_t k)
{
    obs_topk_t topk;
    CHECK_OK(obs_topk_init(&topk, k));
    return topk;
}

static void add(obs_topk_t *topk, uint32_t key, uint64_t weight)
{
    CHECK_OK(obs_topk_add(topk, &key, sizeof key, weight));
    truth[key] += weight;
}

/* The bound of topk.h against the true counts, for listed keys and for those that are not. */
static void check_bound(const char *what, const obs_topk_t *topk)
{
    static uint64_t counted[KEYS];
    memset(counted, 0, sizeof counted);
    uint32_t listed = obs_topk_list(topk, items);
    uint64_t error = obs_topk_error(topk), total = 0, distinct = 0, sum = topk->other;
    CHECK(topk->entry_count <= 2 * topk->k && listed <= topk->k);
    for (uint32_t i = 0; i < topk->entry_count; i++) { /* listed ones, then the others */
        uint32_t key;
        CHECK_EQ(items[i].key_size, sizeof key);
        memcpy(&key, items[i].key, sizeof key);
        CHECK(counted[key] == 0);
        counted[key] = items[i].count;
        sum += items[i].count;
        CHECK(items[i].count > 0);
        CHECK(i == 0 || items[i - 1].count > items[i].count ||
              (items[i - 1].count == items[i].count && obs_topk_compare_keys(&items[i - 1], &items[i]) < 0));
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        total += truth[key];
        distinct += truth[key] > 0;
        if (counted[key] > truth[key] || truth[key] - counted[key] > error)
            CHECK_FAILED("%s: key %u was seen %" PRIu64 " times, counted %" PRIu64 ", error %" PRIu64, what, key,
                         truth[key], counted[key], error);
    }
    CHECK(topk->total == total + topk->other);
    CHECK(sum <= topk->total);
    CHECK(topk->subtracted <= (topk->total - sum) / (topk->k + 1));
    if (distinct <= topk->k)
        CHECK(topk->subtracted == 0);
}

/* Streams that a summary of k counters finds hard, and some that it does not. */
static uint32_t all_differ(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)k, (void)seed;
    return (uint32_t)(i % KEYS);
}

static uint32_t one_too_many_in_turn(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)seed;
    return (uint32_t)(i % (k + 1));
}

static uint32_t twice_and_one_in_turn(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)seed;
    return (uint32_t)(i % (2 * k + 1));
}

static uint32_t in_runs(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)k, (void)seed;
    return (uint32_t)(i / 100 % KEYS);
}

static uint32_t half_is_one_key(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)k, (void)seed;
    return i % 2 == 0 ? 7 : (uint32_t)(i % KEYS);
}

static uint32_t skewed(uint64_t i, uint32_t k, uint64_t *seed)
{
    (void)i, (void)k;
    double u = check_random_unit(seed);
    return (uint32_t)(KEYS * u * u * u * u);
}

/* What was frequent dies out, and others take its place: old counts must make room. */
static uint32_t in_generations(uint64_t i, uint32_t k, uint64_t *seed)
{
    return (uint32_t)((i / 5000 * 1000 + check_random(seed) % (k + k / 2 + 1)) % KEYS);
}

static const struct {
    const char *name;
    uint32_t (*key)(uint64_t i, uint32_t k, uint64_t *seed);
} STREAMS[] = {
    {"all differ", all_differ},
    {"k + 1 in turn", one_too_many_in_turn},
    {"2k + 1 in turn", twice_and_one_in_turn},
    {"in runs", in_runs},
    {"half is one key", half_is_one_key},
    {"skewed", skewed},
    {"in generations", in_generations},
};

static const uint32_t KS[] = {1, 2, 7, 128, OBS_TOPK_MAX_K};

static void test_the_bound_on_hard_streams(void)
{
    for (size_t s = 0; s < COUNT_OF(STREAMS); s++)
        for (size_t j = 0; j < COUNT_OF(KS); j++)
            for (uint64_t most = 1; most <= 1000; most *= 1000) {
                uint64_t seed = s + most;
                obs_topk_t topk = topk_of(KS[j]);
                memset(truth, 0, sizeof truth);
                for (uint64_t i = 0; i < 30000; i++)
                    add(&topk, STREAMS[s].key(i, KS[j], &seed), 1 + check_random(&seed) % most);
                check_bound(STREAMS[s].name, &topk);
                obs_topk_free(&topk);
            }
}

/* Summaries of parts, merged in a chain, backwards and as a tree; parts of different k too. */
static void test_the_bound_over_merges(void)
{
    enum { PARTS = 16, PART = 2000 };
    for (size_t s = 0; s < COUNT_OF(STREAMS); s++)
        for (size_t j = 0; j < COUNT_OF(KS); j++) {
            uint64_t seed = s;
            obs_topk_t parts[PARTS], chain = topk_of(KS[j]), backwards = topk_of(OBS_TOPK_MAX_K);
            memset(truth, 0, sizeof truth);
            for (uint64_t i = 0; i < PARTS * PART; i++) {
                if (i % PART == 0)
                    parts[i / PART] = topk_of(i % 3 == 0 || KS[j] == 1 ? KS[j] : KS[j] + 1 - (KS[j] == OBS_TOPK_MAX_K));
                add(&parts[i / PART], STREAMS[s].key(i, KS[j], &seed), 1);
            }
            for (size_t i = 0; i < PARTS; i++) {
                CHECK_OK(obs_topk_merge(&chain, &parts[i]));
                CHECK_OK(obs_topk_merge(&backwards, &parts[PARTS - 1 - i]));
            }
            for (size_t width = 1; width < PARTS; width *= 2)
                for (size_t i = 0; i < PARTS; i += 2 * width)
                    CHECK_OK(obs_topk_merge(&parts[i], &parts[i + width]));
            check_bound(STREAMS[s].name, &chain);
            check_bound(STREAMS[s].name, &backwards);
            check_bound(STREAMS[s].name, &parts[0]);
            CHECK_EQ(chain.k, KS[j]);
            for (size_t i = 0; i < PARTS; i++)
                obs_topk_free(&parts[i]);
            obs_topk_free(&chain);
            obs_topk_free(&backwards);
        }
}

/* Up to k keys: equal to the last byte, in whatever order. */
static void test_exact_and_order_free_up_to_k_keys(void)
{
    static uint8_t bytes[2][65536];
    for (size_t j = 1; j < COUNT_OF(KS); j++) {
        uint32_t k = KS[j];
        uint64_t seed = k;
        obs_topk_t parts[5], forwards = topk_of(k), backwards = topk_of(k);
        memset(truth, 0, sizeof truth);
        for (size_t i = 0; i < 5; i++) {
            parts[i] = topk_of(k);
            for (size_t draw = 0; draw < 3000; draw++)
                add(&parts[i], (uint32_t)(check_random(&seed) % k), 1);
        }
        for (size_t i = 0; i < 5; i++) {
            CHECK_OK(obs_topk_merge(&forwards, &parts[i]));
            CHECK_OK(obs_topk_merge(&backwards, &parts[4 - i]));
        }
        check_bound("few keys", &forwards);
        CHECK_EQ(obs_topk_error(&forwards), 0);
        size_t sizes[2];
        CHECK_OK(obs_topk_encode(&forwards, bytes[0], sizeof bytes[0], &sizes[0]));
        CHECK_OK(obs_topk_encode(&backwards, bytes[1], sizeof bytes[1], &sizes[1]));
        CHECK_EQ(sizes[0], sizes[1]);
        CHECK(memcmp(bytes[0], bytes[1], sizes[0]) == 0);
        for (size_t i = 0; i < 5; i++)
            obs_topk_free(&parts[i]);
        obs_topk_free(&forwards);
        obs_topk_free(&backwards);
    }
}

static void test_keys_of_any_bytes(void)
{
    uint8_t longest[OBS_TOPK_KEY_MAX + 1] = {0};
    obs_topk_t topk = topk_of(10);
    CHECK_OK(obs_topk_add(&topk, NULL, 0, 1));
    CHECK_OK(obs_topk_add(&topk, "", 0, 1));
    CHECK_OK(obs_topk_add(&topk, "\0", 1, 3));
    CHECK_OK(obs_topk_add(&topk, "\0a", 2, 4));
    CHECK_OK(obs_topk_add(&topk, longest, OBS_TOPK_KEY_MAX, 5));
    CHECK_OK(obs_topk_add(&topk, longest, OBS_TOPK_KEY_MAX - 1, 6));
    CHECK_STATUS(obs_topk_add(&topk, longest, sizeof longest, 1), OBS_ERR_RANGE);
    CHECK_OK(obs_topk_add(&topk, "new", 3, 0));
    CHECK_EQ(topk.total, 20);
    CHECK_EQ(obs_topk_list(&topk, items), 5);
    static const uint64_t COUNTS[] = {6, 5, 4, 3, 2};
    for (size_t i = 0; i < COUNT_OF(COUNTS); i++)
        CHECK_EQ(items[i].count, COUNTS[i]);
    obs_topk_free(&topk);
}

/* Two keys that share a hash are still two. */
static void test_hashes_may_collide(void)
{
    obs_topk_t topk = topk_of(4);
    for (uint32_t key = 0; key < 8; key++)
        CHECK_OK(obs_topk_add_hashed(&topk, 12345, &key, sizeof key, key + 1));
    CHECK_EQ(obs_topk_list(&topk, items), 4);
    CHECK_EQ(topk.entry_count, 8);
    CHECK_EQ(items[0].count, 8);
    obs_topk_free(&topk);
}

static void test_other_is_in_the_total_and_the_error(void)
{
    obs_topk_t topk = topk_of(3), more = topk_of(3);
    CHECK_OK(obs_topk_add(&topk, "a", 1, 10));
    CHECK_OK(obs_topk_add_other(&topk, 4));
    CHECK_OK(obs_topk_add_other(&more, 1));
    CHECK_OK(obs_topk_merge(&topk, &more));
    CHECK_EQ(topk.total, 15);
    CHECK_EQ(obs_topk_error(&topk), 5);
    CHECK_EQ(obs_topk_list(&topk, items), 1);
    obs_topk_reset(&topk);
    CHECK(topk.total == 0 && obs_topk_error(&topk) == 0 && obs_topk_list(&topk, items) == 0);
    CHECK_OK(obs_topk_add(&topk, "b", 1, 2));
    CHECK_EQ(obs_topk_list(&topk, items), 1);
    obs_topk_free(&topk);
    obs_topk_free(&more);
}

static void test_merging_with_itself_doubles(void)
{
    obs_topk_t topk = topk_of(16);
    memset(truth, 0, sizeof truth);
    for (uint32_t key = 0; key < 100; key++)
        add(&topk, key, key + 1);
    CHECK_OK(obs_topk_merge(&topk, &topk));
    for (uint32_t key = 0; key < 100; key++)
        truth[key] *= 2;
    check_bound("doubled", &topk);
    obs_topk_free(&topk);
}

static void test_refuses_what_is_out_of_range(void)
{
    obs_topk_t topk, one = topk_of(2);
    CHECK_STATUS(obs_topk_init(&topk, 0), OBS_ERR_RANGE);
    CHECK_STATUS(obs_topk_init(&topk, OBS_TOPK_MAX_K + 1), OBS_ERR_RANGE);
    topk = topk_of(2);
    CHECK_OK(obs_topk_add(&one, "a", 1, 1));
    CHECK_OK(obs_topk_add(&topk, "a", 1, UINT64_MAX));
    CHECK_STATUS(obs_topk_add(&topk, "b", 1, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_topk_add_other(&topk, 1), OBS_ERR_RANGE);
    CHECK_STATUS(obs_topk_merge(&topk, &one), OBS_ERR_RANGE);
    CHECK(topk.total == UINT64_MAX && topk.entry_count == 1);
    obs_topk_free(&topk);
    obs_topk_free(&one);
}

/* Two hundred thousand different keys leave it as large as the first thousand did. */
static void test_memory_is_constant(void)
{
    obs_topk_t topk = topk_of(128);
    char key[24];
    size_t after_some = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        int size = snprintf(key, sizeof key, "user-%" PRIu64, 1000000 + i);
        CHECK_OK(obs_topk_add(&topk, key, (size_t)size, 1));
        if (i == 1000)
            after_some = obs_topk_memory_bytes(&topk);
    }
    CHECK_EQ(obs_topk_memory_bytes(&topk), after_some);
    CHECK(after_some < 16384);
    obs_topk_free(&topk);
}

/* Fills one, copies it and merges two; on failure what failed is unchanged. */
static int fill_copy_and_merge(uint32_t k)
{
    obs_topk_t left = topk_of(k), right = topk_of(k), copy = topk_of(k);
    int status = OBS_OK;
    uint64_t total = 0;
    for (uint32_t key = 0; key < 90 && status == OBS_OK; key++) {
        status = obs_topk_add(&left, &key, sizeof key, key + 1);
        total += status == OBS_OK ? key + 1 : 0;
        CHECK(left.total == total);
    }
    for (uint32_t key = 60; key < 150 && status == OBS_OK; key++)
        status = obs_topk_add(&right, &key, sizeof key, key + 1);
    if (status == OBS_OK)
        status = obs_topk_copy(&left, &copy);
    if (status == OBS_OK) {
        status = obs_topk_merge(&left, &right);
        if (status != OBS_OK) {
            CHECK(left.total == copy.total && left.entry_count == copy.entry_count);
            CHECK_EQ(obs_topk_list(&left, items), obs_topk_list(&copy, items));
        }
    }
    obs_topk_free(&left);
    obs_topk_free(&right);
    obs_topk_free(&copy);
    return status;
}

static void test_survives_failed_allocations(void)
{
    for (uint32_t k = 20; k <= 200; k += 60)
        for (size_t n = 1;; n++) {
            obs_alloc_fail_at(n);
            int status = fill_copy_and_merge(k);
            obs_alloc_fail_at(0);
            CHECK_EQ(obs_alloc_live(), 0);
            if (status == OBS_OK)
                break;
            CHECK_STATUS(status, OBS_ERR_NOMEM);
        }
}

int main(void)
{
    RUN(test_the_bound_on_hard_streams);
    RUN(test_the_bound_over_merges);
    RUN(test_exact_and_order_free_up_to_k_keys);
    RUN(test_keys_of_any_bytes);
    RUN(test_hashes_may_collide);
    RUN(test_other_is_in_the_total_and_the_error);
    RUN(test_merging_with_itself_doubles);
    RUN(test_refuses_what_is_out_of_range);
    RUN(test_memory_is_constant);
    RUN(test_survives_failed_allocations);
    return 0;
}
