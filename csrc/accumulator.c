#include "accumulator.h"

#include <math.h>

int obs_accumulator_init(obs_accumulator_t *accumulator, int scale)
{
    *accumulator = (obs_accumulator_t){.last_ms = OBS_ACCUMULATOR_NEVER};
    return obs_loghist_init(&accumulator->hist, scale);
}

void obs_accumulator_free(obs_accumulator_t *accumulator)
{
    obs_loghist_free(&accumulator->hist);
}

size_t obs_accumulator_heap_bytes(const obs_accumulator_t *accumulator)
{
    return obs_loghist_memory_bytes(&accumulator->hist) - sizeof accumulator->hist;
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

/* OBS_ERR_RANGE is all that a merge of valid histograms says when the sum would not fit. */
static int unless_full(int status)
{
    return status == OBS_ERR_RANGE ? OBS_OK : status;
}

int obs_accumulator_merge(obs_accumulator_t *into, const obs_accumulator_t *from)
{
    int status = unless_full(obs_loghist_merge(&into->hist, &from->hist));
    if (status != OBS_OK)
        return status;
    merge_counter(into, from->increments, from->sum);
    merge_last(into, from->last, from->last_ms);
    return OBS_OK;
}

int obs_accumulator_merge_row(obs_accumulator_t *into, const obs_row_t *row)
{
    obs_row_content_t content;
    int status = obs_row_open(row, &content);
    if (status == OBS_OK && content.hist != NULL)
        status = unless_full(obs_loghist_merge_encoded(&into->hist, content.hist, content.hist_size));
    if (status != OBS_OK)
        return status;
    if (row->kind == OBS_KIND_COUNTER)
        merge_counter(into, content.increments, content.sum);
    if (row->kind == OBS_KIND_GAUGE)
        merge_last(into, content.last, content.last_ms);
    return OBS_OK;
}

int obs_accumulator_put(const obs_accumulator_t *accumulator, uint8_t kind, uint32_t series, obs_rows_writer_t *writer)
{
    switch (kind) {
    case OBS_KIND_HISTOGRAM:
        return obs_rows_put_histogram(writer, series, &accumulator->hist);
    case OBS_KIND_COUNTER:
        return obs_rows_put_counter(writer, series, accumulator->increments, accumulator->sum);
    case OBS_KIND_GAUGE:
        return obs_rows_put_gauge(writer, series, accumulator->last_ms, accumulator->last, &accumulator->hist);
    default:
        return OBS_ERR_RANGE;
    }
}
