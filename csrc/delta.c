#include "delta.h"

#include <assert.h>

#include "obs_alloc.h"
#include "obs_port.h"

#define TAKE_ATTEMPTS 256 /* a producer is busy for a few microseconds at a time, unless it is off the processor */

obs_delta_t *obs_delta_new(const obs_shape_t *shape)
{
    obs_delta_t *delta = obs_calloc(1, sizeof *delta);
    if (delta == NULL)
        return NULL;
    delta->shape = *shape;
    obs_column_init(&delta->column, 0);
    if (obs_loghist_init(&delta->hist, shape->scale) != OBS_OK ||
        obs_tdigest_init(&delta->digest, OBS_TDIGEST_SERIES_COMPRESSION) != OBS_OK) {
        obs_free(delta);
        return NULL;
    }
    return delta;
}

void obs_delta_free(obs_delta_t *delta)
{
    if (delta == NULL)
        return;
    obs_loghist_free(&delta->hist);
    obs_tdigest_free(&delta->digest);
    obs_column_free(&delta->column);
    obs_free(delta);
}

int obs_delta_begin(obs_delta_t *delta, bool *was_empty)
{
    uint32_t state = OBS_DELTA_OPEN;
    *was_empty = false;
    if (atomic_compare_exchange_strong_explicit(&delta->state, &state, OBS_DELTA_BUSY, memory_order_acquire,
                                                memory_order_acquire))
        return OBS_OK;
    if (state != OBS_DELTA_EMPTY)
        return OBS_ERR_STATE;
    atomic_store_explicit(&delta->state, OBS_DELTA_BUSY, memory_order_relaxed);
    *was_empty = true;
    return OBS_OK;
}

size_t obs_delta_add(obs_delta_t *delta, const double *values, size_t value_count)
{
    uint64_t before = obs_delta_samples(&delta->hist);
    size_t added_count = value_count;
    if (obs_loghist_add_many(&delta->hist, values, value_count) != OBS_OK)
        added_count = obs_delta_samples(&delta->hist) - before; /* a prefix is in */
    if (delta->shape.is_column) {
        int status = obs_column_add_many(&delta->column, delta->shape.cuts, values, added_count);
        assert(status == OBS_OK); /* as many as the histogram has taken */
        (void)status;
    }
    if (delta->shape.keeps_digest && obs_tdigest_add_many(&delta->digest, values, added_count) != OBS_OK)
        obs_tdigest_free(&delta->digest); /* it goes without */
    return added_count;
}

void obs_delta_end(obs_delta_t *delta)
{
    uint32_t state = OBS_DELTA_BUSY;
    if (!atomic_compare_exchange_strong_explicit(&delta->state, &state, OBS_DELTA_OPEN, memory_order_release,
                                                 memory_order_relaxed))
        atomic_store_explicit(&delta->state, OBS_DELTA_TAKEN, memory_order_release);
}

bool obs_delta_take(obs_delta_t *delta, bool want)
{
    for (int attempt = 0; attempt < TAKE_ATTEMPTS; attempt++) {
        uint32_t state = atomic_load_explicit(&delta->state, memory_order_acquire);
        if (state == OBS_DELTA_TAKEN) /* handed over by a producer that found WANTED */
            return true;
        if (state == OBS_DELTA_OPEN &&
            atomic_compare_exchange_weak_explicit(&delta->state, &state, OBS_DELTA_TAKEN, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
        if (state == OBS_DELTA_BUSY && want)
            atomic_compare_exchange_weak_explicit(&delta->state, &state, OBS_DELTA_WANTED, memory_order_relaxed,
                                                  memory_order_relaxed);
        obs_cpu_relax();
    }
    return false;
}

void obs_delta_give_back(obs_delta_t *delta)
{
    obs_loghist_reset(&delta->hist);
    obs_tdigest_free(&delta->digest);
    obs_column_free(&delta->column);
    atomic_store_explicit(&delta->state, OBS_DELTA_EMPTY, memory_order_release);
}
