/* thread_producers.h: how a thread finds its producers, and what becomes of them when it ends.
 *
 * The one file with state of the process, and so included by exactly one translation unit: the extension.
 * A recorder has a slot as long as it records; a thread has one pointer a slot, NULL until its first sample
 * there. Slot OBS_SLOTS belongs to nobody and stays NULL: a recorder that has no slot points its instruments
 * at it, and every sample of theirs takes the slow path.
 *
 * A pointer may outlive the recorder that it was attached to: its ring is closed then, so that a push answers
 * OBS_ERR_STATE and the slow path replaces it.
 */
#ifndef OBS_THREAD_PRODUCERS_H
#define OBS_THREAD_PRODUCERS_H

#include "drain.h"

#define OBS_SLOTS 8

static OBS_THREAD_LOCAL obs_producer_t *obs_thread_producers[OBS_SLOTS + 1];
static pthread_key_t obs_thread_key;
static _Atomic uint32_t obs_slots_taken;

static void obs_thread_release(uint32_t slot)
{
    obs_producer_t *producer = obs_thread_producers[slot];
    obs_thread_producers[slot] = NULL;
    if (producer != NULL)
        obs_producer_leave_thread(producer);
}

static void obs_thread_ended(void *unused)
{
    (void)unused;
    for (uint32_t slot = 0; slot < OBS_SLOTS; slot++)
        obs_thread_release(slot);
}

/* Once in a process. */
static int obs_thread_setup(void)
{
    return pthread_key_create(&obs_thread_key, obs_thread_ended) == 0 ? OBS_OK : OBS_ERR_SYSTEM;
}

/* The hot path. OBS_ERR_FULL: dropped and counted. OBS_ERR_STATE: the thread has no open ring here. */
static inline int obs_thread_push(uint32_t slot, uint64_t tag, double value)
{
    obs_producer_t *producer = obs_thread_producers[slot];
    return OBS_LIKELY(producer != NULL) ? obs_ring_push(&producer->ring, tag, value) : OBS_ERR_STATE;
}

/* NULL if the thread has no open ring here. */
static inline obs_producer_t *obs_thread_producer(uint32_t slot)
{
    obs_producer_t *producer = obs_thread_producers[slot];
    return producer != NULL && !atomic_load(&producer->ring.is_closed) ? producer : NULL;
}

static int obs_thread_attach(uint32_t slot, obs_drain_t *drain)
{
    obs_producer_t *producer = NULL;
    obs_thread_release(slot);
    int status = pthread_setspecific(obs_thread_key, obs_thread_producers) == 0 ? OBS_OK : OBS_ERR_SYSTEM;
    if (status == OBS_OK)
        status = obs_drain_attach(drain, &producer);
    if (status == OBS_OK)
        obs_thread_producers[slot] = producer;
    return status;
}

/* After a fork: what the slot pointed to is the parent's. */
static void obs_thread_forget(uint32_t slot)
{
    obs_thread_producers[slot] = NULL;
}

/* OBS_ERR_RANGE for a number that is no slot, OBS_ERR_STATE if it is taken. */
static int obs_slot_take(uint32_t slot)
{
    if (slot >= OBS_SLOTS)
        return OBS_ERR_RANGE;
    uint32_t bit = UINT32_C(1) << slot;
    return atomic_fetch_or(&obs_slots_taken, bit) & bit ? OBS_ERR_STATE : OBS_OK;
}

static void obs_slot_return(uint32_t slot)
{
    if (slot < OBS_SLOTS)
        atomic_fetch_and(&obs_slots_taken, ~(UINT32_C(1) << slot));
}

#endif
