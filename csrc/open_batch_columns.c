/* open_batch_columns.c: columns in the open batch: what of them is not a number, and how they are encoded. */
#include "open_batch_parts.h"
#include "producer.h"

/* What a record stands for. */
static uint64_t weight_of(uint64_t what, uint64_t bits)
{
    return what == OBS_RECORD_NULLS || what == OBS_RECORD_WRONG_TYPES ? bits : 1;
}

static int add_category(obs_column_t *column, const obs_categories_t *categories, uint64_t what, uint64_t bits)
{
    uint32_t bin_count = categories == NULL ? 0 : categories->bin_count;
    if (what == OBS_RECORD_CATEGORY)
        return obs_column_add_category(column, obs_categories_at(categories, (uint32_t)bits), bin_count, 1);
    const obs_category_t other = {.hash = bits, .bin = bin_count == 0 ? 0 : bin_count - 1};
    return obs_column_add_category(column, &other, bin_count, 1);
}

void obs_open_batch_add_column_record(obs_open_batch_t *batch, const obs_ring_record_t *record)
{
    obs_series_t *series = obs_recorded_series(batch, record->tag);
    obs_sketch_t *sketch = obs_open_batch_sketch(batch, series);
    uint64_t bits, what = record->tag >> 32 & 0xff;
    memcpy(&bits, &record->value, sizeof bits);
    int status = OBS_ERR_NOMEM;
    if (sketch != NULL && what == OBS_RECORD_NULLS)
        status = obs_column_add_nulls(&sketch->column, bits);
    else if (sketch != NULL && what == OBS_RECORD_WRONG_TYPES)
        status = obs_column_add_wrong_types(&sketch->column, bits);
    else if (sketch != NULL)
        status = add_category(&sketch->column, series->categories, what, bits);
    if (status != OBS_OK)
        batch->lost += weight_of(what, bits);
}

/* Encoding ------------------------------------------------------------------------------------------------ */

static void put_column(obs_open_batch_t *batch, obs_series_t *series, uint64_t *sample_count)
{
    obs_sketch_t *sketch = series->sketch;
    series->is_touched = false;
    if (sketch == NULL) /* there was no memory for one, and all its samples are lost */
        return;
    obs_open_batch_sketch_pending(batch, series);
    uint64_t samples = obs_column_samples(&sketch->column);
    if (samples > 0 && obs_body_put_column(&batch->body, series->number, &sketch->hist, &sketch->column) == OBS_OK)
        *sample_count += samples;
    else
        batch->lost += samples;
    obs_open_batch_return_sketch(batch, series);
}

int obs_open_batch_encode_columns(obs_open_batch_t *batch, size_t byte_limit, uint64_t *sample_count,
                                  uint64_t *lost_count)
{
    int status = obs_body_begin(&batch->body);
    *sample_count = 0;
    obs_touched_t *columns = &batch->columns;
    while (columns->count > 0 && batch->body.size < byte_limit)
        put_column(batch, columns->series[--columns->count], sample_count);
    *lost_count = batch->lost;
    batch->lost = 0;
    return status;
}
