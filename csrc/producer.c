#include "producer.h"

#include "obs_alloc.h"

#define THREAD_GONE 1u
#define DRAIN_GONE 2u
#define BULK_PIECE 2048 /* values added before the drain may have the delta: some microseconds */

obs_producer_t *obs_producer_new(obs_ring_pool_t *pool)
{
    obs_producer_t *producer = obs_aligned_alloc(_Alignof(obs_producer_t), sizeof *producer);
    if (producer == NULL)
        return NULL;
    memset(producer, 0, sizeof *producer);
    if (obs_ring_init(&producer->ring, pool) != OBS_OK) {
        obs_free(producer);
        return NULL;
    }
    return producer;
}

static void producer_free(obs_producer_t *producer)
{
    for (uint32_t i = 0; i < producer->delta_capacity; i++)
        obs_delta_free(producer->deltas[i]);
    obs_free(producer->deltas);
    obs_ring_free(&producer->ring);
    obs_free(producer);
}

static void producer_leave(obs_producer_t *producer, uint32_t owner)
{
    if (atomic_fetch_or_explicit(&producer->gone, owner, memory_order_acq_rel) != 0)
        producer_free(producer);
}

void obs_producer_leave_thread(obs_producer_t *producer)
{
    producer_leave(producer, THREAD_GONE);
}

void obs_producer_leave_drain(obs_producer_t *producer)
{
    producer_leave(producer, DRAIN_GONE);
}

bool obs_producer_thread_is_gone(const obs_producer_t *producer)
{
    return atomic_load_explicit(&producer->gone, memory_order_acquire) & THREAD_GONE;
}

/* Through the ring ------------------------------------------------------------------------------------ */

static int push_run(obs_producer_t *producer, uint32_t series, const double *values, size_t value_count)
{
    obs_ring_t *ring = &producer->ring;
    size_t record_count = value_count / 2 + 1;
    obs_ring_record_t *records = NULL;
    int status = obs_ring_claim(ring, record_count, &records);
    if (status != OBS_OK)
        return status;
    records->tag = OBS_RUN_TAG(series, value_count);
    memcpy((char *)records + offsetof(obs_ring_record_t, value), values, value_count * sizeof *values);
    int64_t surplus = atomic_load_explicit(&producer->run_surplus, memory_order_relaxed);
    atomic_store_explicit(&producer->run_surplus, surplus + (int64_t)value_count - (int64_t)record_count,
                          memory_order_relaxed);
    obs_ring_commit(ring, record_count);
    return OBS_OK;
}

static void push_runs(obs_producer_t *producer, uint32_t series, const double *values, size_t value_count)
{
    while (value_count > 0) {
        size_t run_count = value_count < OBS_RUN_VALUES_MAX ? value_count : OBS_RUN_VALUES_MAX;
        if (push_run(producer, series, values, run_count) != OBS_OK) {
            obs_ring_drop(&producer->ring, value_count);
            return;
        }
        values += run_count;
        value_count -= run_count;
    }
}

/* Bucketed here --------------------------------------------------------------------------------------- */

static int grow_deltas(obs_producer_t *producer, uint32_t series)
{
    uint32_t capacity = producer->delta_capacity == 0 ? 16 : producer->delta_capacity;
    while (capacity <= series)
        capacity *= 2;
    obs_delta_t **deltas = obs_realloc(producer->deltas, capacity * sizeof(obs_delta_t *));
    if (deltas == NULL)
        return OBS_ERR_NOMEM;
    memset(deltas + producer->delta_capacity, 0, (capacity - producer->delta_capacity) * sizeof(obs_delta_t *));
    producer->deltas = deltas;
    producer->delta_capacity = capacity;
    return OBS_OK;
}

static obs_delta_t *delta_of(obs_producer_t *producer, uint32_t series, int scale, bool keeps_digest)
{
    if (series >= producer->delta_capacity && grow_deltas(producer, series) != OBS_OK)
        return NULL;
    if (producer->deltas[series] == NULL)
        producer->deltas[series] = obs_delta_new(series, scale, keeps_digest);
    return producer->deltas[series];
}

static void announce(obs_producer_t *producer, obs_delta_t *delta)
{
    delta->next = atomic_load_explicit(&producer->announced, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&producer->announced, &delta->next, delta, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

/* OBS_ERR_STATE: the drain has the delta just now and nothing was added. */
static int add_piece(obs_producer_t *producer, obs_delta_t *delta, const double *values, size_t value_count)
{
    bool was_empty;
    if (obs_delta_begin(delta, &was_empty) != OBS_OK)
        return OBS_ERR_STATE;
    size_t added_count = obs_delta_add(delta, values, value_count);
    uint64_t bulk_samples = atomic_load_explicit(&producer->bulk_samples, memory_order_relaxed);
    atomic_store_explicit(&producer->bulk_samples, bulk_samples + added_count, memory_order_relaxed);
    obs_ring_drop(&producer->ring, value_count - added_count);
    obs_delta_end(delta);
    if (was_empty)
        announce(producer, delta);
    return OBS_OK;
}

void obs_producer_add_many(obs_producer_t *producer, uint32_t series, int scale, bool keeps_digest,
                           const double *values, size_t value_count)
{
    atomic_store_explicit(&producer->in_call, 1, memory_order_relaxed);
    obs_delta_t *delta = value_count < OBS_BULK_VALUES_MIN ? NULL : delta_of(producer, series, scale, keeps_digest);
    while (value_count > 0) {
        size_t piece_count = value_count < BULK_PIECE ? value_count : BULK_PIECE;
        if (delta == NULL || add_piece(producer, delta, values, piece_count) != OBS_OK)
            push_runs(producer, series, values, piece_count);
        values += piece_count;
        value_count -= piece_count;
    }
    atomic_store_explicit(&producer->in_call, 0, memory_order_release);
}

void obs_producer_gather_deltas(obs_producer_t *producer)
{
    obs_delta_t *delta = atomic_exchange_explicit(&producer->announced, NULL, memory_order_acquire);
    while (delta != NULL) {
        obs_delta_t *next = delta->next;
        delta->next = producer->waiting;
        producer->waiting = delta;
        delta = next;
    }
}
