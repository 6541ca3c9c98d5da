"""csrc/envelope.h for Cython."""

from libc.stdint cimport uint8_t


cdef extern from "envelope.h" nogil:
    size_t OBS_ENVELOPE_HEADER_BYTES

    ctypedef struct obs_envelope_t:
        const uint8_t *payload
        size_t payload_size
        uint8_t type

    int obs_envelope_put(uint8_t *header, uint8_t type, const uint8_t *payload, size_t payload_size)
    int obs_envelope_get(const uint8_t *bytes, size_t size, obs_envelope_t *record)
