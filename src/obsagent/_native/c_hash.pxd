"""csrc/hash.h for Cython."""

from libc.stdint cimport uint64_t


cdef extern from "hash.h" nogil:
    uint64_t obs_hash_bytes(const void *bytes, size_t size)
    uint64_t obs_hash_double(double value)
