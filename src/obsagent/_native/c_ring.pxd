"""csrc/thread_producers.h, producer.h and numbers.h for Cython: what a recording thread calls."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from obsagent._native.c_drain cimport obs_drain_t, obs_shape_t


cdef extern from "producer.h" nogil:
    int OBS_RECORD_SAMPLE
    int OBS_RECORD_INCREMENT
    int OBS_RECORD_CATEGORY
    int OBS_RECORD_HASH
    int OBS_RECORD_NULLS
    int OBS_RECORD_WRONG_TYPES
    uint64_t OBS_RECORD_TAG(int what, uint32_t series)
    enum:
        OBS_TABLE_COLUMNS_MAX
    ctypedef struct obs_producer_t:
        pass
    ctypedef struct obs_table_t:
        const uint32_t *series
        uint32_t column_count
        bint is_of_singles
        const void *values
        ptrdiff_t row_stride
        size_t row_count
    void obs_producer_add_many(obs_producer_t *producer, uint32_t series, int scale, bint keeps_digest,
                               const double *values, size_t value_count)
    void obs_producer_add_column(obs_producer_t *producer, const obs_shape_t *shape, const void *values,
                                 ptrdiff_t stride, size_t value_count)
    size_t obs_producer_push_table(obs_producer_t *producer, const obs_table_t *table)
    int obs_producer_push_weighted(obs_producer_t *producer, uint64_t tag, uint64_t bits, uint64_t weight)


cdef extern from "thread_producers.h" nogil:
    enum:
        OBS_SLOTS
    int obs_thread_setup()
    int obs_thread_push(uint32_t slot, uint64_t tag, double value)
    obs_producer_t *obs_thread_producer(uint32_t slot)
    int obs_thread_attach(uint32_t slot, obs_drain_t *drain)
    void obs_thread_forget(uint32_t slot)
    int obs_slot_take(uint32_t slot)
    void obs_slot_return(uint32_t slot)


cdef extern from "numbers.h" nogil:
    size_t obs_numbers_size(char order, char letter)
    void obs_numbers_read(char order, char letter, const void *source, size_t count, double *out)


cdef extern from "obs_port.h" nogil:
    int64_t obs_monotonic_ns()
