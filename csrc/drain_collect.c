#include "drain_collect.h"

int64_t obs_drain_edge_after(const obs_drain_t *drain, int64_t now_ns)
{
    int64_t window_ns = drain->options.window_ns;
    int64_t epoch_ns = now_ns + drain->options.clock_offset_ns;
    int64_t into_window = epoch_ns % window_ns;
    if (into_window < 0)
        into_window += window_ns;
    return now_ns + window_ns - into_window;
}

void obs_drain_adopt(obs_drain_t *drain)
{
    obs_producer_t *producer = atomic_exchange_explicit(&drain->attached, NULL, memory_order_acquire);
    while (producer != NULL) {
        obs_producer_t *next = producer->next;
        producer->next = drain->producers;
        drain->producers = producer;
        producer = next;
    }
}

/* Accounts ------------------------------------------------------------------------------------------- */

static void add_producer(obs_accounts_t *accounts, const obs_producer_t *producer)
{
    accounts->dropped += obs_ring_dropped(&producer->ring);
    accounts->observed += obs_producer_recorded(producer);
}

obs_accounts_t obs_drain_sum_accounts(const obs_drain_t *drain)
{
    obs_accounts_t accounts = drain->ended;
    uint64_t dropped = atomic_load_explicit(&drain->ringless_dropped, memory_order_relaxed);
    uint64_t rejected = atomic_load_explicit(&drain->rejected, memory_order_relaxed);
    accounts.dropped += drain->lost + dropped;
    accounts.rejected = rejected;
    accounts.observed += dropped + rejected;
    for (const obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        add_producer(&accounts, producer);
    return accounts;
}

/* Sealing -------------------------------------------------------------------------------------------- */

static bool queue_batch(obs_drain_t *drain, int64_t start_ns, int64_t end_ns, uint64_t sample_count)
{
    const obs_body_t *body = &drain->open.body;
    if (!obs_batch_queue_has_room(&drain->queue, body->size))
        return false;
    obs_batch_t *batch = obs_batch_new(body->bytes, body->size);
    if (batch == NULL)
        return false;
    drain->delivered += sample_count;
    batch->start_ns = start_ns;
    batch->end_ns = end_ns;
    batch->clock_offset_ns = drain->options.clock_offset_ns;
    batch->samples = sample_count;
    batch->accounts = obs_drain_sum_accounts(drain);
    batch->accounts.observed = drain->delivered + batch->accounts.dropped + batch->accounts.rejected;
    drain->sealed_losses = batch->accounts.dropped + batch->accounts.rejected;
    obs_batch_queue_push(&drain->queue, batch);
    return true;
}

void obs_drain_seal_open(obs_drain_t *drain, int64_t end_ns, bool with_gauges)
{
    uint64_t sample_count, gauge_count, lost_count;
    bool was_empty = obs_open_batch_is_empty(&drain->open);
    int status = obs_open_batch_encode(&drain->open, with_gauges, &sample_count, &gauge_count, &lost_count);
    drain->ended.observed += gauge_count;
    drain->lost += lost_count;
    if (with_gauges)
        drain->gauges_ns = end_ns + OBS_GAUGE_INTERVAL_NS;
    obs_accounts_t accounts = obs_drain_sum_accounts(drain);
    bool is_news = accounts.dropped + accounts.rejected != drain->sealed_losses;
    if (was_empty && gauge_count == 0 && !is_news)
        return;
    if (status != OBS_OK || !queue_batch(drain, drain->start_ns, end_ns, sample_count))
        drain->lost += sample_count;
    drain->start_ns = drain->collected_ns;
    drain->sealed_ns = end_ns;
}

void obs_drain_seal_columns(obs_drain_t *drain, int64_t end_ns)
{
    while (obs_open_batch_has_columns(&drain->open)) {
        uint64_t sample_count, lost_count;
        int status =
            obs_open_batch_encode_columns(&drain->open, drain->options.frame_bytes, &sample_count, &lost_count);
        drain->lost += lost_count;
        if (status != OBS_OK || !queue_batch(drain, drain->columns_start_ns, end_ns, sample_count))
            drain->lost += sample_count;
    }
    drain->columns_start_ns = drain->collected_ns;
}

/* Collecting ------------------------------------------------------------------------------------------ */

static void collect_deltas(obs_drain_t *drain, obs_producer_t *producer, bool want)
{
    obs_producer_gather_deltas(producer);
    obs_delta_t **link = &producer->waiting;
    while (*link != NULL) {
        obs_delta_t *delta = *link;
        if (!obs_delta_take(delta, want)) {
            link = &delta->next;
            continue;
        }
        *link = delta->next;
        obs_open_batch_add_delta(&drain->open, delta);
        obs_delta_give_back(delta);
    }
}

static void collect_ring(obs_drain_t *drain, obs_producer_t *producer, int64_t end_ns)
{
    const obs_ring_record_t *records;
    size_t record_count;
    while ((record_count = obs_ring_peek(&producer->ring, producer->until, &records)) > 0) {
        obs_open_batch_add_records(&drain->open, records, record_count);
        obs_ring_release(&producer->ring, record_count);
        if (drain->open.body_estimate > drain->options.frame_bytes)
            obs_drain_seal_open(drain, end_ns, false);
        if (drain->open.columns.count > OBS_OPEN_COLUMNS_MAX)
            obs_drain_seal_columns(drain, end_ns);
    }
}

/* Producers whose thread has ended, and whose last records are read. */
static void bury(obs_drain_t *drain)
{
    obs_producer_t **link = &drain->producers;
    while (*link != NULL) {
        obs_producer_t *producer = *link;
        if (!producer->is_last) {
            link = &producer->next;
            continue;
        }
        *link = producer->next;
        add_producer(&drain->ended, producer);
        obs_producer_leave_drain(producer);
    }
}

/* Everything recorded before the call goes to the open batch, and to sealed ones that end at end_ns if one does
 * not hold it. Heads are noted before anything is read: no producer can keep the drain from coming to an end. */
static void collect(obs_drain_t *drain, int64_t end_ns, bool want)
{
    obs_drain_adopt(drain);
    for (obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next) {
        producer->is_last = obs_producer_thread_is_gone(producer);
        producer->until = obs_ring_head(&producer->ring);
    }
    for (obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        collect_deltas(drain, producer, want);
    for (obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        collect_ring(drain, producer, end_ns);
    bury(drain);
    drain->collected_ns = end_ns;
    bool is_empty = obs_open_batch_is_empty(&drain->open), has_columns = obs_open_batch_has_columns(&drain->open);
    if (is_empty)
        drain->start_ns = end_ns;
    if (!has_columns)
        drain->columns_start_ns = end_ns;
    if (!is_empty || has_columns) {
        drain->busy_ns = end_ns;
        drain->is_trimmed = false;
    }
}

/* If the edge is long past (the process was stopped), what is found belongs before it. */
static void cross_edge(obs_drain_t *drain, int64_t now_ns)
{
    collect(drain, drain->edge_ns, false);
    obs_drain_seal_columns(drain, drain->edge_ns);
    obs_drain_seal_open(drain, drain->edge_ns, drain->edge_ns >= drain->gauges_ns);
    drain->edge_ns = obs_drain_edge_after(drain, now_ns);
    drain->start_ns = drain->collected_ns = drain->edge_ns - drain->options.window_ns;
    drain->columns_start_ns = drain->start_ns;
}

int64_t obs_drain_collect(obs_drain_t *drain, int64_t at_ns, bool want)
{
    int64_t now_ns = at_ns < drain->collected_ns ? drain->collected_ns : at_ns;
    if (now_ns >= drain->edge_ns)
        cross_edge(drain, now_ns);
    collect(drain, now_ns, want);
    return now_ns;
}

bool obs_drain_awaits_deltas(const obs_drain_t *drain)
{
    for (const obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        if (producer->waiting != NULL)
            return true;
    return false;
}
