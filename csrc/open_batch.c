#include "open_batch_parts.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#include "obs_alloc.h"
#include "producer.h"

#define GATHERED_VALUES 512
#define PREFETCH_RECORDS 8
#define ENTRY_BYTES 12   /* series, type, counts */
#define SKETCH_BYTES 150 /* of a typical histogram, and more than the values that it stands for at first */
#define DIGEST_BYTES 600

static void sketches_free(obs_sketch_t *sketch)
{
    while (sketch != NULL) {
        obs_sketch_t *next = sketch->next;
        obs_loghist_free(&sketch->hist);
        obs_tdigest_free(&sketch->digest);
        obs_column_free(&sketch->column);
        obs_free(sketch);
        sketch = next;
    }
}

int obs_open_batch_init(obs_open_batch_t *batch)
{
    memset(batch, 0, sizeof *batch);
    obs_body_init(&batch->body);
    return pthread_mutex_init(&batch->define_lock, NULL) == 0 ? OBS_OK : OBS_ERR_SYSTEM;
}

static void touched_free(obs_touched_t *touched)
{
    for (uint32_t i = 0; i < touched->count; i++)
        sketches_free(touched->series[i]->sketch);
    obs_free(touched->series);
}

void obs_open_batch_free(obs_open_batch_t *batch)
{
    touched_free(&batch->touched);
    touched_free(&batch->columns);
    obs_open_batch_free_series(batch);
    obs_body_free(&batch->body);
    obs_open_batch_trim(batch);
    pthread_mutex_destroy(&batch->define_lock);
}

/* Samples ------------------------------------------------------------------------------------------------ */

static bool grow_touched(obs_touched_t *touched)
{
    uint32_t capacity = touched->capacity == 0 ? 64 : touched->capacity * 2;
    obs_series_t **series = obs_realloc(touched->series, capacity * sizeof *series);
    if (series == NULL)
        return false;
    touched->series = series;
    touched->capacity = capacity;
    return true;
}

static inline bool touch(obs_open_batch_t *batch, obs_series_t *series)
{
    if (OBS_LIKELY(series->is_touched))
        return true;
    obs_touched_t *touched = series->kind == OBS_KIND_COLUMN ? &batch->columns : &batch->touched;
    if (touched->count == touched->capacity && !grow_touched(touched))
        return false;
    series->is_touched = true;
    touched->series[touched->count++] = series;
    batch->body_estimate += series->kind == OBS_KIND_COLUMN ? 0 : ENTRY_BYTES;
    return true;
}

static obs_sketch_t *new_sketch(int scale)
{
    obs_sketch_t *sketch = obs_malloc(sizeof *sketch);
    if (sketch == NULL || obs_loghist_init(&sketch->hist, scale) != OBS_OK ||
        obs_tdigest_init(&sketch->digest, OBS_TDIGEST_SERIES_COMPRESSION) != OBS_OK) {
        obs_free(sketch);
        return NULL;
    }
    obs_column_init(&sketch->column, 0);
    sketch->pending_count = 0;
    return sketch;
}

/* The series' sketch of this batch, from the stock or new; NULL if there is no memory. */
static obs_sketch_t *sketch_of(obs_open_batch_t *batch, obs_series_t *series)
{
    if (series->sketch != NULL)
        return series->sketch;
    obs_sketch_t *sketch = batch->stock[series->scale];
    if (sketch != NULL)
        batch->stock[series->scale] = sketch->next;
    else
        sketch = new_sketch(series->scale);
    if (sketch == NULL)
        return NULL;
    sketch->next = NULL;
    series->sketch = sketch;
    if (series->kind != OBS_KIND_COLUMN)
        batch->body_estimate += SKETCH_BYTES + (series->keeps_digest ? DIGEST_BYTES : 0);
    return sketch;
}

/* As many as the histogram has taken: there is room for them. */
static void sketch_column(obs_column_t *column, const obs_cuts_t *cuts, const double *values, size_t value_count)
{
    int status = obs_column_add_many(column, cuts, values, value_count);
    assert(status == OBS_OK);
    (void)status;
}

static void sketch_values(obs_open_batch_t *batch, obs_series_t *series, const double *values, size_t value_count)
{
    obs_sketch_t *sketch = sketch_of(batch, series);
    if (sketch == NULL) {
        batch->lost += value_count;
        return;
    }
    uint64_t before = obs_delta_samples(&sketch->hist);
    size_t added_count = value_count;
    if (obs_loghist_add_many(&sketch->hist, values, value_count) != OBS_OK)
        added_count = obs_delta_samples(&sketch->hist) - before;
    batch->lost += value_count - added_count;
    if (series->kind == OBS_KIND_COLUMN)
        sketch_column(&sketch->column, series->cuts, values, added_count);
    if (series->keeps_digest && obs_tdigest_add_many(&sketch->digest, values, added_count) != OBS_OK)
        obs_tdigest_free(&sketch->digest);
}

static void sketch_staged(obs_open_batch_t *batch, obs_series_t *series)
{
    batch->body_estimate -= series->staged_count * sizeof(double);
    sketch_values(batch, series, series->staged, series->staged_count);
    series->staged_count = 0;
}

/* The staged values begin those of a sketch, which may yet travel as they are: see put_sketch. */
static void keep_staged(obs_open_batch_t *batch, obs_series_t *series)
{
    obs_sketch_t *sketch = sketch_of(batch, series);
    batch->body_estimate -= series->staged_count * sizeof(double);
    if (sketch == NULL) {
        batch->lost += series->staged_count;
    } else {
        memcpy(sketch->pending, series->staged, series->staged_count * sizeof *series->staged);
        sketch->pending_count = series->staged_count;
    }
    series->staged_count = 0;
}

void obs_open_batch_sketch_pending(obs_open_batch_t *batch, obs_series_t *series)
{
    sketch_values(batch, series, series->sketch->pending, series->sketch->pending_count);
    series->sketch->pending_count = 0;
}

static void stage(obs_open_batch_t *batch, obs_series_t *series, double value)
{
    series->staged[series->staged_count++] = value;
    batch->body_estimate += sizeof value;
    if (series->staged_count < OBS_STAGED_VALUES)
        return;
    if (series->keeps_digest)
        keep_staged(batch, series);
    else
        sketch_staged(batch, series);
}

obs_sketch_t *obs_open_batch_sketch(obs_open_batch_t *batch, obs_series_t *series)
{
    return touch(batch, series) ? sketch_of(batch, series) : NULL;
}

static inline void add_value(obs_open_batch_t *batch, obs_series_t *series, double value)
{
    obs_sketch_t *sketch = series->sketch;
    if (OBS_UNLIKELY(sketch == NULL && series->kind == OBS_KIND_COLUMN))
        sketch = obs_open_batch_sketch(batch, series); /* a column is sketched from its first value on */
    if (sketch != NULL) {
        sketch->pending[sketch->pending_count++] = value;
        if (sketch->pending_count == OBS_PENDING_VALUES)
            obs_open_batch_sketch_pending(batch, series);
    } else if (series->kind != OBS_KIND_COLUMN && touch(batch, series)) {
        stage(batch, series, value);
    } else {
        batch->lost++;
    }
}

void obs_open_batch_add_values(obs_open_batch_t *batch, obs_series_t *series, const double *values, size_t value_count)
{
    if (value_count < OBS_PENDING_VALUES / 2) {
        for (size_t i = 0; i < value_count; i++)
            add_value(batch, series, values[i]);
    } else if (touch(batch, series)) {
        sketch_values(batch, series, values, value_count);
    } else {
        batch->lost += value_count;
    }
}

static void put_counter(obs_open_batch_t *batch, obs_series_t *series, uint64_t *sample_count)
{
    if (series->increments == 0)
        return;
    if (obs_body_put_counter(&batch->body, series->number, series->increments, series->sum) == OBS_OK)
        *sample_count += series->increments;
    else
        batch->lost += series->increments;
    series->increments = 0;
    series->sum = 0;
}

static inline void add_increment(obs_open_batch_t *batch, obs_series_t *series, double amount)
{
    if (!touch(batch, series)) {
        batch->lost++;
        return;
    }
    double sum = series->sum + amount;
    series->sum = OBS_UNLIKELY(isinf(sum)) ? DBL_MAX : sum; /* a body holds finite sums: the nearest one */
    series->increments++;
}

/* Consecutive samples of one series: what a tight loop leaves behind. Returns the records used. */
static size_t add_same_series(obs_open_batch_t *batch, const obs_ring_record_t *records, size_t record_count)
{
    double values[GATHERED_VALUES];
    uint64_t tag = records->tag;
    size_t value_count = 0;
    size_t limit = record_count < GATHERED_VALUES ? record_count : GATHERED_VALUES;
    while (value_count < limit && records[value_count].tag == tag) {
        values[value_count] = records[value_count].value;
        value_count++;
    }
    obs_open_batch_add_values(batch, obs_recorded_series(batch, tag), values, value_count);
    return value_count;
}

static size_t add_run(obs_open_batch_t *batch, const obs_ring_record_t *records)
{
    double values[OBS_RUN_VALUES_MAX];
    size_t value_count = records->tag >> 40;
    memcpy(values, (const char *)records + offsetof(obs_ring_record_t, value), value_count * sizeof *values);
    obs_open_batch_add_values(batch, obs_recorded_series(batch, records->tag), values, value_count);
    return value_count / 2 + 1;
}

static size_t add_record(obs_open_batch_t *batch, const obs_ring_record_t *records, size_t record_count)
{
    uint64_t tag = records->tag;
    switch (tag >> 32 & 0xff) {
    case OBS_RECORD_SAMPLE:
        if (record_count > 1 && records[1].tag == tag)
            return add_same_series(batch, records, record_count);
        add_value(batch, obs_recorded_series(batch, tag), records->value);
        return 1;
    case OBS_RECORD_INCREMENT:
        add_increment(batch, obs_recorded_series(batch, tag), records->value);
        return 1;
    case OBS_RECORD_RUN:
        return add_run(batch, records);
    case OBS_RECORD_TABLE:
    case OBS_RECORD_TABLE_OF_SINGLES:
        return obs_open_batch_add_table(batch, records);
    case OBS_RECORD_CATEGORY:
    case OBS_RECORD_HASH:
    case OBS_RECORD_NULLS:
    case OBS_RECORD_WRONG_TYPES:
        obs_open_batch_add_column_record(batch, records);
        return 1;
    default: /* padding: nothing more in this slice */
        return record_count;
    }
}

void obs_open_batch_add_records(obs_open_batch_t *batch, const obs_ring_record_t *records, size_t record_count)
{
    size_t i = 0;
    while (i < record_count)
        i += add_record(batch, records + i, record_count - i);
}

/* To exchange is to merge into an empty sketch. */
static void exchange(obs_sketch_t *sketch, obs_delta_t *delta)
{
    obs_loghist_t empty_hist = sketch->hist;
    obs_tdigest_t empty_digest = sketch->digest;
    sketch->hist = delta->hist;
    sketch->digest = delta->digest;
    delta->hist = empty_hist;
    delta->digest = empty_digest;
}

static void merge_column(obs_sketch_t *sketch, const obs_delta_t *delta)
{
    int status = obs_column_merge(&sketch->column, &delta->column);
    assert(status == OBS_OK); /* there was room for their numbers in the histogram */
    (void)status;
}

void obs_open_batch_add_delta(obs_open_batch_t *batch, obs_delta_t *delta)
{
    obs_series_t *series = obs_recorded_series(batch, delta->shape.series);
    assert(delta->hist.scale == series->scale);
    obs_sketch_t *sketch = obs_open_batch_sketch(batch, series);
    uint64_t samples = obs_delta_samples(&delta->hist);
    if (sketch == NULL) {
        batch->lost += samples;
        return;
    }
    if (obs_delta_samples(&sketch->hist) == 0) {
        exchange(sketch, delta);
    } else if (obs_loghist_merge(&sketch->hist, &delta->hist) != OBS_OK) {
        batch->lost += samples;
        return;
    } else if (obs_tdigest_merge(&sketch->digest, &delta->digest) != OBS_OK) {
        obs_tdigest_free(&sketch->digest);
    }
    if (series->kind == OBS_KIND_COLUMN)
        merge_column(sketch, delta);
}

/* Encoding ------------------------------------------------------------------------------------------------ */

void obs_open_batch_return_sketch(obs_open_batch_t *batch, obs_series_t *series)
{
    obs_loghist_reset(&series->sketch->hist);
    obs_tdigest_free(&series->sketch->digest);
    obs_column_free(&series->sketch->column);
    series->sketch->next = batch->stock[series->scale];
    batch->stock[series->scale] = series->sketch;
    series->sketch = NULL;
}

static void put_run(obs_open_batch_t *batch, obs_series_t *series, const double *values, uint32_t value_count,
                    uint64_t *sample_count)
{
    if (obs_body_put_run(&batch->body, series->number, values, value_count) == OBS_OK)
        *sample_count += value_count;
    else
        batch->lost += value_count;
}

/* False if the digest misses samples, or if there is no room for it: the histogram has gone without it. */
static bool put_digest(obs_open_batch_t *batch, obs_series_t *series)
{
    obs_tdigest_t *digest = &series->sketch->digest;
    return obs_tdigest_samples(digest) == obs_delta_samples(&series->sketch->hist) &&
           obs_body_put_tdigest(&batch->body, series->number, digest) == OBS_OK;
}

static void put_sketch(obs_open_batch_t *batch, obs_series_t *series, uint64_t *sample_count)
{
    obs_sketch_t *sketch = series->sketch;
    sketch_staged(batch, series);
    if (series->keeps_digest && obs_delta_samples(&sketch->hist) == 0) {
        put_run(batch, series, sketch->pending, sketch->pending_count, sample_count);
        sketch->pending_count = 0;
    } else {
        obs_open_batch_sketch_pending(batch, series);
    }
    uint64_t samples = obs_delta_samples(&sketch->hist);
    if (samples > 0 && obs_body_put_loghist(&batch->body, series->number, &sketch->hist) == OBS_OK) {
        *sample_count += samples;
        if (series->keeps_digest)
            put_digest(batch, series);
    } else {
        batch->lost += samples;
    }
    obs_open_batch_return_sketch(batch, series);
}

static void put_staged(obs_open_batch_t *batch, obs_series_t *series, uint64_t *sample_count)
{
    put_run(batch, series, series->staged, series->staged_count, sample_count);
    series->staged_count = 0;
}

static void put_series(obs_open_batch_t *batch, obs_series_t *series, uint64_t *sample_count)
{
    put_counter(batch, series, sample_count);
    if (series->sketch != NULL)
        put_sketch(batch, series, sample_count);
    else if (series->staged_count > 0)
        put_staged(batch, series, sample_count);
    series->is_touched = false;
}

static uint64_t put_gauges(obs_open_batch_t *batch)
{
    uint64_t gauge_count = 0;
    uint32_t next = atomic_load_explicit(&batch->last_gauge, memory_order_acquire);
    while (next != 0) {
        obs_series_t *gauge = obs_recorded_series(batch, next - 1);
        next = gauge->next_gauge;
        double value;
        if (!obs_gauge_read(gauge, &value))
            continue;
        if (obs_body_put_gauge(&batch->body, gauge->number, value) == OBS_OK)
            gauge_count++; /* else it was never taken: there will be another in a second */
    }
    return gauge_count;
}

int obs_open_batch_encode(obs_open_batch_t *batch, bool with_gauges, uint64_t *sample_count, uint64_t *gauge_count,
                          uint64_t *lost_count)
{
    int status = obs_body_begin(&batch->body);
    *sample_count = 0;
    for (uint32_t i = 0; i < batch->touched.count; i++)
        put_series(batch, batch->touched.series[i], sample_count);
    *gauge_count = with_gauges && status == OBS_OK ? put_gauges(batch) : 0;
    *sample_count += *gauge_count;
    *lost_count = batch->lost;
    batch->touched.count = 0;
    batch->body_estimate = 0;
    batch->lost = 0;
    return status;
}

void obs_open_batch_trim(obs_open_batch_t *batch)
{
    for (size_t i = 0; i <= OBS_LOGHIST_MAX_SCALE; i++) {
        sketches_free(batch->stock[i]);
        batch->stock[i] = NULL;
    }
}
