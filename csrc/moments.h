/* moments.h: how many values of which kind, and mean, spread, skew and tails of the finite ones.
 *
 * Kept are the mean and the sums of the second, third and fourth powers of the deviations from it (m2, m3, m4), which
 * merge by the formulas of P. Pebay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and
 * Arbitrary-Order Statistical Moments" (Sandia SAND2008-6212, 2008). Many values are taken in blocks, each passed over
 * once: sums around a centre, the mean of a few of the block's values, and then moved to its mean. Only where that is
 * further off than a standard deviation is there a second pass, around the mean, so that no large sums of powers are
 * ever subtracted from each other:
 *
 *     values --> block of 512 --> min, max, sums of (v - centre), ^2, ^3, ^4 --> around the mean --merge--> moments
 *
 * Rules: NaN, +inf and -inf are counted apart and are in none of count, mean, m2, m3, m4, min and max; nulls and values
 * of a wrong type have counts of their own. -0.0 is taken as 0.0; subnormal numbers are numbers. Invariants:
 *   1. min <= mean <= max; where min = max (a constant), m2 = m3 = m4 = 0 exactly;
 *   2. m2 and m4 are >= 0, or +inf where they overflowed; m3 is finite, or NaN where it overflowed;
 *   3. all counts together are below 2^64.
 * Counts, min and max are exact in any order of additions and merges; the rest is right within rounding.
 *
 * Allocates nothing. Not thread-safe; one owner at a time.
 */
#ifndef OBS_MOMENTS_H
#define OBS_MOMENTS_H

#include "obs.h"

#define OBS_MOMENTS_ENCODED_MAX (6 * 10 + 6 * 8) /* six varints and six doubles */

typedef struct {
    uint64_t count; /* finite values */
    uint64_t null_count;
    uint64_t nan_count;
    uint64_t positive_infinity_count;
    uint64_t negative_infinity_count;
    uint64_t wrong_type_count;
    double mean; /* 0 while count is 0 */
    double m2;   /* sum of (value - mean)^2 */
    double m3;
    double m4;
    double min; /* +inf while count is 0 */
    double max; /* -inf while count is 0 */
} obs_moments_t;

/* Everything that was added: finite values, nulls, NaN, infinities and values of a wrong type. */
static inline uint64_t obs_moments_samples(const obs_moments_t *moments)
{
    return moments->count + moments->null_count + moments->nan_count + moments->positive_infinity_count +
           moments->negative_infinity_count + moments->wrong_type_count;
}

void obs_moments_init(obs_moments_t *moments);

/* All that add return OBS_ERR_RANGE, and have changed nothing, if there would be 2^64 samples or more. */

/* Any double, weight times; weight 0 changes nothing. */
OBS_MUST_CHECK int obs_moments_add(obs_moments_t *moments, double value, uint64_t weight);
/* Any doubles; values may be unaligned. The same as repeated obs_moments_add within rounding; counts, min and max
 * exactly. */
OBS_MUST_CHECK int obs_moments_add_many(obs_moments_t *moments, const double *values, size_t value_count);
/* The plain loop that add_many must equal: the named reference for tests and benchmarks. */
OBS_MUST_CHECK int obs_moments_add_many_reference(obs_moments_t *moments, const double *values, size_t value_count);
OBS_MUST_CHECK int obs_moments_add_nulls(obs_moments_t *moments, uint64_t count);
OBS_MUST_CHECK int obs_moments_add_wrong_types(obs_moments_t *moments, uint64_t count);
/* Aliasing is allowed (doubles the counts). */
OBS_MUST_CHECK int obs_moments_merge(obs_moments_t *into, const obs_moments_t *from);

/* Of the finite values themselves, not of a population that they were drawn from (numpy.var, and scipy.stats.skew and
 * kurtosis, as these come): m2 / n; m3 / n over the standard deviation's cube; m4 / n over its fourth power, less 3 (a
 * normal distribution's is 0). NaN while count is 0; skewness and kurtosis are NaN for a constant. */
double obs_moments_variance(const obs_moments_t *moments);
double obs_moments_skewness(const obs_moments_t *moments);
double obs_moments_kurtosis(const obs_moments_t *moments);

/* Compact form (grammar in moments_codec.c): lossless, at most OBS_MOMENTS_ENCODED_MAX bytes. It carries no checksum
 * and no magic: its container does. OBS_ERR_FULL if capacity is below OBS_MOMENTS_ENCODED_MAX. */
OBS_MUST_CHECK int obs_moments_encode(const obs_moments_t *moments, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes; *samples (may be NULL) = obs_moments_samples of them. */
OBS_MUST_CHECK int obs_moments_check(const uint8_t *bytes, size_t size, uint64_t *samples);
/* Validates and decodes; out is uninitialised memory and untouched on failure. */
OBS_MUST_CHECK int obs_moments_decode(const uint8_t *bytes, size_t size, obs_moments_t *out);
/* Validates and adds everything that the bytes hold; into is unchanged on failure. */
OBS_MUST_CHECK int obs_moments_merge_encoded(obs_moments_t *into, const uint8_t *bytes, size_t size);

#endif
