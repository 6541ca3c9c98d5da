"""csrc/varint.h for Cython."""

from libc.stdint cimport uint8_t, uint64_t


cdef extern from "varint.h" nogil:
    int OBS_VARINT_MAX_SIZE

    size_t obs_varint_put(uint8_t *out, uint64_t value)
    int obs_varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *value)
