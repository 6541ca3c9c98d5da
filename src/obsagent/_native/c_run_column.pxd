"""csrc/run_column.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef extern from "run_column.h" nogil:
    ctypedef enum obs_run_kind_t:
        OBS_RUN_WHOLE
        OBS_RUN_REAL
        OBS_RUN_SINGLE

    ctypedef struct obs_run_column_t:
        const uint8_t *bytes
        uint64_t first
        uint64_t rows
        uint64_t group_rows
        uint64_t group_bytes
        uint64_t low
        obs_run_kind_t kind
        uint8_t width
        uint8_t item

    int obs_run_column_check(const obs_run_column_t *column, uint64_t size)
    int obs_run_column_take(const obs_run_column_t *column, const int64_t *rows, size_t count, void *out)
    int obs_run_column_slice(const obs_run_column_t *column, uint64_t begin, size_t count, void *out)
    int obs_run_column_find(const obs_run_column_t *column, const int64_t *stretches, const uint64_t *keys,
                            size_t count, uint64_t flip, int64_t *begins, int64_t *ends)
    int obs_run_sieve(const uint8_t *sieve, size_t size, const uint64_t *keys, size_t count, int64_t *passed,
                      size_t *passed_count)
