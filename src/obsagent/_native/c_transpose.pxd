"""csrc/sections.h and transpose.h for Cython."""

from libc.stdint cimport int64_t, uint8_t, uint32_t


cdef extern from "sections.h" nogil:
    ctypedef struct obs_sections_reader_t:
        const uint8_t *cursor

    ctypedef struct obs_section_t:
        int64_t window_ms
        const uint8_t *rows
        size_t size

    int obs_sections_reader_init(obs_sections_reader_t *reader, const uint8_t *bytes, size_t size)
    int obs_sections_next(obs_sections_reader_t *reader, obs_section_t *section)


cdef extern from "transpose.h" nogil:
    ctypedef struct obs_transpose_t:
        size_t row_count

    ctypedef struct obs_transposed_frame_t:
        int64_t first_window_ms
        int64_t last_window_ms
        uint32_t first_series
        uint32_t last_series
        size_t offset
        size_t size

    ctypedef struct obs_transposed_bytes_t "obs_bytes_t":
        uint8_t *bytes

    ctypedef struct obs_transposed_t:
        obs_transposed_bytes_t bytes
        obs_transposed_frame_t *frames
        size_t frame_count

    void obs_transpose_init(obs_transpose_t *transpose, int64_t width_ms)
    void obs_transpose_free(obs_transpose_t *transpose)
    int obs_transpose_add_rows(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series,
                               int64_t window_ms, const uint8_t *rows, size_t size)
    int obs_transpose_add_sections(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series,
                                   const uint8_t *bytes, size_t size)
    void obs_transposed_init(obs_transposed_t *out)
    void obs_transposed_free(obs_transposed_t *out)
    int obs_transpose_encode(obs_transpose_t *transpose, size_t max_bytes, obs_transposed_t *out)
