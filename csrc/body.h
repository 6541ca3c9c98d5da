/* body.h: the body of a sample frame, written by the drain in the model process and applied by the agent.
 *
 *     body    := u8 version (1), entry*
 *     entry   := varint series, u8 type, payload      series: the session's own number, 0-based, < 2^31
 *     RUN     := varint n (1..65536), n x f64         histogram samples as they were recorded
 *     LOGHIST := varint size, size bytes              histogram samples as obs_loghist_encode writes them
 *     COUNTER := varint increments (>= 1), f64 sum    sum is finite and >= 0
 *     GAUGE   := f64 value                            one sample, any double, taken at the batch's end
 *     TDIGEST := varint size, size bytes              the samples of the LOGHIST just before, of the same series, once
 *                                                     more, as obs_tdigest_encode writes them: no samples of its own
 *     COLUMN  := varint size, size bytes              samples of a column as column.h says, numbers or not
 *
 * Integers and doubles are little-endian and unaligned. A series may have any number of entries in
 * one body; their order means nothing except for a TDIGEST and the gauges of one series, of which the last wins.
 * One body holds at most OBS_BODY_MAX_SAMPLES samples, which no batch comes near and which keeps
 * sums over many bodies away from 64 bits.
 *
 * Writing: obs_body_begin, then the puts; on failure a put leaves the body as it was.
 * Reading: obs_body_check once, then obs_body_next. The reader is safe on any bytes: it never reads
 * outside, and what it has not checked itself (an embedded sketch) the kernel that reads it does.
 */
#ifndef OBS_BODY_H
#define OBS_BODY_H

#include "bytes.h"
#include "column.h"
#include "loghist.h"
#include "tdigest.h"

#define OBS_BODY_VERSION 1
#define OBS_BODY_MAX_SERIES 0x7fffffffu /* the largest series number */
#define OBS_BODY_MAX_RUN 65536u
#define OBS_BODY_MAX_SAMPLES (UINT64_C(1) << 48)

enum {
    OBS_BODY_RUN = 1,
    OBS_BODY_LOGHIST = 2,
    OBS_BODY_COUNTER = 3,
    OBS_BODY_GAUGE = 4,
    OBS_BODY_TDIGEST = 5,
    OBS_BODY_COLUMN = 6,
};

typedef obs_bytes_t obs_body_t;

/* An empty body without memory; obs_body_begin comes before the first put. */
void obs_body_init(obs_body_t *body);
/* Starts a new body and keeps the memory of the one before. */
OBS_MUST_CHECK int obs_body_begin(obs_body_t *body);
/* OBS_ERR_RANGE if the series is above OBS_BODY_MAX_SERIES or value_count outside 1..OBS_BODY_MAX_RUN. */
OBS_MUST_CHECK int obs_body_put_run(obs_body_t *body, uint32_t series, const double *values, size_t value_count);
OBS_MUST_CHECK int obs_body_put_loghist(obs_body_t *body, uint32_t series, const obs_loghist_t *hist);
/* Comes right after the put of the histogram of the same samples. May sort the digest's buffer into its centroids. */
OBS_MUST_CHECK int obs_body_put_tdigest(obs_body_t *body, uint32_t series, obs_tdigest_t *digest);
/* The column beside a histogram, and the histogram. */
OBS_MUST_CHECK int obs_body_put_column(obs_body_t *body, uint32_t series, const obs_loghist_t *hist,
                                       const obs_column_t *column);
/* OBS_ERR_RANGE unless increments >= 1 and sum is finite and >= 0. */
OBS_MUST_CHECK int obs_body_put_counter(obs_body_t *body, uint32_t series, uint64_t increments, double sum);
OBS_MUST_CHECK int obs_body_put_gauge(obs_body_t *body, uint32_t series, double value);
/* Releases the memory; the body may be used again after obs_body_begin. */
void obs_body_free(obs_body_t *body);

typedef struct {
    const uint8_t *cursor;
    const uint8_t *end;
} obs_body_reader_t;

typedef struct {
    uint32_t series;
    uint8_t type;
    uint64_t count; /* RUN: values; COUNTER: increments; GAUGE: 1; others: see obs_body_entry_samples */
    double value;   /* COUNTER: sum; GAUGE: value */
    const uint8_t
        *bytes;  /* RUN: count little-endian doubles, unaligned; LOGHIST, TDIGEST, COLUMN: the encoded sketch */
    size_t size; /* of bytes */
} obs_body_entry_t;

/* OBS_ERR_CORRUPT if empty, OBS_ERR_VERSION if of another version. */
OBS_MUST_CHECK int obs_body_reader_init(obs_body_reader_t *reader, const uint8_t *bytes, size_t size);
/* 1 and the next entry, 0 at the end, or a negative status: the reader stays where it is, the entry is void. */
OBS_MUST_CHECK int obs_body_next(obs_body_reader_t *reader, obs_body_entry_t *entry);
/* Samples that an entry stands for, none for a TDIGEST; reads an embedded histogram or column to count them. */
OBS_MUST_CHECK int obs_body_entry_samples(const obs_body_entry_t *entry, uint64_t *samples);
/* Full validation, embedded sketches included, without allocation; samples may be NULL. */
OBS_MUST_CHECK int obs_body_check(const uint8_t *bytes, size_t size, uint64_t *samples);

#endif
