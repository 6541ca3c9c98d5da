#include "accumulator.h"

#include <math.h>

#include "obs_alloc.h"

#define BUFFERED_VALUES 64 /* of a digest, between two runs: more would take more memory than its centroids */

int obs_accumulator_init(obs_accumulator_t *accumulator, int scale)
{
    *accumulator = (obs_accumulator_t){.last_ms = OBS_ACCUMULATOR_NEVER};
    return obs_loghist_init(&accumulator->hist, scale);
}

static void give_up_digest(obs_accumulator_t *accumulator)
{
    if (accumulator->digest == NULL)
        return;
    obs_tdigest_free(accumulator->digest);
    obs_free(accumulator->digest);
    accumulator->digest = NULL;
}

void obs_accumulator_free(obs_accumulator_t *accumulator)
{
    obs_loghist_free(&accumulator->hist);
    give_up_digest(accumulator);
    if (accumulator->column != NULL)
        obs_column_free(accumulator->column);
    obs_free(accumulator->column);
    accumulator->column = NULL;
}

size_t obs_accumulator_heap_bytes(const obs_accumulator_t *accumulator)
{
    const obs_column_t *column = accumulator->column;
    size_t bytes = accumulator->digest == NULL ? 0 : obs_tdigest_memory_bytes(accumulator->digest);
    bytes += column == NULL ? 0 : sizeof *column + obs_column_heap_bytes(column);
    return obs_loghist_memory_bytes(&accumulator->hist) - sizeof accumulator->hist + bytes;
}

/* Digests ------------------------------------------------------------------------------------------------ */

static obs_tdigest_t *new_digest(void)
{
    obs_tdigest_t *digest = obs_malloc(sizeof *digest);
    if (digest != NULL && obs_tdigest_init(digest, OBS_TDIGEST_SERIES_COMPRESSION) != OBS_OK) {
        obs_free(digest);
        return NULL;
    }
    return digest;
}

/* The digest, if it holds everything in hist but the samples that were added last; else NULL, and it is given up. */
static obs_tdigest_t *digest_without(obs_accumulator_t *accumulator, uint64_t added)
{
    if (!accumulator->keeps_digest)
        return NULL;
    uint64_t before = obs_accumulator_observed(accumulator) - added;
    if (before == 0 && accumulator->digest == NULL)
        accumulator->digest = new_digest();
    if (accumulator->digest != NULL && obs_tdigest_samples(accumulator->digest) != before)
        give_up_digest(accumulator);
    return accumulator->digest;
}

/* What could not be added makes the digest one that missed samples. */
static void settle_digest(obs_accumulator_t *accumulator, int status)
{
    if (status == OBS_OK && accumulator->digest->buffer_capacity > BUFFERED_VALUES)
        status = obs_tdigest_trim(accumulator->digest);
    if (status != OBS_OK)
        give_up_digest(accumulator);
}

static void merge_digest(obs_accumulator_t *into, obs_tdigest_t *from)
{
    if (digest_without(into, obs_tdigest_samples(from)) == NULL)
        return;
    int status = obs_tdigest_merge(into->digest, from);
    settle_digest(into, status == OBS_OK ? obs_tdigest_trim(into->digest) : status);
}

int obs_accumulator_merge_digest(obs_accumulator_t *accumulator, const uint8_t *bytes, size_t size)
{
    if (!accumulator->keeps_digest)
        return OBS_OK;
    obs_tdigest_t from;
    int status = obs_tdigest_decode(bytes, size, &from);
    if (status != OBS_OK)
        return status == OBS_ERR_NOMEM ? OBS_OK : status;
    merge_digest(accumulator, &from);
    obs_tdigest_free(&from);
    return OBS_OK;
}

/* A copy, since a digest may sort its buffer when it is merged and others may read this one meanwhile. */
static void merge_digest_of(obs_accumulator_t *into, const obs_accumulator_t *from)
{
    const obs_tdigest_t *digest = obs_accumulator_digest(from);
    obs_tdigest_t copy;
    if (!into->keeps_digest || digest == NULL || obs_tdigest_copy(digest, &copy) != OBS_OK)
        return;
    merge_digest(into, &copy);
    obs_tdigest_free(&copy);
}

/* Columns ------------------------------------------------------------------------------------------------ */

/* OBS_ERR_RANGE is all that a merge of valid histograms says when the sum would not fit. */
static int unless_full(int status)
{
    return status == OBS_ERR_RANGE ? OBS_OK : status;
}

/* The column, made if there is none; NULL if there is no memory. */
static obs_column_t *column_of(obs_accumulator_t *accumulator)
{
    if (accumulator->column == NULL) {
        accumulator->column = obs_malloc(sizeof *accumulator->column);
        if (accumulator->column != NULL)
            obs_column_init(accumulator->column, accumulator->drops_parts ? OBS_COLUMN_PARTS : 0);
    }
    return accumulator->column;
}

int obs_accumulator_merge_column(obs_accumulator_t *accumulator, const uint8_t *payload, size_t size)
{
    obs_column_t *column = column_of(accumulator);
    if (column == NULL)
        return OBS_ERR_NOMEM;
    return unless_full(obs_column_merge_encoded(&accumulator->hist, column, payload, size));
}

/* The histogram and the column beside it, or neither. */
static int merge_column(obs_accumulator_t *into, const obs_accumulator_t *from)
{
    obs_column_t *column = column_of(into);
    if (column == NULL)
        return OBS_ERR_NOMEM;
    if (obs_column_samples(from->column) > UINT64_MAX - obs_column_samples(column))
        return OBS_ERR_RANGE;
    int status = obs_loghist_merge(&into->hist, &from->hist);
    return status == OBS_OK ? obs_column_merge(column, from->column) : status;
}

/* Samples ------------------------------------------------------------------------------------------------ */

int obs_accumulator_add_many(obs_accumulator_t *accumulator, const double *values, size_t value_count)
{
    int status = obs_loghist_add_many(&accumulator->hist, values, value_count);
    if (status == OBS_OK && digest_without(accumulator, value_count) != NULL)
        settle_digest(accumulator, obs_tdigest_add_many(accumulator->digest, values, value_count));
    return status;
}

int obs_accumulator_add_value(obs_accumulator_t *accumulator, double value, uint64_t weight)
{
    int status = obs_loghist_add(&accumulator->hist, value, weight);
    if (status == OBS_OK && digest_without(accumulator, weight) != NULL)
        settle_digest(accumulator, obs_tdigest_add(accumulator->digest, value, weight));
    return status;
}

void obs_accumulator_add_counter(obs_accumulator_t *accumulator, uint64_t increments, double sum)
{
    accumulator->increments += increments;
    accumulator->sum += sum;
}

int obs_accumulator_add_gauge(obs_accumulator_t *accumulator, double value, uint64_t weight, int64_t time_ms)
{
    int status = obs_loghist_add(&accumulator->hist, value, weight);
    if (status == OBS_OK && weight > 0 && time_ms >= accumulator->last_ms) {
        accumulator->last = value;
        accumulator->last_ms = time_ms;
    }
    return status;
}

/* NaN counts as smaller than every number. */
static int is_larger(double value, double than)
{
    return isnan(than) ? !isnan(value) : value > than;
}

static void merge_last(obs_accumulator_t *into, double last, int64_t last_ms)
{
    if (last_ms < into->last_ms || (last_ms == into->last_ms && !is_larger(last, into->last)))
        return;
    into->last = last;
    into->last_ms = last_ms;
}

static void merge_counter(obs_accumulator_t *into, uint64_t increments, double sum)
{
    if (increments <= UINT64_MAX - into->increments)
        obs_accumulator_add_counter(into, increments, sum);
}

int obs_accumulator_merge(obs_accumulator_t *into, const obs_accumulator_t *from)
{
    int status = from->column != NULL ? merge_column(into, from) : obs_loghist_merge(&into->hist, &from->hist);
    if (unless_full(status) != OBS_OK)
        return status;
    merge_digest_of(into, from);
    merge_counter(into, from->increments, from->sum);
    merge_last(into, from->last, from->last_ms);
    return OBS_OK;
}

int obs_accumulator_merge_row(obs_accumulator_t *into, const obs_row_t *row)
{
    obs_row_content_t content;
    if (row->kind == OBS_KIND_COLUMN)
        return obs_accumulator_merge_column(into, row->payload, row->payload_size);
    int status = obs_row_open(row, &content);
    if (status == OBS_OK && content.hist != NULL)
        status = unless_full(obs_loghist_merge_encoded(&into->hist, content.hist, content.hist_size));
    if (status == OBS_OK && row->digest != NULL)
        status = obs_accumulator_merge_digest(into, row->digest, row->digest_size);
    if (status != OBS_OK)
        return status;
    if (row->kind == OBS_KIND_COUNTER)
        merge_counter(into, content.increments, content.sum);
    if (row->kind == OBS_KIND_GAUGE)
        merge_last(into, content.last, content.last_ms);
    return OBS_OK;
}

/* Without the digest if there is no memory to copy it: see merge_digest_of. */
static int put_histogram(const obs_accumulator_t *accumulator, uint32_t series, obs_rows_writer_t *writer)
{
    const obs_tdigest_t *digest = obs_accumulator_digest(accumulator);
    obs_tdigest_t copy;
    if (digest == NULL || obs_tdigest_copy(digest, &copy) != OBS_OK)
        return obs_rows_put_histogram(writer, series, &accumulator->hist);
    int status = obs_rows_put_digested_histogram(writer, series, &accumulator->hist, &copy);
    obs_tdigest_free(&copy);
    return status;
}

/* A column of which no sample came has none of its own to write. */
static int put_column(const obs_accumulator_t *accumulator, uint32_t series, obs_rows_writer_t *writer)
{
    obs_column_t none;
    obs_column_init(&none, 0);
    const obs_column_t *column = accumulator->column == NULL ? &none : accumulator->column;
    return obs_rows_put_column(writer, series, &accumulator->hist, column);
}

int obs_accumulator_put(const obs_accumulator_t *accumulator, uint8_t kind, uint32_t series, obs_rows_writer_t *writer)
{
    switch (kind) {
    case OBS_KIND_HISTOGRAM:
        return put_histogram(accumulator, series, writer);
    case OBS_KIND_COUNTER:
        return obs_rows_put_counter(writer, series, accumulator->increments, accumulator->sum);
    case OBS_KIND_GAUGE:
        return obs_rows_put_gauge(writer, series, accumulator->last_ms, accumulator->last, &accumulator->hist);
    case OBS_KIND_COLUMN:
        return put_column(accumulator, series, writer);
    default:
        return OBS_ERR_RANGE;
    }
}
