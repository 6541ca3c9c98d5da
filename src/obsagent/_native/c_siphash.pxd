"""csrc/siphash.h for Cython."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "siphash.h" nogil:
    int OBS_SIPHASH_KEY_BYTES
    int obs_siphash_texts(const uint8_t *key, const uint8_t *lengths, size_t count, const uint8_t *texts, size_t size,
                          uint64_t *hi, uint32_t *lo)
