/* edges.h: counts and sums of values over frozen cut points.
 *
 * Cut points are shared and never change; counts over them are many and merge by addition. k + 1 ascending cuts e0 < e1
 * < ... < ek make k bins by numpy.histogram's rule, [e0, e1) [e1, e2) ... [ek-1, ek], the last one closed, and two
 * more:
 *
 *     bin        0       1          2               k             k + 1
 *              below | [e0, e1) | [e1, e2) | ... | [ek-1, ek] | above
 *
 * Category bins are the same structure without cuts: one bin for each known category, the last one for all others; the
 * caller says which (obs_edges_add_bin), and sums stay 0.
 *
 *     obs_cuts_t                              obs_edges_t
 *     +- cuts    e0 ... ek, as given          +- counts[bin_count] and one more slot, never read: where
 *     +- bounds  the same, the last one       +- sums[bin_count]   add_many throws what is not finite
 *     |          replaced by its successor    +- total, the sum of counts
 *     +- starts  a table: where to begin
 *
 * The bin of a value is the number of bounds <= it (the successor makes the last bin closed). The table cuts the range
 * of the cuts, or of their keys (radix_sort.h), into equal cells, whichever spreads them better; a cell tells the first
 * bin that its values can be in, and a fixed number of comparisons without branches does the rest.
 *
 * Rules: NaN, +inf and -inf are in no bin (moments.h counts them). -0.0 is 0.0. Subnormal numbers are numbers. Counts
 * are exact and merge in any order and any partition to the same ones; sums are plain double sums, right within
 * rounding and infinite or NaN if they overflow.
 *
 * Cuts may be read by any number of threads; edges have one owner at a time.
 */
#ifndef OBS_EDGES_H
#define OBS_EDGES_H

#include "obs.h"

#define OBS_EDGES_MIN_CUTS 2
#define OBS_EDGES_MAX_CUTS 256
#define OBS_EDGES_MAX_BINS (OBS_EDGES_MAX_CUTS + 1)

typedef struct {
    double *cuts;       /* cut_count, ascending, finite */
    double *bounds;     /* the same, the last one replaced by its successor, then +inf up to a whole step */
    uint8_t *starts;    /* cell -> the number of bounds in the cells before */
    double low, scale;  /* cell of a value, or of its key: (it - low) * scale */
    uint64_t low_key;   /* where cells are of keys */
    uint32_t key_shift; /* 0: cells are of values */
    uint32_t cell_count;
    uint32_t steps; /* comparisons, each halving what is left: a cell holds fewer than 1 << steps bounds */
    uint32_t cut_count;
} obs_cuts_t;

typedef struct {
    uint64_t *counts;
    double *sums;
    uint64_t total;
    uint32_t bin_count; /* cut_count + 1, or categories + 1 */
} obs_edges_t;

/* OBS_ERR_RANGE unless there are 2..256 cuts, all finite, each greater than the one before. -0.0 is taken as 0.0. */
OBS_MUST_CHECK int obs_cuts_init(obs_cuts_t *cuts, const double *values, uint32_t cut_count);
/* Releases the memory; may be called again. */
void obs_cuts_free(obs_cuts_t *cuts);
/* The bin of a finite value: 0 (below) ... cut_count (above). */
uint32_t obs_cuts_bin(const obs_cuts_t *cuts, double value);
size_t obs_cuts_memory_bytes(const obs_cuts_t *cuts);

/* Empty counts. OBS_ERR_RANGE unless bin_count is 1..257. */
OBS_MUST_CHECK int obs_edges_init(obs_edges_t *edges, uint32_t bin_count);
/* Releases the memory; may be called again. */
void obs_edges_free(obs_edges_t *edges);
/* Empties it and keeps its memory for reuse. */
void obs_edges_reset(obs_edges_t *edges);
/* out is uninitialised memory. */
OBS_MUST_CHECK int obs_edges_copy(const obs_edges_t *edges, obs_edges_t *out);

/* All that add return OBS_ERR_RANGE, and have changed nothing, if total would be 2^64 or more, and OBS_ERR_STATE if
 * edges has other than cuts->cut_count + 1 bins. */

/* What is not finite changes nothing, as weight 0 does. */
OBS_MUST_CHECK int obs_edges_add(obs_edges_t *edges, const obs_cuts_t *cuts, double value, uint64_t weight);
/* Any doubles; values may be unaligned. Counts are those of repeated obs_edges_add, sums within rounding. */
OBS_MUST_CHECK int obs_edges_add_many(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values,
                                      size_t value_count);
/* The plain loop that add_many must equal: the named reference for tests and benchmarks. */
OBS_MUST_CHECK int obs_edges_add_many_reference(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values,
                                                size_t value_count);
/* Adds weight to a bin's count and nothing to its sum. OBS_ERR_RANGE also if there is no such bin. */
OBS_MUST_CHECK int obs_edges_add_bin(obs_edges_t *edges, uint32_t bin, uint64_t weight);
/* OBS_ERR_STATE (nothing changed) if they differ in bin_count. Aliasing is allowed (doubles the counts). */
OBS_MUST_CHECK int obs_edges_merge(obs_edges_t *into, const obs_edges_t *from);
/* sizeof plus everything allocated. */
size_t obs_edges_memory_bytes(const obs_edges_t *edges);

/* Compact form (grammar in edges_codec.c) of the counts and sums; cut points are not in it. It carries no checksum and
 * no magic: its container does. */
size_t obs_edges_encoded_bound(const obs_edges_t *edges);
/* OBS_ERR_FULL if capacity is below the bound. */
OBS_MUST_CHECK int obs_edges_encode(const obs_edges_t *edges, uint8_t *out, size_t capacity, size_t *size);
/* Full validation of encoded bytes without allocation; *samples (may be NULL) = total. */
OBS_MUST_CHECK int obs_edges_check(const uint8_t *bytes, size_t size, uint64_t *samples);
/* Validates and decodes; out is uninitialised memory and untouched on failure. */
OBS_MUST_CHECK int obs_edges_decode(const uint8_t *bytes, size_t size, obs_edges_t *out);
/* Validates and adds; into is unchanged on failure. OBS_ERR_STATE if the bytes are of another number of bins. */
OBS_MUST_CHECK int obs_edges_merge_encoded(obs_edges_t *into, const uint8_t *bytes, size_t size);

#endif
