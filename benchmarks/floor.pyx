# cython: language_level=3, binding=False, always_allow_keywords=False
# The cheapest thing of its shape that Python can call: what no instrument written in C can undercut.
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cimport cython


@cython.final
cdef class Empty:
    """Does nothing, in every way an instrument can be called."""

    def observe(self, value):
        pass

    def take(self, values):
        """Asks for a buffer and gives it back."""
        cdef Py_buffer view
        PyObject_GetBuffer(values, &view, PyBUF_FORMAT | PyBUF_SIMPLE)
        PyBuffer_Release(&view)

    def time(self):
        return EmptyTimer.__new__(EmptyTimer)


@cython.final
@cython.freelist(8)
cdef class EmptyTimer:
    """Reads the clock twice and forgets it."""

    cdef timespec began
    cdef timespec ended

    def __enter__(self):
        clock_gettime(CLOCK_MONOTONIC, &self.began)
        return self

    def __exit__(self, kind, error, trace):
        clock_gettime(CLOCK_MONOTONIC, &self.ended)


def add_up(values):
    """The plain loop: the sum of a buffer of doubles, one after the other."""
    cdef Py_buffer view
    cdef Py_ssize_t index
    cdef double total = 0
    PyObject_GetBuffer(values, &view, PyBUF_FORMAT | PyBUF_SIMPLE)
    for index in range(view.len // <Py_ssize_t>sizeof(double)):
        total += (<const double *>view.buf)[index]
    PyBuffer_Release(&view)
    return total
