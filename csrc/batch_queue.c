#include "batch_queue.h"

#include <errno.h>
#include <string.h>

#include "obs_alloc.h"
#include "obs_port.h"

#define NS_PER_S 1000000000

int obs_monotonic_cond_init(pthread_cond_t *cond)
{
    return obs_cond_init(cond) ? OBS_ERR_SYSTEM : OBS_OK;
}

struct timespec obs_monotonic_after(int64_t timeout_ns)
{
    int64_t at_ns = obs_monotonic_ns();
    at_ns = timeout_ns > INT64_MAX - at_ns ? INT64_MAX : at_ns + timeout_ns;
    return (struct timespec){.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S};
}

int obs_batch_queue_init(obs_batch_queue_t *queue, size_t byte_budget)
{
    *queue = (obs_batch_queue_t){.byte_budget = byte_budget};
    queue->last_link = &queue->first;
    if (pthread_mutex_init(&queue->lock, NULL) != 0)
        return OBS_ERR_SYSTEM;
    if (obs_monotonic_cond_init(&queue->ready) != OBS_OK) {
        pthread_mutex_destroy(&queue->lock);
        return OBS_ERR_SYSTEM;
    }
    return OBS_OK;
}

void obs_batch_queue_free(obs_batch_queue_t *queue)
{
    while (queue->first != NULL) {
        obs_batch_t *next = queue->first->next;
        obs_batch_free(queue->first);
        queue->first = next;
    }
    pthread_cond_destroy(&queue->ready);
    pthread_mutex_destroy(&queue->lock);
}

obs_batch_t *obs_batch_new(const uint8_t *bytes, size_t size)
{
    obs_batch_t *batch = obs_malloc(sizeof *batch + size);
    if (batch == NULL)
        return NULL;
    *batch = (obs_batch_t){.size = size};
    memcpy(batch->bytes, bytes, size);
    return batch;
}

void obs_batch_free(obs_batch_t *batch)
{
    obs_free(batch);
}

bool obs_batch_queue_has_room(obs_batch_queue_t *queue, size_t size)
{
    pthread_mutex_lock(&queue->lock);
    bool has_room = queue->first == NULL ||
                    (queue->byte_count <= queue->byte_budget && size <= queue->byte_budget - queue->byte_count);
    pthread_mutex_unlock(&queue->lock);
    return has_room;
}

size_t obs_batch_queue_count(obs_batch_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

void obs_batch_queue_push(obs_batch_queue_t *queue, obs_batch_t *batch)
{
    pthread_mutex_lock(&queue->lock);
    *queue->last_link = batch;
    queue->last_link = &batch->next;
    queue->count++;
    queue->byte_count += batch->size;
    pthread_cond_signal(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}

static obs_batch_t *pop(obs_batch_queue_t *queue)
{
    obs_batch_t *batch = queue->first;
    if (batch == NULL)
        return NULL;
    queue->first = batch->next;
    if (queue->first == NULL)
        queue->last_link = &queue->first;
    queue->count--;
    queue->byte_count -= batch->size;
    batch->next = NULL;
    return batch;
}

obs_batch_t *obs_batch_queue_take(obs_batch_queue_t *queue, int64_t timeout_ns)
{
    struct timespec until = obs_monotonic_after(timeout_ns);
    int waited = 0;
    pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && !queue->is_woken && timeout_ns > 0 && waited != ETIMEDOUT)
        waited = obs_cond_wait_until(&queue->ready, &queue->lock, &until);
    obs_batch_t *batch = pop(queue);
    if (batch == NULL && timeout_ns > 0)
        queue->is_woken = false;
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void obs_batch_queue_wake(obs_batch_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_woken = true;
    pthread_cond_broadcast(&queue->ready);
    pthread_mutex_unlock(&queue->lock);
}
