// kernels: ring obs
#include "alloc_seam.h"
#include "check.h"
#include "ring.h"

#define CHUNK ((uint64_t)OBS_RING_CHUNK_RECORDS)

typedef struct {
    obs_ring_pool_t pool;
    obs_ring_t ring;
    uint64_t next_read; /* the value that the next record must have */
} fixture_t;

static void set_up(fixture_t *fixture, size_t chunk_count)
{
    CHECK_OK(obs_ring_pool_init(&fixture->pool, chunk_count * OBS_RING_CHUNK_BYTES));
    CHECK_OK(obs_ring_init(&fixture->ring, &fixture->pool));
    fixture->next_read = 0;
}

static void tear_down(fixture_t *fixture)
{
    obs_ring_free(&fixture->ring);
    CHECK_EQ(fixture->pool.credit, fixture->pool.chunk_count);
    obs_ring_pool_free(&fixture->pool);
    CHECK_EQ(obs_alloc_live(), 0);
}

static uint64_t push_until_full(obs_ring_t *ring, uint64_t value)
{
    int status;
    while ((status = obs_ring_push(ring, 7, (double)value)) == OBS_OK)
        value++;
    CHECK_STATUS(status, OBS_ERR_FULL);
    return value;
}

/* Reads up to limit records, checks that they continue the count, and says how many there were. */
static uint64_t read_some(fixture_t *fixture, uint64_t limit)
{
    const obs_ring_record_t *records;
    uint64_t until = obs_ring_head(&fixture->ring), done = 0;
    size_t record_count;
    while (done < limit && (record_count = obs_ring_peek(&fixture->ring, until, &records)) > 0) {
        size_t used = 0;
        for (; used < record_count && done < limit && records[used].tag != OBS_RING_PAD; used++, done++) {
            CHECK_EQ(records[used].tag, 7);
            CHECK_EQ(records[used].value, fixture->next_read++);
        }
        bool is_padding = used < record_count && records[used].tag == OBS_RING_PAD;
        obs_ring_release(&fixture->ring, is_padding ? record_count : used);
    }
    return done;
}

static void records_come_out_in_order(void)
{
    fixture_t fixture;
    set_up(&fixture, 4);
    for (uint64_t i = 0; i < 3 * CHUNK + 5; i++)
        CHECK_OK(obs_ring_push(&fixture.ring, 7, (double)i));
    CHECK_EQ(obs_ring_pushed(&fixture.ring), 3 * CHUNK + 5);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), 3 * CHUNK + 5);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), 0);
    tear_down(&fixture);
}

static void a_snapshot_bounds_what_is_read(void)
{
    fixture_t fixture;
    const obs_ring_record_t *records;
    set_up(&fixture, 4);
    for (int i = 0; i < 10; i++)
        CHECK_OK(obs_ring_push(&fixture.ring, 7, i));
    uint64_t until = obs_ring_head(&fixture.ring);
    CHECK_OK(obs_ring_push(&fixture.ring, 7, 10));
    CHECK_EQ(obs_ring_peek(&fixture.ring, until, &records), 10);
    obs_ring_release(&fixture.ring, 10);
    CHECK_EQ(obs_ring_peek(&fixture.ring, until, &records), 0);
    tear_down(&fixture);
}

static void a_full_ring_drops_and_counts(void)
{
    fixture_t fixture;
    set_up(&fixture, 1);
    uint64_t kept = push_until_full(&fixture.ring, 0);
    CHECK_EQ(kept, 2 * CHUNK);
    for (int i = 0; i < 99; i++)
        CHECK_STATUS(obs_ring_push(&fixture.ring, 7, -1), OBS_ERR_FULL);
    CHECK_EQ(obs_ring_dropped(&fixture.ring), 100);
    CHECK_EQ(obs_ring_pushed(&fixture.ring), 2 * CHUNK);
    CHECK_EQ(read_some(&fixture, CHUNK - 1), CHUNK - 1);
    CHECK_STATUS(obs_ring_push(&fixture.ring, 7, -1), OBS_ERR_FULL); /* the chunk is not read to its end */
    CHECK_EQ(read_some(&fixture, 1), 1);
    CHECK_OK(obs_ring_push(&fixture.ring, 7, (double)(2 * CHUNK)));
    CHECK_EQ(read_some(&fixture, UINT64_MAX), CHUNK + 1);
    tear_down(&fixture);
}

static void the_budget_is_for_all_rings_together(void)
{
    fixture_t fixture;
    obs_ring_t other;
    set_up(&fixture, 5);
    CHECK_OK(obs_ring_init(&other, &fixture.pool));
    CHECK_EQ(push_until_full(&fixture.ring, 0), 3 * CHUNK); /* its home, and the one that is nobody's */
    CHECK_EQ(push_until_full(&other, 0), 2 * CHUNK);
    CHECK_EQ(read_some(&fixture, 3 * CHUNK), 3 * CHUNK); /* the home comes back to its ring, the other to the pool */
    CHECK_EQ(push_until_full(&other, 0), CHUNK);
    CHECK_EQ(push_until_full(&fixture.ring, 3 * CHUNK), 5 * CHUNK);
    obs_ring_free(&other);
    tear_down(&fixture);
}

static void every_ring_has_a_home_beyond_the_budget(void)
{
    enum { RINGS = 9 };
    obs_ring_pool_t pool;
    static obs_ring_t rings[RINGS];
    CHECK_OK(obs_ring_pool_init(&pool, 2 * OBS_RING_CHUNK_BYTES));
    for (int i = 0; i < RINGS; i++)
        CHECK_OK(obs_ring_init(&rings[i], &pool));
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < RINGS; i++) {
            CHECK_EQ(push_until_full(&rings[i], 0), 2 * CHUNK);
            obs_ring_release(&rings[i], CHUNK);
            CHECK_EQ(push_until_full(&rings[i], 0), CHUNK); /* goes on while the other half waits */
            obs_ring_release(&rings[i], CHUNK);
            obs_ring_release(&rings[i], CHUNK);
        }
    for (int i = 0; i < RINGS; i++)
        obs_ring_free(&rings[i]);
    CHECK_EQ(pool.credit, 2);
    obs_ring_pool_free(&pool);
}

static void random_sizes_go_round_many_times(void)
{
    fixture_t fixture;
    uint64_t state = 1, pushed = 0, kept;
    set_up(&fixture, 3);
    for (int round = 0; round < 400; round++) {
        uint64_t want = check_random(&state) % (2 * CHUNK);
        for (kept = 0; kept < want && obs_ring_push(&fixture.ring, 7, (double)pushed) == OBS_OK; kept++)
            pushed++;
        read_some(&fixture, check_random(&state) % (2 * CHUNK));
    }
    read_some(&fixture, UINT64_MAX);
    CHECK_EQ(fixture.next_read, pushed);
    CHECK(pushed > 100 * CHUNK);
    tear_down(&fixture);
}

static void claims_are_contiguous_and_padded(void)
{
    fixture_t fixture;
    uint64_t state = 2, pushed = 0;
    set_up(&fixture, 3);
    for (int round = 0; round < 3000; round++) {
        size_t count = 1 + check_random(&state) % OBS_RING_CLAIM_MAX;
        obs_ring_record_t *records = NULL;
        if (obs_ring_claim(&fixture.ring, count, &records) != OBS_OK) {
            read_some(&fixture, UINT64_MAX);
            continue;
        }
        CHECK(records >= fixture.ring.records && records + count <= fixture.ring.records + CHUNK);
        for (size_t i = 0; i < count; i++)
            records[i] = (obs_ring_record_t){.tag = 7, .value = (double)(pushed + i)};
        if (check_random(&state) % 4 == 0) {
            obs_ring_abort(&fixture.ring);
            continue;
        }
        obs_ring_commit(&fixture.ring, count);
        pushed += count;
    }
    read_some(&fixture, UINT64_MAX);
    CHECK_EQ(fixture.next_read, pushed);
    CHECK_EQ(obs_ring_pushed(&fixture.ring), pushed);
    CHECK(fixture.ring.padded > 0);
    CHECK_EQ(obs_ring_dropped(&fixture.ring), 0); /* who claims knows himself what he drops */
    tear_down(&fixture);
}

static void some_are_as_many_as_the_chunk_has_left(void)
{
    fixture_t fixture;
    obs_ring_record_t *records;
    size_t granted = 0;
    set_up(&fixture, 2);
    CHECK_OK(obs_ring_claim_some(&fixture.ring, 1, 100, &records, &granted));
    CHECK_EQ(granted, 100);
    for (uint64_t i = 0; i < CHUNK - 10; i++)
        CHECK_OK(obs_ring_push(&fixture.ring, 7, (double)i));
    CHECK_OK(obs_ring_claim_some(&fixture.ring, 10, 2 * CHUNK, &records, &granted));
    CHECK_EQ(granted, 10);
    CHECK_OK(obs_ring_claim_some(&fixture.ring, 11, 2 * CHUNK, &records, &granted));
    CHECK_EQ(granted, CHUNK);
    CHECK_EQ(fixture.ring.padded, 10);
    records[0] = (obs_ring_record_t){.tag = 7, .value = (double)(CHUNK - 10)};
    obs_ring_commit(&fixture.ring, 1);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), CHUNK - 9);
    tear_down(&fixture);
}

static void a_closed_ring_takes_nothing_and_can_be_read(void)
{
    fixture_t fixture;
    obs_ring_record_t *records;
    set_up(&fixture, 2);
    CHECK_OK(obs_ring_push(&fixture.ring, 7, 0));
    obs_ring_close(&fixture.ring);
    CHECK_STATUS(obs_ring_push(&fixture.ring, 7, 1), OBS_ERR_STATE);
    CHECK_STATUS(obs_ring_claim(&fixture.ring, 1, &records), OBS_ERR_STATE);
    CHECK_EQ(obs_ring_dropped(&fixture.ring), 0);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), 1);
    tear_down(&fixture);
}

static void an_orphan_outlives_its_pool(void)
{
    fixture_t fixture;
    set_up(&fixture, 2);
    CHECK_EQ(push_until_full(&fixture.ring, 0), 2 * CHUNK);
    obs_ring_orphan(&fixture.ring);
    obs_ring_pool_free(&fixture.pool);
    CHECK_STATUS(obs_ring_push(&fixture.ring, 7, 0), OBS_ERR_STATE);
    obs_ring_free(&fixture.ring);
    CHECK_EQ(obs_alloc_live(), 0);
}

static void a_ring_freed_in_the_middle_returns_its_chunks(void)
{
    for (uint64_t read = 0; read <= 3 * CHUNK; read += CHUNK / 2) {
        fixture_t fixture;
        set_up(&fixture, 3);
        CHECK_EQ(push_until_full(&fixture.ring, 0), 3 * CHUNK);
        CHECK_EQ(read_some(&fixture, read), read);
        tear_down(&fixture);
    }
}

static void a_trim_gives_memory_back(void)
{
    fixture_t fixture;
    set_up(&fixture, 4);
    CHECK_EQ(push_until_full(&fixture.ring, 0), 4 * CHUNK);
    CHECK_EQ(read_some(&fixture, 3 * CHUNK), 3 * CHUNK); /* the arena's first chunk is free, its second is not */
    CHECK_EQ(fixture.pool.arena[0].tag, 7);
    obs_ring_pool_trim(&fixture.pool, 1);
    CHECK_EQ(fixture.pool.arena[0].tag, 7);
    obs_ring_pool_trim(&fixture.pool, 0);
    CHECK_EQ(fixture.pool.arena[0].tag, 0);
    CHECK_EQ(fixture.pool.credit, 1);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), CHUNK); /* untouched */
    CHECK_EQ(push_until_full(&fixture.ring, 4 * CHUNK), 8 * CHUNK);
    CHECK_EQ(read_some(&fixture, UINT64_MAX), 4 * CHUNK);
    tear_down(&fixture);
}

static int init_both(obs_ring_pool_t *pool, obs_ring_t *ring)
{
    int status = obs_ring_pool_init(pool, 1);
    if (status != OBS_OK)
        return status;
    status = obs_ring_init(ring, pool);
    if (status != OBS_OK)
        obs_ring_pool_free(pool);
    return status;
}

static void every_failed_allocation_is_survived(void)
{
    obs_ring_pool_t pool;
    obs_ring_t ring;
    for (size_t n = 1;; n++) {
        obs_alloc_fail_at(n);
        int status = init_both(&pool, &ring);
        obs_alloc_fail_at(0);
        if (status == OBS_OK)
            break;
        CHECK_STATUS(status, OBS_ERR_NOMEM);
        CHECK_EQ(obs_alloc_live(), 0);
    }
    CHECK_EQ(pool.chunk_count, 1); /* the least there is */
    obs_ring_free(&ring);
    obs_ring_pool_free(&pool);
    CHECK_STATUS(obs_ring_pool_init(&pool, OBS_RING_BYTES_MAX + 1), OBS_ERR_RANGE);
}

int main(void)
{
    RUN(records_come_out_in_order);
    RUN(a_snapshot_bounds_what_is_read);
    RUN(a_full_ring_drops_and_counts);
    RUN(the_budget_is_for_all_rings_together);
    RUN(every_ring_has_a_home_beyond_the_budget);
    RUN(random_sizes_go_round_many_times);
    RUN(claims_are_contiguous_and_padded);
    RUN(some_are_as_many_as_the_chunk_has_left);
    RUN(a_closed_ring_takes_nothing_and_can_be_read);
    RUN(an_orphan_outlives_its_pool);
    RUN(a_ring_freed_in_the_middle_returns_its_chunks);
    RUN(a_trim_gives_memory_back);
    RUN(every_failed_allocation_is_survived);
    return 0;
}
