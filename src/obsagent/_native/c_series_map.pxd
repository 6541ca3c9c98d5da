"""csrc/series_map.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "series_map.h" nogil:
    uint32_t OBS_SERIES_REFUSED

    ctypedef struct obs_series_target_t:
        uint32_t series
        uint8_t kind
        uint8_t scale
        bint keeps_digest

    ctypedef struct obs_series_map_t:
        const obs_series_target_t *targets
        const uint32_t *numbers
        size_t count

    void obs_series_map_init(obs_series_map_t *map)
    void obs_series_map_free(obs_series_map_t *map)
    int obs_series_map_set(obs_series_map_t *map, uint32_t number, obs_series_target_t target)
    const obs_series_target_t *obs_series_map_find(const obs_series_map_t *map, uint32_t number)
