// kernels: loghist obs
/* What the histogram costs, beside a loop that only adds the same values up. */
#include <math.h>
#include <stdint.h>

#include "bench.h"
#include "loghist.h"

enum {
    VALUE_COUNT = 1 << 19, /* 4 MiB: beyond the second-level cache, as fresh samples are */
    WINDOW_SAMPLES = 1000,
    REPEATS = 20000,
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

static void sum_values(void *state)
{
    (void)state;
    double sums[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < VALUE_COUNT; i++)
        sums[i % 4] += values[i];
    BENCH_KEEP(sums[0] + sums[1] + sums[2] + sums[3]);
}

static void add_reference(void *state)
{
    must(obs_loghist_add_many_reference(state, values, VALUE_COUNT));
}

static void add_many(void *state)
{
    must(obs_loghist_add_many(state, values, VALUE_COUNT));
}

static void add_in_batches(void *state, size_t batch)
{
    for (size_t at = 0; at + batch <= VALUE_COUNT; at += batch)
        must(obs_loghist_add_many(state, values + at, batch));
}

static void add_many_by_16(void *state)
{
    add_in_batches(state, 16);
}

static void add_many_by_1024(void *state)
{
    add_in_batches(state, 1024);
}

static void bench_adding(const char *name)
{
    obs_loghist_t hist;
    must(obs_loghist_init(&hist, OBS_LOGHIST_DEFAULT_SCALE));
    printf("%s\n", name);
    bench("sum of the values, four accumulators", "value", VALUE_COUNT, sum_values, NULL);
    bench("add_many_reference", "value", VALUE_COUNT, add_reference, &hist);
    bench("add_many", "value", VALUE_COUNT, add_many, &hist);
    bench("add_many, 1024 at a time", "value", VALUE_COUNT, add_many_by_1024, &hist);
    bench("add_many, 16 at a time", "value", VALUE_COUNT, add_many_by_16, &hist);
    obs_loghist_free(&hist);
}

typedef struct {
    obs_loghist_t window; /* 1,000 samples */
    obs_loghist_t sum;    /* what windows are merged into */
    obs_loghist_t coarse; /* the same, at a lower scale */
    uint8_t bytes[4096];
    size_t size;
} window_t;

static void encode(void *state)
{
    window_t *w = state;
    for (int i = 0; i < REPEATS; i++)
        must(obs_loghist_encode(&w->window, w->bytes, sizeof w->bytes, &w->size));
}

static void check(void *state)
{
    window_t *w = state;
    for (int i = 0; i < REPEATS; i++)
        must(obs_loghist_check(w->bytes, w->size, NULL));
}

static void merge_encoded(void *state)
{
    window_t *w = state;
    for (int i = 0; i < REPEATS; i++)
        must(obs_loghist_merge_encoded(&w->sum, w->bytes, w->size));
}

static void merge_encoded_coarser(void *state)
{
    window_t *w = state;
    for (int i = 0; i < REPEATS; i++)
        must(obs_loghist_merge_encoded(&w->coarse, w->bytes, w->size));
}

static void merge(void *state)
{
    window_t *w = state;
    for (int i = 0; i < REPEATS; i++)
        must(obs_loghist_merge(&w->sum, &w->window));
}

static void quantile(void *state)
{
    window_t *w = state;
    double value;
    for (int i = 0; i < REPEATS; i++) {
        must(obs_loghist_quantile(&w->sum, 0.99, 0, &value));
        BENCH_KEEP(value);
    }
}

static void bench_window(void)
{
    static window_t w;
    must(obs_loghist_init(&w.window, OBS_LOGHIST_DEFAULT_SCALE));
    must(obs_loghist_init(&w.sum, OBS_LOGHIST_DEFAULT_SCALE));
    must(obs_loghist_init(&w.coarse, OBS_LOGHIST_DEFAULT_SCALE - 1));
    for (int i = 0; i < WINDOW_SAMPLES; i++)
        must(obs_loghist_add(&w.window, exp(-4 + 0.7 * normal()), 1));
    must(obs_loghist_encode(&w.window, w.bytes, sizeof w.bytes, &w.size));
    size_t buckets = 0;
    uint64_t count;
    for (int32_t index = INT32_MIN; obs_loghist_next(&w.window.positive, &index, &count); index++)
        buckets++;
    printf("a window of %d lognormal(0.7) samples at scale 6: %zu buckets, %zu bytes encoded, %zu in memory\n",
           WINDOW_SAMPLES, buckets, w.size, obs_loghist_memory_bytes(&w.window));
    bench("encode", "window", REPEATS, encode, &w);
    bench("check", "window", REPEATS, check, &w);
    bench("merge_encoded (checks too)", "window", REPEATS, merge_encoded, &w);
    bench("merge_encoded, to a coarser scale", "window", REPEATS, merge_encoded_coarser, &w);
    bench("merge", "window", REPEATS, merge, &w);
    bench("quantile 0.99", "query", REPEATS, quantile, &w);
    obs_loghist_free(&w.window);
    obs_loghist_free(&w.sum);
    obs_loghist_free(&w.coarse);
}

int main(void)
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = exp(-4 + 0.7 * normal());
    bench_adding("lognormal(0.7)");
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = exp(-4 + 3 * normal());
    bench_adding("lognormal(3)");
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = 0.0123;
    bench_adding("one value");
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = i % 8 == 0 ? 0 : normal();
    bench_adding("normal, both signs, one in eight zero");
    bench_window();
    return 0;
}
