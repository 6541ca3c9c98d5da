/* loghist.h: base-2 exponential histogram at a fixed scale.
 *
 * The schema is OpenTelemetry's exponential histogram (and, with index + 1, Prometheus' native
 * histogram): with gamma = 2^(2^-scale), bucket i holds values in (gamma^i, gamma^(i+1)]: upper
 * bounds are inclusive. Negative values live in a second range by their absolute value; +0.0 and
 * -0.0 in the zero count. NaN, +inf and -inf are counted apart and are in none of count, sum, min,
 * max, quantile or cdf.
 *
 *   obs_loghist_t
 *   +- positive --> directory [first_page ... ) --> pages of 64 counters
 *   +- negative --> directory [first_page ... ) --> pages of 64 counters
 *
 * A page covers 64 neighbouring buckets, so memory follows the occupied part of the range. Counts
 * are 32 bits wide until the histogram's count passes 2^32; then its ranges widen to 64 bits.
 *
 * Merging adds counts and is therefore exact: any order and any partition gives the same buckets.
 * Different scales merge at the lower one (index >> difference is exact for this schema).
 *
 * Not thread-safe; one owner at a time.
 */
#ifndef OBS_LOGHIST_H
#define OBS_LOGHIST_H

#include "obs.h"

#define OBS_LOGHIST_MIN_SCALE 0
#define OBS_LOGHIST_MAX_SCALE 8
#define OBS_LOGHIST_DEFAULT_SCALE 6
#define OBS_LOGHIST_PAGE_BUCKETS 64

typedef struct {
    uint32_t *directory;     /* page number - first_page -> index of its page in pages + 1; 0 is absent */
    void *pages;             /* page_count pages of 64 counters, uint32_t or uint64_t */
    int32_t first_page;      /* page number (bucket index >> 6, floor) of directory[0] */
    uint32_t directory_size; /* entries in directory */
    uint32_t page_count;
    uint32_t page_capacity;
    uint32_t wide; /* 0: 32-bit counters, 1: 64-bit */
} obs_loghist_range_t;

typedef struct {
    uint64_t count; /* finite values: negative + zero + positive */
    uint64_t zero_count;
    uint64_t nan_count;
    uint64_t positive_infinity_count;
    uint64_t negative_infinity_count;
    double sum;
    double min; /* +inf while count is 0 */
    double max; /* -inf while count is 0 */
    obs_loghist_range_t positive;
    obs_loghist_range_t negative;
    int32_t scale;
} obs_loghist_t;

/* An empty histogram; allocates nothing. OBS_ERR_RANGE if scale is outside 0..8. */
OBS_MUST_CHECK int obs_loghist_init(obs_loghist_t *hist, int scale);
/* Releases the memory and leaves a histogram that may be freed again or initialised. */
void obs_loghist_free(obs_loghist_t *hist);
/* Empties it and keeps its memory for reuse. */
void obs_loghist_reset(obs_loghist_t *hist);
/* out is uninitialised memory. */
OBS_MUST_CHECK int obs_loghist_copy(const obs_loghist_t *hist, obs_loghist_t *out);

/* Any double; weight 0 changes nothing. -0.0 is taken as 0.0. OBS_ERR_RANGE (nothing changed) if the number of
 * samples, NaN and infinities included, would not fit 64 bits. sum is a plain float sum: right within rounding,
 * and infinite (or NaN, once it has overflowed both ways) beyond the double range. */
OBS_MUST_CHECK int obs_loghist_add(obs_loghist_t *hist, double value, uint64_t weight);
/* The same as value_count calls of obs_loghist_add(values[i], 1), count for count and bit for bit, except that
 * sum is added up in another order and equals theirs within rounding. values may be unaligned.
 * On OBS_ERR_NOMEM a prefix of the values has been added, and count says how many. */
OBS_MUST_CHECK int obs_loghist_add_many(obs_loghist_t *hist, const double *values, size_t value_count);
/* The plain loop that add_many must equal: the named reference for tests and benchmarks. */
OBS_MUST_CHECK int obs_loghist_add_many_reference(obs_loghist_t *hist, const double *values, size_t value_count);

/* into takes the lower of the two scales. Aliasing is allowed (doubles the counts). On failure into is
 * unchanged; OBS_ERR_RANGE if the samples of both would not fit 64 bits. */
OBS_MUST_CHECK int obs_loghist_merge(obs_loghist_t *into, const obs_loghist_t *from);
/* OBS_ERR_RANGE if scale is above the present one or below 0. */
OBS_MUST_CHECK int obs_loghist_downscale(obs_loghist_t *hist, int scale);

/* Nearest-rank quantile: the value of rank ceil(q * count) (q = 0: min, q = 1: max), answered with
 * 2*lo*hi/(lo+hi) of its bucket (relative error <= (gamma-1)/(gamma+1)), clamped to [min, max];
 * with interpolate, as PromQL does for native histograms: exponential interpolation inside the
 * bucket (bound gamma-1). NaN if empty. OBS_ERR_RANGE unless 0 <= q <= 1. */
OBS_MUST_CHECK int obs_loghist_quantile(const obs_loghist_t *hist, double q, int interpolate, double *out);
/* Share of finite values <= x; exact at bucket bounds, exponential interpolation between; NaN if empty or x is NaN. */
double obs_loghist_cdf(const obs_loghist_t *hist, double x);

/* How far the rank of x among the values may be from the one that q asks for, as a share of count: a bound that always
 * holds, since the counts below and above the bucket of x are exact. It judges an answer for q that another sketch of
 * the same values gave. NaN if empty or q or x is out of range. */
double obs_loghist_rank_error(const obs_loghist_t *hist, double q, double x);

/* (gamma-1)/(gamma+1) of a scale. */
double obs_loghist_relative_error(int scale);
/* Bucket of a finite value > 0, exact for every double (no logarithm is taken). */
int32_t obs_loghist_index(double value, int scale);
/* gamma^index as a double, rounded down (0 below the double range, +inf above). */
double obs_loghist_lower_bound(int32_t index, int scale);
/* Walks occupied buckets of one range in ascending index order: start with *index = INT32_MIN; returns 1
 * and the next bucket with its count at or after *index, or 0 at the end. To go on, pass *index + 1. */
int obs_loghist_next(const obs_loghist_range_t *range, int32_t *index, uint64_t *count);
/* sizeof plus everything allocated. */
size_t obs_loghist_memory_bytes(const obs_loghist_t *hist);

/* Compact form (grammar in loghist_codec.h): pages of occupied buckets with counts of one to eight bits and
 * escapes; 1,000 samples of a latency take some 200 bytes. It carries no checksum and no magic: its container
 * does. */
size_t obs_loghist_encoded_bound(const obs_loghist_t *hist);
/* OBS_ERR_FULL if capacity is too small. */
OBS_MUST_CHECK int obs_loghist_encode(const obs_loghist_t *hist, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes without allocation; *samples (may be NULL) = count + nan + infinities. */
OBS_MUST_CHECK int obs_loghist_check(const uint8_t *bytes, size_t size, uint64_t *samples);
/* Validates and merges encoded bytes into an initialised histogram; into is unchanged on failure. */
OBS_MUST_CHECK int obs_loghist_merge_encoded(obs_loghist_t *into, const uint8_t *bytes, size_t size);

#endif
