#include "window.h"

#include <math.h>

#include "body.h"
#include "obs_alloc.h"

/* An accumulator whose scale follows from the first histogram that it takes: merging goes to the lower
 * of two scales. */
#define SCALE_OF_FIRST_MERGE OBS_LOGHIST_MAX_SCALE

void obs_window_init(obs_window_t *window)
{
    *window = (obs_window_t){0};
    obs_series_index_init(&window->index);
}

void obs_window_free(obs_window_t *window)
{
    for (size_t slot = 0; slot < window->slot_count; slot++)
        obs_accumulator_free(&obs_window_slot_at(window, slot)->accumulator);
    for (size_t chunk = 0; chunk < window->chunk_count; chunk++)
        obs_free(window->chunks[chunk]);
    obs_free(window->chunks);
    obs_series_index_free(&window->index);
    obs_window_init(window);
}

size_t obs_window_memory_bytes(const obs_window_t *window)
{
    return sizeof *window + window->chunk_capacity * sizeof *window->chunks +
           window->chunk_count * OBS_WINDOW_CHUNK_SLOTS * sizeof(obs_window_slot_t) +
           obs_series_index_memory_bytes(&window->index) + window->accumulator_bytes;
}

static int reserve_chunk_list(obs_window_t *window)
{
    if (window->chunk_count < window->chunk_capacity)
        return OBS_OK;
    size_t capacity = window->chunk_capacity == 0 ? 8 : window->chunk_capacity * 2;
    obs_window_slot_t **chunks = obs_realloc(window->chunks, capacity * sizeof(*chunks));
    if (chunks == NULL)
        return OBS_ERR_NOMEM;
    window->chunks = chunks;
    window->chunk_capacity = capacity;
    return OBS_OK;
}

/* Makes sure that slot number slot_count has its memory. */
static int reserve_slot(obs_window_t *window)
{
    if (window->slot_count < window->chunk_count * OBS_WINDOW_CHUNK_SLOTS)
        return OBS_OK;
    if (window->slot_count >= UINT32_MAX - OBS_WINDOW_CHUNK_SLOTS)
        return OBS_ERR_NOMEM;
    int status = reserve_chunk_list(window);
    if (status != OBS_OK)
        return status;
    obs_window_slot_t *chunk = obs_malloc(OBS_WINDOW_CHUNK_SLOTS * sizeof *chunk);
    if (chunk == NULL)
        return OBS_ERR_NOMEM;
    window->chunks[window->chunk_count++] = chunk;
    return OBS_OK;
}

static int create_slot(obs_window_t *window, const obs_series_target_t *target, obs_window_slot_t **found)
{
    int status = reserve_slot(window);
    if (status != OBS_OK)
        return status;
    obs_window_slot_t *slot = obs_window_slot_at(window, window->slot_count);
    status = obs_accumulator_init(&slot->accumulator, target->scale);
    if (status == OBS_OK)
        status = obs_series_index_set(&window->index, target->series, (uint32_t)window->slot_count);
    if (status != OBS_OK)
        return status;
    slot->accumulator.keeps_digest = target->keeps_digest && !window->drops_digests;
    slot->accumulator.drops_parts = window->drops_digests;
    slot->series = target->series;
    slot->kind = target->kind;
    window->slot_count++;
    *found = slot;
    return OBS_OK;
}

/* The slot of a series, made if there is none. OBS_ERR_STATE if it has another kind. */
static int get_slot(obs_window_t *window, const obs_series_target_t *target, obs_window_slot_t **found)
{
    uint32_t slot = obs_series_index_get(&window->index, target->series);
    if (slot == OBS_SERIES_INDEX_ABSENT)
        return create_slot(window, target, found);
    *found = obs_window_slot_at(window, slot);
    return (*found)->kind == target->kind ? OBS_OK : OBS_ERR_STATE;
}

/* What an accumulator was before a change, to book the difference after it, whether or not it failed. */
typedef struct {
    size_t bytes;
    uint64_t samples;
} mark_t;

static mark_t mark(const obs_accumulator_t *accumulator)
{
    return (mark_t){obs_accumulator_heap_bytes(accumulator), obs_accumulator_samples(accumulator)};
}

/* Returns the samples that were added since. */
static uint64_t book(obs_window_t *window, const obs_accumulator_t *accumulator, mark_t before)
{
    uint64_t added = obs_accumulator_samples(accumulator) - before.samples;
    window->accumulator_bytes += obs_accumulator_heap_bytes(accumulator) - before.bytes;
    window->sample_count += added;
    return added;
}

static uint8_t kind_of_entry(uint8_t type)
{
    switch (type) {
    case OBS_BODY_COUNTER:
        return OBS_KIND_COUNTER;
    case OBS_BODY_GAUGE:
        return OBS_KIND_GAUGE;
    case OBS_BODY_COLUMN:
        return OBS_KIND_COLUMN;
    default:
        return OBS_KIND_HISTOGRAM;
    }
}

static int add_entry(obs_accumulator_t *accumulator, const obs_body_entry_t *entry, int64_t end_ms)
{
    switch (entry->type) {
    case OBS_BODY_RUN:
        return obs_accumulator_add_many(accumulator, (const double *)(const void *)entry->bytes, entry->count);
    case OBS_BODY_LOGHIST:
        return obs_loghist_merge_encoded(&accumulator->hist, entry->bytes, entry->size);
    case OBS_BODY_TDIGEST:
        return obs_accumulator_merge_digest(accumulator, entry->bytes, entry->size);
    case OBS_BODY_COLUMN:
        return obs_accumulator_merge_column(accumulator, entry->bytes, entry->size);
    case OBS_BODY_COUNTER:
        obs_accumulator_add_counter(accumulator, entry->count, entry->value);
        return OBS_OK;
    default:
        return obs_accumulator_add_gauge(accumulator, entry->value, 1, end_ms);
    }
}

static int refuse_entry(const obs_body_entry_t *entry, obs_applied_t *applied)
{
    uint64_t samples;
    int status = obs_body_entry_samples(entry, &samples);
    if (status == OBS_OK)
        applied->refused += samples;
    return status;
}

static int apply_entry(obs_window_t *window, const obs_body_entry_t *entry, const obs_series_target_t *target,
                       int64_t end_ms, obs_applied_t *applied)
{
    uint8_t kind = kind_of_entry(entry->type);
    if (target == NULL || target->series == OBS_SERIES_REFUSED || (target->kind != 0 && target->kind != kind))
        return refuse_entry(entry, applied);
    obs_series_target_t wanted = *target;
    wanted.kind = kind;
    obs_window_slot_t *slot;
    int status = get_slot(window, &wanted, &slot);
    if (status == OBS_ERR_STATE)
        return refuse_entry(entry, applied);
    if (status != OBS_OK)
        return status;
    mark_t before = mark(&slot->accumulator);
    if (before.samples >= OBS_WINDOW_MAX_SAMPLES)
        return refuse_entry(entry, applied);
    status = add_entry(&slot->accumulator, entry, end_ms);
    applied->applied += book(window, &slot->accumulator, before);
    return status;
}

int obs_window_apply(obs_window_t *window, const uint8_t *body, size_t size, const obs_series_map_t *map,
                     int64_t end_ms, obs_applied_t *applied)
{
    *applied = (obs_applied_t){0};
    obs_body_reader_t reader;
    int status = obs_body_reader_init(&reader, body, size);
    if (status != OBS_OK)
        return status;
    obs_body_entry_t entry;
    while ((status = obs_body_next(&reader, &entry)) > 0) {
        const obs_series_target_t *target = obs_series_map_find(map, entry.series);
        status = apply_entry(window, &entry, target, end_ms, applied);
        if (status != OBS_OK)
            return status;
    }
    return status;
}

int obs_window_add_value(obs_window_t *window, const obs_series_target_t *target, double value, uint64_t weight,
                         int64_t time_ms)
{
    if (target->kind != OBS_KIND_HISTOGRAM && target->kind != OBS_KIND_GAUGE)
        return OBS_ERR_RANGE;
    obs_window_slot_t *slot;
    int status = get_slot(window, target, &slot);
    if (status != OBS_OK)
        return status;
    mark_t before = mark(&slot->accumulator);
    if (before.samples >= OBS_WINDOW_MAX_SAMPLES || weight > OBS_WINDOW_MAX_SAMPLES)
        return OBS_ERR_RANGE;
    if (target->kind == OBS_KIND_GAUGE)
        status = obs_accumulator_add_gauge(&slot->accumulator, value, weight, time_ms);
    else
        status = obs_accumulator_add_value(&slot->accumulator, value, weight);
    book(window, &slot->accumulator, before);
    return status;
}

int obs_window_add_counter(obs_window_t *window, uint32_t series, uint64_t increments, double sum)
{
    if (!isfinite(sum) || sum < 0)
        return OBS_ERR_RANGE;
    obs_series_target_t target = {.series = series, .kind = OBS_KIND_COUNTER, .scale = OBS_LOGHIST_DEFAULT_SCALE};
    obs_window_slot_t *slot;
    int status = get_slot(window, &target, &slot);
    if (status != OBS_OK)
        return status;
    mark_t before = mark(&slot->accumulator);
    if (before.samples >= OBS_WINDOW_MAX_SAMPLES || increments > OBS_WINDOW_MAX_SAMPLES)
        return OBS_ERR_RANGE;
    obs_accumulator_add_counter(&slot->accumulator, increments, sum);
    book(window, &slot->accumulator, before);
    return OBS_OK;
}

/* Where what is merged goes, with the digests that it brings. */
static obs_series_target_t merged_target(uint32_t series, uint8_t kind)
{
    return (obs_series_target_t){.series = series, .kind = kind, .scale = SCALE_OF_FIRST_MERGE, .keeps_digest = true};
}

static int check_kind(const obs_window_t *window, uint32_t series, uint8_t kind)
{
    const obs_window_slot_t *slot = obs_window_find(window, series);
    return slot == NULL || slot->kind == kind ? OBS_OK : OBS_ERR_STATE;
}

static int check_rows(const obs_window_t *window, const uint8_t *rows, size_t size)
{
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    int status;
    while ((status = obs_rows_next(&reader, &row)) > 0) {
        status = obs_row_check(&row);
        if (status == OBS_OK)
            status = check_kind(window, row.series, row.kind);
        if (status != OBS_OK)
            return status;
    }
    return status;
}

int obs_window_merge_rows(obs_window_t *into, const uint8_t *rows, size_t size)
{
    int status = check_rows(into, rows, size);
    if (status != OBS_OK)
        return status;
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    while ((status = obs_rows_next(&reader, &row)) > 0) {
        obs_series_target_t target = merged_target(row.series, row.kind);
        obs_window_slot_t *slot;
        status = get_slot(into, &target, &slot);
        if (status != OBS_OK)
            return status;
        mark_t before = mark(&slot->accumulator);
        status = obs_accumulator_merge_row(&slot->accumulator, &row);
        book(into, &slot->accumulator, before);
        if (status != OBS_OK)
            return status;
    }
    return status;
}

static int check_kinds(const obs_window_t *into, const obs_window_t *from)
{
    for (size_t index = 0; index < from->slot_count; index++) {
        const obs_window_slot_t *slot = obs_window_slot_at(from, index);
        int status = check_kind(into, slot->series, slot->kind);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

int obs_window_merge(obs_window_t *into, const obs_window_t *from)
{
    int status = check_kinds(into, from);
    for (size_t index = 0; status == OBS_OK && index < from->slot_count; index++) {
        const obs_window_slot_t *added = obs_window_slot_at(from, index);
        obs_series_target_t target = merged_target(added->series, added->kind);
        obs_window_slot_t *slot;
        status = get_slot(into, &target, &slot);
        if (status != OBS_OK)
            return status;
        mark_t before = mark(&slot->accumulator);
        status = obs_accumulator_merge(&slot->accumulator, &added->accumulator);
        book(into, &slot->accumulator, before);
    }
    return status;
}
