"""csrc/drain.h, open_batch.h and batch_queue.h for Cython."""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t

from obsagent._native.c_edges cimport obs_cuts_t


cdef extern from "delta.h" nogil:
    ctypedef struct obs_shape_t:
        pass


cdef extern from "batch_queue.h" nogil:
    ctypedef struct obs_accounts_t:
        uint64_t observed
        uint64_t dropped
        uint64_t rejected
    ctypedef struct obs_batch_t:
        int64_t start_ns
        int64_t end_ns
        int64_t clock_offset_ns
        uint64_t samples
        obs_accounts_t accounts
        size_t size
        uint8_t *bytes
    ctypedef struct obs_batch_queue_t:
        pass
    void obs_batch_free(obs_batch_t *batch)
    obs_batch_t *obs_batch_queue_take(obs_batch_queue_t *queue, int64_t timeout_ns)
    void obs_batch_queue_wake(obs_batch_queue_t *queue)


cdef extern from "open_batch.h" nogil:
    int OBS_KIND_HISTOGRAM
    int OBS_KIND_COUNTER
    int OBS_KIND_GAUGE
    int OBS_KIND_COLUMN
    ctypedef struct obs_categories_t:
        pass
    ctypedef struct obs_series_t:
        uint8_t kind
        int8_t scale
        bint keeps_digest
        obs_cuts_t *cuts
        obs_categories_t *categories
    ctypedef struct obs_open_batch_t:
        pass
    int obs_open_batch_define(obs_open_batch_t *batch, int kind, int scale, bint keeps_digest, uint32_t *series)
    obs_series_t *obs_open_batch_series(const obs_open_batch_t *batch, uint32_t series)
    int obs_series_set_cuts(obs_series_t *column, const double *cuts, uint32_t cut_count)
    int obs_series_set_bins(obs_series_t *column, uint32_t bin_count)
    int obs_series_add_category(obs_series_t *column, const void *key, size_t key_size, uint32_t *code)
    obs_shape_t obs_series_shape(const obs_series_t *series)
    void obs_gauge_set(obs_series_t *gauge, double value)
    void obs_gauge_add(obs_series_t *gauge, double value)
    void obs_gauge_unset(obs_series_t *gauge)


cdef extern from "drain.h" nogil:
    ctypedef struct obs_drain_options_t:
        size_t ring_bytes
        int64_t window_ns
        int64_t batch_interval_ns
        size_t frame_bytes
        int64_t clock_offset_ns
    ctypedef struct obs_drain_t:
        obs_open_batch_t open
        obs_batch_queue_t queue
    int obs_drain_create(const obs_drain_options_t *options, obs_drain_t **drain)
    int obs_drain_renew(obs_drain_t *inherited, obs_drain_t **drain)
    void obs_drain_destroy(obs_drain_t *drain)
    void obs_drain_drop_ringless(obs_drain_t *drain, uint64_t sample_count)
    void obs_drain_reject(obs_drain_t *drain, uint64_t value_count)
    int obs_drain_start(obs_drain_t *drain)
    void obs_drain_stop(obs_drain_t *drain)
    int obs_drain_seal(obs_drain_t *drain, int64_t timeout_ns)
    void obs_drain_set_clock(obs_drain_t *drain, int64_t clock_offset_ns)
    void obs_drain_accounts(obs_drain_t *drain, obs_accounts_t *accounts)
