"""csrc/tdigest.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "tdigest.h" nogil:
    int OBS_TDIGEST_MIN_COMPRESSION
    int OBS_TDIGEST_MAX_COMPRESSION
    int OBS_TDIGEST_DEFAULT_COMPRESSION
    int OBS_TDIGEST_SERIES_COMPRESSION

    ctypedef struct obs_tdigest_centroid_t:
        double mean
        uint64_t weight

    ctypedef struct obs_tdigest_t:
        uint64_t count
        uint64_t nan_count
        uint64_t positive_infinity_count
        uint64_t negative_infinity_count
        double sum
        double min
        double max
        uint32_t compression
        uint32_t centroid_count
        obs_tdigest_centroid_t *centroids

    uint64_t obs_tdigest_samples(const obs_tdigest_t *digest)
    int obs_tdigest_init(obs_tdigest_t *digest, uint32_t compression)
    void obs_tdigest_free(obs_tdigest_t *digest)
    void obs_tdigest_reset(obs_tdigest_t *digest)
    int obs_tdigest_copy(const obs_tdigest_t *digest, obs_tdigest_t *out)
    int obs_tdigest_add(obs_tdigest_t *digest, double value, uint64_t weight)
    int obs_tdigest_add_many(obs_tdigest_t *digest, const double *values, size_t value_count)
    int obs_tdigest_merge(obs_tdigest_t *into, obs_tdigest_t *source)
    int obs_tdigest_flush(obs_tdigest_t *digest)
    int obs_tdigest_trim(obs_tdigest_t *digest)
    int obs_tdigest_quantile(obs_tdigest_t *digest, double q, double *out)
    double obs_tdigest_rank_error(const obs_tdigest_t *digest, double q)
    int obs_tdigest_cdf(obs_tdigest_t *digest, double x, double *out)
    size_t obs_tdigest_memory_bytes(const obs_tdigest_t *digest)
    size_t obs_tdigest_encoded_bound(const obs_tdigest_t *digest)
    int obs_tdigest_encode(obs_tdigest_t *digest, uint8_t *out, size_t capacity, size_t *size)
    int obs_tdigest_check(const uint8_t *bytes, size_t size, uint64_t *samples)
    int obs_tdigest_decode(const uint8_t *bytes, size_t size, obs_tdigest_t *out)
