/* open_batch_parts.h: what the files of the open batch have in common; the drain's, all of it. */
#ifndef OBS_OPEN_BATCH_PARTS_H
#define OBS_OPEN_BATCH_PARTS_H

#include "open_batch.h"

/* As obs_open_batch_series, for a number that came in a record. */
static inline obs_series_t *obs_recorded_series(const obs_open_batch_t *batch, uint64_t tag)
{
    uint32_t series = (uint32_t)tag;
    obs_series_t *segment = atomic_load_explicit(&batch->segments[series / OBS_SEGMENT_SERIES], memory_order_relaxed);
    return segment + series % OBS_SEGMENT_SERIES;
}

/* The sketch of a series of which something comes, in this batch; NULL if there is no memory. */
obs_sketch_t *obs_open_batch_sketch(obs_open_batch_t *batch, obs_series_t *series);
/* Into the sketch with what waits for it. */
void obs_open_batch_sketch_pending(obs_open_batch_t *batch, obs_series_t *series);
/* Empties the sketch of a series and takes it from it. */
void obs_open_batch_return_sketch(obs_open_batch_t *batch, obs_series_t *series);

/* Samples of a series that is no counter. */
void obs_open_batch_add_values(obs_open_batch_t *batch, obs_series_t *series, const double *values, size_t value_count);
/* A table; returns the records that it takes. */
size_t obs_open_batch_add_table(obs_open_batch_t *batch, const obs_ring_record_t *records);
/* A record of a category, of nulls or of wrong types. */
void obs_open_batch_add_column_record(obs_open_batch_t *batch, const obs_ring_record_t *record);
/* What the owner of all series lets go with them. */
void obs_open_batch_free_series(obs_open_batch_t *batch);

#endif
