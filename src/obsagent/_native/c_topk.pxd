"""csrc/topk.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "topk.h" nogil:
    int OBS_TOPK_MIN_K
    int OBS_TOPK_MAX_K
    int OBS_TOPK_DEFAULT_K
    int OBS_TOPK_KEY_MAX

    ctypedef struct obs_topk_t:
        uint64_t total
        uint64_t other
        uint32_t k
        uint32_t entry_count

    ctypedef struct obs_topk_item_t:
        const uint8_t *key
        size_t key_size
        uint64_t count

    int obs_topk_init(obs_topk_t *topk, uint32_t k)
    void obs_topk_free(obs_topk_t *topk)
    void obs_topk_reset(obs_topk_t *topk)
    int obs_topk_copy(const obs_topk_t *topk, obs_topk_t *out)
    int obs_topk_add(obs_topk_t *topk, const void *key, size_t key_size, uint64_t weight)
    int obs_topk_add_other(obs_topk_t *topk, uint64_t weight)
    int obs_topk_merge(obs_topk_t *into, const obs_topk_t *source)
    uint32_t obs_topk_list(const obs_topk_t *topk, obs_topk_item_t *items)
    uint64_t obs_topk_error(const obs_topk_t *topk)
    size_t obs_topk_memory_bytes(const obs_topk_t *topk)
    size_t obs_topk_encoded_bound(const obs_topk_t *topk)
    int obs_topk_encode(const obs_topk_t *topk, uint8_t *out, size_t capacity, size_t *size)
    int obs_topk_check(const uint8_t *bytes, size_t size, uint64_t *samples)
    int obs_topk_decode(const uint8_t *bytes, size_t size, obs_topk_t *out)
    int obs_topk_merge_encoded(obs_topk_t *into, const uint8_t *bytes, size_t size)
