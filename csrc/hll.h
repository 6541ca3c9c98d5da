/* hll.h: HyperLogLog, how many distinct values were seen, in constant memory.
 *
 * The first p bits of a value's hash (hash.h) choose one of m = 2^p registers; a register keeps the largest rank, 1 +
 * the number of leading zeros of the other bits, of all hashes that fell to it. Adding a value twice changes nothing,
 * and merging takes the larger rank of each register: exact, in any order and any partition.
 *
 *     few registers in use:  sparse   open addressing of index << 6 | rank     never larger than dense
 *     then:                  dense    one byte a register, 2^p bytes
 *
 * The estimate is the improved raw estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog
 * sketches" (arXiv:1702.01284, algorithm 6): no bias tables, no switch to linear counting, good from 0 to about 2^60.
 * Its standard error is about 1.04 / sqrt(m), 1.6 % at p = 12, and smaller for counts below m.
 *
 * Rules: -0.0 and 0.0 are one value, every NaN is one value, +inf and -inf are one each, subnormal numbers are numbers.
 * A null is no value and must not be added. Not thread-safe; one owner at a time. Memory comes with the first value.
 */
#ifndef OBS_HLL_H
#define OBS_HLL_H

#include "hash.h"
#include "obs.h"

#define OBS_HLL_MIN_P 4
#define OBS_HLL_MAX_P 16
#define OBS_HLL_DEFAULT_P 12

typedef struct {
    uint8_t *registers;       /* 2^p ranks, 0 where nothing fell; NULL while sparse */
    uint32_t *sparse;         /* index << 6 | rank; 0: free */
    uint32_t sparse_capacity; /* a power of two, or 0 */
    uint32_t used;            /* registers above 0 */
    uint32_t p;
} obs_hll_t;

/* Empty; allocates nothing. OBS_ERR_RANGE if p is outside 4..16. */
OBS_MUST_CHECK int obs_hll_init(obs_hll_t *hll, uint32_t p);
/* Releases the memory and leaves an empty one that may be freed again or used. */
void obs_hll_free(obs_hll_t *hll);
/* Empties it and keeps its memory for reuse. */
void obs_hll_reset(obs_hll_t *hll);
/* out is uninitialised memory. */
OBS_MUST_CHECK int obs_hll_copy(const obs_hll_t *hll, obs_hll_t *out);

/* A value by its hash: obs_hash_bytes of a key, obs_hash_double of a number. On OBS_ERR_NOMEM nothing has changed. */
OBS_MUST_CHECK int obs_hll_add_hash(obs_hll_t *hll, uint64_t hash);
/* The same as value_count calls of obs_hll_add_hash(obs_hash_double(values[i])), register for register. values may be
 * unaligned. On OBS_ERR_NOMEM a prefix of the values has been added; to add them again does no harm. */
OBS_MUST_CHECK int obs_hll_add_many(obs_hll_t *hll, const double *values, size_t value_count);
/* The plain loop that add_many must equal: the named reference for tests and benchmarks. */
OBS_MUST_CHECK int obs_hll_add_many_reference(obs_hll_t *hll, const double *values, size_t value_count);
/* OBS_ERR_STATE (nothing changed) if they differ in p; OBS_ERR_NOMEM: nothing changed. Aliasing is allowed. */
OBS_MUST_CHECK int obs_hll_merge(obs_hll_t *into, const obs_hll_t *from);

/* The estimated number of distinct values; 0 if empty, +inf if every register is full (no real stream does that). */
double obs_hll_count(const obs_hll_t *hll);
/* Standard error of the estimate as a share of it: 1.04 / sqrt(2^p). */
double obs_hll_relative_error(uint32_t p);
/* Rank of a register, 0 if nothing fell there. */
uint8_t obs_hll_register(const obs_hll_t *hll, uint32_t index);
/* sizeof plus everything allocated. */
size_t obs_hll_memory_bytes(const obs_hll_t *hll);

/* Compact form (grammar in hll_codec.c): sparse while at most a quarter of the registers are used, then six bits each;
 * the same registers are the same bytes however they are kept in memory. It carries no checksum and no magic: its
 * container does. */
size_t obs_hll_encoded_bound(const obs_hll_t *hll);
/* OBS_ERR_FULL if capacity is below the bound. */
OBS_MUST_CHECK int obs_hll_encode(const obs_hll_t *hll, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes without allocation; *p (may be NULL) is theirs. */
OBS_MUST_CHECK int obs_hll_check(const uint8_t *bytes, size_t size, uint32_t *p);
/* Validates and decodes; out is uninitialised memory and untouched on failure. */
OBS_MUST_CHECK int obs_hll_decode(const uint8_t *bytes, size_t size, obs_hll_t *out);
/* Validates and merges; into is unchanged on failure. OBS_ERR_STATE if the bytes are of another p. */
OBS_MUST_CHECK int obs_hll_merge_encoded(obs_hll_t *into, const uint8_t *bytes, size_t size);

#endif
