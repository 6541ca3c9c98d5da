/* open_batch.h: the series of a recorder, and what they hold of the batch that is being filled.
 *
 *     records of the rings ──┐             touched series: [7, 3, 12, ...]
 *     deltas ────────────────┼──► series ──────────────────────────────────► body
 *                            │      │ histogram: up to 15 staged values: RUN
 *     gauges' cells ─────────┘      │            16 or more: a histogram:  LOGHIST, and TDIGEST if it keeps one
 *                                   ├ counter:   increments and their sum: COUNTER
 *                                   └ column:    its sketches:             COLUMN, not in every batch
 *
 * Of a series that keeps a t-digest up to 64 values travel as they are: the digest of so few would be no shorter.
 *
 * A column's sketches take a kilobyte or more however few the values are. So columns stay open while batches come and
 * go, and are encoded once a second, in bodies of their own (obs_open_batch_encode_columns): their samples are of one
 * window all the same, as the drain sees to it that nothing is open at a window's edge.
 *
 * A series costs a few hundred bytes; a histogram is borrowed from a stock for the batches in which the series
 * has 16 samples or more (a column: any), so that memory follows what is busy in one batch, not what was ever defined.
 *
 * Thread safety: obs_open_batch_define and the gauge calls from any thread, what sets up a column from one thread at a
 * time; all the rest is the drain's, which one thread at a time is. A series is defined, and a column's cuts and
 * category are there, before the first record that needs them, and the record carries that order.
 *
 * Every sample given to it comes out of one of the two that encode, either in the body or in lost (no memory). A digest
 * for which there is no memory is left out, and its samples are in the histogram all the same.
 */
#ifndef OBS_OPEN_BATCH_H
#define OBS_OPEN_BATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "body.h"
#include "categories.h"
#include "delta.h"
#include "loghist.h"
#include "ring.h"
#include "tdigest.h"

enum { OBS_KIND_HISTOGRAM = 1, OBS_KIND_COUNTER = 2, OBS_KIND_GAUGE = 3, OBS_KIND_COLUMN = 4 };

#define OBS_STAGED_VALUES 16 /* this many samples of a series in one batch are sketched, fewer travel as they are */
#define OBS_PENDING_VALUES 64
#define OBS_SEGMENT_SERIES 256
#define OBS_SEGMENTS_MAX 4096
#define OBS_SERIES_MAX (OBS_SEGMENT_SERIES * OBS_SEGMENTS_MAX)
#define OBS_OPEN_COLUMNS_MAX 2048 /* of more, the open ones are encoded at once: some ten megabytes */

typedef struct obs_sketch {
    obs_loghist_t hist;
    obs_tdigest_t digest;    /* of the samples in hist, or of fewer if there was no memory; empty if none is kept */
    obs_column_t column;     /* empty but for columns */
    struct obs_sketch *next; /* in the stock */
    uint32_t pending_count;
    double
        pending[OBS_PENDING_VALUES]; /* not yet in hist and digest: to add many at a time costs half as much a value */
} obs_sketch_t;

typedef struct {
    /* set once, by define */
    uint32_t number;
    uint8_t kind;
    int8_t scale;
    bool keeps_digest;
    uint32_t next_gauge; /* number + 1 of the gauge defined before this one */
    /* a column's, set up before its first record */
    obs_cuts_t *cuts;             /* bins of its numbers; NULL if there are none */
    obs_categories_t *categories; /* NULL until the first is added */
    /* any thread's */
    _Atomic uint64_t gauge_bits;
    _Atomic uint32_t gauge_is_set;
    /* the drain's, empty between batches */
    bool is_touched;
    uint32_t staged_count;
    obs_sketch_t *sketch;
    uint64_t increments;
    double sum;
    double staged[OBS_STAGED_VALUES];
} obs_series_t;

typedef struct {
    obs_series_t **series;
    uint32_t count;
    uint32_t capacity;
} obs_touched_t;

typedef struct {
    _Atomic(obs_series_t *) segments[OBS_SEGMENTS_MAX];
    _Atomic uint32_t series_count;
    _Atomic uint32_t last_gauge; /* number + 1; 0 is none */
    pthread_mutex_t define_lock;
    /* the drain's */
    obs_touched_t touched;
    obs_touched_t columns; /* touched, too */
    size_t body_estimate;  /* bytes that the touched series, columns apart, will take, roughly */
    uint64_t lost;
    obs_body_t body;
    obs_sketch_t *stock[OBS_LOGHIST_MAX_SCALE + 1];
} obs_open_batch_t;

OBS_MUST_CHECK int obs_open_batch_init(obs_open_batch_t *batch);
void obs_open_batch_free(obs_open_batch_t *batch);

/* The next series number. OBS_ERR_RANGE for an unknown kind or scale, and for a digest of what is no histogram;
 * OBS_ERR_FULL beyond OBS_SERIES_MAX. */
OBS_MUST_CHECK int obs_open_batch_define(obs_open_batch_t *batch, int kind, int scale, bool keeps_digest,
                                         uint32_t *series);
/* NULL if there is no such series. */
obs_series_t *obs_open_batch_series(const obs_open_batch_t *batch, uint32_t series);

/* The bins of a column's numbers, and the categories that have a bin each. OBS_ERR_STATE if it has either already, or
 * categories; OBS_ERR_RANGE for cuts that obs_cuts_init refuses. */
OBS_MUST_CHECK int obs_series_set_cuts(obs_series_t *column, const double *cuts, uint32_t cut_count);
OBS_MUST_CHECK int obs_series_set_bins(obs_series_t *column, uint32_t bin_count);
/* As obs_categories_add. */
OBS_MUST_CHECK int obs_series_add_category(obs_series_t *column, const void *key, size_t key_size, uint32_t *code);
/* How its values are sketched. */
obs_shape_t obs_series_shape(const obs_series_t *series);

/* A gauge's cell. A gauge that was never set is not sampled; add on it starts from 0. */
void obs_gauge_set(obs_series_t *gauge, double value);
void obs_gauge_add(obs_series_t *gauge, double value);
void obs_gauge_unset(obs_series_t *gauge);
/* False if it is not set. */
bool obs_gauge_read(const obs_series_t *gauge, double *value);

/* A slice as obs_ring_peek gives it. */
void obs_open_batch_add_records(obs_open_batch_t *batch, const obs_ring_record_t *records, size_t record_count);
/* Takes what a delta of the series' scale holds; what is left in it is undefined but for obs_delta_give_back. */
void obs_open_batch_add_delta(obs_open_batch_t *batch, obs_delta_t *delta);

/* Columns apart. */
static inline bool obs_open_batch_is_empty(const obs_open_batch_t *batch)
{
    return batch->touched.count == 0 && batch->lost == 0;
}

static inline bool obs_open_batch_has_columns(const obs_open_batch_t *batch)
{
    return batch->columns.count > 0;
}

/* Writes the body of everything added, columns apart, and of the gauges that are set if with_gauges, and starts anew.
 * sample_count is what the body holds, gauge_count how many of these are gauges'. On OBS_ERR_NOMEM there is
 * no body and everything was lost. The body stays valid until the next call. */
OBS_MUST_CHECK int obs_open_batch_encode(obs_open_batch_t *batch, bool with_gauges, uint64_t *sample_count,
                                         uint64_t *gauge_count, uint64_t *lost_count);
/* Writes the body of the columns added, or of as many as fill byte_limit if that is less; those stay open for the next
 * call. Counts and failures as above. */
OBS_MUST_CHECK int obs_open_batch_encode_columns(obs_open_batch_t *batch, size_t byte_limit, uint64_t *sample_count,
                                                 uint64_t *lost_count);
/* Frees the stock of histograms. */
void obs_open_batch_trim(obs_open_batch_t *batch);

#endif
