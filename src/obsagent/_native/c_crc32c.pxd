"""csrc/crc32c.h for Cython."""

from libc.stdint cimport uint32_t


cdef extern from "crc32c.h" nogil:
    uint32_t obs_crc32c(uint32_t crc, const void *bytes, size_t size)
