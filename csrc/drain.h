/* drain.h: the native side of a recorder: it empties the producers, cuts time into batches and seals them.
 *
 *     producers ──snapshot, read──► open batch ──seal──► queue of sealed batches ──take──► sender
 *
 * A sample carries no time of its own. Each collection notes every ring's head and reads up to there: what it
 * finds was recorded since the collection before. At a window's edge the open batch is sealed with the edge as
 * its end, so that no batch spans two windows.
 *
 * Columns are sealed once a second, with the gauges, and at every edge: their sketches would fill the frames otherwise.
 *
 * A native thread collects every few milliseconds and never past an edge. It takes no lock that a producer
 * takes, knows nothing of any interpreter, and is not needed: whoever calls obs_drain_seal collects himself.
 *
 * Locking
 *     role      who holds it is the consumer of every producer and owns everything marked "role" below; held
 *               for one collection at a time, and while the thread sleeps it is free
 *     (others)  open_batch.h: definitions; batch_queue.h: sealed batches; both are held for a few instructions
 * obs_drain_attach pushes on a lock-free list: to record a first sample waits for nobody.
 *
 * Accounts, exact at any time for what happened before the call:
 *     observed = samples of sealed batches + dropped + rejected + what is still in rings, deltas and open batch
 * Each sealed batch carries the sums up to itself, where nothing is open: observed = batches + dropped + rejected.
 */
#ifndef OBS_DRAIN_H
#define OBS_DRAIN_H

#include "batch_queue.h"
#include "open_batch.h"
#include "producer.h"

typedef struct {
    size_t ring_bytes; /* over all rings */
    int64_t window_ns;
    int64_t batch_interval_ns; /* at least this often a batch is sealed, if there is anything to seal */
    size_t frame_bytes;        /* a batch whose body is about this large is sealed at once */
    int64_t clock_offset_ns;   /* epoch = monotonic + this; windows begin at multiples of window_ns since the epoch */
} obs_drain_options_t;

typedef struct {
    obs_drain_options_t options;
    obs_ring_pool_t pool;
    obs_open_batch_t open; /* role, but for what open_batch.h says */
    obs_batch_queue_t queue;

    _Atomic(obs_producer_t *) attached; /* new producers, not yet in the list below */
    _Atomic uint64_t ringless_dropped;  /* recorded where no ring could be had */
    _Atomic uint64_t rejected;          /* values that are not numbers, or not allowed */

    pthread_mutex_t role;
    pthread_cond_t stop_asked;
    pthread_t thread; /* role, as all from here on */
    bool is_running;
    bool is_stopping;
    obs_producer_t *producers;
    obs_accounts_t ended;     /* of producers that are gone, and of gauges */
    uint64_t lost;            /* dropped after it had left its ring: no memory, or the queue was full */
    uint64_t delivered;       /* samples in sealed batches */
    uint64_t sealed_losses;   /* dropped + rejected as the last batch told them */
    int64_t start_ns;         /* of the open batch */
    int64_t columns_start_ns; /* of the open columns: in the same window */
    int64_t collected_ns;     /* when the last collection began: everything older is in a batch */
    int64_t edge_ns;          /* the next one */
    int64_t sealed_ns;
    int64_t gauges_ns; /* when the gauges are due */
    int64_t busy_ns;   /* when the last sample came */
    bool is_trimmed;
} obs_drain_t;

/* OBS_ERR_RANGE unless intervals and sizes are positive and within bounds. */
OBS_MUST_CHECK int obs_drain_create(const obs_drain_options_t *options, obs_drain_t **drain);
/* A new drain with the options and definitions of one that this process has inherited through fork. The old
 * one is left as it is: its locks may be held by threads that do not exist here, so it is never freed, but
 * for its arena. */
OBS_MUST_CHECK int obs_drain_renew(obs_drain_t *inherited, obs_drain_t **drain);
/* Stops the thread if it runs. Nobody may record or take any more; threads may still hold their producers. */
void obs_drain_destroy(obs_drain_t *drain);

/* A producer for the calling thread; obs_producer_leave_thread when it ends. */
OBS_MUST_CHECK int obs_drain_attach(obs_drain_t *drain, obs_producer_t **producer);
void obs_drain_drop_ringless(obs_drain_t *drain, uint64_t sample_count);
void obs_drain_reject(obs_drain_t *drain, uint64_t value_count);

/* OBS_ERR_STATE if it runs already, OBS_ERR_SYSTEM if there is no thread to be had. */
OBS_MUST_CHECK int obs_drain_start(obs_drain_t *drain);
/* Ends the thread, waits for bulk calls under way, seals what is left, and closes every ring: a thread that
 * records afterwards needs a new producer. May be started again. */
void obs_drain_stop(obs_drain_t *drain);

/* Everything recorded before the call, and the gauges, are in batches when it returns OBS_OK. OBS_ERR_STATE
 * if a bulk call that was under way has not ended within timeout_ns. */
OBS_MUST_CHECK int obs_drain_seal(obs_drain_t *drain, int64_t timeout_ns);
/* One collection at the monotonic time at_ns: the thread's body, and the tests' way to turn the time. */
void obs_drain_step(obs_drain_t *drain, int64_t at_ns);
/* Seals what is open by the old clock; later edges are by the new one. */
void obs_drain_set_clock(obs_drain_t *drain, int64_t clock_offset_ns);

/* Sums over everything recorded so far, whether delivered or not. */
void obs_drain_accounts(obs_drain_t *drain, obs_accounts_t *accounts);

#endif
