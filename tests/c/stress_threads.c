// kernels: drain producer delta ring open_batch categories batch_queue body loghist tdigest column edges hll moments topk obs
/* Threads that outlive recorders: they find their producers by slot (thread_producers.h) while recorders come, are
 * stopped under them and are destroyed, and the next one takes the slot; threads end at any moment. As in the
 * extension, one lock (the GIL) is held for whatever is recorded one by one and for the change of the slot, but not
 * in bulk calls and not while a recorder stops. Run under ThreadSanitizer. */
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "drain.h"
#include "thread_producers.h"

#define MS INT64_C(1000000)

enum { THREADS = 3, ROUNDS = 100, RECORDERS = 24, SLOT = 3, NO_SLOT = OBS_SLOTS };

typedef struct {
    obs_drain_t *drain;
    uint32_t slot;
    uint32_t histogram, counter, gauge;
    uint32_t bulk_calls; /* under way: each holds a reference to the recorder */
    uint64_t recorded;
    uint64_t delivered;
} recorder_t;

static pthread_mutex_t gil = PTHREAD_MUTEX_INITIALIZER;
static recorder_t *present; /* under the gil, as everything of a recorder but its drain */
static bool has_ended;

static bool attach(recorder_t *recorder)
{
    return recorder->slot != NO_SLOT && obs_thread_attach(recorder->slot, recorder->drain) == OBS_OK;
}

static void record(recorder_t *recorder, uint64_t tag, double value)
{
    recorder->recorded++;
    if (obs_thread_push(recorder->slot, tag, value) != OBS_ERR_STATE)
        return;
    if (!attach(recorder) || obs_thread_push(recorder->slot, tag, value) == OBS_ERR_STATE)
        obs_drain_drop_ringless(recorder->drain, 1);
}

static void record_in_bulk(recorder_t *recorder, size_t value_count)
{
    static const double values[600] = {1, 2, 3};
    obs_producer_t *producer = obs_thread_producer(recorder->slot);
    if (producer == NULL && attach(recorder))
        producer = obs_thread_producer(recorder->slot);
    recorder->recorded += value_count;
    if (producer == NULL) {
        obs_drain_drop_ringless(recorder->drain, value_count);
        return;
    }
    recorder->bulk_calls++;
    pthread_mutex_unlock(&gil);
    obs_producer_add_many(producer, recorder->histogram, 6, true, values, value_count);
    pthread_mutex_lock(&gil);
    recorder->bulk_calls--;
}

static void record_round(uint64_t *state)
{
    recorder_t *recorder = present;
    obs_series_t *gauge = obs_open_batch_series(&recorder->drain->open, recorder->gauge);
    obs_gauge_add(gauge, 1);
    for (uint64_t i = check_random(state) % 40; i > 0; i--) {
        record(recorder, OBS_RECORD_TAG(OBS_RECORD_SAMPLE, recorder->histogram), (double)i);
        record(recorder, OBS_RECORD_TAG(OBS_RECORD_INCREMENT, recorder->counter), 1);
    }
    if (check_random(state) % 3 == 0)
        record_in_bulk(recorder, check_random(state) % 600);
    obs_gauge_add(obs_open_batch_series(&recorder->drain->open, recorder->gauge), -1);
}

/* Ends after some rounds, with its producers as they are. Returns its argument while there is more to do. */
static void *live(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument;
    bool is_over = false;
    for (int round = 0; round < ROUNDS && !is_over; round++) {
        pthread_mutex_lock(&gil);
        is_over = has_ended;
        if (!is_over)
            record_round(&state);
        pthread_mutex_unlock(&gil);
        nanosleep(&(struct timespec){.tv_nsec = MS / 20}, NULL);
    }
    return is_over ? NULL : argument;
}

static void *live_again_and_again(void *argument)
{
    void *more = argument;
    for (uintptr_t life = 0; more != NULL; life++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, live, (void *)((uintptr_t)argument + life * THREADS)), 0);
        CHECK_EQ(pthread_join(thread, &more), 0);
    }
    return NULL;
}

static recorder_t *recorder_new(void)
{
    obs_drain_options_t options = {
        .ring_bytes = 8 * OBS_RING_CHUNK_BYTES, .window_ns = 20 * MS, .batch_interval_ns = 2 * MS, .frame_bytes = 4000};
    recorder_t *recorder = calloc(1, sizeof *recorder);
    CHECK(recorder != NULL);
    CHECK_OK(obs_drain_create(&options, &recorder->drain));
    CHECK_OK(obs_open_batch_define(&recorder->drain->open, OBS_KIND_HISTOGRAM, 6, true, &recorder->histogram));
    CHECK_OK(obs_open_batch_define(&recorder->drain->open, OBS_KIND_COUNTER, 6, false, &recorder->counter));
    CHECK_OK(obs_open_batch_define(&recorder->drain->open, OBS_KIND_GAUGE, 6, false, &recorder->gauge));
    CHECK_OK(obs_slot_take(SLOT));
    CHECK_STATUS(obs_slot_take(SLOT), OBS_ERR_STATE);
    recorder->slot = SLOT;
    CHECK_OK(obs_drain_start(recorder->drain));
    return recorder;
}

static void take_batches(recorder_t *recorder)
{
    obs_batch_t *batch;
    while ((batch = obs_batch_queue_take(&recorder->drain->queue, 0)) != NULL) {
        recorder->delivered += batch->samples;
        obs_batch_free(batch);
    }
}

static void wait_for_bulk_calls(const recorder_t *recorder)
{
    for (;;) {
        pthread_mutex_lock(&gil);
        uint32_t bulk_calls = recorder->bulk_calls;
        pthread_mutex_unlock(&gil);
        if (bulk_calls == 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = MS / 10}, NULL);
    }
}

/* What Recorder.stop does. Every other time it stops in the midst of bulk calls: one that has not begun when its
 * ring is closed keeps its samples, so that only an inequality holds. */
static void stop(recorder_t *recorder, bool is_patient)
{
    pthread_mutex_lock(&gil);
    recorder->slot = NO_SLOT;
    pthread_mutex_unlock(&gil);
    if (is_patient)
        wait_for_bulk_calls(recorder);
    obs_drain_stop(recorder->drain);
    obs_slot_return(SLOT);
    take_batches(recorder);
}

static void check_and_destroy(recorder_t *recorder, bool is_patient)
{
    wait_for_bulk_calls(recorder); /* and nobody begins another: it is not the present recorder */
    obs_accounts_t accounts;
    double level;
    obs_drain_accounts(recorder->drain, &accounts);
    uint64_t settled = recorder->delivered + accounts.dropped + accounts.rejected;
    CHECK(accounts.observed >= recorder->recorded); /* the gauge's samples come on top */
    CHECK(is_patient ? accounts.observed == settled : accounts.observed >= settled);
    if (obs_gauge_read(obs_open_batch_series(&recorder->drain->open, recorder->gauge), &level))
        CHECK_EQ(level, 0);
    obs_drain_destroy(recorder->drain);
    free(recorder);
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_OK(obs_thread_setup());
    present = recorder_new();
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, live_again_and_again, (void *)(i + 1)), 0);
    for (int i = 0; i < RECORDERS; i++) {
        bool is_patient = i % 2 == 0;
        recorder_t *old = present;
        nanosleep(&(struct timespec){.tv_nsec = 3 * MS}, NULL);
        take_batches(old);
        stop(old, is_patient);
        recorder_t *next = recorder_new();
        pthread_mutex_lock(&gil);
        present = next;
        pthread_mutex_unlock(&gil);
        check_and_destroy(old, is_patient);
    }
    pthread_mutex_lock(&gil);
    has_ended = true;
    pthread_mutex_unlock(&gil);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    stop(present, true);
    check_and_destroy(present, true);
    CHECK_EQ(atomic_load(&obs_slots_taken), 0);
    obs_thread_forget(SLOT);
    return 0;
}
