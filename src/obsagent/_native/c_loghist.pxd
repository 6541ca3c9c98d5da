"""csrc/loghist.h for Cython."""

from libc.stdint cimport int32_t, uint8_t, uint64_t


cdef extern from "loghist.h" nogil:
    int OBS_LOGHIST_MIN_SCALE
    int OBS_LOGHIST_MAX_SCALE
    int OBS_LOGHIST_DEFAULT_SCALE

    ctypedef struct obs_loghist_range_t:
        pass

    ctypedef struct obs_loghist_t:
        uint64_t count
        uint64_t zero_count
        uint64_t nan_count
        uint64_t positive_infinity_count
        uint64_t negative_infinity_count
        double sum
        double min
        double max
        obs_loghist_range_t positive
        obs_loghist_range_t negative
        int32_t scale

    int obs_loghist_init(obs_loghist_t *hist, int scale)
    void obs_loghist_free(obs_loghist_t *hist)
    void obs_loghist_reset(obs_loghist_t *hist)
    int obs_loghist_copy(const obs_loghist_t *hist, obs_loghist_t *out)
    int obs_loghist_add(obs_loghist_t *hist, double value, uint64_t weight)
    int obs_loghist_add_many(obs_loghist_t *hist, const double *values, size_t value_count)
    int obs_loghist_merge(obs_loghist_t *into, const obs_loghist_t *source)
    int obs_loghist_downscale(obs_loghist_t *hist, int scale)
    int obs_loghist_quantile(const obs_loghist_t *hist, double q, int interpolate, double *out)
    double obs_loghist_cdf(const obs_loghist_t *hist, double x)
    double obs_loghist_rank_error(const obs_loghist_t *hist, double q, double x)
    double obs_loghist_relative_error(int scale)
    int32_t obs_loghist_index(double value, int scale)
    double obs_loghist_lower_bound(int32_t index, int scale)
    int obs_loghist_next(const obs_loghist_range_t *range, int32_t *index, uint64_t *count)
    size_t obs_loghist_memory_bytes(const obs_loghist_t *hist)
    size_t obs_loghist_encoded_bound(const obs_loghist_t *hist)
    int obs_loghist_encode(const obs_loghist_t *hist, uint8_t *out, size_t capacity, size_t *size)
    int obs_loghist_check(const uint8_t *bytes, size_t size, uint64_t *samples)
    int obs_loghist_merge_encoded(obs_loghist_t *into, const uint8_t *bytes, size_t size)
