/* run_column.h: one column of a run of the ledger (src/obsagent/ledger/FORMAT.md): reading values, finding keys.
 *
 *     file  | … | group 0: column a, column b, … | group 1: column a, column b, … | … |
 *                          ^ first, and again every group_bytes
 *
 * All groups have group_rows values of a column, each of `width` bytes. Where a column lies is checked once, row
 * numbers each time: no value is read from outside of the file, whatever the file says.
 *
 * Reads only; any number of threads may.
 */
#ifndef OBS_RUN_COLUMN_H
#define OBS_RUN_COLUMN_H

#include <stdbool.h>

#include "obs.h"

typedef enum {
    OBS_RUN_WHOLE, /* whole numbers: low + the stored one, modulo 2^(8 * item); with low = 0 any bits as they stand */
    OBS_RUN_REAL,  /* f64: low + the whole number that is stored */
    OBS_RUN_SINGLE /* f64: the f32 that is stored */
} obs_run_kind_t;

#define OBS_RUN_STRETCH 64 /* rows between two fences, all in one group */

typedef struct {
    const uint8_t *bytes; /* the file */
    uint64_t first;
    uint64_t rows;
    uint64_t group_rows;
    uint64_t group_bytes;
    uint64_t low; /* its bits */
    obs_run_kind_t kind;
    uint8_t width; /* 0, 1, 2, 4 or 8 */
    uint8_t item;  /* bytes of a value in memory: 1, 2, 4 or 8 */
} obs_run_column_t;

/* OBS_ERR_RANGE if a value of one of the rows would lie outside of the file's size bytes, or for sizes that there are
 * not. */
OBS_MUST_CHECK int obs_run_column_check(const obs_run_column_t *column, uint64_t size);

/* out[i] = the value in row rows[i]: count items. OBS_ERR_RANGE if there is no such row. */
OBS_MUST_CHECK int obs_run_column_take(const obs_run_column_t *column, const int64_t *rows, size_t count, void *out);
/* The values of the count rows from `begin` on. OBS_ERR_RANGE if there are not so many. */
OBS_MUST_CHECK int obs_run_column_slice(const obs_run_column_t *column, uint64_t begin, size_t count, void *out);

/* In stretch stretches[i], whose values ascend: begins[i] = the first row whose value is not less than keys[i], ends[i]
 * = the first one behind it whose value is another one; the end of the stretch if there is none. For columns of items
 * of 8 bytes and kind OBS_RUN_WHOLE; flip as in order.h. OBS_ERR_RANGE if there is no such stretch, or for other
 * columns. */
OBS_MUST_CHECK int obs_run_column_find(const obs_run_column_t *column, const int64_t *stretches, const uint64_t *keys,
                                       size_t count, uint64_t flip, int64_t *begins, int64_t *ends);

/* A sieve of size bytes: the indices of those keys whose bit is set; returns how many. OBS_ERR_RANGE if a sieve cannot
 * have that size. */
OBS_MUST_CHECK int obs_run_sieve(const uint8_t *sieve, size_t size, const uint64_t *keys, size_t count, int64_t *passed,
                                 size_t *passed_count);

#endif
