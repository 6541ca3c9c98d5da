#include "rows.h"

#include <math.h>
#include <string.h>

#include "obs_port.h"
#include "varint.h"

#define KIND_MASK 0x0f
#define DIGEST_FOLLOWS 0x10
/* The longest delta, flags and payload size. */
#define ROW_HEAD_MAX_SIZE (2 * OBS_VARINT_MAX_SIZE + 1)
/* i64 last_time_ms, f64 last */
#define GAUGE_HEAD_SIZE (sizeof(int64_t) + sizeof(double))
#define COUNTER_MAX_SIZE (OBS_VARINT_MAX_SIZE + sizeof(double))

void obs_rows_writer_init(obs_rows_writer_t *writer, obs_bytes_t *out)
{
    writer->out = out;
    writer->next_series = 0;
}

/* Makes room for a row and writes its delta and flags. The row counts only when row_end moves the
 * size, so that a failure between the two writes nothing. */
static int row_begin(obs_rows_writer_t *writer, uint32_t series, uint8_t flags, size_t payload_bound, uint8_t **at)
{
    if (series < writer->next_series)
        return OBS_ERR_RANGE;
    if (payload_bound > SIZE_MAX - ROW_HEAD_MAX_SIZE)
        return OBS_ERR_NOMEM;
    int status = obs_bytes_reserve(writer->out, ROW_HEAD_MAX_SIZE + payload_bound);
    if (status != OBS_OK)
        return status;
    uint64_t previous = writer->next_series == 0 ? 0 : writer->next_series - 1;
    uint8_t *out = writer->out->bytes + writer->out->size;
    out += obs_varint_put(out, series - previous);
    *out++ = flags;
    *at = out;
    return OBS_OK;
}

static void row_end(obs_rows_writer_t *writer, uint32_t series, const uint8_t *end)
{
    writer->out->size = (size_t)(end - writer->out->bytes);
    writer->next_series = (uint64_t)series + 1;
}

/* A payload that is a head and an encoded histogram. Its size comes first and is known last: leave
 * room as for the bound, which nearly always has as many digits. */
static int put_with_hist(obs_rows_writer_t *writer, uint32_t series, uint8_t flags, const uint8_t *head,
                         size_t head_size, const obs_loghist_t *hist)
{
    size_t hist_bound = obs_loghist_encoded_bound(hist);
    if (hist_bound > SIZE_MAX - head_size)
        return OBS_ERR_NOMEM;
    uint8_t *out;
    int status = row_begin(writer, series, flags, head_size + hist_bound, &out);
    if (status != OBS_OK)
        return status;
    uint8_t *payload = out + obs_varint_size(head_size + hist_bound);
    size_t hist_size;
    status = obs_loghist_encode(hist, payload + head_size, hist_bound, &hist_size);
    if (status != OBS_OK)
        return status;
    if (head_size > 0)
        memcpy(payload, head, head_size);
    size_t payload_size = head_size + hist_size;
    if (out + obs_varint_size(payload_size) != payload)
        memmove(out + obs_varint_size(payload_size), payload, payload_size);
    out += obs_varint_put(out, payload_size);
    row_end(writer, series, out + payload_size);
    return OBS_OK;
}

int obs_rows_put_histogram(obs_rows_writer_t *writer, uint32_t series, const obs_loghist_t *hist)
{
    return put_with_hist(writer, series, OBS_KIND_HISTOGRAM, NULL, 0, hist);
}

/* Behind the row that was put last: the digest's size, which is known last, and its bytes. */
static int put_digest(obs_rows_writer_t *writer, obs_tdigest_t *digest)
{
    size_t bound = obs_tdigest_encoded_bound(digest), room = obs_varint_size(bound), size;
    int status = obs_bytes_reserve(writer->out, room + bound);
    if (status != OBS_OK)
        return status;
    uint8_t *out = writer->out->bytes + writer->out->size;
    status = obs_tdigest_encode(digest, out + room, bound, &size);
    if (status != OBS_OK)
        return status;
    size_t head = obs_varint_put(out, size);
    if (head != room)
        memmove(out + head, out + room, size);
    writer->out->size += head + size;
    return OBS_OK;
}

int obs_rows_put_digested_histogram(obs_rows_writer_t *writer, uint32_t series, const obs_loghist_t *hist,
                                    obs_tdigest_t *digest)
{
    obs_rows_writer_t before = *writer;
    size_t size_before = writer->out->size;
    int status = put_with_hist(writer, series, OBS_KIND_HISTOGRAM | DIGEST_FOLLOWS, NULL, 0, hist);
    if (status == OBS_OK)
        status = put_digest(writer, digest);
    if (status != OBS_OK) {
        *writer = before;
        writer->out->size = size_before;
    }
    return status;
}

int obs_rows_put_column(obs_rows_writer_t *writer, uint32_t series, const obs_loghist_t *hist,
                        const obs_column_t *column)
{
    size_t bound = obs_column_encoded_bound(hist, column), size;
    uint8_t *out;
    int status = row_begin(writer, series, OBS_KIND_COLUMN, bound, &out);
    if (status != OBS_OK)
        return status;
    size_t room = obs_varint_size(bound);
    status = obs_column_encode(hist, column, out + room, bound, &size);
    if (status != OBS_OK)
        return status;
    if (obs_varint_size(size) != room)
        memmove(out + obs_varint_size(size), out + room, size);
    out += obs_varint_put(out, size);
    row_end(writer, series, out + size);
    return OBS_OK;
}

int obs_rows_put_gauge(obs_rows_writer_t *writer, uint32_t series, int64_t last_ms, double last,
                       const obs_loghist_t *samples)
{
    uint8_t head[GAUGE_HEAD_SIZE];
    obs_store_u64(head, (uint64_t)last_ms);
    obs_store_f64(head + sizeof(int64_t), last);
    return put_with_hist(writer, series, OBS_KIND_GAUGE, head, sizeof head, samples);
}

int obs_rows_put_counter(obs_rows_writer_t *writer, uint32_t series, uint64_t increments, double sum)
{
    if (isnan(sum) || sum < 0)
        return OBS_ERR_RANGE;
    uint8_t *out;
    int status = row_begin(writer, series, OBS_KIND_COUNTER, COUNTER_MAX_SIZE, &out);
    if (status != OBS_OK)
        return status;
    out += obs_varint_put(out, obs_varint_size(increments) + sizeof(double));
    out += obs_varint_put(out, increments);
    obs_store_f64(out, sum);
    row_end(writer, series, out + sizeof(double));
    return OBS_OK;
}

void obs_rows_reader_init(obs_rows_reader_t *reader, const uint8_t *bytes, size_t size)
{
    reader->cursor = bytes;
    reader->end = bytes + size;
    reader->next_series = 0;
}

/* The series id that follows from a delta, or a status. */
static int next_series(const obs_rows_reader_t *reader, uint64_t delta, uint32_t *series)
{
    uint64_t previous = reader->next_series == 0 ? 0 : reader->next_series - 1;
    if (delta > UINT32_MAX - previous)
        return OBS_ERR_CORRUPT;
    if (previous + delta < reader->next_series)
        return OBS_ERR_CORRUPT;
    *series = (uint32_t)(previous + delta);
    return OBS_OK;
}

static int read_flags(uint8_t flags, uint8_t *kind)
{
    *kind = flags & KIND_MASK;
    if (*kind < OBS_KIND_HISTOGRAM || *kind > OBS_KIND_COLUMN)
        return OBS_ERR_CORRUPT;
    if (flags & ~(KIND_MASK | DIGEST_FOLLOWS))
        return OBS_ERR_VERSION;
    return flags == *kind || *kind == OBS_KIND_HISTOGRAM ? OBS_OK : OBS_ERR_CORRUPT;
}

/* Bytes behind their size. */
static int read_sized(const uint8_t **cursor, const uint8_t *end, const uint8_t **bytes, size_t *size)
{
    uint64_t found;
    int status = obs_varint_get(cursor, end, &found);
    if (status != OBS_OK)
        return status;
    if (found > (size_t)(end - *cursor))
        return OBS_ERR_CORRUPT;
    *bytes = *cursor;
    *size = (size_t)found;
    *cursor += found;
    return OBS_OK;
}

int obs_rows_next(obs_rows_reader_t *reader, obs_row_t *row)
{
    const uint8_t *cursor = reader->cursor;
    if (cursor == reader->end)
        return 0;
    obs_row_t found = {0};
    uint64_t delta;
    uint8_t flags = 0;
    int status = obs_varint_get(&cursor, reader->end, &delta);
    if (status == OBS_OK)
        status = next_series(reader, delta, &found.series);
    if (status == OBS_OK)
        status = cursor == reader->end ? OBS_ERR_CORRUPT : read_flags(flags = *cursor++, &found.kind);
    if (status == OBS_OK)
        status = read_sized(&cursor, reader->end, &found.payload, &found.payload_size);
    if (status == OBS_OK && (flags & DIGEST_FOLLOWS))
        status = read_sized(&cursor, reader->end, &found.digest, &found.digest_size);
    if (status != OBS_OK)
        return status;
    reader->cursor = cursor;
    reader->next_series = (uint64_t)found.series + 1;
    *row = found;
    return 1;
}

static int open_counter(const obs_row_t *row, obs_row_content_t *content)
{
    const uint8_t *cursor = row->payload, *end = row->payload + row->payload_size;
    int status = obs_varint_get(&cursor, end, &content->increments);
    if (status != OBS_OK)
        return status;
    if ((size_t)(end - cursor) != sizeof(double))
        return OBS_ERR_CORRUPT;
    content->sum = obs_load_f64(cursor);
    return isnan(content->sum) || content->sum < 0 ? OBS_ERR_CORRUPT : OBS_OK;
}

static int open_gauge(const obs_row_t *row, obs_row_content_t *content)
{
    if (row->payload_size < GAUGE_HEAD_SIZE)
        return OBS_ERR_CORRUPT;
    content->last_ms = (int64_t)obs_load_u64(row->payload);
    content->last = obs_load_f64(row->payload + sizeof(int64_t));
    content->hist = row->payload + GAUGE_HEAD_SIZE;
    content->hist_size = row->payload_size - GAUGE_HEAD_SIZE;
    return OBS_OK;
}

int obs_row_open(const obs_row_t *row, obs_row_content_t *content)
{
    *content = (obs_row_content_t){0};
    if (row->kind == OBS_KIND_COUNTER)
        return open_counter(row, content);
    if (row->kind == OBS_KIND_GAUGE)
        return open_gauge(row, content);
    if (row->kind == OBS_KIND_COLUMN)
        return OBS_OK;
    content->hist = row->payload;
    content->hist_size = row->payload_size;
    return OBS_OK;
}

int obs_row_check(const obs_row_t *row)
{
    obs_row_content_t content;
    uint64_t samples = 0, digested;
    if (row->kind == OBS_KIND_COLUMN)
        return obs_column_check(row->payload, row->payload_size, NULL);
    int status = obs_row_open(row, &content);
    if (status == OBS_OK && content.hist != NULL)
        status = obs_loghist_check(content.hist, content.hist_size, &samples);
    if (status != OBS_OK || row->digest == NULL)
        return status;
    status = obs_tdigest_check(row->digest, row->digest_size, &digested);
    return status == OBS_OK && digested != samples ? OBS_ERR_CORRUPT : status;
}

int obs_rows_check(const uint8_t *bytes, size_t size)
{
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, bytes, size);
    obs_row_t row;
    int status;
    while ((status = obs_rows_next(&reader, &row)) > 0) {
        status = obs_row_check(&row);
        if (status != OBS_OK)
            return status;
    }
    return status;
}
