/* loghist_merge.h: the steps of a merge, shared by histograms in memory and encoded ones. Private to loghist*.c.
 *
 * A merge first does everything that can fail, then adds, so that a failure changes nothing:
 *
 *   begin      into itself, or a copy of it at the other's scale if that is lower
 *   reserve    overflow checks, wide counters; the caller reserves its pages
 *   add        the caller's counters; totals
 *   finish     the copy takes the place of into, or is thrown away
 */
#ifndef OBS_LOGHIST_MERGE_H
#define OBS_LOGHIST_MERGE_H

#include "loghist.h"
#include "loghist_index.h"

/* Everything the histogram has ever been told of: always fits 64 bits. */
static inline uint64_t obs_loghist_samples(const obs_loghist_t *hist)
{
    return hist->count + hist->nan_count + hist->positive_infinity_count + hist->negative_infinity_count;
}

static inline void obs_loghist_widen_min_max(obs_loghist_t *hist, double min, double max)
{
    if (obs_f64_less(min, hist->min))
        hist->min = min;
    if (obs_f64_less(hist->max, max))
        hist->max = max;
}

static inline void obs_loghist_count_nonfinite(obs_loghist_t *hist, uint64_t bits, uint64_t weight)
{
    if (bits == OBS_F64_INFINITY_BITS)
        hist->positive_infinity_count += weight;
    else if (bits == (OBS_F64_INFINITY_BITS | OBS_F64_SIGN_BIT))
        hist->negative_infinity_count += weight;
    else
        hist->nan_count += weight;
}

/* *target becomes into, or lowered, filled with a copy of into at the given lower scale. */
OBS_MUST_CHECK int obs_loghist_merge_begin(obs_loghist_t *into, int scale, obs_loghist_t *lowered,
                                           obs_loghist_t **target);
/* Room for the totals of from: OBS_ERR_RANGE if the samples of both would not fit 64 bits. */
OBS_MUST_CHECK int obs_loghist_merge_reserve(obs_loghist_t *target, const obs_loghist_t *from);
/* Everything but the counters of the two ranges. */
void obs_loghist_merge_totals(obs_loghist_t *target, const obs_loghist_t *from);
/* Returns status. */
OBS_MUST_CHECK int obs_loghist_merge_finish(obs_loghist_t *into, obs_loghist_t *target, int status);

#endif
