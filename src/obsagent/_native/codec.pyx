# cython: autotestdict=False
"""Bytes and windows: records, sample bodies, one window's series in memory, what a query gathers.

Everything that reads bytes takes any contiguous buffer and raises obsagent.errors.CorruptData (or
UnsupportedVersion) on what it does not accept, having changed nothing. Work that grows with its input
runs without the GIL. An object has either one writer or any number of readers at a time; the caller's lock
sees to that, and a clash raises RuntimeError rather than corrupt memory.
"""

cimport cython
from cpython cimport array
from cpython.buffer cimport PyBUF_ND, PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from obsagent._native.c_body cimport *
from obsagent._native.c_column cimport *
from obsagent._native.c_crc32c cimport obs_crc32c
from obsagent._native.c_edges cimport obs_cuts_free, obs_cuts_init, obs_cuts_t
from obsagent._native.c_envelope cimport *
from obsagent._native.c_groups cimport *
from obsagent._native.c_hash cimport obs_hash_bytes
from obsagent._native.c_loghist cimport *
from obsagent._native.c_obs cimport *
from obsagent._native.c_order cimport *
from obsagent._native.c_port cimport *
from obsagent._native.c_rows cimport *
from obsagent._native.c_run_column cimport *
from obsagent._native.c_series_map cimport *
from obsagent._native.c_siphash cimport *
from obsagent._native.c_tdigest cimport *
from obsagent._native.c_transpose cimport *
from obsagent._native.c_window cimport *

import array

from obsagent.errors import CorruptData

# The index of a block's frames, of which segment/format.py has the whole: bytes of a line, offsets of fields.
cdef enum:
    INDEX_LINE = 40
    INDEX_FIRST_SERIES = 8
    INDEX_LAST_SERIES = 12
    INDEX_SPAN = 36

cdef size_t RECORD_HEADER = OBS_ENVELOPE_HEADER_BYTES

RECORD_HEADER_BYTES = RECORD_HEADER


@cython.final
cdef class _View:
    """A borrowed buffer of any contiguous type, given back with this object."""

    cdef Py_buffer buffer
    cdef const uint8_t *data
    cdef size_t size

    def __cinit__(self, source):
        PyObject_GetBuffer(source, &self.buffer, PyBUF_SIMPLE)
        self.data = <const uint8_t *>self.buffer.buf
        self.size = <size_t>self.buffer.len

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


cdef class _Shared:
    """One writer or any number of readers: changed with the GIL held, kept while it is released."""

    cdef int readers
    cdef bint written

    cdef int check_readable(self) except -1:
        if self.written:
            raise RuntimeError("read while another thread changes it: the caller's lock is missing")
        return 0

    cdef int begin_read(self) except -1:
        self.check_readable()
        self.readers += 1
        return 0

    cdef void end_read(self) noexcept:
        self.readers -= 1

    cdef int begin_write(self) except -1:
        if self.written or self.readers != 0:
            raise RuntimeError("changed while another thread uses it: the caller's lock is missing")
        self.written = True
        return 0

    cdef void end_write(self) noexcept:
        self.written = False


def crc32c(data, uint32_t crc=0):
    """CRC-32C of the data, going on from the CRC of what came before."""
    cdef _View view = _View(data)
    with nogil:
        crc = obs_crc32c(crc, view.data, view.size)
    return crc


def pack_record(uint8_t type, payload):
    """The record (size, checksum, type, payload) of a payload."""
    cdef _View view = _View(payload)
    cdef bytes record = PyBytes_FromStringAndSize(NULL, RECORD_HEADER + <Py_ssize_t>view.size)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(record)
    cdef int status
    with nogil:
        memcpy(out + RECORD_HEADER, view.data, view.size)
        status = obs_envelope_put(out, type, view.data, view.size)
    check(status)
    return record


def read_record(data, Py_ssize_t offset):
    """(type, payload as a view of data, offset of the next record) of the record at an offset.

    Raises EOFError if the data ends inside the record (torn), CorruptData if its checksum is wrong.
    """
    cdef _View view = _View(data)
    cdef obs_envelope_t record
    cdef int status
    if offset < 0:
        raise ValueError(f"offset {offset} is negative")
    if <size_t>offset > view.size:
        raise EOFError(f"no record at offset {offset}: there are {view.size} bytes")
    with nogil:
        status = obs_envelope_get(view.data + offset, view.size - <size_t>offset, &record)
    if status == OBS_ERR_FULL:
        raise EOFError(f"torn record at offset {offset}")
    if status == OBS_ERR_CORRUPT:
        raise CorruptData(f"wrong checksum of the record at offset {offset}")
    check(status)
    begin = offset + <Py_ssize_t>RECORD_HEADER
    end = begin + <Py_ssize_t>record.payload_size
    return record.type, memoryview(data).cast("B")[begin:end], end


def series_in_rows(rows):
    """The ids of the series that have a row, ascending; what the rows say is not checked."""
    cdef _View view = _View(rows)
    cdef obs_rows_reader_t reader
    cdef obs_row_t row
    found = []
    obs_rows_reader_init(&reader, view.data, view.size)
    while check(obs_rows_next(&reader, &row)) > 0:
        found.append(row.series)
    return found


def has_columns(rows):
    """True if a row of a column is among the rows of a window."""
    cdef _View view = _View(rows)
    cdef obs_rows_reader_t reader
    cdef obs_row_t row
    obs_rows_reader_init(&reader, view.data, view.size)
    while check(obs_rows_next(&reader, &row)) > 0:
        if row.kind == OBS_KIND_COLUMN:
            return True
    return False


def check_body(body):
    """Samples in a sample body, after checking all of it."""
    cdef _View view = _View(body)
    cdef uint64_t samples = 0
    cdef int status
    with nogil:
        status = obs_body_check(view.data, view.size, &samples)
    check(status)
    return samples


def row_sizes(rows):
    """Series id → bytes of its row, of the rows of one window."""
    cdef _View view = _View(rows)
    cdef obs_rows_reader_t reader
    cdef obs_row_t row
    cdef const uint8_t *begin = view.data
    cdef dict sizes = {}
    cdef int status
    obs_rows_reader_init(&reader, view.data, view.size)
    while True:
        status = obs_rows_next(&reader, &row)
        check(status)
        if status == 0:
            return sizes
        sizes[row.series] = reader.cursor - begin
        begin = reader.cursor


@cython.final
cdef class SeriesMap(_Shared):
    """Session series number -> store series id, with the kind, the scale and the digest that the store knows."""

    cdef obs_series_map_t map

    REFUSED = 0xFFFFFFFF

    def __cinit__(self):
        obs_series_map_init(&self.map)

    def __dealloc__(self):
        obs_series_map_free(&self.map)

    def set(self, uint32_t session_series, uint32_t store_series, uint8_t kind=0, uint8_t scale=6, bint digest=False):
        """Where the samples of a session's series go; REFUSED counts them refused.

        Samples of another kind than `kind` are refused too; 0 takes what comes first in a window. With `digest` a
        t-digest is kept beside the histogram, in windows that meet the series from now on.
        """
        cdef obs_series_target_t target
        if session_series > OBS_BODY_MAX_SERIES:
            raise ValueError(f"session series {session_series} is above {OBS_BODY_MAX_SERIES}")
        if kind > OBS_KIND_COLUMN:
            raise ValueError(f"{kind} is no kind of instrument")
        if scale > OBS_LOGHIST_MAX_SCALE:
            raise ValueError(f"scale {scale} is outside {OBS_LOGHIST_MIN_SCALE}..{OBS_LOGHIST_MAX_SCALE}")
        target.series = store_series
        target.kind = kind
        target.scale = scale
        target.keeps_digest = digest
        self.begin_write()
        try:
            check(obs_series_map_set(&self.map, session_series, target))
        finally:
            self.end_write()

    def get(self, uint32_t session_series):
        """The store's id (or REFUSED), or None if the number is not defined."""
        cdef const obs_series_target_t *target = obs_series_map_find(&self.map, session_series)
        return None if target is NULL else target.series

    def __len__(self):
        return self.map.count

    def items(self):
        """All (session series, store series), by session series."""
        return sorted([(self.map.numbers[at], self.map.targets[at].series) for at in range(self.map.count)])


include "codec_body.pxi"
include "codec_window.pxi"
include "codec_groups.pxi"
include "codec_transpose.pxi"
include "codec_ledger.pxi"
