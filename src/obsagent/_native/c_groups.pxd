"""csrc/groups.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t

from obsagent._native.c_window cimport obs_accumulator_t, obs_window_t


cdef extern from "groups.h" nogil:
    ctypedef struct obs_groups_t:
        obs_accumulator_t *accumulators
        size_t group_count

    int obs_groups_init(obs_groups_t *groups, size_t group_count)
    void obs_groups_free(obs_groups_t *groups)
    int obs_groups_select(obs_groups_t *groups, uint32_t series, size_t group)
    int obs_groups_merge_rows(obs_groups_t *groups, const uint8_t *rows, size_t size, size_t *rows_used)
    int obs_groups_collect(obs_groups_t *groups, const obs_window_t *window)
