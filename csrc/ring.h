/* ring.h: the way of a sample out of a producer's thread: one ring per thread, lock-free, no waiting.
 *
 *     producer ──push──► head                                tail ──peek/release──► consumer
 *                          │                                   │
 *     position   0 ...   9300                                4100            one 64-bit number per record, never reused
 *     chunk      ┌────0────┐ ┌────1────┐ ┌────2────┐                         position / 4096
 *     directory  [ (gone)  │ chunk 1   │ chunk 2   │  .  ]                   slot = chunk number & mask
 *
 * A ring is a queue of 64 KiB chunks of 16-byte records. The chunks come from a pool that all rings of a
 * recorder share, so that the budget is for the sum of them: one busy thread may use all of it. Two chunks are
 * a ring's own, its home, beyond the budget if need be: one is being read while the other is filled, so that a
 * quiet thread always goes on, however many there are. Samples that find no chunk are dropped and counted.
 *
 * Invariants
 *  1. One producer and one consumer at a time; who is the consumer may change under a lock.
 *  2. tail <= head; records [tail, head) are written, and nobody writes them again before tail passes them.
 *  3. head moves with release after the records before it are written; tail moves with release after the
 *     records before it have been read. Each side acquires the other's position before it trusts it.
 *  4. head, limit, records and the counters are written by the producer alone (limit also by obs_ring_close),
 *     tail by the consumer alone: two cache lines, so that neither side's store disturbs the other's loop.
 *  5. limit is the position at which the producer must leave the fast path: the end of head's chunk, or head
 *     itself when there is no next chunk yet, or 0 for ever once the ring is closed.
 *  6. Chunks are retired in order, and a ring has more directory slots than there are chunks for it to have: the
 *     producer that gets a chunk knows that the slot's last one is retired, without a look at tail.
 *  7. A chunk belongs to exactly one of: the pool (its bit is set), a ring from claim to retirement, the trim.
 *     The consumer retires a chunk when tail reaches its end, and never looks at it again.
 *  8. A home chunk goes from the consumer back to its own producer, through home_is_free.
 *  9. A claim is one contiguous piece of one chunk. What is left over at the end of the chunk before it is
 *     covered by a padding record, published at once: a slice that a consumer sees ends at a padding record.
 *
 * The positions are the classic single-producer queue of Lamport ("Specifying concurrent program modules",
 * 1983). Each side works against a cached bound of the other, as in FastForward and MCRingBuffer (Lee et al.,
 * 2010): the producer against limit, once a chunk; the consumer against the head that it noted when its drain
 * began. It is meant to lag: to chase the head would fetch lines that are dirty in the other core.
 */
#ifndef OBS_RING_H
#define OBS_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "obs.h"
#include "obs_port.h"

#define OBS_RING_CHUNK_BYTES ((size_t)64 << 10)
#define OBS_RING_CHUNK_RECORDS (OBS_RING_CHUNK_BYTES / sizeof(obs_ring_record_t))
#define OBS_RING_HOME_CHUNKS 2
#define OBS_RING_CLAIM_MAX 256 /* records in one claim */
#define OBS_RING_PAD UINT64_MAX
#define OBS_RING_BYTES_MAX ((size_t)1 << 30)

typedef struct {
    uint64_t tag; /* the user's, anything but OBS_RING_PAD */
    double value;
} obs_ring_record_t;

/* Chunks shared by rings. A chunk is one of an arena that is reserved whole but touched piece by piece. */
typedef struct {
    _Atomic int64_t credit; /* chunks that may still be handed out; negative while homes exceed the budget */
    uint32_t chunk_count;
    uint32_t word_count;
    obs_ring_record_t *arena;
    _Atomic uint64_t *free_bits; /* bit i: chunk i of the arena is free; the lowest is taken, so that few are warm */
    uint64_t *touched_bits;      /* the consumer's: chunks that hold memory although they may be free */
} obs_ring_pool_t;

typedef struct {
    /* the producer's line */
    _Alignas(OBS_CACHE_LINE) _Atomic uint64_t head;
    _Atomic uint64_t limit;
    obs_ring_record_t *records; /* of head's chunk */
    uint64_t chunks_end;        /* limit as it would be if the ring were not closed */
    _Atomic uint64_t dropped;   /* samples that found no room */
    _Atomic uint64_t padded;    /* positions that padding has used up */
    /* the consumer's line */
    _Alignas(OBS_CACHE_LINE) _Atomic uint64_t tail;
    /* set up once, or touched once a chunk */
    _Alignas(OBS_CACHE_LINE) obs_ring_record_t **directory;
    uint64_t directory_mask;
    obs_ring_pool_t *pool;
    obs_ring_record_t *home;
    _Atomic uint32_t home_is_free[OBS_RING_HOME_CHUNKS];
    _Atomic uint32_t is_closed;
} obs_ring_t;

/* budget_bytes is rounded down to whole chunks, one at least. OBS_ERR_RANGE above OBS_RING_BYTES_MAX. */
OBS_MUST_CHECK int obs_ring_pool_init(obs_ring_pool_t *pool, size_t budget_bytes);
/* Every ring of the pool must have been freed or orphaned. */
void obs_ring_pool_free(obs_ring_pool_t *pool);
/* Gives the memory of free chunks back to the system, but for the first keep_count. The consumer's call. */
void obs_ring_pool_trim(obs_ring_pool_t *pool, uint32_t keep_count);

/* ring is 64-byte aligned memory that stays where it is. */
OBS_MUST_CHECK int obs_ring_init(obs_ring_t *ring, obs_ring_pool_t *pool);
/* Neither side may use the ring any more. Its chunks go back to the pool, unless it is an orphan. */
void obs_ring_free(obs_ring_t *ring);
/* From any thread: later pushes and claims answer OBS_ERR_STATE and touch neither chunks nor pool. What was
 * pushed may still be read. */
void obs_ring_close(obs_ring_t *ring);
/* Closes the ring and forgets its pool, which may be freed then: no push is under way, nothing will be read. */
void obs_ring_orphan(obs_ring_t *ring);

/* Producer ------------------------------------------------------------------------------------------- */

/* Takes the next chunk. OBS_ERR_FULL if there is none, OBS_ERR_STATE if the ring is closed. */
OBS_MUST_CHECK int obs_ring_advance(obs_ring_t *ring);

static inline void obs_ring_drop(obs_ring_t *ring, uint64_t sample_count)
{
    uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    atomic_store_explicit(&ring->dropped, dropped + sample_count, memory_order_relaxed);
}

/* One record. OBS_ERR_FULL: dropped and counted; OBS_ERR_STATE: the ring is closed, nothing counted. */
OBS_MUST_CHECK static inline int obs_ring_push(obs_ring_t *ring, uint64_t tag, double value)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (OBS_UNLIKELY(head >= atomic_load_explicit(&ring->limit, memory_order_relaxed))) {
        int status = obs_ring_advance(ring);
        if (status == OBS_ERR_FULL)
            obs_ring_drop(ring, 1);
        if (status != OBS_OK)
            return status;
    }
    obs_ring_record_t *record = &ring->records[head % OBS_RING_CHUNK_RECORDS];
    record->tag = tag;
    record->value = value;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return OBS_OK;
}

/* Room for record_count (1..OBS_RING_CLAIM_MAX) records in one piece, not visible before the commit. Until
 * then no other push or claim. OBS_ERR_FULL (nothing counted: the caller knows how many samples it drops)
 * or OBS_ERR_STATE. */
OBS_MUST_CHECK int obs_ring_claim(obs_ring_t *ring, size_t record_count, obs_ring_record_t **records);
/* The same for as many as the chunk has left, from least (1..OBS_RING_CLAIM_MAX) up to most. */
OBS_MUST_CHECK int obs_ring_claim_some(obs_ring_t *ring, size_t least, size_t most, obs_ring_record_t **records,
                                       size_t *record_count);
/* Publishes the first record_count records of the claim; 0 is the abort: it was as if never claimed. */
static inline void obs_ring_commit(obs_ring_t *ring, size_t record_count)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + record_count, memory_order_release);
}
static inline void obs_ring_abort(obs_ring_t *ring)
{
    obs_ring_commit(ring, 0);
}

/* Consumer ------------------------------------------------------------------------------------------- */

/* Everything before this position may be read: the snapshot that one drain works up to. */
static inline uint64_t obs_ring_head(const obs_ring_t *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

/* The next records before the position until (from obs_ring_head), in one piece; 0 at the end. A record with
 * the tag OBS_RING_PAD ends the data of its slice. */
size_t obs_ring_peek(const obs_ring_t *ring, uint64_t until, const obs_ring_record_t **records);
/* Hands the first record_count records of the last slice back. */
void obs_ring_release(obs_ring_t *ring, size_t record_count);

/* Any thread: records pushed so far, padding apart; exact for whoever is ordered after the pushes. */
static inline uint64_t obs_ring_pushed(const obs_ring_t *ring)
{
    uint64_t padded = atomic_load_explicit(&ring->padded, memory_order_relaxed);
    return obs_ring_head(ring) - padded;
}

static inline uint64_t obs_ring_dropped(const obs_ring_t *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}

#endif
