/* accumulator.h: what the samples of one series come to: in one window, or over all that a query reads.
 *
 *   histogram   hist                                  exact merge: any order, any partition
 *   counter     increments, sum                       plain double addition; exact while sums stay below 2^53
 *   gauge       hist of its samples, last, last_ms    the last of the later time; of two at one time the
 *                                                     larger, so that this merge, too, is free of order
 *
 * An accumulator does not know its kind: the window does, and a query's group may take several. One
 * whose samples a merge would take beyond 64 bits is full and stays as it is: that is no error, since
 * it takes a forger to get there and nobody else should pay for it.
 */
#ifndef OBS_ACCUMULATOR_H
#define OBS_ACCUMULATOR_H

#include "loghist.h"
#include "rows.h"

#define OBS_ACCUMULATOR_NEVER INT64_MIN /* last_ms of a gauge without samples */

typedef struct {
    obs_loghist_t hist;
    uint64_t increments;
    double sum;
    double last;
    int64_t last_ms;
} obs_accumulator_t;

/* Empty; allocates nothing. OBS_ERR_RANGE as obs_loghist_init. */
OBS_MUST_CHECK int obs_accumulator_init(obs_accumulator_t *accumulator, int scale);
void obs_accumulator_free(obs_accumulator_t *accumulator);
/* Bytes allocated, without the struct itself. */
size_t obs_accumulator_heap_bytes(const obs_accumulator_t *accumulator);

/* Samples of all kinds together. */
static inline uint64_t obs_accumulator_samples(const obs_accumulator_t *accumulator)
{
    const obs_loghist_t *hist = &accumulator->hist;
    return accumulator->increments + hist->count + hist->nan_count + hist->positive_infinity_count +
           hist->negative_infinity_count;
}

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
