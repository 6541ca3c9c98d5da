"""csrc/accumulator.h, window.h and frames.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from obsagent._native.c_column cimport obs_column_t
from obsagent._native.c_loghist cimport obs_loghist_t
from obsagent._native.c_series_map cimport obs_series_map_t, obs_series_target_t
from obsagent._native.c_tdigest cimport obs_tdigest_t


cdef extern from "accumulator.h" nogil:
    int64_t OBS_ACCUMULATOR_NEVER

    ctypedef struct obs_accumulator_t:
        obs_loghist_t hist
        uint64_t increments
        double sum
        double last
        int64_t last_ms
        obs_column_t *column

    const obs_tdigest_t *obs_accumulator_digest(const obs_accumulator_t *accumulator)
    uint64_t obs_accumulator_samples(const obs_accumulator_t *accumulator)


cdef extern from "window.h" nogil:
    ctypedef struct obs_window_slot_t:
        obs_accumulator_t accumulator
        uint32_t series
        uint8_t kind

    ctypedef struct obs_window_t:
        size_t slot_count
        uint64_t sample_count
        bint drops_digests

    ctypedef struct obs_applied_t:
        uint64_t applied
        uint64_t refused

    void obs_window_init(obs_window_t *window)
    void obs_window_free(obs_window_t *window)
    size_t obs_window_memory_bytes(const obs_window_t *window)
    obs_window_slot_t *obs_window_slot_at(const obs_window_t *window, size_t slot)
    const obs_window_slot_t *obs_window_find(const obs_window_t *window, uint32_t series)
    int obs_window_apply(obs_window_t *window, const uint8_t *body, size_t size, const obs_series_map_t *map,
                         int64_t end_ms, obs_applied_t *applied)
    int obs_window_add_value(obs_window_t *window, const obs_series_target_t *target, double value,
                             uint64_t weight, int64_t time_ms)
    int obs_window_add_counter(obs_window_t *window, uint32_t series, uint64_t increments, double sum)
    int obs_window_merge_rows(obs_window_t *into, const uint8_t *rows, size_t size)
    int obs_window_merge(obs_window_t *into, const obs_window_t *source)


cdef extern from "frames.h" nogil:
    ctypedef struct obs_frame_t:
        uint32_t first_series
        uint32_t last_series
        size_t offset
        size_t size

    ctypedef struct obs_rows_bytes_t "obs_bytes_t":
        uint8_t *bytes
        size_t size

    ctypedef struct obs_frames_t:
        obs_rows_bytes_t rows
        obs_frame_t *frames
        size_t frame_count

    void obs_frames_init(obs_frames_t *frames)
    void obs_frames_free(obs_frames_t *frames)
    int obs_frames_encode(obs_frames_t *frames, const obs_window_t *window, size_t max_bytes)
