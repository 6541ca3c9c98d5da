"""csrc/rows.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "rows.h" nogil:
    enum:
        OBS_KIND_HISTOGRAM
        OBS_KIND_COUNTER
        OBS_KIND_GAUGE
        OBS_KIND_COLUMN

    ctypedef struct obs_rows_reader_t:
        const uint8_t *cursor

    ctypedef struct obs_row_t:
        uint32_t series
        uint8_t kind

    void obs_rows_reader_init(obs_rows_reader_t *reader, const uint8_t *bytes, size_t size)
    int obs_rows_next(obs_rows_reader_t *reader, obs_row_t *row)
