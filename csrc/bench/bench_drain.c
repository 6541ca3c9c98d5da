// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* The way of a sample through the ring and the drain, beside a copy of the same records. One processor: what two
 * cost each other is not in it. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "drain.h"

enum { RECORDS = 1 << 16, SERIES_MAX = 20000, DIGESTS_MAX = 1000, BULK = 1024 };

static obs_drain_t *drain;
static obs_producer_t *producer;
static uint64_t tags[RECORDS];
static double values[RECORDS];
static obs_ring_record_t copied[RECORDS];

static void must(int status)
{
    if (status == OBS_OK)
        return;
    fprintf(stderr, "%s\n", obs_strerror(status));
    exit(1);
}

static void push_all(void)
{
    for (size_t i = 0; i < RECORDS; i++)
        must(obs_ring_push(&producer->ring, tags[i], values[i]));
}

static void copy(void *state)
{
    (void)state;
    for (size_t i = 0; i < RECORDS; i++)
        copied[i] = (obs_ring_record_t){.tag = tags[i], .value = values[i]};
    BENCH_KEEP(copied);
}

static void push_and_forget(void *state)
{
    const obs_ring_record_t *records;
    size_t record_count;
    (void)state;
    push_all();
    while ((record_count = obs_ring_peek(&producer->ring, obs_ring_head(&producer->ring), &records)) > 0)
        obs_ring_release(&producer->ring, record_count);
}

static void push_and_collect(void *state)
{
    (void)state;
    push_all();
    must(obs_drain_seal(drain, 0));
    obs_batch_t *batch;
    while ((batch = obs_batch_queue_take(&drain->queue, 0)) != NULL)
        obs_batch_free(batch);
}

typedef struct {
    uint64_t series_count;
    uint32_t first_series;
    bool keeps_digest;
} load_t;

static void bulk_and_collect(void *state)
{
    const load_t *load = state;
    for (size_t at = 0; at < RECORDS; at += BULK)
        obs_producer_add_many(producer, load->first_series + (uint32_t)(at / BULK % load->series_count), 6,
                              load->keeps_digest, values + at, BULK);
    must(obs_drain_seal(drain, 0));
    obs_batch_t *batch;
    while ((batch = obs_batch_queue_take(&drain->queue, 0)) != NULL)
        obs_batch_free(batch);
}

static void spread_over(uint64_t series_count, uint32_t first_series)
{
    uint64_t state = 1;
    for (size_t i = 0; i < RECORDS; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        tags[i] =
            OBS_RECORD_TAG(OBS_RECORD_SAMPLE, first_series + (series_count == 1 ? 0 : (state >> 33) % series_count));
        values[i] = exp((double)(state >> 40) * 0x1p-24 * 4 - 8);
    }
}

/* Of one by one and of pieces of BULK, over that many series. */
static void bench_load(load_t load, const char *kind)
{
    char name[96];
    spread_over(load.series_count, load.first_series);
    snprintf(name, sizeof name, "push, collect, seal; %d series%s", (int)load.series_count, kind);
    bench(name, "record", RECORDS, push_and_collect, NULL);
    if (load.series_count > RECORDS / BULK)
        return;
    snprintf(name, sizeof name, "%d values at a time, collect, seal; %d series%s", BULK, (int)load.series_count, kind);
    bench(name, "value", RECORDS, bulk_and_collect, &load);
}

int main(void)
{
    obs_drain_options_t options = {.ring_bytes = 8 << 20,
                                   .window_ns = INT64_C(10000000000),
                                   .batch_interval_ns = 100000000,
                                   .frame_bytes = 256 << 10};
    uint32_t series;
    must(obs_drain_create(&options, &drain));
    must(obs_drain_attach(drain, &producer));
    for (int i = 0; i < SERIES_MAX; i++)
        must(obs_open_batch_define(&drain->open, OBS_KIND_HISTOGRAM, 6, false, &series));
    for (int i = 0; i < DIGESTS_MAX; i++)
        must(obs_open_batch_define(&drain->open, OBS_KIND_HISTOGRAM, 6, true, &series));
    spread_over(1, 0);
    double floor_ns = bench("copy of a record", "record", RECORDS, copy, NULL);
    double push_ns = bench("push and release", "record", RECORDS, push_and_forget, NULL);
    printf("  %58s %9.2f x\n", "", push_ns / floor_ns);
    const uint64_t counts[] = {1, 16, 1000, SERIES_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        bench_load((load_t){.series_count = counts[i]}, "");
    for (size_t i = 0; i < sizeof counts / sizeof *counts && counts[i] <= DIGESTS_MAX; i++)
        bench_load((load_t){counts[i], SERIES_MAX, true}, ", digests");
    printf("memory of the open batch's series: %zu bytes each\n", sizeof(obs_series_t));
    obs_drain_destroy(drain);
    obs_producer_leave_thread(producer);
    return 0;
}
