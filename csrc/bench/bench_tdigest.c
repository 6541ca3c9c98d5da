// kernels: tdigest obs
/* What the t-digest costs, beside a qsort of the same values and its own radix sort alone. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "radix_sort.h"
#include "tdigest.h"

enum {
    VALUE_COUNT = 1 << 18,
    REPEATS = 2000,
};

static double values[VALUE_COUNT];
static uint64_t random_state = 1;

static double uniform(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ((double)(random_state >> 11) + 0.5) * 0x1p-53;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform()));
    return radius * cos(6.283185307179586 * uniform());
}

static void must(int status)
{
    if (status == OBS_OK)
        return;
    fprintf(stderr, "%s\n", obs_strerror(status));
    exit(1);
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void sort_by_qsort(void *state)
{
    (void)state;
    static double block[OBS_TDIGEST_BUFFER_VALUES];
    for (size_t at = 0; at < VALUE_COUNT; at += OBS_TDIGEST_BUFFER_VALUES) {
        memcpy(block, values + at, sizeof block);
        qsort(block, OBS_TDIGEST_BUFFER_VALUES, sizeof *block, compare_doubles);
        BENCH_KEEP(block[0]);
    }
}

static void sort_by_radix(void *state)
{
    (void)state;
    static uint64_t keys[OBS_TDIGEST_BUFFER_VALUES], scratch[OBS_TDIGEST_BUFFER_VALUES];
    for (size_t at = 0; at < VALUE_COUNT; at += OBS_TDIGEST_BUFFER_VALUES) {
        for (size_t i = 0; i < OBS_TDIGEST_BUFFER_VALUES; i++)
            keys[i] = obs_key_from_f64(values[at + i]);
        BENCH_KEEP(obs_radix_sort(keys, scratch, OBS_TDIGEST_BUFFER_VALUES));
    }
}

static void add_many(void *state)
{
    must(obs_tdigest_add_many(state, values, VALUE_COUNT));
}

static void add(void *state)
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        must(obs_tdigest_add(state, values[i], 1));
}

static void add_weighted(void *state)
{
    for (size_t i = 0; i < REPEATS; i++)
        must(obs_tdigest_add(state, values[i], 3));
}

static void merge(void *state)
{
    obs_tdigest_t *digests = state;
    for (size_t i = 0; i < REPEATS; i++)
        must(obs_tdigest_merge(&digests[0], &digests[1]));
}

static void quantile(void *state)
{
    for (size_t i = 0; i < REPEATS; i++) {
        double value;
        must(obs_tdigest_quantile(state, i % 2 ? 0.5 : 0.99, &value));
        BENCH_KEEP(value);
    }
}

static void bench_distribution(const char *name)
{
    obs_tdigest_t digests[2];
    must(obs_tdigest_init(&digests[0], OBS_TDIGEST_DEFAULT_COMPRESSION));
    must(obs_tdigest_init(&digests[1], OBS_TDIGEST_DEFAULT_COMPRESSION));
    printf("%s\n", name);
    bench("qsort in blocks of the buffer's size", "value", VALUE_COUNT, sort_by_qsort, NULL);
    bench("radix sort of the same", "value", VALUE_COUNT, sort_by_radix, NULL);
    bench("add_many", "value", VALUE_COUNT, add_many, &digests[1]);
    bench("add", "value", VALUE_COUNT, add, &digests[0]);
    bench("add with a weight", "call", REPEATS, add_weighted, &digests[0]);
    bench("merge", "merge", REPEATS, merge, digests);
    bench("quantile", "query", REPEATS, quantile, &digests[0]);
    obs_tdigest_free(&digests[0]);
    obs_tdigest_free(&digests[1]);
}

int main(void)
{
    printf("t-digest, compression %d\n", OBS_TDIGEST_DEFAULT_COMPRESSION);
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = exp(normal() - 4);
    bench_distribution("lognormal");
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = normal();
    bench_distribution("normal, both signs");
    return 0;
}
