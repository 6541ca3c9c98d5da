"""csrc/column.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from obsagent._native.c_edges cimport obs_cuts_t, obs_edges_t
from obsagent._native.c_hll cimport obs_hll_t
from obsagent._native.c_loghist cimport obs_loghist_t
from obsagent._native.c_moments cimport obs_moments_t
from obsagent._native.c_topk cimport obs_topk_t


cdef extern from "column.h" nogil:
    ctypedef struct obs_column_t:
        obs_moments_t moments
        uint64_t category_count
        obs_edges_t *edges
        obs_topk_t *topk
        obs_hll_t *hll

    ctypedef struct obs_category_t:
        const uint8_t *key
        uint32_t key_size
        uint32_t bin
        uint64_t hash

    void obs_column_init(obs_column_t *column, uint8_t given_up)
    void obs_column_free(obs_column_t *column)
    uint64_t obs_column_samples(const obs_column_t *column)
    int obs_column_add_many(obs_column_t *column, const obs_cuts_t *cuts, const double *values, size_t value_count)
    int obs_column_add_nulls(obs_column_t *column, uint64_t weight)
    int obs_column_add_wrong_types(obs_column_t *column, uint64_t weight)
    int obs_column_add_category(obs_column_t *column, const obs_category_t *category, uint32_t bin_count,
                                uint64_t weight)
    int obs_column_merge(obs_column_t *into, const obs_column_t *source)
    size_t obs_column_encoded_bound(const obs_loghist_t *hist, const obs_column_t *column)
    int obs_column_encode(const obs_loghist_t *hist, const obs_column_t *column, uint8_t *out, size_t capacity,
                          size_t *size)
    int obs_column_merge_encoded(obs_loghist_t *hist, obs_column_t *into, const uint8_t *payload, size_t size)
