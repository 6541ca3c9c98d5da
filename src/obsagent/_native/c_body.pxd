"""csrc/body.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from obsagent._native.c_column cimport obs_column_t
from obsagent._native.c_loghist cimport obs_loghist_t
from obsagent._native.c_tdigest cimport obs_tdigest_t


cdef extern from "body.h" nogil:
    size_t OBS_BODY_MAX_RUN
    uint32_t OBS_BODY_MAX_SERIES

    ctypedef struct obs_body_t:
        uint8_t *bytes
        size_t size
        size_t capacity

    void obs_body_init(obs_body_t *body)
    void obs_body_free(obs_body_t *body)
    int obs_body_begin(obs_body_t *body)
    int obs_body_put_run(obs_body_t *body, uint32_t series, const double *values, size_t value_count)
    int obs_body_put_loghist(obs_body_t *body, uint32_t series, const obs_loghist_t *hist)
    int obs_body_put_tdigest(obs_body_t *body, uint32_t series, obs_tdigest_t *digest)
    int obs_body_put_counter(obs_body_t *body, uint32_t series, uint64_t increments, double sum)
    int obs_body_put_gauge(obs_body_t *body, uint32_t series, double value)
    int obs_body_put_column(obs_body_t *body, uint32_t series, const obs_loghist_t *hist, const obs_column_t *column)
    int obs_body_check(const uint8_t *bytes, size_t size, uint64_t *samples)
