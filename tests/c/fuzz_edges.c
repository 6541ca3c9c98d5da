// kernels: edges obs
/* Any bytes as counts over edges: there is one way to write them, so that what is accepted is written again byte for
 * byte; merged into others of as many bins, totals add up and stay the sum of the counts. */
#include <math.h>

#include "edges.h"
#include "fuzz.h"

static void check_total(const obs_edges_t *edges)
{
    uint64_t total = 0;
    for (uint32_t bin = 0; bin < edges->bin_count; bin++) {
        CHECK(edges->counts[bin] > 0 || edges->sums[bin] == 0);
        total += edges->counts[bin];
    }
    CHECK(total == edges->total);
}

static void check_encoding(const obs_edges_t *edges, const uint8_t *data, size_t size)
{
    size_t bound = obs_edges_encoded_bound(edges), written = 0;
    uint8_t *bytes = malloc(bound);
    CHECK(bytes != NULL);
    CHECK_OK(obs_edges_encode(edges, bytes, bound, &written));
    CHECK_EQ(written, size);
    CHECK(memcmp(bytes, data, size) == 0);
    free(bytes);
}

/* Twice into edges of bin_count bins, which take it only if they have as many. */
static void check_merging(const uint8_t *data, size_t size, const obs_edges_t *edges, uint32_t bin_count)
{
    obs_edges_t into;
    CHECK_OK(obs_edges_init(&into, bin_count));
    CHECK_OK(obs_edges_add_bin(&into, 0, 3));
    for (int time = 0; time < 2; time++) {
        uint64_t before = into.total;
        int status = edges->total > UINT64_MAX - before ? OBS_ERR_RANGE : OBS_OK;
        status = bin_count == edges->bin_count ? status : OBS_ERR_STATE;
        CHECK_STATUS(obs_edges_merge_encoded(&into, data, size), status);
        CHECK(into.total == before + (status == OBS_OK ? edges->total : 0));
        check_total(&into);
    }
    obs_edges_free(&into);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t samples = 77;
    obs_edges_t edges;
    int status = obs_edges_check(data, size, &samples);
    CHECK_STATUS(obs_edges_decode(data, size, &edges), status);
    if (status != OBS_OK) {
        fuzz_check_status(status);
        CHECK(samples == 77);
        return 0;
    }
    CHECK(edges.total == samples);
    CHECK(edges.bin_count <= size);
    check_total(&edges);
    check_encoding(&edges, data, size);
    check_merging(data, size, &edges, edges.bin_count);
    check_merging(data, size, &edges, edges.bin_count == 1 ? 2 : edges.bin_count - 1);
    obs_edges_free(&edges);
    return 0;
}
