"""The argument of add_many and observe_many: any buffer of numbers, or any iterable of numbers, as doubles."""

from cpython.buffer cimport (
    PyBUF_FULL_RO,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyBuffer_ToContiguous,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Free, PyMem_Malloc

import struct
import sys

cdef str NATIVE_PREFIXES = "@=" + ("<" if sys.byteorder == "little" else ">!")


ctypedef fused number_t:
    float
    signed char
    unsigned char
    short
    unsigned short
    int
    unsigned int
    long
    unsigned long
    long long
    unsigned long long


cdef void widen(const number_t *numbers, double *out, size_t count) noexcept nogil:
    cdef size_t i
    for i in range(count):
        out[i] = <double>numbers[i]


cdef bint widen_native(str code, const char *items, double *out, size_t count):
    """Converts items of a native struct code; False if there is no fast way."""
    if code == "f":
        widen(<const float *>items, out, count)
    elif code == "b":
        widen(<const signed char *>items, out, count)
    elif code == "B":
        widen(<const unsigned char *>items, out, count)
    elif code == "h":
        widen(<const short *>items, out, count)
    elif code == "H":
        widen(<const unsigned short *>items, out, count)
    elif code == "i":
        widen(<const int *>items, out, count)
    elif code == "I":
        widen(<const unsigned int *>items, out, count)
    elif code == "l":
        widen(<const long *>items, out, count)
    elif code == "L":
        widen(<const unsigned long *>items, out, count)
    elif code == "q":
        widen(<const long long *>items, out, count)
    elif code == "Q":
        widen(<const unsigned long long *>items, out, count)
    else:
        return False
    return True


@cython.final
cdef class _Values:
    """The argument of add_many as doubles: borrowed from its buffer where possible, converted otherwise. None is
    counted apart where nulls are allowed, and no number elsewhere.
    """

    cdef Py_buffer buffer
    cdef bint borrowed
    cdef bytes copied
    cdef double *converted
    cdef const double *data
    cdef size_t count
    cdef bint allow_nulls
    cdef size_t null_count

    def __cinit__(self, source, bint allow_nulls=False):
        self.allow_nulls = allow_nulls
        if isinstance(source, (str, bytes, bytearray)):
            raise TypeError(f"values must be a buffer or a sequence of numbers, not {type(source).__name__}")
        if PyObject_CheckBuffer(source):
            self.take_buffer(source)
        else:
            self.take_sequence(source)

    def __dealloc__(self):
        PyMem_Free(self.converted)
        if self.borrowed:
            PyBuffer_Release(&self.buffer)

    cdef int reserve(self, size_t count) except -1:
        self.count = count
        self.converted = <double *>PyMem_Malloc((count or 1) * sizeof(double))
        if self.converted == NULL:
            raise MemoryError
        self.data = self.converted
        return 0

    cdef int take_buffer(self, source) except -1:
        PyObject_GetBuffer(source, &self.buffer, PyBUF_FULL_RO)
        self.borrowed = True
        cdef const char *items = <const char *>self.buffer.buf
        if not PyBuffer_IsContiguous(&self.buffer, b"C"):
            self.copied = PyBytes_FromStringAndSize(NULL, self.buffer.len)
            items = PyBytes_AS_STRING(self.copied)
            PyBuffer_ToContiguous(<void *>items, &self.buffer, self.buffer.len, b"C")
        code = self.buffer.format.decode("ascii") if self.buffer.format != NULL else "B"
        if len(code) == 2 and code[0] in NATIVE_PREFIXES and (code[0] == "@" or code[1] in "dfbBhHiIqQ"):
            code = code[1]
        if code == "O" and self.allow_nulls:
            return self.take_sequence(source)
        self.count = self.buffer.len // self.buffer.itemsize
        if code == "d":
            self.data = <const double *>items
            return 0
        self.reserve(self.count)
        if not widen_native(code, items, self.converted, self.count):
            self.unpack(code, items)
        return 0

    cdef int unpack(self, str code, const char *items) except -1:
        """The slow way, for other byte orders and for half floats and bools."""
        cdef size_t i
        cdef object unpacked
        try:
            unpacked = struct.iter_unpack(code, items[:self.buffer.len])
            for i, (item,) in enumerate(unpacked):
                self.converted[i] = item
        except (struct.error, TypeError, ValueError):
            raise TypeError(f"values must be numbers, not items of the buffer format {code!r}") from None
        return 0

    cdef int take_sequence(self, source) except -1:
        cdef size_t i
        try:
            items = tuple(source)
        except TypeError as error:
            name = type(source).__name__
            raise TypeError(f"values must be a buffer or a sequence of numbers, not {name}") from error
        self.reserve(len(items))
        self.count = 0
        for i, item in enumerate(items):
            if item is None and self.allow_nulls:
                self.null_count += 1
                continue
            try:
                self.converted[self.count] = item
            except TypeError:
                raise TypeError(f"values must be numbers: item {i} is {item!r}") from None
            self.count += 1
        return 0
