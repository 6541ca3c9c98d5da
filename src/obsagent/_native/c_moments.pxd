"""csrc/moments.h for Cython."""

from libc.stdint cimport uint8_t, uint64_t


cdef extern from "moments.h" nogil:
    size_t OBS_MOMENTS_ENCODED_MAX

    ctypedef struct obs_moments_t:
        uint64_t count
        uint64_t null_count
        uint64_t nan_count
        uint64_t positive_infinity_count
        uint64_t negative_infinity_count
        uint64_t wrong_type_count
        double mean
        double m2
        double m3
        double m4
        double min
        double max

    uint64_t obs_moments_samples(const obs_moments_t *moments)
    void obs_moments_init(obs_moments_t *moments)
    int obs_moments_add(obs_moments_t *moments, double value, uint64_t weight)
    int obs_moments_add_many(obs_moments_t *moments, const double *values, size_t value_count)
    int obs_moments_add_nulls(obs_moments_t *moments, uint64_t count)
    int obs_moments_add_wrong_types(obs_moments_t *moments, uint64_t count)
    int obs_moments_merge(obs_moments_t *into, const obs_moments_t *source)
    double obs_moments_variance(const obs_moments_t *moments)
    double obs_moments_skewness(const obs_moments_t *moments)
    double obs_moments_kurtosis(const obs_moments_t *moments)
    int obs_moments_encode(const obs_moments_t *moments, uint8_t *out, size_t capacity, size_t *size)
    int obs_moments_check(const uint8_t *bytes, size_t size, uint64_t *samples)
    int obs_moments_decode(const uint8_t *bytes, size_t size, obs_moments_t *out)
    int obs_moments_merge_encoded(obs_moments_t *into, const uint8_t *bytes, size_t size)
