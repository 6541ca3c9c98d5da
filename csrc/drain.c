#include "drain.h"

#include <signal.h>

#include "obs_alloc.h"

#define MS ((int64_t)1000000)
#define BUSY_SLEEP_NS (4 * MS)
#define IDLE_SLEEP_NS (10 * MS)
#define IDLE_AFTER_NS (1000 * MS)
#define GAUGE_INTERVAL_NS (1000 * MS)
#define STOP_PATIENCE_NS (1000 * MS) /* for bulk calls that are under way */
#define RETRY_NS (MS / 20)
#define QUEUE_BYTES ((size_t)8 << 20)
#define QUEUE_IS_LONG 8                      /* untaken batches after which only size and edges seal */
#define WARM_CHUNKS 4                        /* kept through a trim */
#define THREAD_STACK_BYTES ((size_t)1 << 20) /* untouched, but some programs' thread-local data must fit too */

/* Life ---------------------------------------------------------------------------------------------------- */

static int64_t edge_after(const obs_drain_t *drain, int64_t now_ns)
{
    int64_t window_ns = drain->options.window_ns;
    int64_t epoch_ns = now_ns + drain->options.clock_offset_ns;
    int64_t into_window = epoch_ns % window_ns;
    if (into_window < 0)
        into_window += window_ns;
    return now_ns + window_ns - into_window;
}

static bool options_are_valid(const obs_drain_options_t *options)
{
    return options->ring_bytes <= OBS_RING_BYTES_MAX && options->window_ns > 0 && options->batch_interval_ns > 0 &&
           options->frame_bytes > 0;
}

static int init_locks(obs_drain_t *drain)
{
    if (pthread_mutex_init(&drain->role, NULL) != 0)
        return OBS_ERR_SYSTEM;
    if (obs_monotonic_cond_init(&drain->stop_asked) == OBS_OK)
        return OBS_OK;
    pthread_mutex_destroy(&drain->role);
    return OBS_ERR_SYSTEM;
}

static int init_parts(obs_drain_t *drain)
{
    int status = obs_ring_pool_init(&drain->pool, drain->options.ring_bytes);
    if (status != OBS_OK)
        return status;
    status = obs_open_batch_init(&drain->open);
    if (status != OBS_OK)
        goto out_pool;
    status = obs_batch_queue_init(&drain->queue, QUEUE_BYTES);
    if (status != OBS_OK)
        goto out_open;
    status = init_locks(drain);
    if (status == OBS_OK)
        return OBS_OK;
    obs_batch_queue_free(&drain->queue);
out_open:
    obs_open_batch_free(&drain->open);
out_pool:
    obs_ring_pool_free(&drain->pool);
    return status;
}

int obs_drain_create(const obs_drain_options_t *options, obs_drain_t **out)
{
    if (!options_are_valid(options))
        return OBS_ERR_RANGE;
    obs_drain_t *drain = obs_calloc(1, sizeof *drain);
    if (drain == NULL)
        return OBS_ERR_NOMEM;
    drain->options = *options;
    int status = init_parts(drain);
    if (status != OBS_OK) {
        obs_free(drain);
        return status;
    }
    int64_t now_ns = obs_monotonic_ns();
    drain->start_ns = drain->collected_ns = drain->sealed_ns = now_ns;
    drain->gauges_ns = now_ns + GAUGE_INTERVAL_NS;
    drain->edge_ns = edge_after(drain, now_ns);
    drain->is_trimmed = true;
    *out = drain;
    return OBS_OK;
}

int obs_drain_renew(obs_drain_t *inherited, obs_drain_t **out)
{
    obs_drain_t *drain = NULL;
    int status = obs_drain_create(&inherited->options, &drain);
    uint32_t series_count = atomic_load_explicit(&inherited->open.series_count, memory_order_acquire);
    for (uint32_t i = 0; status == OBS_OK && i < series_count; i++) {
        const obs_series_t *series = obs_open_batch_series(&inherited->open, i);
        uint32_t number;
        status = obs_open_batch_define(&drain->open, series->kind, series->scale, &number);
    }
    if (status != OBS_OK) {
        if (drain != NULL)
            obs_drain_destroy(drain);
        return status;
    }
    obs_ring_pool_free(&inherited->pool);
    *out = drain;
    return OBS_OK;
}

static void adopt(obs_drain_t *drain)
{
    obs_producer_t *producer = atomic_exchange_explicit(&drain->attached, NULL, memory_order_acquire);
    while (producer != NULL) {
        obs_producer_t *next = producer->next;
        producer->next = drain->producers;
        drain->producers = producer;
        producer = next;
    }
}

void obs_drain_destroy(obs_drain_t *drain)
{
    if (drain->is_running)
        obs_drain_stop(drain);
    adopt(drain);
    while (drain->producers != NULL) {
        obs_producer_t *producer = drain->producers;
        drain->producers = producer->next;
        obs_ring_orphan(&producer->ring);
        obs_producer_leave_drain(producer);
    }
    pthread_cond_destroy(&drain->stop_asked);
    pthread_mutex_destroy(&drain->role);
    obs_batch_queue_free(&drain->queue);
    obs_open_batch_free(&drain->open);
    obs_ring_pool_free(&drain->pool);
    obs_free(drain);
}

/* Producers' side ------------------------------------------------------------------------------------------ */

int obs_drain_attach(obs_drain_t *drain, obs_producer_t **out)
{
    obs_producer_t *producer = obs_producer_new(&drain->pool);
    if (producer == NULL)
        return OBS_ERR_NOMEM;
    producer->next = atomic_load_explicit(&drain->attached, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&drain->attached, &producer->next, producer, memory_order_release,
                                                  memory_order_relaxed))
        ;
    *out = producer;
    return OBS_OK;
}

void obs_drain_drop_ringless(obs_drain_t *drain, uint64_t sample_count)
{
    atomic_fetch_add_explicit(&drain->ringless_dropped, sample_count, memory_order_relaxed);
}

void obs_drain_reject(obs_drain_t *drain, uint64_t value_count)
{
    atomic_fetch_add_explicit(&drain->rejected, value_count, memory_order_relaxed);
}

/* Accounts (role) ------------------------------------------------------------------------------------------- */

static void add_producer(obs_accounts_t *accounts, const obs_producer_t *producer)
{
    accounts->dropped += obs_ring_dropped(&producer->ring);
    accounts->observed += obs_producer_recorded(producer);
}

static obs_accounts_t sum_accounts(const obs_drain_t *drain)
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

void obs_drain_accounts(obs_drain_t *drain, obs_accounts_t *accounts)
{
    pthread_mutex_lock(&drain->role);
    adopt(drain);
    *accounts = sum_accounts(drain);
    pthread_mutex_unlock(&drain->role);
}

/* Sealing (role) -------------------------------------------------------------------------------------------- */

static bool queue_batch(obs_drain_t *drain, int64_t end_ns, uint64_t sample_count)
{
    const obs_body_t *body = &drain->open.body;
    if (!obs_batch_queue_has_room(&drain->queue, body->size))
        return false;
    obs_batch_t *batch = obs_batch_new(body->bytes, body->size);
    if (batch == NULL)
        return false;
    drain->delivered += sample_count;
    batch->start_ns = drain->start_ns;
    batch->end_ns = end_ns;
    batch->clock_offset_ns = drain->options.clock_offset_ns;
    batch->samples = sample_count;
    batch->accounts = sum_accounts(drain);
    batch->accounts.observed = drain->delivered + batch->accounts.dropped + batch->accounts.rejected;
    drain->sealed_losses = batch->accounts.dropped + batch->accounts.rejected;
    obs_batch_queue_push(&drain->queue, batch);
    return true;
}

/* A batch of nothing is sealed only to tell of losses that no other batch has told. */
static void seal(obs_drain_t *drain, int64_t end_ns, bool with_gauges)
{
    uint64_t sample_count, gauge_count, lost_count;
    bool was_empty = obs_open_batch_is_empty(&drain->open);
    int status = obs_open_batch_encode(&drain->open, with_gauges, &sample_count, &gauge_count, &lost_count);
    drain->ended.observed += gauge_count;
    drain->lost += lost_count;
    if (with_gauges)
        drain->gauges_ns = end_ns + GAUGE_INTERVAL_NS;
    obs_accounts_t accounts = sum_accounts(drain);
    bool is_news = accounts.dropped + accounts.rejected != drain->sealed_losses;
    if (was_empty && gauge_count == 0 && !is_news)
        return;
    if (status != OBS_OK || !queue_batch(drain, end_ns, sample_count))
        drain->lost += sample_count;
    drain->start_ns = drain->collected_ns;
    drain->sealed_ns = end_ns;
}

static bool interval_is_over(obs_drain_t *drain, int64_t now_ns)
{
    return now_ns - drain->sealed_ns >= drain->options.batch_interval_ns &&
           obs_batch_queue_count(&drain->queue) < QUEUE_IS_LONG;
}

/* Collecting (role) ------------------------------------------------------------------------------------------ */

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
        obs_open_batch_add_hist(&drain->open, delta->series, &delta->hist);
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
            seal(drain, end_ns, false);
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
    adopt(drain);
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
    if (obs_open_batch_is_empty(&drain->open)) {
        drain->start_ns = end_ns;
    } else {
        drain->busy_ns = end_ns;
        drain->is_trimmed = false;
    }
}

/* If the edge is long past (the process was stopped), what is found belongs before it. */
static void cross_edge(obs_drain_t *drain, int64_t now_ns)
{
    collect(drain, drain->edge_ns, false);
    seal(drain, drain->edge_ns, drain->edge_ns >= drain->gauges_ns);
    drain->edge_ns = edge_after(drain, now_ns);
    drain->start_ns = drain->collected_ns = drain->edge_ns - drain->options.window_ns;
}

static void trim(obs_drain_t *drain)
{
    obs_ring_pool_trim(&drain->pool, WARM_CHUNKS);
    obs_open_batch_trim(&drain->open);
    drain->is_trimmed = true;
}

/* Returns the time of the step: not before that of another caller who read the clock later but came first. */
static int64_t step(obs_drain_t *drain, int64_t now_ns, bool want)
{
    if (now_ns < drain->collected_ns)
        now_ns = drain->collected_ns;
    if (now_ns >= drain->edge_ns)
        cross_edge(drain, now_ns);
    collect(drain, now_ns, want);
    return now_ns;
}

void obs_drain_step(obs_drain_t *drain, int64_t at_ns)
{
    pthread_mutex_lock(&drain->role);
    int64_t now_ns = step(drain, at_ns, false);
    bool gauges_are_due = now_ns >= drain->gauges_ns;
    if (gauges_are_due || interval_is_over(drain, now_ns))
        seal(drain, now_ns, gauges_are_due);
    if (!drain->is_trimmed && now_ns - drain->busy_ns > IDLE_AFTER_NS)
        trim(drain);
    pthread_mutex_unlock(&drain->role);
}

/* Calls ------------------------------------------------------------------------------------------------------- */

static bool has_waiting_deltas(const obs_drain_t *drain)
{
    for (const obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        if (producer->waiting != NULL)
            return true;
    return false;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
}

int obs_drain_seal(obs_drain_t *drain, int64_t timeout_ns)
{
    int64_t began_ns = obs_monotonic_ns();
    for (;;) {
        pthread_mutex_lock(&drain->role);
        int64_t now_ns = step(drain, obs_monotonic_ns(), true);
        bool is_complete = !has_waiting_deltas(drain);
        bool is_last = is_complete || now_ns - began_ns >= timeout_ns;
        if (is_last)
            seal(drain, now_ns, true);
        pthread_mutex_unlock(&drain->role);
        if (is_last) {
            obs_batch_queue_wake(&drain->queue);
            return is_complete ? OBS_OK : OBS_ERR_STATE;
        }
        nap();
    }
}

void obs_drain_set_clock(obs_drain_t *drain, int64_t clock_offset_ns)
{
    pthread_mutex_lock(&drain->role);
    int64_t now_ns = step(drain, obs_monotonic_ns(), false);
    seal(drain, now_ns, false);
    drain->options.clock_offset_ns = clock_offset_ns;
    drain->edge_ns = edge_after(drain, now_ns);
    pthread_mutex_unlock(&drain->role);
}

/* Thread ------------------------------------------------------------------------------------------------------ */

static int64_t sleep_ns(const obs_drain_t *drain, int64_t now_ns)
{
    int64_t sleep = now_ns - drain->busy_ns < IDLE_AFTER_NS ? BUSY_SLEEP_NS : IDLE_SLEEP_NS;
    int64_t to_edge = drain->edge_ns - now_ns;
    return to_edge < sleep ? to_edge : sleep;
}

static void *run(void *argument)
{
    obs_drain_t *drain = argument;
    bool is_stopping = false;
    while (!is_stopping) {
        obs_drain_step(drain, obs_monotonic_ns());
        pthread_mutex_lock(&drain->role);
        struct timespec until = obs_monotonic_after(sleep_ns(drain, obs_monotonic_ns()));
        if (!drain->is_stopping)
            pthread_cond_timedwait(&drain->stop_asked, &drain->role, &until);
        is_stopping = drain->is_stopping;
        pthread_mutex_unlock(&drain->role);
    }
    return NULL;
}

/* Signals are for the threads of the program. */
static int start_thread(obs_drain_t *drain)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return OBS_ERR_SYSTEM;
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&drain->thread, &attributes, run, drain);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? OBS_ERR_SYSTEM : OBS_OK;
}

int obs_drain_start(obs_drain_t *drain)
{
    int status = OBS_ERR_STATE;
    pthread_mutex_lock(&drain->role);
    if (!drain->is_running) {
        drain->is_stopping = false;
        status = start_thread(drain);
        drain->is_running = status == OBS_OK;
    }
    pthread_mutex_unlock(&drain->role);
    return status;
}

static void end_thread(obs_drain_t *drain)
{
    pthread_mutex_lock(&drain->role);
    bool was_running = drain->is_running;
    drain->is_stopping = true;
    drain->is_running = false;
    pthread_cond_signal(&drain->stop_asked);
    pthread_mutex_unlock(&drain->role);
    if (was_running)
        pthread_join(drain->thread, NULL);
}

static bool is_bulk_under_way(obs_drain_t *drain)
{
    pthread_mutex_lock(&drain->role);
    adopt(drain);
    bool is_under_way = false;
    for (const obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        is_under_way |= atomic_load_explicit(&producer->in_call, memory_order_acquire) != 0;
    pthread_mutex_unlock(&drain->role);
    return is_under_way;
}

void obs_drain_stop(obs_drain_t *drain)
{
    end_thread(drain);
    int64_t began_ns = obs_monotonic_ns();
    while (is_bulk_under_way(drain) && obs_monotonic_ns() - began_ns < STOP_PATIENCE_NS)
        nap();
    int status = obs_drain_seal(drain, STOP_PATIENCE_NS);
    (void)status; /* a bulk call that lasts longer than our patience keeps its samples: they are never delivered */
    pthread_mutex_lock(&drain->role);
    for (obs_producer_t *producer = drain->producers; producer != NULL; producer = producer->next)
        obs_ring_close(&producer->ring);
    pthread_mutex_unlock(&drain->role);
}
