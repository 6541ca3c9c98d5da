/* open_batch_define.c: what other threads than the drain's do: they define series and move the cells of gauges. */
#include "open_batch.h"

#include <string.h>

#include "obs_alloc.h"

/* Definitions ------------------------------------------------------------------------------------------ */

static obs_series_t *new_series(obs_open_batch_t *batch, uint32_t number)
{
    _Atomic(obs_series_t *) *segment = &batch->segments[number / OBS_SEGMENT_SERIES];
    obs_series_t *series = atomic_load_explicit(segment, memory_order_relaxed);
    if (series == NULL) {
        series = obs_calloc(OBS_SEGMENT_SERIES, sizeof *series);
        atomic_store_explicit(segment, series, memory_order_release);
    }
    return series == NULL ? NULL : series + number % OBS_SEGMENT_SERIES;
}

static int define_locked(obs_open_batch_t *batch, int kind, int scale, bool keeps_digest, uint32_t *number)
{
    uint32_t count = atomic_load_explicit(&batch->series_count, memory_order_relaxed);
    if (count >= OBS_SERIES_MAX)
        return OBS_ERR_FULL;
    obs_series_t *series = new_series(batch, count);
    if (series == NULL)
        return OBS_ERR_NOMEM;
    series->number = count;
    series->kind = (uint8_t)kind;
    series->scale = (int8_t)scale;
    series->keeps_digest = keeps_digest;
    if (kind == OBS_KIND_GAUGE) {
        series->next_gauge = atomic_load_explicit(&batch->last_gauge, memory_order_relaxed);
        atomic_store_explicit(&batch->last_gauge, count + 1, memory_order_release);
    }
    atomic_store_explicit(&batch->series_count, count + 1, memory_order_release);
    *number = count;
    return OBS_OK;
}

int obs_open_batch_define(obs_open_batch_t *batch, int kind, int scale, bool keeps_digest, uint32_t *series)
{
    if (kind < OBS_KIND_HISTOGRAM || kind > OBS_KIND_GAUGE || scale < OBS_LOGHIST_MIN_SCALE ||
        scale > OBS_LOGHIST_MAX_SCALE || (keeps_digest && kind != OBS_KIND_HISTOGRAM))
        return OBS_ERR_RANGE;
    pthread_mutex_lock(&batch->define_lock);
    int status = define_locked(batch, kind, scale, keeps_digest, series);
    pthread_mutex_unlock(&batch->define_lock);
    return status;
}

obs_series_t *obs_open_batch_series(const obs_open_batch_t *batch, uint32_t series)
{
    if (series >= atomic_load_explicit(&batch->series_count, memory_order_acquire))
        return NULL;
    obs_series_t *segment = atomic_load_explicit(&batch->segments[series / OBS_SEGMENT_SERIES], memory_order_relaxed);
    return segment + series % OBS_SEGMENT_SERIES;
}

/* Gauges ------------------------------------------------------------------------------------------------ */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void obs_gauge_set(obs_series_t *gauge, double value)
{
    atomic_store_explicit(&gauge->gauge_bits, bits_of(value), memory_order_relaxed);
    atomic_store_explicit(&gauge->gauge_is_set, 1, memory_order_release);
}

void obs_gauge_add(obs_series_t *gauge, double value)
{
    uint64_t bits = atomic_load_explicit(&gauge->gauge_bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&gauge->gauge_bits, &bits, bits_of(value_of(bits) + value),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    atomic_store_explicit(&gauge->gauge_is_set, 1, memory_order_release);
}

void obs_gauge_unset(obs_series_t *gauge)
{
    atomic_store_explicit(&gauge->gauge_is_set, 0, memory_order_relaxed);
    atomic_store_explicit(&gauge->gauge_bits, 0, memory_order_relaxed);
}

bool obs_gauge_read(const obs_series_t *gauge, double *value)
{
    if (!atomic_load_explicit(&gauge->gauge_is_set, memory_order_acquire))
        return false;
    *value = value_of(atomic_load_explicit(&gauge->gauge_bits, memory_order_relaxed));
    return true;
}
