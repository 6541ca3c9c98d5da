// kernels: ring obs
/* Two producers and one consumer on a pool that is too small for them: nothing is lost, doubled or torn that was
 * not counted dropped. Run under ThreadSanitizer. */
#include <pthread.h>

#include "check.h"
#include "ring.h"

enum { PRODUCERS = 2, SAMPLES = 300000 };

typedef struct {
    _Alignas(OBS_CACHE_LINE) obs_ring_t ring;
    uint64_t number;
    uint64_t accepted; /* the producer's count, read after it has ended */
    _Atomic bool has_ended;
    uint64_t received;
    uint64_t last_value;
} lane_t;

static obs_ring_pool_t pool;
static lane_t lanes[PRODUCERS];

/* One record in 64 comes as a claim of up to eight, some of them aborted. */
static uint64_t record(lane_t *lane, uint64_t value, uint64_t *state)
{
    uint64_t chance = check_random(state);
    obs_ring_record_t *records = NULL;
    size_t count = 1 + chance / 64 % 8;
    if (chance % 64 != 0) {
        if (obs_ring_push(&lane->ring, lane->number, (double)value) == OBS_OK)
            lane->accepted++;
        return 1;
    }
    if (obs_ring_claim(&lane->ring, count, &records) != OBS_OK) {
        obs_ring_drop(&lane->ring, count);
        return count;
    }
    for (size_t i = 0; i < count; i++)
        records[i] = (obs_ring_record_t){.tag = lane->number, .value = (double)(value + i)};
    if (chance >> 32 & 1) {
        obs_ring_abort(&lane->ring);
        obs_ring_drop(&lane->ring, count);
        return count;
    }
    obs_ring_commit(&lane->ring, count);
    lane->accepted += count;
    return count;
}

static void *produce(void *argument)
{
    lane_t *lane = argument;
    uint64_t state = lane->number;
    for (uint64_t value = 1; value <= SAMPLES;)
        value += record(lane, value, &state);
    atomic_store_explicit(&lane->has_ended, true, memory_order_release);
    return NULL;
}

static void consume(lane_t *lane)
{
    const obs_ring_record_t *records;
    uint64_t until = obs_ring_head(&lane->ring);
    size_t count;
    while ((count = obs_ring_peek(&lane->ring, until, &records)) > 0) {
        for (size_t i = 0; i < count && records[i].tag != OBS_RING_PAD; i++) {
            CHECK_EQ(records[i].tag, lane->number);
            CHECK((uint64_t)records[i].value > lane->last_value);
            lane->last_value = (uint64_t)records[i].value;
            lane->received++;
        }
        obs_ring_release(&lane->ring, count);
    }
}

static bool all_have_ended(void)
{
    bool ended = true;
    for (int i = 0; i < PRODUCERS; i++)
        ended &= atomic_load_explicit(&lanes[i].has_ended, memory_order_acquire);
    return ended;
}

int main(void)
{
    pthread_t threads[PRODUCERS];
    CHECK_OK(obs_ring_pool_init(&pool, 4 * OBS_RING_CHUNK_BYTES));
    for (int i = 0; i < PRODUCERS; i++) {
        CHECK_OK(obs_ring_init(&lanes[i].ring, &pool));
        lanes[i].number = (uint64_t)i + 1;
        CHECK_EQ(pthread_create(&threads[i], NULL, produce, &lanes[i]), 0);
    }
    for (bool last = false, done = false; !done; done = last) {
        last = all_have_ended();
        for (int i = 0; i < PRODUCERS; i++)
            consume(&lanes[i]);
        obs_ring_pool_trim(&pool, 1);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(lanes[i].received, lanes[i].accepted);
        CHECK_EQ(obs_ring_pushed(&lanes[i].ring), lanes[i].accepted);
        CHECK(obs_ring_dropped(&lanes[i].ring) + lanes[i].accepted >= SAMPLES);
        CHECK(lanes[i].received > 0);
        obs_ring_free(&lanes[i].ring);
    }
    CHECK_EQ(pool.credit, 4);
    obs_ring_pool_free(&pool);
    return 0;
}
