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

/* Values stride bytes apart, one behind the other. */
static void gather(double *out, const void *values, ptrdiff_t stride, size_t value_count)
{
    const char *at = values;
    if (stride == sizeof(double)) {
        memcpy(out, at, value_count * sizeof(double));
        return;
    }
    for (size_t i = 0; i < value_count; i++, at += stride)
        memcpy(out + i, at, sizeof(double));
}

static void add_surplus(obs_producer_t *producer, int64_t surplus)
{
    int64_t before = atomic_load_explicit(&producer->run_surplus, memory_order_relaxed);
    atomic_store_explicit(&producer->run_surplus, before + surplus, memory_order_relaxed);
}

static int push_run(obs_producer_t *producer, uint32_t series, const void *values, ptrdiff_t stride, size_t value_count)
{
    obs_ring_t *ring = &producer->ring;
    size_t record_count = value_count / 2 + 1;
    obs_ring_record_t *records = NULL;
    int status = obs_ring_claim(ring, record_count, &records);
    if (status != OBS_OK)
        return status;
    records->tag = OBS_RUN_TAG(series, value_count);
    gather((double *)(void *)((char *)records + offsetof(obs_ring_record_t, value)), values, stride, value_count);
    add_surplus(producer, (int64_t)value_count - (int64_t)record_count);
    obs_ring_commit(ring, record_count);
    return OBS_OK;
}

/* Returns how many found room. */
static size_t push_runs(obs_producer_t *producer, uint32_t series, const void *values, ptrdiff_t stride,
                        size_t value_count)
{
    const char *at = values;
    for (size_t pushed = 0; pushed < value_count;) {
        size_t left = value_count - pushed;
        size_t run_count = left < OBS_RUN_VALUES_MAX ? left : OBS_RUN_VALUES_MAX;
        if (push_run(producer, series, at, stride, run_count) != OBS_OK)
            return pushed;
        pushed += run_count;
        at += (ptrdiff_t)run_count * stride;
    }
    return value_count;
}

int obs_producer_push_weighted(obs_producer_t *producer, uint64_t tag, uint64_t bits, uint64_t weight)
{
    obs_ring_record_t *record = NULL;
    int status = obs_ring_claim(&producer->ring, 1, &record);
    if (status == OBS_ERR_FULL)
        obs_ring_drop(&producer->ring, weight);
    if (status != OBS_OK)
        return status;
    record->tag = tag;
    memcpy(&record->value, &bits, sizeof bits);
    add_surplus(producer, (int64_t)(weight - 1));
    obs_ring_commit(&producer->ring, 1);
    return OBS_OK;
}

/* Rows row_bytes long, row_stride bytes apart, one behind the other. */
static void gather_rows(char *out, const char *rows, ptrdiff_t row_stride, size_t row_bytes, size_t row_count)
{
    if (row_stride == (ptrdiff_t)row_bytes) {
        memcpy(out, rows, row_count * row_bytes);
        return;
    }
    for (size_t i = 0; i < row_count; i++, out += row_bytes, rows += row_stride)
        memcpy(out, rows, row_bytes);
}

static size_t records_for(size_t byte_count)
{
    return (byte_count + sizeof(obs_ring_record_t) - 1) / sizeof(obs_ring_record_t);
}

/* Rows of the table from the first on, as many as fit behind the last record; returns their number, 0 without room. */
static size_t push_rows(obs_producer_t *producer, const obs_table_t *table, const char *rows, size_t row_count)
{
    size_t head_bytes = obs_table_head_bytes(table->column_count), claimed;
    size_t row_bytes = table->column_count * (table->is_of_singles ? sizeof(float) : sizeof(double));
    size_t most_rows = row_count < OBS_RING_CHUNK_BYTES / row_bytes ? row_count : OBS_RING_CHUNK_BYTES / row_bytes;
    obs_ring_record_t *records = NULL;
    if (obs_ring_claim_some(&producer->ring, records_for(head_bytes + row_bytes),
                            records_for(head_bytes + most_rows * row_bytes), &records, &claimed) != OBS_OK)
        return 0;
    size_t room = (claimed * sizeof *records - head_bytes) / row_bytes;
    size_t pushed = room < most_rows ? room : most_rows, record_count = records_for(head_bytes + pushed * row_bytes);
    char *at = (char *)records;
    records->tag = OBS_TABLE_TAG(table->is_of_singles ? OBS_RECORD_TABLE_OF_SINGLES : OBS_RECORD_TABLE,
                                 table->column_count, pushed);
    memcpy(at + sizeof records->tag, table->series, table->column_count * sizeof *table->series);
    gather_rows(at + head_bytes, rows, table->row_stride, row_bytes, pushed);
    add_surplus(producer, (int64_t)(pushed * table->column_count) - (int64_t)record_count);
    obs_ring_commit(&producer->ring, record_count);
    return pushed;
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

static obs_delta_t *delta_of(obs_producer_t *producer, const obs_shape_t *shape)
{
    uint32_t series = shape->series;
    if (series >= producer->delta_capacity && grow_deltas(producer, series) != OBS_OK)
        return NULL;
    if (producer->deltas[series] == NULL)
        producer->deltas[series] = obs_delta_new(shape);
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

static void begin_call(obs_producer_t *producer)
{
    atomic_store_explicit(&producer->in_call, 1, memory_order_relaxed);
}

static void end_call(obs_producer_t *producer)
{
    atomic_store_explicit(&producer->in_call, 0, memory_order_release);
}

void obs_producer_add_many(obs_producer_t *producer, uint32_t series, int scale, bool keeps_digest,
                           const double *values, size_t value_count)
{
    const obs_shape_t shape = {.series = series, .scale = scale, .keeps_digest = keeps_digest};
    begin_call(producer);
    obs_delta_t *delta = value_count < OBS_BULK_VALUES_MIN ? NULL : delta_of(producer, &shape);
    while (value_count > 0) {
        size_t piece_count = value_count < BULK_PIECE ? value_count : BULK_PIECE;
        if (delta == NULL || add_piece(producer, delta, values, piece_count) != OBS_OK) {
            size_t pushed = push_runs(producer, series, values, sizeof *values, piece_count);
            obs_ring_drop(&producer->ring, piece_count - pushed);
        }
        values += piece_count;
        value_count -= piece_count;
    }
    end_call(producer);
}

/* Sketches a piece here. OBS_ERR_STATE: the drain has the delta just now; OBS_ERR_NOMEM: there is none. */
static int sketch_piece(obs_producer_t *producer, const obs_shape_t *shape, const void *values, ptrdiff_t stride,
                        size_t value_count)
{
    double together[BULK_PIECE];
    obs_delta_t *delta = delta_of(producer, shape);
    if (delta == NULL)
        return OBS_ERR_NOMEM;
    gather(together, values, stride, value_count);
    return add_piece(producer, delta, together, value_count);
}

/* A piece by the first way, or what that leaves by the other; what neither takes is dropped. */
static void add_column_piece(obs_producer_t *producer, const obs_shape_t *shape, bool is_bulk, const char *values,
                             ptrdiff_t stride, size_t value_count)
{
    if (is_bulk && sketch_piece(producer, shape, values, stride, value_count) == OBS_OK)
        return;
    size_t pushed = push_runs(producer, shape->series, values, stride, value_count);
    size_t left = value_count - pushed;
    if (left > 0 && sketch_piece(producer, shape, values + (ptrdiff_t)pushed * stride, stride, left) != OBS_OK)
        obs_ring_drop(&producer->ring, left);
}

void obs_producer_add_column(obs_producer_t *producer, const obs_shape_t *shape, const void *values, ptrdiff_t stride,
                             size_t value_count)
{
    bool is_bulk = value_count >= OBS_COLUMN_BULK_VALUES_MIN;
    begin_call(producer);
    for (const char *at = values; value_count > 0;) {
        size_t piece_count = value_count < BULK_PIECE ? value_count : BULK_PIECE;
        add_column_piece(producer, shape, is_bulk, at, stride, piece_count);
        at += (ptrdiff_t)piece_count * stride;
        value_count -= piece_count;
    }
    end_call(producer);
}

size_t obs_producer_push_table(obs_producer_t *producer, const obs_table_t *table)
{
    size_t pushed = 0, some;
    begin_call(producer);
    do {
        const char *rows = (const char *)table->values + (ptrdiff_t)pushed * table->row_stride;
        some = pushed == table->row_count ? 0 : push_rows(producer, table, rows, table->row_count - pushed);
        pushed += some;
    } while (some > 0);
    end_call(producer);
    return pushed;
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
