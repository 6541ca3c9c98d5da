/* column.h: what the values of one column of a table come to, beside the histogram of its numbers.
 *
 *   a value is        counted in                                      and in these parts
 *   a finite number   the histogram, moments.count                    edges (of a numeric column), hll
 *   NaN, +-inf        the histogram, moments
 *   null, wrong type  moments
 *   a category        category_count                                  edges (its bin), topk, hll
 *
 * The histogram (loghist.h) is its owner's: a column is always beside one, and everything here that says "numbers" is
 * about the samples in it.
 *
 * Parts are made when the first value needs them. Each holds all the values that it is about or is worthless: one that
 * missed some, because there was no memory or because it was merged with a column that has none or has other bins, is
 * given up for good, and that is remembered in given_up; the counts go on. So nothing here fails for a part's sake,
 * and whether a part is given up does not depend on the order of merges. Who wants no parts gives them up at the start.
 *
 * Payload of a column in bodies and rows:
 *
 *     payload := varint size, size bytes of obs_loghist_encode, extras
 *     extras  := u8 flags, varint category count, moments, part of each flag, lowest first
 *     moments, part := varint size, size bytes of the kernel's own encoding
 *     flags   := 1 edges, 2 topk, 4 hll follow; 16 edges, 32 topk, 64 hll were given up
 *
 * The samples of a histogram and the numbers in its moments are as many; edges hold the finite numbers and the
 * categories, topk the categories. Bytes that say otherwise are corrupt.
 *
 * Not thread-safe; one owner at a time.
 */
#ifndef OBS_COLUMN_H
#define OBS_COLUMN_H

#include "edges.h"
#include "hll.h"
#include "loghist.h"
#include "moments.h"
#include "topk.h"

enum {
    OBS_COLUMN_EDGES = 1,
    OBS_COLUMN_TOPK = 2,
    OBS_COLUMN_HLL = 4,
    OBS_COLUMN_PARTS = OBS_COLUMN_EDGES | OBS_COLUMN_TOPK | OBS_COLUMN_HLL,
};

#define OBS_COLUMN_TOP 128 /* categories counted one by one */

typedef struct {
    obs_moments_t moments;
    uint64_t category_count;
    obs_edges_t *edges;
    obs_topk_t *topk;
    obs_hll_t *hll;
    uint8_t given_up; /* parts that this column does not keep, or does not keep any more */
} obs_column_t;

/* A category as the program that observes it knows it. */
typedef struct {
    const uint8_t *key; /* NULL if only its hash is known: one of the others of topk */
    uint32_t key_size;
    uint32_t bin;
    uint64_t hash; /* obs_hash_bytes of the key */
} obs_category_t;

/* Empty; allocates nothing. */
void obs_column_init(obs_column_t *column, uint8_t given_up);
/* Releases the memory and leaves an empty column that keeps every part. */
void obs_column_free(obs_column_t *column);
/* Bytes allocated, without the struct itself. */
size_t obs_column_heap_bytes(const obs_column_t *column);

/* Samples of the histogram beside it: finite values, NaN and infinities. */
static inline uint64_t obs_column_numbers(const obs_column_t *column)
{
    const obs_moments_t *moments = &column->moments;
    return moments->count + moments->nan_count + moments->positive_infinity_count + moments->negative_infinity_count;
}

/* Samples that are not in the histogram. */
static inline uint64_t obs_column_others(const obs_column_t *column)
{
    return column->moments.null_count + column->moments.wrong_type_count + column->category_count;
}

static inline uint64_t obs_column_samples(const obs_column_t *column)
{
    return obs_column_numbers(column) + obs_column_others(column);
}

/* All that add and merge return OBS_ERR_RANGE, and have changed nothing, if all samples would not fit 64 bits. */

/* What was added to the histogram beside it; in the bins of cuts unless that is NULL. values may be unaligned. */
OBS_MUST_CHECK int obs_column_add_many(obs_column_t *column, const obs_cuts_t *cuts, const double *values,
                                       size_t value_count);
OBS_MUST_CHECK int obs_column_add_nulls(obs_column_t *column, uint64_t weight);
OBS_MUST_CHECK int obs_column_add_wrong_types(obs_column_t *column, uint64_t weight);
/* A category in one of bin_count bins, of which the last is for all that have none of their own; 0: no bins. */
OBS_MUST_CHECK int obs_column_add_category(obs_column_t *column, const obs_category_t *category, uint32_t bin_count,
                                           uint64_t weight);
/* Adds everything from holds. */
OBS_MUST_CHECK int obs_column_merge(obs_column_t *into, const obs_column_t *from);

/* The payload, taken apart; nothing in it is checked but where its pieces are. */
typedef struct {
    const uint8_t *hist;
    size_t hist_size;
    const uint8_t *extras;
    size_t extras_size;
} obs_column_content_t;

OBS_MUST_CHECK int obs_column_open(const uint8_t *payload, size_t size, obs_column_content_t *content);
/* Full validation without allocation; *samples (may be NULL) are all samples. */
OBS_MUST_CHECK int obs_column_check(const uint8_t *payload, size_t size, uint64_t *samples);
size_t obs_column_encoded_bound(const obs_loghist_t *hist, const obs_column_t *column);
/* OBS_ERR_FULL if capacity is below the bound. */
OBS_MUST_CHECK int obs_column_encode(const obs_loghist_t *hist, const obs_column_t *column, uint8_t *out,
                                     size_t capacity, size_t *size);
/* Validates and adds a payload: its histogram to hist, all else to into. On failure both are unchanged; OBS_ERR_RANGE
 * if the samples would not fit 64 bits. What into has given up is not even decoded. */
OBS_MUST_CHECK int obs_column_merge_encoded(obs_loghist_t *hist, obs_column_t *into, const uint8_t *payload,
                                            size_t size);

#endif
