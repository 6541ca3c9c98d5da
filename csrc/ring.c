#include "ring.h"

#include <assert.h>
#include <sys/mman.h>

#include "obs_alloc.h"

#define WORD_BITS 64

/* Pool ----------------------------------------------------------------------------------------------- */

static obs_ring_record_t *pool_chunk(const obs_ring_pool_t *pool, size_t index)
{
    return pool->arena + index * OBS_RING_CHUNK_RECORDS;
}

int obs_ring_pool_init(obs_ring_pool_t *pool, size_t budget_bytes)
{
    if (budget_bytes > OBS_RING_BYTES_MAX)
        return OBS_ERR_RANGE;
    size_t chunk_count = budget_bytes / OBS_RING_CHUNK_BYTES;
    if (chunk_count == 0)
        chunk_count = 1;
    *pool = (obs_ring_pool_t){.chunk_count = (uint32_t)chunk_count,
                              .word_count = (uint32_t)((chunk_count + WORD_BITS - 1) / WORD_BITS)};
    atomic_init(&pool->credit, (int64_t)chunk_count);
    pool->free_bits = obs_calloc(pool->word_count, sizeof *pool->free_bits);
    pool->touched_bits = obs_calloc(pool->word_count, sizeof *pool->touched_bits);
    if (pool->free_bits == NULL || pool->touched_bits == NULL) {
        obs_ring_pool_free(pool);
        return OBS_ERR_NOMEM;
    }
    void *arena = mmap(NULL, chunk_count * OBS_RING_CHUNK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        obs_ring_pool_free(pool);
        return OBS_ERR_NOMEM;
    }
    pool->arena = arena;
    for (size_t i = 0; i < chunk_count; i++)
        pool->free_bits[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
    return OBS_OK;
}

void obs_ring_pool_free(obs_ring_pool_t *pool)
{
    if (pool->arena != NULL)
        munmap(pool->arena, pool->chunk_count * OBS_RING_CHUNK_BYTES);
    obs_free(pool->free_bits);
    obs_free(pool->touched_bits);
    *pool = (obs_ring_pool_t){0};
}

static bool pool_take_credit(obs_ring_pool_t *pool)
{
    int64_t credit = atomic_load_explicit(&pool->credit, memory_order_relaxed);
    while (credit > 0)
        if (atomic_compare_exchange_weak_explicit(&pool->credit, &credit, credit - 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void pool_return_credit(obs_ring_pool_t *pool, int64_t chunk_count)
{
    atomic_fetch_add_explicit(&pool->credit, chunk_count, memory_order_release);
}

static bool pool_take_bit(obs_ring_pool_t *pool, size_t index)
{
    uint64_t bit = UINT64_C(1) << index % WORD_BITS;
    return atomic_fetch_and_explicit(&pool->free_bits[index / WORD_BITS], ~bit, memory_order_acquire) & bit;
}

static void pool_return_bit(obs_ring_pool_t *pool, size_t index)
{
    atomic_fetch_or_explicit(&pool->free_bits[index / WORD_BITS], UINT64_C(1) << index % WORD_BITS,
                             memory_order_release);
}

/* There are never fewer free bits than credits, so a holder of one finds a bit, if not at the first look. */
static obs_ring_record_t *pool_claim(obs_ring_pool_t *pool)
{
    if (!pool_take_credit(pool))
        return NULL;
    for (size_t word = 0;; word = (word + 1) % pool->word_count) {
        uint64_t bits = atomic_load_explicit(&pool->free_bits[word], memory_order_relaxed);
        if (bits == 0)
            continue;
        size_t index = word * WORD_BITS + (size_t)__builtin_ctzll(bits);
        if (pool_take_bit(pool, index))
            return pool_chunk(pool, index);
    }
}

static void pool_release(obs_ring_pool_t *pool, const obs_ring_record_t *chunk)
{
    size_t index = (size_t)(chunk - pool->arena) / OBS_RING_CHUNK_RECORDS;
    pool->touched_bits[index / WORD_BITS] |= UINT64_C(1) << index % WORD_BITS;
    pool_return_bit(pool, index);
    pool_return_credit(pool, 1);
}

void obs_ring_pool_trim(obs_ring_pool_t *pool, uint32_t keep_count)
{
    for (size_t i = keep_count; i < pool->chunk_count; i++) {
        uint64_t bit = UINT64_C(1) << i % WORD_BITS;
        if (!(pool->touched_bits[i / WORD_BITS] & bit) || !pool_take_credit(pool))
            continue;
        if (pool_take_bit(pool, i)) {
            madvise(pool_chunk(pool, i), OBS_RING_CHUNK_BYTES, MADV_DONTNEED);
            pool->touched_bits[i / WORD_BITS] &= ~bit;
            pool_return_bit(pool, i);
        }
        pool_return_credit(pool, 1);
    }
}

/* Ring ----------------------------------------------------------------------------------------------- */

static obs_ring_record_t **ring_slot(const obs_ring_t *ring, uint64_t position)
{
    return &ring->directory[position / OBS_RING_CHUNK_RECORDS & ring->directory_mask];
}

static void ring_enter_chunk(obs_ring_t *ring, uint64_t head, obs_ring_record_t *chunk)
{
    *ring_slot(ring, head) = chunk;
    ring->records = chunk;
    ring->chunks_end = head + OBS_RING_CHUNK_RECORDS;
    atomic_store(&ring->limit, head + OBS_RING_CHUNK_RECORDS);
}

int obs_ring_init(obs_ring_t *ring, obs_ring_pool_t *pool)
{
    memset(ring, 0, sizeof *ring);
    size_t slot_count = 1; /* one more than the chunks that a ring can have: no slot is ever in use twice */
    while (slot_count <= (size_t)pool->chunk_count + OBS_RING_HOME_CHUNKS)
        slot_count *= 2;
    ring->directory = obs_calloc(slot_count, sizeof(obs_ring_record_t *));
    ring->home = obs_aligned_alloc(OBS_CACHE_LINE, OBS_RING_HOME_CHUNKS * OBS_RING_CHUNK_BYTES);
    if (ring->directory == NULL || ring->home == NULL) {
        obs_free(ring->directory);
        obs_free(ring->home);
        return OBS_ERR_NOMEM;
    }
    ring->directory_mask = slot_count - 1;
    ring->pool = pool;
    atomic_fetch_sub_explicit(&pool->credit, OBS_RING_HOME_CHUNKS, memory_order_relaxed);
    atomic_store_explicit(&ring->home_is_free[1], 1, memory_order_relaxed);
    ring_enter_chunk(ring, 0, ring->home);
    return OBS_OK;
}

/* The consumer's last touch of a chunk. */
static void ring_retire(obs_ring_t *ring, obs_ring_record_t *chunk)
{
    for (size_t i = 0; i < OBS_RING_HOME_CHUNKS; i++)
        if (chunk == ring->home + i * OBS_RING_CHUNK_RECORDS) {
            atomic_store_explicit(&ring->home_is_free[i], 1, memory_order_release);
            return;
        }
    pool_release(ring->pool, chunk);
}

void obs_ring_free(obs_ring_t *ring)
{
    if (ring->pool != NULL) {
        uint64_t first = atomic_load(&ring->tail) / OBS_RING_CHUNK_RECORDS * OBS_RING_CHUNK_RECORDS;
        for (uint64_t position = first; position < ring->chunks_end; position += OBS_RING_CHUNK_RECORDS)
            ring_retire(ring, *ring_slot(ring, position));
        pool_return_credit(ring->pool, OBS_RING_HOME_CHUNKS);
    }
    obs_free(ring->directory);
    obs_free(ring->home);
    ring->directory = NULL;
    ring->home = NULL;
}

void obs_ring_close(obs_ring_t *ring)
{
    atomic_store(&ring->is_closed, 1);
    atomic_store(&ring->limit, 0);
}

void obs_ring_orphan(obs_ring_t *ring)
{
    obs_ring_close(ring);
    ring->pool = NULL;
}

static obs_ring_record_t *ring_next_chunk(obs_ring_t *ring)
{
    for (size_t i = 0; i < OBS_RING_HOME_CHUNKS; i++)
        if (atomic_load_explicit(&ring->home_is_free[i], memory_order_acquire)) {
            atomic_store_explicit(&ring->home_is_free[i], 0, memory_order_relaxed);
            return ring->home + i * OBS_RING_CHUNK_RECORDS;
        }
    return pool_claim(ring->pool);
}

int obs_ring_advance(obs_ring_t *ring)
{
    if (atomic_load(&ring->is_closed))
        return OBS_ERR_STATE;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    assert(head % OBS_RING_CHUNK_RECORDS == 0);
    obs_ring_record_t *chunk = ring_next_chunk(ring);
    if (chunk == NULL)
        return OBS_ERR_FULL;
    ring_enter_chunk(ring, head, chunk);
    if (atomic_load(&ring->is_closed)) { /* closed meanwhile: its store of limit may have come before ours */
        atomic_store(&ring->limit, 0);
        return OBS_ERR_STATE;
    }
    return OBS_OK;
}

/* Uses up the rest of head's chunk. */
static void ring_pad(obs_ring_t *ring, uint64_t head, uint64_t limit)
{
    ring->records[head % OBS_RING_CHUNK_RECORDS].tag = OBS_RING_PAD;
    uint64_t padded = atomic_load_explicit(&ring->padded, memory_order_relaxed);
    atomic_store_explicit(&ring->padded, padded + (limit - head), memory_order_relaxed);
    atomic_store_explicit(&ring->head, limit, memory_order_release);
}

int obs_ring_claim(obs_ring_t *ring, size_t record_count, obs_ring_record_t **records)
{
    assert(record_count >= 1 && record_count <= OBS_RING_CLAIM_MAX);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t limit = atomic_load_explicit(&ring->limit, memory_order_relaxed);
    if (head + record_count > limit) {
        if (head < limit)
            ring_pad(ring, head, limit);
        int status = obs_ring_advance(ring);
        if (status != OBS_OK)
            return status;
        head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    }
    *records = &ring->records[head % OBS_RING_CHUNK_RECORDS];
    return OBS_OK;
}

int obs_ring_claim_some(obs_ring_t *ring, size_t least, size_t most, obs_ring_record_t **records, size_t *record_count)
{
    int status = obs_ring_claim(ring, least, records);
    if (status != OBS_OK)
        return status;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t left = OBS_RING_CHUNK_RECORDS - head % OBS_RING_CHUNK_RECORDS;
    *record_count = most < left ? most : left;
    return OBS_OK;
}

size_t obs_ring_peek(const obs_ring_t *ring, uint64_t until, const obs_ring_record_t **records)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t chunk_offset = tail % OBS_RING_CHUNK_RECORDS;
    uint64_t record_count = until - tail;
    if (record_count > OBS_RING_CHUNK_RECORDS - chunk_offset)
        record_count = OBS_RING_CHUNK_RECORDS - chunk_offset;
    if (record_count != 0)
        *records = *ring_slot(ring, tail) + chunk_offset;
    return record_count;
}

void obs_ring_release(obs_ring_t *ring, size_t record_count)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t end = tail + record_count;
    if (record_count != 0 && end % OBS_RING_CHUNK_RECORDS == 0)
        ring_retire(ring, *ring_slot(ring, tail));
    atomic_store_explicit(&ring->tail, end, memory_order_release);
}
