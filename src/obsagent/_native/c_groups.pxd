"""csrc/groups.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from obsagent._native.c_window cimport obs_accumulator_t, obs_window_t


cdef extern from "groups.h" nogil:
    ctypedef struct obs_groups_t:
        size_t group_count
        size_t step_count
        bint keeps_digests

    int obs_groups_init(obs_groups_t *groups, size_t group_count, int64_t first_ms, int64_t step_ms, size_t step_count)
    void obs_groups_free(obs_groups_t *groups)
    void obs_groups_keep_digests(obs_groups_t *groups)
    void obs_groups_drop_parts(obs_groups_t *groups)
    int obs_groups_select(obs_groups_t *groups, uint32_t series, size_t group)
    const obs_accumulator_t *obs_groups_at(const obs_groups_t *groups, size_t group, size_t step)
    int obs_groups_merge_rows(obs_groups_t *groups, int64_t window_ms, const uint8_t *rows, size_t size,
                              size_t *rows_used)
    int obs_groups_merge_sections(obs_groups_t *groups, int64_t from_ms, int64_t to_ms, const uint8_t *bytes,
                                  size_t size, size_t *rows_used)
    int obs_groups_collect(obs_groups_t *groups, int64_t window_ms, const obs_window_t *window)
