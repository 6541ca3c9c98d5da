#include "body.h"

#include <math.h>
#include <string.h>

#include "obs_port.h"
#include "varint.h"

/* The longest series, type and one more varint (a count or a size). */
#define ENTRY_HEAD_MAX_SIZE (2 * OBS_VARINT_MAX_SIZE + 1)

void obs_body_init(obs_body_t *body)
{
    obs_bytes_init(body);
}

void obs_body_free(obs_body_t *body)
{
    obs_bytes_free(body);
}

int obs_body_begin(obs_body_t *body)
{
    body->size = 0;
    int status = obs_bytes_reserve(body, 1);
    if (status == OBS_OK)
        body->bytes[body->size++] = OBS_BODY_VERSION;
    return status;
}

/* Makes room for an entry and writes its series and type; the caller moves body->size at the end, so
 * that a failure on the way leaves the body as it was. */
static int entry_begin(obs_body_t *body, uint32_t series, uint8_t type, size_t payload_size, uint8_t **at)
{
    if (series > OBS_BODY_MAX_SERIES)
        return OBS_ERR_RANGE;
    if (body->size == 0)
        return OBS_ERR_STATE;
    if (payload_size > SIZE_MAX - ENTRY_HEAD_MAX_SIZE)
        return OBS_ERR_NOMEM;
    int status = obs_bytes_reserve(body, ENTRY_HEAD_MAX_SIZE + payload_size);
    if (status != OBS_OK)
        return status;
    uint8_t *out = body->bytes + body->size;
    out += obs_varint_put(out, series);
    *out++ = type;
    *at = out;
    return OBS_OK;
}

static void entry_end(obs_body_t *body, const uint8_t *end)
{
    body->size = (size_t)(end - body->bytes);
}

int obs_body_put_run(obs_body_t *body, uint32_t series, const double *values, size_t value_count)
{
    if (value_count < 1 || value_count > OBS_BODY_MAX_RUN)
        return OBS_ERR_RANGE;
    uint8_t *out;
    int status = entry_begin(body, series, OBS_BODY_RUN, value_count * sizeof(double), &out);
    if (status != OBS_OK)
        return status;
    out += obs_varint_put(out, value_count);
    for (size_t index = 0; index < value_count; index++)
        obs_store_f64(out + index * sizeof(double), values[index]);
    entry_end(body, out + value_count * sizeof(double));
    return OBS_OK;
}

/* The size of a sketch comes before its bytes and is known after them: room is left as for the bound, which nearly
 * always has as many digits. */
static void sketch_end(obs_body_t *body, uint8_t *out, size_t bound, size_t size)
{
    size_t room = obs_varint_size(bound), head = obs_varint_size(size);
    if (head != room)
        memmove(out + head, out + room, size);
    out += obs_varint_put(out, size);
    entry_end(body, out + size);
}

int obs_body_put_loghist(obs_body_t *body, uint32_t series, const obs_loghist_t *hist)
{
    size_t bound = obs_loghist_encoded_bound(hist), size;
    uint8_t *out;
    int status = entry_begin(body, series, OBS_BODY_LOGHIST, bound, &out);
    if (status == OBS_OK)
        status = obs_loghist_encode(hist, out + obs_varint_size(bound), bound, &size);
    if (status == OBS_OK)
        sketch_end(body, out, bound, size);
    return status;
}

int obs_body_put_tdigest(obs_body_t *body, uint32_t series, obs_tdigest_t *digest)
{
    int status = obs_tdigest_flush(digest);
    if (status != OBS_OK)
        return status;
    size_t bound = obs_tdigest_encoded_bound(digest), size;
    uint8_t *out;
    status = entry_begin(body, series, OBS_BODY_TDIGEST, bound, &out);
    if (status == OBS_OK)
        status = obs_tdigest_encode(digest, out + obs_varint_size(bound), bound, &size);
    if (status == OBS_OK)
        sketch_end(body, out, bound, size);
    return status;
}

int obs_body_put_column(obs_body_t *body, uint32_t series, const obs_loghist_t *hist, const obs_column_t *column)
{
    size_t bound = obs_column_encoded_bound(hist, column), size;
    uint8_t *out;
    int status = entry_begin(body, series, OBS_BODY_COLUMN, bound, &out);
    if (status == OBS_OK)
        status = obs_column_encode(hist, column, out + obs_varint_size(bound), bound, &size);
    if (status == OBS_OK)
        sketch_end(body, out, bound, size);
    return status;
}

int obs_body_put_counter(obs_body_t *body, uint32_t series, uint64_t increments, double sum)
{
    if (increments < 1 || increments > OBS_BODY_MAX_SAMPLES || !isfinite(sum) || sum < 0)
        return OBS_ERR_RANGE;
    uint8_t *out;
    int status = entry_begin(body, series, OBS_BODY_COUNTER, sizeof(double), &out);
    if (status != OBS_OK)
        return status;
    out += obs_varint_put(out, increments);
    obs_store_f64(out, sum);
    entry_end(body, out + sizeof(double));
    return OBS_OK;
}

int obs_body_put_gauge(obs_body_t *body, uint32_t series, double value)
{
    uint8_t *out;
    int status = entry_begin(body, series, OBS_BODY_GAUGE, sizeof(double), &out);
    if (status != OBS_OK)
        return status;
    obs_store_f64(out, value);
    entry_end(body, out + sizeof(double));
    return OBS_OK;
}

int obs_body_reader_init(obs_body_reader_t *reader, const uint8_t *bytes, size_t size)
{
    if (size < 1)
        return OBS_ERR_CORRUPT;
    if (bytes[0] != OBS_BODY_VERSION)
        return OBS_ERR_VERSION;
    reader->cursor = bytes + 1;
    reader->end = bytes + size;
    return OBS_OK;
}

static int take_double(const uint8_t **cursor, const uint8_t *end, double *value)
{
    if ((size_t)(end - *cursor) < sizeof(double))
        return OBS_ERR_CORRUPT;
    *value = obs_load_f64(*cursor);
    *cursor += sizeof(double);
    return OBS_OK;
}

static int read_run(const uint8_t **cursor, const uint8_t *end, obs_body_entry_t *entry)
{
    int status = obs_varint_get(cursor, end, &entry->count);
    if (status != OBS_OK)
        return status;
    if (entry->count < 1 || entry->count > OBS_BODY_MAX_RUN)
        return OBS_ERR_CORRUPT;
    if (entry->count > (size_t)(end - *cursor) / sizeof(double))
        return OBS_ERR_CORRUPT;
    entry->bytes = *cursor;
    entry->size = (size_t)entry->count * sizeof(double);
    *cursor += entry->size;
    return OBS_OK;
}

static int read_sketch(const uint8_t **cursor, const uint8_t *end, obs_body_entry_t *entry)
{
    uint64_t size;
    int status = obs_varint_get(cursor, end, &size);
    if (status != OBS_OK)
        return status;
    if (size > (size_t)(end - *cursor))
        return OBS_ERR_CORRUPT;
    entry->bytes = *cursor;
    entry->size = (size_t)size;
    *cursor += entry->size;
    return OBS_OK;
}

static int read_counter(const uint8_t **cursor, const uint8_t *end, obs_body_entry_t *entry)
{
    int status = obs_varint_get(cursor, end, &entry->count);
    if (status == OBS_OK)
        status = take_double(cursor, end, &entry->value);
    if (status != OBS_OK)
        return status;
    int sane = entry->count >= 1 && isfinite(entry->value) && entry->value >= 0;
    return sane ? OBS_OK : OBS_ERR_CORRUPT;
}

static int read_gauge(const uint8_t **cursor, const uint8_t *end, obs_body_entry_t *entry)
{
    entry->count = 1;
    return take_double(cursor, end, &entry->value);
}

static int read_payload(const uint8_t **cursor, const uint8_t *end, obs_body_entry_t *entry)
{
    switch (entry->type) {
    case OBS_BODY_RUN:
        return read_run(cursor, end, entry);
    case OBS_BODY_LOGHIST:
    case OBS_BODY_TDIGEST:
    case OBS_BODY_COLUMN:
        return read_sketch(cursor, end, entry);
    case OBS_BODY_COUNTER:
        return read_counter(cursor, end, entry);
    case OBS_BODY_GAUGE:
        return read_gauge(cursor, end, entry);
    default:
        return OBS_ERR_CORRUPT;
    }
}

int obs_body_next(obs_body_reader_t *reader, obs_body_entry_t *entry)
{
    const uint8_t *cursor = reader->cursor;
    if (cursor == reader->end)
        return 0;
    uint64_t series;
    int status = obs_varint_get(&cursor, reader->end, &series);
    if (status != OBS_OK)
        return status;
    if (series > OBS_BODY_MAX_SERIES || cursor == reader->end)
        return OBS_ERR_CORRUPT;
    *entry = (obs_body_entry_t){.series = (uint32_t)series, .type = *cursor++};
    status = read_payload(&cursor, reader->end, entry);
    if (status != OBS_OK)
        return status;
    reader->cursor = cursor;
    return 1;
}

int obs_body_entry_samples(const obs_body_entry_t *entry, uint64_t *samples)
{
    if (entry->type == OBS_BODY_LOGHIST)
        return obs_loghist_check(entry->bytes, entry->size, samples);
    if (entry->type == OBS_BODY_COLUMN)
        return obs_column_check(entry->bytes, entry->size, samples);
    *samples = entry->count; /* a t-digest's is 0 */
    return OBS_OK;
}

/* Checks that a t-digest holds the samples of the entry before it. */
static int check_digest(const obs_body_entry_t *before, uint64_t before_samples, const obs_body_entry_t *entry)
{
    uint64_t samples;
    if (before->type != OBS_BODY_LOGHIST || before->series != entry->series)
        return OBS_ERR_CORRUPT;
    int status = obs_tdigest_check(entry->bytes, entry->size, &samples);
    if (status != OBS_OK)
        return status;
    return samples == before_samples ? OBS_OK : OBS_ERR_CORRUPT;
}

int obs_body_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    obs_body_reader_t reader;
    int status = obs_body_reader_init(&reader, bytes, size);
    if (status != OBS_OK)
        return status;
    uint64_t total = 0, entry_samples = 0;
    obs_body_entry_t before = {0}, entry;
    while ((status = obs_body_next(&reader, &entry)) > 0) {
        status = OBS_OK;
        if (entry.type == OBS_BODY_TDIGEST)
            status = check_digest(&before, entry_samples, &entry);
        if (status == OBS_OK)
            status = obs_body_entry_samples(&entry, &entry_samples);
        if (status != OBS_OK)
            return status;
        before = entry;
        if (entry_samples > OBS_BODY_MAX_SAMPLES - total)
            return OBS_ERR_CORRUPT;
        total += entry_samples;
    }
    if (status == OBS_OK && samples != NULL)
        *samples = total;
    return status;
}
