/* open_batch_define.c: what other threads than the drain's do: they define series, set up columns and move the cells of
 * gauges. */
#include "open_batch_parts.h"

#include "obs_alloc.h"
#include "obs_port.h"

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
    if (kind < OBS_KIND_HISTOGRAM || kind > OBS_KIND_COLUMN || scale < OBS_LOGHIST_MIN_SCALE ||
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

void obs_open_batch_free_series(obs_open_batch_t *batch)
{
    uint32_t count = atomic_load(&batch->series_count);
    for (uint32_t number = 0; number < count; number++) {
        obs_series_t *series = obs_open_batch_series(batch, number);
        if (series->cuts != NULL)
            obs_cuts_free(series->cuts);
        if (series->categories != NULL)
            obs_categories_free(series->categories);
        obs_free(series->cuts);
        obs_free(series->categories);
    }
    for (size_t i = 0; i < OBS_SEGMENTS_MAX; i++)
        obs_free(atomic_load(&batch->segments[i]));
}

/* Columns ----------------------------------------------------------------------------------------------- */

obs_shape_t obs_series_shape(const obs_series_t *series)
{
    return (obs_shape_t){.series = series->number,
                         .scale = series->scale,
                         .keeps_digest = series->keeps_digest,
                         .is_column = series->kind == OBS_KIND_COLUMN,
                         .cuts = series->cuts};
}

int obs_series_set_cuts(obs_series_t *column, const double *cuts, uint32_t cut_count)
{
    if (column->cuts != NULL || column->categories != NULL)
        return OBS_ERR_STATE;
    obs_cuts_t *made = obs_malloc(sizeof *made);
    if (made == NULL)
        return OBS_ERR_NOMEM;
    int status = obs_cuts_init(made, cuts, cut_count);
    if (status != OBS_OK) {
        obs_free(made);
        return status;
    }
    column->cuts = made;
    return OBS_OK;
}

static int make_categories(obs_series_t *column)
{
    column->categories = obs_malloc(sizeof *column->categories);
    if (column->categories == NULL)
        return OBS_ERR_NOMEM;
    obs_categories_init(column->categories);
    return OBS_OK;
}

int obs_series_set_bins(obs_series_t *column, uint32_t bin_count)
{
    if (column->cuts != NULL || column->categories != NULL)
        return OBS_ERR_STATE;
    if (bin_count < 1 || bin_count > OBS_EDGES_MAX_BINS)
        return OBS_ERR_RANGE;
    int status = make_categories(column);
    if (status == OBS_OK)
        column->categories->bin_count = bin_count;
    return status;
}

int obs_series_add_category(obs_series_t *column, const void *key, size_t key_size, uint32_t *code)
{
    int status = column->categories == NULL ? make_categories(column) : OBS_OK;
    return status == OBS_OK ? obs_categories_add(column->categories, key, key_size, code) : status;
}

/* Gauges ------------------------------------------------------------------------------------------------ */

void obs_gauge_set(obs_series_t *gauge, double value)
{
    atomic_store_explicit(&gauge->gauge_bits, obs_f64_bits(value), memory_order_relaxed);
    atomic_store_explicit(&gauge->gauge_is_set, 1, memory_order_release);
}

void obs_gauge_add(obs_series_t *gauge, double value)
{
    uint64_t bits = atomic_load_explicit(&gauge->gauge_bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&gauge->gauge_bits, &bits,
                                                  obs_f64_bits(obs_f64_of_bits(bits) + value), memory_order_relaxed,
                                                  memory_order_relaxed))
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
    *value = obs_f64_of_bits(atomic_load_explicit(&gauge->gauge_bits, memory_order_relaxed));
    return true;
}
