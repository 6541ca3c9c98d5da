/* tdigest.h: merging t-digest: quantiles by rank, tight in both tails, of values of any sign.
 *
 * T. Dunning and O. Ertl, "Computing Extremely Accurate Quantiles Using t-Digests" (arXiv:1902.04023):
 * values are kept as centroids (mean, weight) in ascending order. A scale function k(q) decides how
 * much a centroid at quantile q may hold: it may span at most one unit of k. Here k is the paper's k2,
 *
 *     k(q) = compression / Z(n) * ln(q / (1 - q)),      Z(n) = 4 ln(n / compression) + 24,
 *
 * which lets a centroid hold a share of about Z/compression * q(1-q): one value at either end, a few
 * per cent in the middle.
 *
 *     values --> buffer of keys --radix sort--> one pass along buffer and centroids --> centroids
 *                (at most 2,048)                 (join while the span in k is <= 1)
 *
 * Invariants between calls:
 *   1. means are finite and ascend (equal ones are allowed); weights are >= 1;
 *   2. the first and the last centroid weigh 1, so that the minimum and the maximum are exact;
 *   3. weights and buffered values add up to count;
 *   4. there are at most OBS_TDIGEST_CENTROIDS_MAX centroids.
 *
 * While count <= compression every value is a centroid of its own and every answer is exact. Above,
 * the error is one of rank, and not bounded in value: at a gap in the data the answer can lie inside
 * the gap, a value that was never measured. What a digest answers depends (within its error) on the
 * order in which values and digests came in; use loghist where merges must be exact.
 *
 * NaN, +inf and -inf are counted apart and are in none of count, sum, min, max, quantile or cdf. -0.0
 * is taken as 0.0. Not thread-safe; one owner at a time. Functions that take a digest that is not
 * const may sort its buffer into its centroids first and can then fail with OBS_ERR_NOMEM.
 */
#ifndef OBS_TDIGEST_H
#define OBS_TDIGEST_H

#include "obs.h"

#define OBS_TDIGEST_MIN_COMPRESSION 20
#define OBS_TDIGEST_MAX_COMPRESSION 2000
#define OBS_TDIGEST_DEFAULT_COMPRESSION 200
#define OBS_TDIGEST_SERIES_COMPRESSION 100 /* of the digests that series keep beside their histograms */
#define OBS_TDIGEST_RANK_FACTOR 2.0        /* what was measured, and a quarter on top: see obs_tdigest_rank_error */
#define OBS_TDIGEST_BUFFER_VALUES 2048     /* with as much room to sort, one L1 cache; larger ones are slower */
/* Two neighbours together span more than one unit of k, and from rank 1 to n - 1 there are at most
 * 2 ln(n) * compression / Z(n) <= 0.64 * compression units, for every n and compression allowed. */
#define OBS_TDIGEST_CENTROIDS_MAX(compression) (2 * (size_t)(compression) + 8)

typedef struct {
    double mean;
    uint64_t weight;
} obs_tdigest_centroid_t;

typedef struct {
    uint64_t count; /* finite values, those in the buffer included */
    uint64_t nan_count;
    uint64_t positive_infinity_count;
    uint64_t negative_infinity_count;
    double sum; /* plain double arithmetic: infinite if it overflows */
    double min; /* +inf while count is 0 */
    double max; /* -inf while count is 0 */
    uint32_t compression;
    uint32_t buffer_count;
    uint32_t buffer_capacity;
    uint32_t centroid_count;
    uint32_t centroid_capacity;
    uint64_t *buffer; /* buffer_capacity keys (radix_sort.h), then as much room to sort them */
    obs_tdigest_centroid_t *centroids;
} obs_tdigest_t;

/* Everything that was added: finite values, NaN and infinities. */
static inline uint64_t obs_tdigest_samples(const obs_tdigest_t *digest)
{
    return digest->count + digest->nan_count + digest->positive_infinity_count + digest->negative_infinity_count;
}

/* An empty digest; allocates nothing. OBS_ERR_RANGE if compression is outside 20..2000. */
OBS_MUST_CHECK int obs_tdigest_init(obs_tdigest_t *digest, uint32_t compression);
/* Releases the memory and leaves a digest that may be freed again or initialised. */
void obs_tdigest_free(obs_tdigest_t *digest);
/* Empties it and keeps its memory for reuse. */
void obs_tdigest_reset(obs_tdigest_t *digest);
/* out is uninitialised memory. */
OBS_MUST_CHECK int obs_tdigest_copy(const obs_tdigest_t *digest, obs_tdigest_t *out);

/* Any double; the same as weight calls with weight 1, at the cost of one (about 1 us if weight > 1).
 * Weight 0 changes nothing. OBS_ERR_RANGE if there would be 2^64 samples or more. */
OBS_MUST_CHECK int obs_tdigest_add(obs_tdigest_t *digest, double value, uint64_t weight);
/* The same as value_count calls of obs_tdigest_add(values[i], 1), bit for bit. values may be unaligned.
 * On failure a prefix of the values has been added. */
OBS_MUST_CHECK int obs_tdigest_add_many(obs_tdigest_t *digest, const double *values, size_t value_count);
/* Adds everything from holds; into keeps its compression. Aliasing is allowed (doubles the counts). */
OBS_MUST_CHECK int obs_tdigest_merge(obs_tdigest_t *into, obs_tdigest_t *from);

/* Sorts the buffer into the centroids; afterwards centroids[0 .. centroid_count) are everything. */
OBS_MUST_CHECK int obs_tdigest_flush(obs_tdigest_t *digest);
/* Flushes and gives back the memory of the buffer, and that of the centroids as far as it is not used: for digests
 * that are kept and rarely added to. */
OBS_MUST_CHECK int obs_tdigest_trim(obs_tdigest_t *digest);

/* Nearest-rank quantile: an estimate of the value of rank ceil(q * count) (q = 0: min, q = 1: max):
 * a single value's centroid answers itself, between the centres of others it is interpolated.
 * NaN if empty. OBS_ERR_RANGE unless 0 <= q <= 1. */
OBS_MUST_CHECK int obs_tdigest_quantile(obs_tdigest_t *digest, double q, double *out);
/* How far, as a share of count, the ranks of the quantile's answer lie from the rank asked for: a centroid's share of
 * the values at q, OBS_TDIGEST_RANK_FACTOR times, and one rank for the rounding. 0 while every value is a centroid of
 * its own.
 *
 * Measured, not proven: over merges of up to 10,000 digests of 1 to 10,000 values, one after the other and as trees, in
 * random, ascending, descending and drifting order, values most of which differ come to 1.6 shares at gaps and where
 * they are rounded, and to 0.2 elsewhere. Where few values make up most of the samples (zeros and ones, small counts)
 * it can be 5 shares. obs_loghist_rank_error of a histogram beside the digest holds for everything. */
double obs_tdigest_rank_error(const obs_tdigest_t *digest, double q);
/* Estimated share of finite values <= x: the inverse of the quantile. NaN if empty or x is NaN. */
OBS_MUST_CHECK int obs_tdigest_cdf(obs_tdigest_t *digest, double x, double *out);
/* sizeof plus everything allocated. */
size_t obs_tdigest_memory_bytes(const obs_tdigest_t *digest);

/* Compact form (grammar in tdigest_codec.c): lossless, about 8 bytes a centroid. It carries no
 * checksum and no magic: its container does. */
size_t obs_tdigest_encoded_bound(const obs_tdigest_t *digest);
/* OBS_ERR_FULL if capacity is too small. */
OBS_MUST_CHECK int obs_tdigest_encode(obs_tdigest_t *digest, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes without allocation; *samples (may be NULL) = count + nan + infinities. */
OBS_MUST_CHECK int obs_tdigest_check(const uint8_t *bytes, size_t size, uint64_t *samples);
/* Validates and decodes; out is uninitialised memory and untouched on failure. */
OBS_MUST_CHECK int obs_tdigest_decode(const uint8_t *bytes, size_t size, obs_tdigest_t *out);
/* Validates and adds everything that the bytes hold; into keeps its compression. On failure nothing is added. */
OBS_MUST_CHECK int obs_tdigest_merge_encoded(obs_tdigest_t *into, const uint8_t *bytes, size_t size);

#endif
