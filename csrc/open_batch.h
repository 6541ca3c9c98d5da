/* open_batch.h: the series of a recorder, and what they hold of the batch that is being filled.
 *
 *     records of the rings ──┐             touched series: [7, 3, 12, ...]
 *     deltas ────────────────┼──► series ──────────────────────────────────► body
 *                            │      │ histogram: up to 15 staged values: RUN
 *     gauges' cells ─────────┘      │            16 or more: a histogram:  LOGHIST, and TDIGEST if it keeps one
 *                                   └ counter:   increments and their sum: COUNTER
 *
 * Of a series that keeps a t-digest up to 64 values travel as they are: the digest of so few would be no shorter.
 *
 * A series costs a few hundred bytes; a histogram is borrowed from a stock for the batches in which the series
 * has 16 samples or more, so that memory follows what is busy in one batch, not what was ever defined.
 *
 * Thread safety: obs_open_batch_define and the gauge calls from any thread; all the rest is the drain's, which
 * one thread at a time is. A series is defined before its first record, and the record carries that order.
 *
 * Every sample given to it comes out of obs_open_batch_encode, either in the body or in lost (no memory). A digest for
 * which there is no memory is left out, and its samples are in the histogram all the same.
 */
#ifndef OBS_OPEN_BATCH_H
#define OBS_OPEN_BATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "body.h"
#include "delta.h"
#include "loghist.h"
#include "ring.h"
#include "tdigest.h"

enum { OBS_KIND_HISTOGRAM = 1, OBS_KIND_COUNTER = 2, OBS_KIND_GAUGE = 3 };

#define OBS_STAGED_VALUES 16 /* this many samples of a series in one batch are sketched, fewer travel as they are */
#define OBS_PENDING_VALUES 64
#define OBS_SEGMENT_SERIES 256
#define OBS_SEGMENTS_MAX 4096
#define OBS_SERIES_MAX (OBS_SEGMENT_SERIES * OBS_SEGMENTS_MAX)

typedef struct obs_sketch {
    obs_loghist_t hist;
    obs_tdigest_t digest;    /* of the samples in hist, or of fewer if there was no memory; empty if none is kept */
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
    _Atomic(obs_series_t *) segments[OBS_SEGMENTS_MAX];
    _Atomic uint32_t series_count;
    _Atomic uint32_t last_gauge; /* number + 1; 0 is none */
    pthread_mutex_t define_lock;
    /* the drain's */
    obs_series_t **touched;
    uint32_t touched_count;
    uint32_t touched_capacity;
    size_t body_estimate; /* bytes that the touched series will take, roughly */
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

static inline bool obs_open_batch_is_empty(const obs_open_batch_t *batch)
{
    return batch->touched_count == 0 && batch->lost == 0;
}

/* Writes the body of everything added, and of the gauges that are set if with_gauges, and starts anew.
 * sample_count is what the body holds, gauge_count how many of these are gauges'. On OBS_ERR_NOMEM there is
 * no body and everything was lost. The body stays valid until the next call. */
OBS_MUST_CHECK int obs_open_batch_encode(obs_open_batch_t *batch, bool with_gauges, uint64_t *sample_count,
                                         uint64_t *gauge_count, uint64_t *lost_count);
/* Frees the stock of histograms. */
void obs_open_batch_trim(obs_open_batch_t *batch);

#endif
