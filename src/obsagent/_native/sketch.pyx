# cython: autotestdict=False
"""The public sketches: ownership, buffers and errors around the kernels loghist, tdigest, edges, topk, hll and moments.

A sketch has one owner at a time as far as C is concerned. Every method runs under the GIL; add_many lets
go of it for large inputs, and therefore fills a sketch of its own and merges that when it has the GIL again.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.unicode cimport PyUnicode_FromObject
from libc.math cimport NAN, isfinite, isnan, sqrt
from libc.stdint cimport INT32_MIN, UINT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from obsagent._native.c_column cimport *
from obsagent._native.c_crc32c cimport obs_crc32c
from obsagent._native.c_edges cimport *
from obsagent._native.c_hash cimport *
from obsagent._native.c_hll cimport *
from obsagent._native.c_loghist cimport *
from obsagent._native.c_moments cimport *
from obsagent._native.c_obs cimport OBS_ERR_RANGE, OBS_ERR_STATE, check
from obsagent._native.c_tdigest cimport *
from obsagent._native.c_topk cimport *
from obsagent._native.c_varint cimport *

import operator

from obsagent.errors import CorruptData, UnsupportedVersion

cdef Py_ssize_t WITHOUT_GIL_VALUES = 1 << 14  # below this, letting go of the GIL costs more than it gives
cdef object WEIGHT_MAX = 2**64 - 1
cdef object ONE = 1
cdef str DOUBLES = "dfbBhHiIe?"  # formats of the struct module whose numbers a double holds
cdef enum:
    VARINT_BYTES_MAX = 10


cdef struct Apart:
    # How many values were none of the numbers that are counted over edges.
    uint64_t null_count
    uint64_t nan_count
    uint64_t positive_infinity_count
    uint64_t negative_infinity_count

# ---- Arguments ----------------------------------------------------------------------------------------


cdef object whole(str name, value, low, high):
    """The argument as an int; says what was expected if it is not a whole number in range."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number from {low} to {high}, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {number}")
    return number


cdef uint64_t weight_of(weight) except? 0:
    return 1 if weight is ONE else whole("weight", weight, 0, WEIGHT_MAX)


cdef bint is_number(value):
    """Whether it is one number of some type, and no array of them."""
    return (hasattr(value, "__index__") or hasattr(value, "__float__")) and not getattr(value, "ndim", 0)


cdef object flat(values):
    """The items of an iterable; those of a numpy array of more than one dimension one after the other."""
    return values.ravel() if getattr(values, "ndim", 0) > 1 else values


cdef int check_added(int status) except -1:
    if status == OBS_ERR_RANGE:
        raise ValueError("a sketch holds fewer than 2**64 samples")
    return check(status)


cdef int check_quantile(double q) except -1:
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile is a number from 0 to 1, not {q!r}")
    return 0


# ---- Bytes: magic (4), version (1), payload, crc32c of all before it (4, little-endian) ----------------

cdef bytes LOGHIST_MAGIC = b"OBLH"
cdef bytes TDIGEST_MAGIC = b"OBTD"
cdef bytes EDGES_MAGIC = b"OBED"
cdef bytes TOPK_MAGIC = b"OBTK"
cdef bytes HLL_MAGIC = b"OBHL"
cdef bytes MOMENTS_MAGIC = b"OBMO"
cdef int BYTES_VERSION = 1
cdef int HEAD_SIZE = 5
cdef int CHECKSUM_SIZE = 4


cdef bytes seal(bytes magic, bytes payload):
    sealed = magic + bytes((BYTES_VERSION,)) + payload
    checksum = obs_crc32c(0, PyBytes_AS_STRING(sealed), len(sealed))
    return sealed + checksum.to_bytes(CHECKSUM_SIZE, "little")


cdef bytes unseal(bytes magic, str name, data):
    cdef bytes sealed = memoryview(data).tobytes()
    cdef Py_ssize_t end = len(sealed) - CHECKSUM_SIZE
    if sealed[:4] != magic or end < HEAD_SIZE:
        raise CorruptData(f"not the bytes of a {name}")
    if sealed[4] != BYTES_VERSION:
        raise UnsupportedVersion(f"{name} bytes of version {sealed[4]}; this build reads {BYTES_VERSION}")
    if obs_crc32c(0, PyBytes_AS_STRING(sealed), end) != int.from_bytes(sealed[end:], "little"):
        raise CorruptData(f"the bytes of a {name} were truncated or changed: their checksum does not match")
    return sealed[HEAD_SIZE:end]


cdef bytes varints(list numbers):
    cdef bytearray out = bytearray()
    cdef uint8_t[VARINT_BYTES_MAX] number
    cdef size_t size
    for value in numbers:
        size = obs_varint_put(number, value)
        out += (<char *>number)[:size]
    return bytes(out)


cdef tuple read_varints(bytes data, int count):
    """So many numbers from the beginning, and where they end."""
    cdef const uint8_t *begin = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef const uint8_t *at = begin
    cdef uint64_t number = 0
    cdef list numbers = []
    for _ in range(count):
        check(obs_varint_get(&at, begin + len(data), &number))
        numbers.append(number)
    return numbers, at - begin


include "values.pxi"
include "sketch_loghist.pxi"
include "sketch_tdigest.pxi"
include "sketch_moments.pxi"
include "sketch_edges.pxi"
include "sketch_topk.pxi"
include "sketch_hll.pxi"
include "sketch_column.pxi"
