"""csrc/hll.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "hll.h" nogil:
    int OBS_HLL_MIN_P
    int OBS_HLL_MAX_P
    int OBS_HLL_DEFAULT_P

    ctypedef struct obs_hll_t:
        uint32_t used
        uint32_t p

    int obs_hll_init(obs_hll_t *hll, uint32_t p)
    void obs_hll_free(obs_hll_t *hll)
    void obs_hll_reset(obs_hll_t *hll)
    int obs_hll_copy(const obs_hll_t *hll, obs_hll_t *out)
    int obs_hll_add_hash(obs_hll_t *hll, uint64_t hash)
    int obs_hll_add_many(obs_hll_t *hll, const double *values, size_t value_count)
    int obs_hll_merge(obs_hll_t *into, const obs_hll_t *source)
    double obs_hll_count(const obs_hll_t *hll)
    double obs_hll_relative_error(uint32_t p)
    size_t obs_hll_memory_bytes(const obs_hll_t *hll)
    size_t obs_hll_encoded_bound(const obs_hll_t *hll)
    int obs_hll_encode(const obs_hll_t *hll, uint8_t *out, size_t capacity, size_t *size)
    int obs_hll_check(const uint8_t *bytes, size_t size, uint32_t *p)
    int obs_hll_decode(const uint8_t *bytes, size_t size, obs_hll_t *out)
    int obs_hll_merge_encoded(obs_hll_t *into, const uint8_t *bytes, size_t size)
