// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* Threads that record one by one and in bulk, define series and end, beside the drain's thread, a taker and
 * callers of seal and set_clock, on a pool that is too small: every batch balances, and so does the end. Run
 * under ThreadSanitizer. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "drain.h"

#define MS INT64_C(1000000)

enum { PRODUCERS = 3, LIVES = 4, ROUNDS = 300, OTHER_SERIES = 40 };

static obs_drain_t *drain;
static _Atomic uint64_t recorded;
static _Atomic bool has_ended;

static void record_round(obs_producer_t *producer, uint32_t series, uint64_t *state)
{
    static const double values[3000] = {1, 2, 3};
    size_t count = check_random(state) % 64;
    for (size_t i = 0; i < count; i++) {
        int status =
            obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, (series + i) % OTHER_SERIES), (double)i);
        CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    }
    size_t bulk_count = check_random(state) % (check_random(state) % 4 == 0 ? 3000 : 400);
    const obs_series_t *defined = obs_open_batch_series(&drain->open, series);
    obs_producer_add_many(producer, series, defined->scale, defined->keeps_digest, values, bulk_count);
    atomic_fetch_add(&recorded, count + bulk_count);
}

/* Rows of the column and another one, as many as there is room for. */
static void record_table(obs_producer_t *producer, uint32_t series, uint64_t *state)
{
    static const double rows[60][2] = {{1, 2}, {3, 4}};
    const uint32_t columns[] = {series, OTHER_SERIES + 1};
    const obs_table_t table = {columns, 2, false, rows, sizeof rows[0], check_random(state) % 60};
    atomic_fetch_add(&recorded, 2 * obs_producer_push_table(producer, &table));
}

/* The same for a column: numbers one by one and in bulk, categories, nulls. */
static void record_column(obs_producer_t *producer, uint32_t series, uint64_t *state)
{
    static const double values[3000] = {1, 2, 3};
    const obs_shape_t shape = obs_series_shape(obs_open_batch_series(&drain->open, series));
    size_t bulk_count = check_random(state) % 3000;
    obs_producer_add_column(producer, &shape, values, sizeof *values, bulk_count);
    int status = obs_ring_push(&producer->ring, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, series), 1);
    CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    status = obs_producer_push_weighted(producer, OBS_RECORD_TAG(OBS_RECORD_NULLS, series), 5, 5);
    CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    status = obs_producer_push_weighted(producer, OBS_RECORD_TAG(OBS_RECORD_HASH, series), *state, 1);
    CHECK(status == OBS_OK || status == OBS_ERR_FULL);
    atomic_fetch_add(&recorded, bulk_count + 7);
}

/* One thread's life: it ends in the middle of everything, and another begins. */
static void *live(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument;
    obs_producer_t *producer = NULL;
    uint32_t series, column;
    CHECK_OK(obs_drain_attach(drain, &producer));
    CHECK_OK(obs_open_batch_define(&drain->open, OBS_KIND_HISTOGRAM, 6, true, &series));
    CHECK_OK(obs_open_batch_define(&drain->open, OBS_KIND_COLUMN, 6, false, &column));
    for (int round = 0; round < ROUNDS; round++) {
        record_round(producer, round % 2 ? series : (uint32_t)(state % OTHER_SERIES), &state);
        record_column(producer, round % 3 ? column : OTHER_SERIES + 1, &state);
        record_table(producer, column, &state);
        obs_drain_reject(drain, 1);
        atomic_fetch_add(&recorded, 1);
    }
    obs_producer_leave_thread(producer);
    return NULL;
}

static void *live_again_and_again(void *argument)
{
    for (uintptr_t life = 0; life < LIVES; life++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, live, (void *)((uintptr_t)argument * LIVES + life)), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    return NULL;
}

static void *interfere(void *argument)
{
    obs_series_t *gauge = argument;
    for (int i = 0; !atomic_load(&has_ended); i++) {
        obs_accounts_t accounts;
        obs_gauge_add(gauge, 1);
        CHECK_OK(obs_drain_seal(drain, 10000 * MS));
        obs_drain_accounts(drain, &accounts);
        if (i % 8 == 0)
            obs_drain_set_clock(drain, i * 1234567);
        nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
    }
    return NULL;
}

static uint64_t take_all(uint64_t samples, int64_t timeout_ns)
{
    obs_batch_t *batch;
    while ((batch = obs_batch_queue_take(&drain->queue, timeout_ns)) != NULL) {
        uint64_t in_body;
        CHECK_OK(obs_body_check(batch->bytes, batch->size, &in_body));
        CHECK_EQ(batch->samples, in_body);
        samples += in_body;
        CHECK_EQ(batch->accounts.observed, samples + batch->accounts.dropped + batch->accounts.rejected);
        CHECK(batch->start_ns <= batch->end_ns);
        obs_batch_free(batch);
    }
    return samples;
}

static void *taken_samples(void *argument)
{
    uint64_t *samples = argument;
    while (!atomic_load(&has_ended))
        *samples = take_all(*samples, 5 * MS);
    return NULL;
}

int main(void)
{
    obs_drain_options_t options = {
        .ring_bytes = 2 * OBS_RING_CHUNK_BYTES, .window_ns = 20 * MS, .batch_interval_ns = 5 * MS, .frame_bytes = 1000};
    uint32_t series;
    CHECK_OK(obs_drain_create(&options, &drain));
    for (int i = 0; i < OTHER_SERIES; i++)
        CHECK_OK(obs_open_batch_define(&drain->open, OBS_KIND_HISTOGRAM, i % 9, i % 2 == 0, &series));
    CHECK_OK(obs_open_batch_define(&drain->open, OBS_KIND_GAUGE, 6, false, &series));
    CHECK_OK(obs_open_batch_define(&drain->open, OBS_KIND_COLUMN, 6, false, &(uint32_t){0}));
    CHECK_OK(obs_drain_start(drain));

    uint64_t samples = 0;
    pthread_t producers[PRODUCERS], taker, meddler;
    CHECK_EQ(pthread_create(&taker, NULL, taken_samples, &samples), 0);
    CHECK_EQ(pthread_create(&meddler, NULL, interfere, obs_open_batch_series(&drain->open, series)), 0);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        CHECK_EQ(pthread_create(&producers[i], NULL, live_again_and_again, (void *)i), 0);
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(pthread_join(producers[i], NULL), 0);
    atomic_store(&has_ended, true);
    CHECK_EQ(pthread_join(taker, NULL), 0);
    CHECK_EQ(pthread_join(meddler, NULL), 0);

    obs_drain_stop(drain);
    samples = take_all(samples, 0);
    obs_accounts_t accounts;
    obs_drain_accounts(drain, &accounts);
    CHECK_EQ(accounts.observed, samples + accounts.dropped + accounts.rejected);
    CHECK(accounts.observed > atomic_load(&recorded)); /* the gauge's samples come on top */
    CHECK_EQ(accounts.rejected, PRODUCERS * LIVES * ROUNDS);
    CHECK_EQ(drain->pool.credit, drain->pool.chunk_count);
    obs_drain_destroy(drain);
    return 0;
}
