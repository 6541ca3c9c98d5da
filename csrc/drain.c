#include "drain.h"

#include <signal.h>

#include "drain_collect.h"
#include "obs_alloc.h"

#define MS ((int64_t)1000000)
#define BUSY_SLEEP_NS (4 * MS)
#define IDLE_SLEEP_NS (10 * MS)
#define IDLE_AFTER_NS (1000 * MS)
#define STOP_PATIENCE_NS (1000 * MS) /* for bulk calls that are under way */
#define RETRY_NS (MS / 20)
#define QUEUE_BYTES ((size_t)8 << 20)
#define QUEUE_IS_LONG 8                      /* untaken batches after which only size and edges seal */
#define WARM_CHUNKS 4                        /* kept through a trim */
#define THREAD_STACK_BYTES ((size_t)1 << 20) /* untouched, but some programs' thread-local data must fit too */

/* Life ---------------------------------------------------------------------------------------------------- */

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
    drain->start_ns = drain->columns_start_ns = drain->collected_ns = drain->sealed_ns = now_ns;
    drain->gauges_ns = now_ns + OBS_GAUGE_INTERVAL_NS;
    drain->edge_ns = obs_drain_edge_after(drain, now_ns);
    drain->is_trimmed = true;
    *out = drain;
    return OBS_OK;
}

/* What was set up for a column is the same for the child, whose program goes on with it; what is inherited is never
 * freed. */
static void take_over_column(obs_series_t *column, const obs_series_t *inherited)
{
    column->cuts = inherited->cuts;
    column->categories = inherited->categories;
}

int obs_drain_renew(obs_drain_t *inherited, obs_drain_t **out)
{
    obs_drain_t *drain = NULL;
    int status = obs_drain_create(&inherited->options, &drain);
    uint32_t series_count = atomic_load_explicit(&inherited->open.series_count, memory_order_acquire);
    for (uint32_t i = 0; status == OBS_OK && i < series_count; i++) {
        const obs_series_t *series = obs_open_batch_series(&inherited->open, i);
        uint32_t number;
        status = obs_open_batch_define(&drain->open, series->kind, series->scale, series->keeps_digest, &number);
    }
    for (uint32_t i = 0; status == OBS_OK && i < series_count; i++)
        take_over_column(obs_open_batch_series(&drain->open, i), obs_open_batch_series(&inherited->open, i));
    if (status != OBS_OK) {
        if (drain != NULL)
            obs_drain_destroy(drain);
        return status;
    }
    obs_ring_pool_free(&inherited->pool);
    *out = drain;
    return OBS_OK;
}

void obs_drain_destroy(obs_drain_t *drain)
{
    if (drain->is_running)
        obs_drain_stop(drain);
    obs_drain_adopt(drain);
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

void obs_drain_accounts(obs_drain_t *drain, obs_accounts_t *accounts)
{
    pthread_mutex_lock(&drain->role);
    obs_drain_adopt(drain);
    *accounts = obs_drain_sum_accounts(drain);
    pthread_mutex_unlock(&drain->role);
}

static bool interval_is_over(obs_drain_t *drain, int64_t now_ns)
{
    return now_ns - drain->sealed_ns >= drain->options.batch_interval_ns &&
           obs_batch_queue_count(&drain->queue) < QUEUE_IS_LONG;
}

static void trim(obs_drain_t *drain)
{
    obs_ring_pool_trim(&drain->pool, WARM_CHUNKS);
    obs_open_batch_trim(&drain->open);
    drain->is_trimmed = true;
}

void obs_drain_step(obs_drain_t *drain, int64_t at_ns)
{
    pthread_mutex_lock(&drain->role);
    int64_t now_ns = obs_drain_collect(drain, at_ns, false);
    bool gauges_are_due = now_ns >= drain->gauges_ns;
    if (gauges_are_due)
        obs_drain_seal_columns(drain, now_ns);
    if (gauges_are_due || interval_is_over(drain, now_ns))
        obs_drain_seal_open(drain, now_ns, gauges_are_due);
    if (!drain->is_trimmed && now_ns - drain->busy_ns > IDLE_AFTER_NS)
        trim(drain);
    pthread_mutex_unlock(&drain->role);
}

/* Calls ------------------------------------------------------------------------------------------------------- */

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
}

int obs_drain_seal(obs_drain_t *drain, int64_t timeout_ns)
{
    int64_t began_ns = obs_monotonic_ns();
    for (;;) {
        pthread_mutex_lock(&drain->role);
        int64_t now_ns = obs_drain_collect(drain, obs_monotonic_ns(), true);
        bool is_complete = !obs_drain_awaits_deltas(drain);
        bool is_last = is_complete || now_ns - began_ns >= timeout_ns;
        if (is_last) {
            obs_drain_seal_columns(drain, now_ns);
            obs_drain_seal_open(drain, now_ns, true);
        }
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
    int64_t now_ns = obs_drain_collect(drain, obs_monotonic_ns(), false);
    obs_drain_seal_columns(drain, now_ns);
    obs_drain_seal_open(drain, now_ns, false);
    drain->options.clock_offset_ns = clock_offset_ns;
    drain->edge_ns = obs_drain_edge_after(drain, now_ns);
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
            obs_cond_wait_until(&drain->stop_asked, &drain->role, &until);
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
    obs_drain_adopt(drain);
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
