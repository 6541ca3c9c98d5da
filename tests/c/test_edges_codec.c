// kernels: edges obs
#include <math.h>
#include <string.h>

#include "alloc_seam.h"
#include "check.h"
#include "edges.h"
#include "hostile.h"
#include "obs_port.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define ROOM 8192

/* bin_count bins, each third one empty; with sums or without. */
static obs_edges_t edges_of(uint32_t bin_count, double step)
{
    obs_edges_t edges;
    CHECK_OK(obs_edges_init(&edges, bin_count));
    for (uint32_t bin = 0; bin < bin_count; bin++)
        if (bin % 3 != 2) {
            CHECK_OK(obs_edges_add_bin(&edges, bin, UINT64_C(1) << bin % 40));
            edges.sums[bin] = step * bin;
        }
    return edges;
}

static size_t encode(const obs_edges_t *edges, uint8_t *bytes)
{
    size_t size;
    CHECK_OK(obs_edges_encode(edges, bytes, ROOM, &size));
    CHECK(size <= obs_edges_encoded_bound(edges));
    return size;
}

static void check_same(const obs_edges_t *left, const obs_edges_t *right)
{
    CHECK_EQ(left->bin_count, right->bin_count);
    CHECK(left->total == right->total);
    for (uint32_t bin = 0; bin < left->bin_count; bin++) {
        CHECK(left->counts[bin] == right->counts[bin]);
        CHECK(left->sums[bin] == right->sums[bin] || (isnan(left->sums[bin]) && isnan(right->sums[bin])));
    }
}

static void test_encoding_is_lossless(void)
{
    static const uint32_t BINS[] = {1, 2, 3, 129, OBS_EDGES_MAX_BINS};
    uint8_t bytes[ROOM];
    for (size_t i = 0; i < COUNT_OF(BINS); i++)
        for (int with_sums = 0; with_sums < 2; with_sums++) {
            obs_edges_t edges = edges_of(BINS[i], with_sums ? 1.5 : 0), decoded;
            if (with_sums)
                edges.sums[0] = i % 2 ? (double)NAN : -INFINITY;
            size_t size = encode(&edges, bytes);
            uint64_t samples;
            CHECK_OK(obs_edges_check(bytes, size, &samples));
            CHECK(samples == edges.total);
            CHECK_OK(obs_edges_decode(bytes, size, &decoded));
            check_same(&edges, &decoded);
            size_t unused;
            CHECK_STATUS(obs_edges_encode(&edges, bytes, obs_edges_encoded_bound(&edges) - 1, &unused), OBS_ERR_FULL);
            obs_edges_free(&edges);
            obs_edges_free(&decoded);
        }
}

static void test_categories_cost_no_sums(void)
{
    uint8_t bytes[ROOM];
    obs_edges_t edges = edges_of(6, 0);
    CHECK_EQ(encode(&edges, bytes), 2 + 6);
    obs_edges_free(&edges);
}

static void test_merging_bytes_is_merging_the_edges(void)
{
    uint8_t bytes[ROOM];
    obs_edges_t left = edges_of(20, 2), same = edges_of(20, 2), right = edges_of(20, -0.25), other = edges_of(21, 1);
    size_t size = encode(&right, bytes);
    CHECK_OK(obs_edges_merge_encoded(&left, bytes, size));
    CHECK_OK(obs_edges_merge(&same, &right));
    check_same(&left, &same);
    CHECK_STATUS(obs_edges_merge_encoded(&left, bytes, size - 1), OBS_ERR_CORRUPT);
    CHECK_STATUS(obs_edges_merge_encoded(&other, bytes, size), OBS_ERR_STATE);
    CHECK_OK(obs_edges_add_bin(&left, 0, UINT64_MAX - left.total));
    CHECK_OK(obs_edges_add_bin(&same, 0, UINT64_MAX - same.total));
    CHECK_STATUS(obs_edges_merge_encoded(&left, bytes, size), OBS_ERR_RANGE);
    check_same(&left, &same);
    obs_edges_free(&left);
    obs_edges_free(&same);
    obs_edges_free(&right);
    obs_edges_free(&other);
}

static int read(const uint8_t *bytes, size_t size)
{
    obs_edges_t edges;
    int status = obs_edges_decode(bytes, size, &edges);
    CHECK_STATUS(obs_edges_check(bytes, size, NULL), status);
    if (status == OBS_OK) {
        uint8_t again[ROOM];
        CHECK_EQ(encode(&edges, again), size);
        CHECK(memcmp(bytes, again, size) == 0);
        obs_edges_free(&edges);
    } else {
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
    }
    return status;
}

static void test_refuses_hostile_bytes(void)
{
    uint8_t bytes[ROOM];
    obs_edges_t edges = edges_of(12, 3);
    size_t size = encode(&edges, bytes);
    CHECK_EQ(hostile_truncations(read, bytes, size), 0);
    hostile_flips(read, bytes, size, 3000, 7);
    bytes[size] = 0;
    CHECK_STATUS(read(bytes, size + 1), OBS_ERR_CORRUPT);
    obs_edges_free(&edges);
}

/* Each breaks one rule: three bins, 1 in the first, 2 in the last. */
static void test_names_each_malformation(void)
{
    uint8_t bytes[6 + 16] = {3, 1, 1, 0, 2};
    size_t sums = 5, size = sums + 16;
    obs_store_f64(bytes + sums, 0.5);
    obs_store_f64(bytes + sums + 8, 0);
    CHECK_OK(read(bytes, size));
    obs_store_f64(bytes + sums, 0); /* sums that are all 0 are not written */
    CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
    obs_store_f64(bytes + sums, 0.5);
    obs_store_f64(bytes + sums + 8, -0.0);
    CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
    obs_store_u64(bytes + sums + 8, UINT64_C(0xfff8000000000000)); /* another NaN */
    CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
    obs_store_f64(bytes + sums + 8, 1);
    bytes[1] = 2;
    CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
    bytes[1] = 0; /* sums where there are none */
    CHECK_STATUS(read(bytes, size), OBS_ERR_CORRUPT);
    CHECK_OK(read(bytes, sums));
    const uint8_t no_bins[] = {0, 0}, too_many[] = {0x82, 0x02, 0, 0};
    CHECK_STATUS(read(no_bins, sizeof no_bins), OBS_ERR_CORRUPT);
    CHECK_STATUS(read(too_many, sizeof too_many), OBS_ERR_CORRUPT);
    const uint8_t overflow[] = {2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1};
    CHECK_STATUS(read(overflow, sizeof overflow), OBS_ERR_CORRUPT);
}

static void test_survives_failed_allocations(void)
{
    uint8_t bytes[ROOM];
    obs_edges_t edges = edges_of(5, 1), decoded;
    size_t size = encode(&edges, bytes), live = obs_alloc_live();
    for (size_t n = 1;; n++) {
        obs_alloc_fail_at(n);
        int status = obs_edges_decode(bytes, size, &decoded);
        obs_alloc_fail_at(0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
        CHECK_EQ(obs_alloc_live(), live);
    }
    obs_edges_free(&decoded);
    obs_edges_free(&edges);
}

int main(void)
{
    RUN(test_encoding_is_lossless);
    RUN(test_categories_cost_no_sums);
    RUN(test_merging_bytes_is_merging_the_edges);
    RUN(test_refuses_hostile_bytes);
    RUN(test_names_each_malformation);
    RUN(test_survives_failed_allocations);
    return 0;
}
