// kernels: moments edges hll topk obs
/* What the sketches of features cost, beside the plain loops that they must equal and beside reading the values. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "edges.h"
#include "hll.h"
#include "moments.h"
#include "topk.h"

enum { VALUE_COUNT = 1 << 15, CUT_COUNT = 129, SORTED = 1 << 14, KEY_ROOM = 24, MERGES = 1000 };

static double values[VALUE_COUNT];
static uint64_t random_state = 1;

static uint64_t chance(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return random_state ^ random_state >> 29;
}

static double uniform(void)
{
    return ((double)(chance() >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform()));
    return radius * cos(6.283185307179586 * uniform());
}

static double lognormal(void)
{
    return exp(normal());
}

static double exponential_of_both_signs(void)
{
    return exp(6 * normal()) * (uniform() < 0.5 ? -1 : 1);
}

static void must(int status)
{
    if (status == OBS_OK)
        return;
    fprintf(stderr, "%s\n", obs_strerror(status));
    exit(1);
}

static void fill(double (*draw)(void))
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = draw();
}

static void add_up(void *state)
{
    (void)state;
    double sums[4] = {0};
    for (size_t i = 0; i < VALUE_COUNT; i += 4)
        for (size_t lane = 0; lane < 4; lane++)
            sums[lane] += values[i + lane];
    BENCH_KEEP(sums[0] + sums[1] + sums[2] + sums[3]);
}

static void add_moments(void *state)
{
    must(obs_moments_add_many(state, values, VALUE_COUNT));
}

static void add_moments_plainly(void *state)
{
    must(obs_moments_add_many_reference(state, values, VALUE_COUNT));
}

static void add_moments_of_rows(void *state)
{
    for (size_t i = 0; i < VALUE_COUNT; i += 16)
        must(obs_moments_add_many(state, values + i, 16));
}

static void bench_moments(void)
{
    obs_moments_t moments;
    obs_moments_init(&moments);
    printf("moments\n");
    fill(lognormal);
    bench("sum of the values, four accumulators", "value", VALUE_COUNT, add_up, NULL);
    bench("add_many", "value", VALUE_COUNT, add_moments, &moments);
    bench("add_many of 16 values at a time", "value", VALUE_COUNT, add_moments_of_rows, &moments);
    bench("the plain loop", "value", VALUE_COUNT, add_moments_plainly, &moments);
    for (size_t i = 0; i < VALUE_COUNT; i += 20)
        values[i] = NAN;
    bench("add_many, 5 % of the values NaN", "value", VALUE_COUNT, add_moments, &moments);
}

typedef struct {
    obs_cuts_t cuts;
    obs_edges_t edges;
} binned_t;

static void add_edges(void *state)
{
    binned_t *binned = state;
    must(obs_edges_add_many(&binned->edges, &binned->cuts, values, VALUE_COUNT));
}

static void add_edges_plainly(void *state)
{
    binned_t *binned = state;
    must(obs_edges_add_many_reference(&binned->edges, &binned->cuts, values, VALUE_COUNT));
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Cuts at the quantiles of other values of the same distribution, as a reference has them. */
static void bench_edges_of(const char *name, double (*draw)(void))
{
    static double sorted[SORTED];
    double cuts[CUT_COUNT];
    for (size_t i = 0; i < SORTED; i++)
        sorted[i] = draw();
    qsort(sorted, SORTED, sizeof *sorted, compare_doubles);
    for (size_t i = 0; i < CUT_COUNT; i++)
        cuts[i] = sorted[i * (SORTED - 1) / (CUT_COUNT - 1)];
    binned_t binned;
    must(obs_cuts_init(&binned.cuts, cuts, CUT_COUNT));
    must(obs_edges_init(&binned.edges, CUT_COUNT + 1));
    fill(draw);
    printf("edges, 128 quantile bins, %s (cells of %s, %u comparisons)\n", name,
           binned.cuts.key_shift == 0 ? "values" : "keys", binned.cuts.steps);
    bench("add_many", "value", VALUE_COUNT, add_edges, &binned);
    bench("the plain loop", "value", VALUE_COUNT, add_edges_plainly, &binned);
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = values[0];
    bench("add_many of a constant", "value", VALUE_COUNT, add_edges, &binned);
    obs_edges_free(&binned.edges);
    obs_cuts_free(&binned.cuts);
}

static void add_hll(void *state)
{
    must(obs_hll_add_many(state, values, VALUE_COUNT));
}

static void add_hll_plainly(void *state)
{
    must(obs_hll_add_many_reference(state, values, VALUE_COUNT));
}

static void merge_hlls(void *state)
{
    obs_hll_t *both = state;
    for (size_t i = 0; i < MERGES; i++)
        must(obs_hll_merge(&both[0], &both[1]));
}

typedef struct {
    obs_hll_t into;
    uint8_t bytes[1 << OBS_HLL_DEFAULT_P];
    size_t size;
} encoded_t;

static void merge_encoded_hlls(void *state)
{
    encoded_t *encoded = state;
    for (size_t i = 0; i < MERGES; i++)
        must(obs_hll_merge_encoded(&encoded->into, encoded->bytes, encoded->size));
}

static void bench_encoded_hll(const obs_hll_t *hll)
{
    encoded_t encoded;
    must(obs_hll_init(&encoded.into, OBS_HLL_DEFAULT_P));
    must(obs_hll_encode(hll, encoded.bytes, sizeof encoded.bytes, &encoded.size));
    bench("merge of bytes", "merge", MERGES, merge_encoded_hlls, &encoded);
    obs_hll_free(&encoded.into);
}

static void bench_hll(void)
{
    obs_hll_t both[2];
    must(obs_hll_init(&both[0], OBS_HLL_DEFAULT_P));
    must(obs_hll_init(&both[1], OBS_HLL_DEFAULT_P));
    fill(normal);
    printf("hyperloglog, p %d\n", OBS_HLL_DEFAULT_P);
    bench("add_many", "value", VALUE_COUNT, add_hll, &both[0]);
    bench("the plain loop", "value", VALUE_COUNT, add_hll_plainly, &both[1]);
    bench("merge", "merge", MERGES, merge_hlls, both);
    bench_encoded_hll(&both[0]);
    obs_hll_free(&both[0]);
    obs_hll_free(&both[1]);
}

static char keys[VALUE_COUNT][KEY_ROOM];
static size_t key_sizes[VALUE_COUNT];

static void hash_keys(void *state)
{
    (void)state;
    for (size_t i = 0; i < VALUE_COUNT; i++)
        BENCH_KEEP(obs_hash_bytes(keys[i], key_sizes[i]));
}

static void add_topk(void *state)
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        must(obs_topk_add(state, keys[i], key_sizes[i], 1));
}

static void merge_topks(void *state)
{
    obs_topk_t *both = state;
    for (size_t i = 0; i < MERGES; i++)
        must(obs_topk_merge(&both[0], &both[1]));
}

/* Of so many distinct keys, the first far more often than the last where they are skewed. */
static void bench_topk_of(const char *name, size_t distinct, double skew)
{
    obs_topk_t both[2];
    must(obs_topk_init(&both[0], OBS_TOPK_DEFAULT_K));
    must(obs_topk_init(&both[1], OBS_TOPK_DEFAULT_K));
    for (size_t i = 0; i < VALUE_COUNT; i++) {
        size_t key = skew == 0 ? i % distinct : (size_t)((double)distinct * pow(uniform(), skew));
        key_sizes[i] = (size_t)snprintf(keys[i], KEY_ROOM, "category-%zu", key);
    }
    printf("topk, k %d, %s\n", OBS_TOPK_DEFAULT_K, name);
    bench("hashing the keys alone", "key", VALUE_COUNT, hash_keys, NULL);
    bench("add", "key", VALUE_COUNT, add_topk, &both[0]);
    add_topk(&both[1]);
    bench("merge", "merge", MERGES, merge_topks, both);
    obs_topk_free(&both[0]);
    obs_topk_free(&both[1]);
}

int main(void)
{
    bench_moments();
    bench_edges_of("uniform", uniform);
    bench_edges_of("normal", normal);
    bench_edges_of("lognormal", lognormal);
    bench_edges_of("both signs over many decades", exponential_of_both_signs);
    bench_hll();
    bench_topk_of("100 categories", 100, 2);
    bench_topk_of("10,000 categories, skewed", 10000, 6);
    bench_topk_of("no key twice", VALUE_COUNT, 0);
    return 0;
}
