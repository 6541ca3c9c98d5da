// kernels: moments edges obs
/* What the sketches of features cost, each beside the plain loop that it must equal. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "edges.h"
#include "moments.h"

enum { VALUE_COUNT = 1 << 15, CUT_COUNT = 129, SORTED = 1 << 14 };

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

int main(void)
{
    bench_moments();
    bench_edges_of("uniform", uniform);
    bench_edges_of("normal", normal);
    bench_edges_of("lognormal", lognormal);
    bench_edges_of("both signs over many decades", exponential_of_both_signs);
    return 0;
}
