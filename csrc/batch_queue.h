/* batch_queue.h: sealed batches on their way from the drain to the thread that sends them.
 *
 * A mutex and a condition are right here: ten batches a second pass, and the taker is the one that sleeps. The
 * pusher never waits for the taker; a queue that nobody empties answers OBS_ERR_FULL at its budget.
 */
#ifndef OBS_BATCH_QUEUE_H
#define OBS_BATCH_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "obs.h"

/* Cumulative: observed = samples of all batches + dropped + rejected. */
typedef struct {
    uint64_t observed;
    uint64_t dropped;
    uint64_t rejected;
} obs_accounts_t;

typedef struct obs_batch {
    struct obs_batch *next;
    int64_t start_ns; /* monotonic */
    int64_t end_ns;
    int64_t clock_offset_ns; /* epoch = monotonic + this, when it was sealed */
    uint64_t samples;
    obs_accounts_t accounts; /* up to and with this batch */
    size_t size;
    uint8_t bytes[]; /* the body, see body.h */
} obs_batch_t;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    obs_batch_t *first;
    obs_batch_t **last_link;
    size_t count;
    size_t byte_count;
    size_t byte_budget;
    bool is_woken;
} obs_batch_queue_t;

OBS_MUST_CHECK int obs_batch_queue_init(obs_batch_queue_t *queue, size_t byte_budget);
void obs_batch_queue_free(obs_batch_queue_t *queue);

/* A batch with room for the body, its bytes copied; NULL if there is no memory. */
obs_batch_t *obs_batch_new(const uint8_t *bytes, size_t size);
void obs_batch_free(obs_batch_t *batch);

/* True if a batch with a body of this size may be pushed. */
bool obs_batch_queue_has_room(obs_batch_queue_t *queue, size_t size);
size_t obs_batch_queue_count(obs_batch_queue_t *queue);
/* The queue owns the batch from here on. */
void obs_batch_queue_push(obs_batch_queue_t *queue, obs_batch_t *batch);
/* The oldest batch, which the caller then owns; NULL after timeout_ns, or at once after a wake. */
obs_batch_t *obs_batch_queue_take(obs_batch_queue_t *queue, int64_t timeout_ns);
/* A take that waits, or else the next one that would, returns at once. */
void obs_batch_queue_wake(obs_batch_queue_t *queue);

/* A condition variable on the monotonic clock, and the absolute time that its waits take. */
OBS_MUST_CHECK int obs_monotonic_cond_init(pthread_cond_t *cond);
struct timespec obs_monotonic_after(int64_t timeout_ns);

#endif
