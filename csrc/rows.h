/* rows.h: what the series of one window come to, as bytes: the content of a segment's frame.
 *
 *     rows      := row*                                 sorted by series id, ids unique
 *     row       := varint delta, u8 flags, varint size, size bytes of payload, digest if the flags say so
 *     delta     := series id - series id of the row before (the first row: series id)
 *     flags     := kind (low 4 bits), 0x10 a t-digest follows (histograms only), 0x20 an exemplar follows (reserved)
 *     HISTOGRAM := bytes of obs_loghist_encode
 *     COUNTER   := varint increments, f64 sum           sum is neither negative nor NaN; it may be inf
 *     GAUGE     := i64 last_time_ms, f64 last, bytes of obs_loghist_encode of its samples
 *     COLUMN    := payload as column.h says
 *     digest    := varint size, size bytes of obs_tdigest_encode: the samples of the histogram once more, all of them
 *
 * Integers and doubles are little-endian and unaligned. A reader that wants few of the series passes
 * over the others by their size. Rows carry no checksum: their container does.
 *
 * The reader is safe on any bytes. It checks what it needs to find the rows; obs_row_check checks the
 * payload of one row and obs_rows_check everything.
 */
#ifndef OBS_ROWS_H
#define OBS_ROWS_H

#include "bytes.h"
#include "column.h"
#include "loghist.h"
#include "tdigest.h"

/* Kinds of instrument; the numbers are part of the formats. */
enum {
    OBS_KIND_HISTOGRAM = 1,
    OBS_KIND_COUNTER = 2,
    OBS_KIND_GAUGE = 3,
    OBS_KIND_COLUMN = 4,
};

typedef struct {
    obs_bytes_t *out;
    uint64_t next_series; /* the lowest id that may come next */
} obs_rows_writer_t;

/* Appends rows to out, the first with its id whole. */
void obs_rows_writer_init(obs_rows_writer_t *writer, obs_bytes_t *out);
/* Each put: OBS_ERR_RANGE unless series is above the one before; on failure nothing is written. */
OBS_MUST_CHECK int obs_rows_put_histogram(obs_rows_writer_t *writer, uint32_t series, const obs_loghist_t *hist);
/* digest holds exactly the samples of hist; its buffer is empty (obs_tdigest_flush). */
OBS_MUST_CHECK int obs_rows_put_digested_histogram(obs_rows_writer_t *writer, uint32_t series,
                                                   const obs_loghist_t *hist, obs_tdigest_t *digest);
OBS_MUST_CHECK int obs_rows_put_column(obs_rows_writer_t *writer, uint32_t series, const obs_loghist_t *hist,
                                       const obs_column_t *column);
OBS_MUST_CHECK int obs_rows_put_counter(obs_rows_writer_t *writer, uint32_t series, uint64_t increments, double sum);
OBS_MUST_CHECK int obs_rows_put_gauge(obs_rows_writer_t *writer, uint32_t series, int64_t last_ms, double last,
                                      const obs_loghist_t *samples);

typedef struct {
    const uint8_t *cursor;
    const uint8_t *end;
    uint64_t next_series; /* the lowest id that may come next */
} obs_rows_reader_t;

typedef struct {
    uint32_t series;
    uint8_t kind;
    const uint8_t *payload;
    size_t payload_size;
    const uint8_t *digest; /* an encoded t-digest, unchecked; NULL if there is none. Who wants none makes it NULL */
    size_t digest_size;
} obs_row_t;

void obs_rows_reader_init(obs_rows_reader_t *reader, const uint8_t *bytes, size_t size);
/* 1 and the next row, 0 at the end, or a negative status (and the reader stays where it is). */
OBS_MUST_CHECK int obs_rows_next(obs_rows_reader_t *reader, obs_row_t *row);

/* What a row says, taken apart by its kind; fields of other kinds are zero. */
typedef struct {
    uint64_t increments; /* COUNTER */
    double sum;
    int64_t last_ms; /* GAUGE */
    double last;
    const uint8_t
        *hist; /* HISTOGRAM, GAUGE: an encoded histogram, unchecked; NULL for a COLUMN, which column.h opens */
    size_t hist_size;
} obs_row_content_t;

OBS_MUST_CHECK int obs_row_open(const obs_row_t *row, obs_row_content_t *content);
/* Checks the payload, an embedded histogram included, and a t-digest. */
OBS_MUST_CHECK int obs_row_check(const obs_row_t *row);
/* Checks all rows without allocation. */
OBS_MUST_CHECK int obs_rows_check(const uint8_t *bytes, size_t size);

#endif
