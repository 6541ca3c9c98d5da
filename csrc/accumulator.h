/* accumulator.h: what the samples of one series come to: in one window, or over all that a query reads.
 *
 *   histogram   hist                                  exact merge: any order, any partition
 *               digest, if keeps_digest               merges depend on their order, within the rank error
 *   counter     increments, sum                       plain double addition; exact while sums stay below 2^53
 *   column      hist of its numbers, column           counts merge exactly, see column.h
 *   gauge       hist of its samples, last, last_ms    the last of the later time; of two at one time the
 *                                                     larger, so that this merge, too, is free of order
 *
 * The digest holds all the samples of hist or is worthless: one that missed some, because they came without it or
 * because there was no memory, is given up, and hist goes on. Nothing here fails for a digest's sake.
 *
 * An accumulator does not know its kind: the window does, and a query's group may take several. One
 * whose samples a merge would take beyond 64 bits is full and stays as it is: that is no error, since
 * it takes a forger to get there and nobody else should pay for it.
 */
#ifndef OBS_ACCUMULATOR_H
#define OBS_ACCUMULATOR_H

#include <stdbool.h>

#include "column.h"
#include "loghist.h"
#include "rows.h"
#include "tdigest.h"

#define OBS_ACCUMULATOR_NEVER INT64_MIN /* last_ms of a gauge without samples */

typedef struct {
    obs_loghist_t hist;
    obs_tdigest_t *digest; /* compression OBS_TDIGEST_SERIES_COMPRESSION; NULL if there is none, or none any more */
    bool keeps_digest;     /* set by the owner before the first sample */
    bool drops_parts;      /* of a column: only its counts are kept; set by the owner before the first sample */
    obs_column_t *column;  /* NULL while no sample of a column was added */
    uint64_t increments;
    double sum;
    double last;
    int64_t last_ms;
} obs_accumulator_t;

/* Empty, without a digest; allocates nothing. OBS_ERR_RANGE as obs_loghist_init. */
OBS_MUST_CHECK int obs_accumulator_init(obs_accumulator_t *accumulator, int scale);
void obs_accumulator_free(obs_accumulator_t *accumulator);
/* Bytes allocated, without the struct itself. */
size_t obs_accumulator_heap_bytes(const obs_accumulator_t *accumulator);

/* Samples of the histogram: finite values, NaN and infinities. */
static inline uint64_t obs_accumulator_observed(const obs_accumulator_t *accumulator)
{
    const obs_loghist_t *hist = &accumulator->hist;
    return hist->count + hist->nan_count + hist->positive_infinity_count + hist->negative_infinity_count;
}

/* Samples of all kinds together. */
static inline uint64_t obs_accumulator_samples(const obs_accumulator_t *accumulator)
{
    uint64_t others = accumulator->column == NULL ? 0 : obs_column_others(accumulator->column);
    return accumulator->increments + obs_accumulator_observed(accumulator) + others;
}

/* The digest of all samples of the histogram, or NULL. */
static inline const obs_tdigest_t *obs_accumulator_digest(const obs_accumulator_t *accumulator)
{
    const obs_tdigest_t *digest = accumulator->digest;
    return digest != NULL && obs_tdigest_samples(digest) == obs_accumulator_observed(accumulator) ? digest : NULL;
}

/* Samples of a histogram, unaligned. On failure a prefix has been added. */
OBS_MUST_CHECK int obs_accumulator_add_many(obs_accumulator_t *accumulator, const double *values, size_t value_count);
/* weight samples of one value of a histogram. */
OBS_MUST_CHECK int obs_accumulator_add_value(obs_accumulator_t *accumulator, double value, uint64_t weight);
/* The digest of the samples that were merged into hist last. Fails only for what is no digest. */
OBS_MUST_CHECK int obs_accumulator_merge_digest(obs_accumulator_t *accumulator, const uint8_t *bytes, size_t size);

/* Samples of a column, as a payload (column.h). On failure the accumulator is unchanged. */
OBS_MUST_CHECK int obs_accumulator_merge_column(obs_accumulator_t *accumulator, const uint8_t *payload, size_t size);

void obs_accumulator_add_counter(obs_accumulator_t *accumulator, uint64_t increments, double sum);
/* weight samples of one value at one time; of equal times the one added later is the last. */
OBS_MUST_CHECK int obs_accumulator_add_gauge(obs_accumulator_t *accumulator, double value, uint64_t weight,
                                             int64_t time_ms);
/* On failure the accumulator is unchanged. */
OBS_MUST_CHECK int obs_accumulator_merge(obs_accumulator_t *into, const obs_accumulator_t *from);
OBS_MUST_CHECK int obs_accumulator_merge_row(obs_accumulator_t *into, const obs_row_t *row);
/* Writes the part that belongs to kind. */
OBS_MUST_CHECK int obs_accumulator_put(const obs_accumulator_t *accumulator, uint8_t kind, uint32_t series,
                                       obs_rows_writer_t *writer);

#endif
