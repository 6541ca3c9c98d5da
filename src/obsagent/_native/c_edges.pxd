"""csrc/edges.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "edges.h" nogil:
    int OBS_EDGES_MIN_CUTS
    int OBS_EDGES_MAX_CUTS
    int OBS_EDGES_MAX_BINS

    ctypedef struct obs_cuts_t:
        double *cuts
        uint32_t cut_count

    ctypedef struct obs_edges_t:
        uint64_t *counts
        double *sums
        uint64_t total
        uint32_t bin_count

    int obs_cuts_init(obs_cuts_t *cuts, const double *values, uint32_t cut_count)
    void obs_cuts_free(obs_cuts_t *cuts)
    uint32_t obs_cuts_bin(const obs_cuts_t *cuts, double value)
    size_t obs_cuts_memory_bytes(const obs_cuts_t *cuts)
    int obs_edges_init(obs_edges_t *edges, uint32_t bin_count)
    void obs_edges_free(obs_edges_t *edges)
    void obs_edges_reset(obs_edges_t *edges)
    int obs_edges_copy(const obs_edges_t *edges, obs_edges_t *out)
    int obs_edges_add(obs_edges_t *edges, const obs_cuts_t *cuts, double value, uint64_t weight)
    int obs_edges_add_many(obs_edges_t *edges, const obs_cuts_t *cuts, const double *values, size_t value_count)
    int obs_edges_add_bin(obs_edges_t *edges, uint32_t bin, uint64_t weight)
    int obs_edges_merge(obs_edges_t *into, const obs_edges_t *source)
    size_t obs_edges_memory_bytes(const obs_edges_t *edges)
    size_t obs_edges_encoded_bound(const obs_edges_t *edges)
    int obs_edges_encode(const obs_edges_t *edges, uint8_t *out, size_t capacity, size_t *size)
    int obs_edges_check(const uint8_t *bytes, size_t size, uint64_t *samples)
    int obs_edges_decode(const uint8_t *bytes, size_t size, obs_edges_t *out)
    int obs_edges_merge_encoded(obs_edges_t *into, const uint8_t *bytes, size_t size)
