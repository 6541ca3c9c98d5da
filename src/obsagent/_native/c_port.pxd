"""csrc/obs_port.h for Cython."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "obs_port.h" nogil:
    uint32_t obs_load_u32(const void *source)
    uint64_t obs_load_u64(const void *source)
