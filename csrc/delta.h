/* delta.h: a histogram, and a t-digest or a column where the series keeps one, that one thread fills in bulk while the
 * drain empties them now and then.
 *
 * Bulk values do not pass through the ring: the caller buckets them itself into the delta of its thread and
 * series, so that the values of any number of calls need the room of one histogram and never overflow.
 *
 *            begin               end                    take               give back
 *     EMPTY ───────► BUSY ◄─────────────► OPEN ───────────────► TAKEN ────────────────► EMPTY
 *                     │      begin                                ▲
 *                want ▼                 end                       │
 *                   WANTED ───────────────────────────────────────┘
 *
 * Invariants
 *  1. The producer owns hist, digest and column in BUSY and WANTED, the drain in TAKEN, nobody in EMPTY and OPEN.
 *  2. Only the producer leaves EMPTY, BUSY (by end) and WANTED; only the drain leaves TAKEN and makes WANTED.
 *  3. A delta that leaves EMPTY is announced to the drain once; it is on one of the drain's lists until it is
 *     EMPTY again, and next is the drain's all that time but for the announcement itself.
 *  4. Neither side waits: a producer that finds TAKEN or WANTED goes through the ring instead.
 *  5. digest holds no sample that hist does not hold; fewer if there was no memory for it, and it is then of no use.
 */
#ifndef OBS_DELTA_H
#define OBS_DELTA_H

#include <stdatomic.h>
#include <stdbool.h>

#include "column.h"
#include "loghist.h"
#include "tdigest.h"

enum { OBS_DELTA_EMPTY, OBS_DELTA_OPEN, OBS_DELTA_BUSY, OBS_DELTA_WANTED, OBS_DELTA_TAKEN };

/* How the values of a series are sketched. */
typedef struct {
    uint32_t series;
    int scale;
    bool keeps_digest;      /* a histogram's */
    bool is_column;         /* then everything of a column is kept beside the histogram, */
    const obs_cuts_t *cuts; /* in these bins unless that is NULL; they outlive the delta's use */
} obs_shape_t;

typedef struct obs_delta {
    _Atomic uint32_t state;
    struct obs_delta *next;
    obs_shape_t shape;
    obs_loghist_t hist;
    obs_tdigest_t digest;
    obs_column_t column;
} obs_delta_t;

/* NULL if there is no memory. The shape's scale is a valid one. */
obs_delta_t *obs_delta_new(const obs_shape_t *shape);
void obs_delta_free(obs_delta_t *delta);

/* Producer: OBS_ERR_STATE if the drain has the delta. *was_empty: announce it after obs_delta_end. */
OBS_MUST_CHECK int obs_delta_begin(obs_delta_t *delta, bool *was_empty);
/* Producer, between begin and end: adds values and returns how many; the rest found no memory. */
size_t obs_delta_add(obs_delta_t *delta, const double *values, size_t value_count);
void obs_delta_end(obs_delta_t *delta);

/* Drain, for an announced delta: true if hist is now the drain's. With want a producer that is adding hands
 * the delta over when it ends; ask again. */
bool obs_delta_take(obs_delta_t *delta, bool want);
/* Drain: empties hist, keeping its memory, digest and column, freeing theirs, and gives the delta back. */
void obs_delta_give_back(obs_delta_t *delta);

/* Everything that was added: finite values, NaN and infinities. */
static inline uint64_t obs_delta_samples(const obs_loghist_t *hist)
{
    return hist->count + hist->nan_count + hist->positive_infinity_count + hist->negative_infinity_count;
}

#endif
