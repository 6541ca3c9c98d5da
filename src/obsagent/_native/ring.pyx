# cython: auto_pickle=False, autotestdict=False
"""The client's hot path: bound instruments that record into rings, and the recorder that drains them.

What records never raises and never waits: a value that is no number is counted `rejected_value`, one that
finds no room `dropped_ring`. The machinery is csrc/drain.h; here are arguments, ownership and the GIL.
"""

cimport cython
from cpython cimport array
from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_FULL_RO,
    PyBUF_ND,
    PyBUF_STRIDED_RO,
    PyBuffer_Release,
    PyBuffer_ToContiguous,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.float cimport DBL_MAX
from libc.math cimport llround
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.unistd cimport getpid, pid_t

from obsagent._native.c_drain cimport *
from obsagent._native.c_edges cimport OBS_EDGES_MAX_BINS
from obsagent._native.c_hash cimport obs_hash_bytes
from obsagent._native.c_obs cimport OBS_ERR_RANGE, OBS_ERR_STATE, OBS_OK, check
from obsagent._native.c_ring cimport *
from obsagent._native.c_topk cimport OBS_TOPK_KEY_MAX

import array
import sys
import time

cdef extern from "Python.h":
    bint PyFloat_CheckExact(PyObject *value)
    double PyFloat_AS_DOUBLE(PyObject *value)
    bint PyLong_CheckExact(object value)
    double float_as_double "PyFloat_AsDouble"(object value)  # these two say errors by PyErr_Occurred, they do
    double long_as_double "PyLong_AsDouble"(object value)  # not raise
    void *PyErr_Occurred()
    void PyErr_Clear()
    object PyUnicode_FromObject(object text)
    int METH_FASTCALL
    int METH_KEYWORDS
    ctypedef void *PyCFunction
    ctypedef struct PyMethodDef:
        PyCFunction ml_meth
        int ml_flags
    ctypedef struct PyMethodDescrObject:
        PyMethodDef *d_method

cdef enum:
    NO_SLOT = OBS_SLOTS
    BLOCK_VALUES = 512  # converted at a time
    NAMES_JUDGED = 200  # of new categories, as near_unique.py has it for labels
    NUMBER_BYTES_MAX = 16  # of one item of a buffer of numbers
    WITHOUT_GIL_VALUES = 1 << 14  # below this, to let go of the GIL costs more than it gives

cdef int64_t NS_PER_MS = 1_000_000
cdef char NATIVE_ORDER = c"<" if sys.byteorder == "little" else c">"
cdef const char *UNSIGNED_BYTES = b"B"  # what a buffer without a format holds

check(obs_thread_setup())


# ---- Recorder -------------------------------------------------------------------------------------------


@cython.final
cdef class Recorder:
    """Owns the rings of all threads, the native thread that drains them, and the sealed batches.

    `slot` (0..7) is this recorder's place in every thread's table: ValueError if another recorder that is
    neither stopped nor garbage has it. `ring_bytes` bounds all rings together (but each
    thread gets 128 KiB in any case); 0 makes a recorder that records nothing. `on_first_sample` is called once, by
    the thread that records first after construction or `abandon`; `on_exemplar` with series, value and exemplar of
    each observation that comes with one. What they raise is swallowed.

    Recording starts at construction; batches are sealed once `start` was called, or by `seal`. After `stop`,
    instruments count what they are given as dropped, until `start` is called again.
    """

    cdef obs_drain_t *drain
    cdef uint32_t slot
    cdef uint32_t home_slot
    cdef bint is_disabled
    cdef bint is_first_announced
    cdef pid_t pid
    cdef object on_first_sample
    cdef object on_exemplar
    cdef dict functions
    cdef dict columns

    def __cinit__(self, slot, ring_bytes=8 << 20, window_ms=10_000, batch_interval_ms=100, frame_bytes=256 << 10,
                  on_first_sample=None, on_exemplar=None):
        cdef obs_drain_options_t options
        self.slot = self.home_slot = NO_SLOT
        if not 0 <= slot < OBS_SLOTS:
            raise ValueError(f"slot must be from 0 to {OBS_SLOTS - 1}, not {slot}")
        options.ring_bytes = ring_bytes
        options.window_ns = window_ms * NS_PER_MS
        options.batch_interval_ns = batch_interval_ms * NS_PER_MS
        options.frame_bytes = frame_bytes
        options.clock_offset_ns = time.time_ns() - time.monotonic_ns()
        check(obs_drain_create(&options, &self.drain))
        self.pid = getpid()
        self.functions = {}
        self.columns = {}
        self.on_first_sample = on_first_sample
        self.on_exemplar = on_exemplar
        self.is_disabled = ring_bytes == 0
        self.home_slot = slot
        self.take_slot()

    def __dealloc__(self):
        if self.drain == NULL:
            return
        if self.slot != NO_SLOT:
            obs_slot_return(self.slot)
        if self.pid == getpid():  # else the thread and the locks are the parent's
            obs_drain_destroy(self.drain)

    cdef int take_slot(self) except -1:
        if self.is_disabled or self.slot != NO_SLOT:
            return 0
        if obs_slot_take(self.home_slot) != OBS_OK:
            raise ValueError(f"slot {self.home_slot} belongs to another recorder")
        self.slot = self.home_slot
        return 0

    # Definitions

    def define(self, int kind, int scale=6, bint digest=False):
        """The number of a new series, from 0 upwards.

        `kind` is a `samples.Kind`; `scale` (0..8) is that of a histogram or column, and `digest` asks for a t-digest
        beside a histogram. ValueError for any other.
        """
        cdef uint32_t series
        check(obs_open_batch_define(&self.drain.open, kind, scale, digest, &series))
        if kind == OBS_KIND_COLUMN:
            self.columns[series] = _ColumnState()
        return series

    def set_edges(self, uint32_t series, edges):
        """A column is of numbers, which are counted in these bins too; before its first sample.

        k + 1 ascending finite edges (2 to 256) make k bins as in numpy.histogram, and one below and one above; no edges
        make no bins. ValueError for any others, and if the column has edges or categories: another reference is
        another series.
        """
        cdef obs_series_t *column = self.defined(series, OBS_KIND_COLUMN)
        cdef array.array bounds = array.array("d", edges)
        cdef int status = OBS_OK
        if (<_ColumnState>self.columns[series]).expected != ANYTHING or column.categories != NULL:
            raise ValueError(f"series {series} has edges or categories already: define another series")
        if len(bounds) > 0:
            status = obs_series_set_cuts(column, bounds.data.as_doubles, <uint32_t>len(bounds))
        if status == OBS_ERR_RANGE:
            raise ValueError("edges must be 2 to 256 finite numbers, each greater than the one before")
        check(status)
        (<_ColumnState>self.columns[series]).expected = NUMBERS

    def set_categories(self, uint32_t series, names):
        """A column is of categories, and each of these (256 at most) has a bin; before its first sample.

        All others share one more bin. ValueError for more, for a name twice or of more than 256 bytes, and if the
        column has edges or categories.
        """
        cdef obs_series_t *column = self.defined(series, OBS_KIND_COLUMN)
        cdef _ColumnState state = self.columns[series]
        cdef uint32_t code
        keys = {name: name.encode("utf-8", "replace") for name in names}
        if state.expected != ANYTHING or column.categories != NULL:
            raise ValueError(f"series {series} has edges or categories already: define another series")
        if len(keys) >= OBS_EDGES_MAX_BINS or len(keys) != len(names):
            raise ValueError(f"categories must be different names, {OBS_EDGES_MAX_BINS - 1} at most")
        if any(len(key) > OBS_TOPK_KEY_MAX for key in keys.values()):
            raise ValueError(f"the name of a category has at most {OBS_TOPK_KEY_MAX} bytes")
        check(obs_series_set_bins(column, <uint32_t>len(keys) + 1))
        state.expected = CATEGORIES
        for name, key in keys.items():
            check(obs_series_add_category(column, PyBytes_AS_STRING(key), <size_t>len(key), &code))
            state.codes[name] = code

    cdef obs_series_t *defined(self, uint32_t series, int kind) except NULL:
        cdef obs_series_t *found = obs_open_batch_series(&self.drain.open, series)
        if found == NULL:
            raise ValueError(f"series {series} is not defined")
        if found.kind != kind:
            raise ValueError(f"series {series} is of another kind")
        return found

    def histogram(self, uint32_t series):
        """The histogram with this number; ValueError if it was not defined as one."""
        return Histogram(self, series)

    def counter(self, uint32_t series):
        """The counter with this number; ValueError if it was not defined as one."""
        return Counter(self, series)

    def gauge(self, uint32_t series):
        """The gauge with this number; ValueError if it was not defined as one."""
        return Gauge(self, series)

    def column(self, uint32_t series):
        """The column with this number; ValueError if it was not defined as one."""
        return Column(self, series)

    # Recording: the slow paths of the instruments

    cdef obs_producer_t *producer(self) noexcept:
        """The calling thread's, made if it has none; NULL if it cannot have one."""
        cdef obs_producer_t *producer = obs_thread_producer(self.slot)
        if producer == NULL and self.attach():
            producer = obs_thread_producer(self.slot)
        return producer

    cdef bint attach(self) noexcept:
        """Gives the calling thread a ring; False if it cannot have one."""
        if self.slot == NO_SLOT or obs_thread_attach(self.slot, self.drain) != OBS_OK:
            return False
        self.announce_first()
        return True

    cdef void announce_first(self) noexcept:
        if self.is_first_announced or self.is_disabled:
            return
        self.is_first_announced = True
        if self.on_first_sample is None:
            return
        try:
            self.on_first_sample()
        except BaseException:  # whoever records is not to be bothered
            pass

    cdef void lead_to(self, uint32_t series, double value, object exemplar) noexcept:
        if self.on_exemplar is None or self.is_disabled:
            return
        try:
            self.on_exemplar(series, value, exemplar)
        except BaseException:
            pass

    cdef void push_slowly(self, uint64_t tag, double value) noexcept:
        """A thread's first sample here, or one after the recorder was stopped."""
        if not self.attach() or obs_thread_push(self.slot, tag, value) == OBS_ERR_STATE:
            self.drop(1)

    cdef void drop(self, uint64_t sample_count) noexcept:
        if not self.is_disabled:
            obs_drain_drop_ringless(self.drain, sample_count)

    cdef void reject_values(self, uint64_t value_count) noexcept:
        if not self.is_disabled:
            obs_drain_reject(self.drain, value_count)

    def reject(self, value_count=1):
        """Counts values that reach no series as rejected."""
        self.reject_values(value_count)

    def drop_samples(self, uint64_t sample_count):
        """Counts samples that nobody will record any more as dropped."""
        self.drop(sample_count)

    # Delivery

    def start(self):
        """Starts the native thread. RuntimeError if it runs; OSError if there is no thread to be had."""
        if self.is_disabled:
            return
        self.take_slot()
        check(obs_drain_start(self.drain))

    def stop(self):
        """Ends the native thread; everything recorded before is in batches that `take` returns.

        Waits at most a second or two for bulk calls that are under way in other threads. Frees the slot.
        """
        if self.slot == NO_SLOT or self.pid != getpid():
            return
        cdef uint32_t slot = self.slot
        self.slot = NO_SLOT  # from here on nobody records: pushes are made with the GIL held
        with nogil:
            obs_drain_stop(self.drain)
        obs_slot_return(slot)

    def take(self, int64_t timeout_ms):
        """The oldest sealed batch; None after `timeout_ms`, or when `wake` or `seal` ends the wait."""
        cdef obs_batch_t *batch
        with nogil:
            batch = obs_batch_queue_take(&self.drain.queue, timeout_ms * NS_PER_MS)
        if batch == NULL:
            return None
        try:
            return new_batch(batch)
        finally:
            obs_batch_free(batch)

    def seal(self, int64_t timeout_ms):
        """Seals everything recorded before the call, and a sample of every gauge that is set.

        True if all of it is in batches that `take` returns; False if a bulk call of another thread, begun
        before, has not come to a stop within `timeout_ms`. Works without the native thread. Ends a `take` that
        waits.
        """
        if self.is_disabled:
            return True
        cdef int status
        with nogil:
            status = obs_drain_seal(self.drain, timeout_ms * NS_PER_MS)
        return status == OBS_OK

    def wake(self):
        """Makes a `take` that waits return None at once, or else the next one that would wait."""
        obs_batch_queue_wake(&self.drain.queue)

    def set_clock(self, double offset_ms):
        """From now on milliseconds since the epoch are monotonic ones plus `offset_ms`.

        The windows' edges follow; what is open is sealed first. ValueError unless finite.
        """
        if not -1e15 < offset_ms < 1e15:
            raise ValueError(f"offset_ms must be finite milliseconds, not {offset_ms}")
        cdef int64_t offset_ns = llround(offset_ms * NS_PER_MS)
        with nogil:
            obs_drain_set_clock(self.drain, offset_ns)

    def sample_functions(self):
        """Calls every gauge's function and sets the gauge; one that fails is rejected and its gauge unset."""
        cdef double number
        for series, function in list(self.functions.items()):
            try:
                number = float(function())
            except BaseException:
                self.reject_values(1)
                obs_gauge_unset(obs_open_batch_series(&self.drain.open, series))
                continue
            obs_gauge_set(obs_open_batch_series(&self.drain.open, series), number)

    def has_function(self, uint32_t series):
        """True for a gauge that `set_function` has given a function."""
        return series in self.functions

    def abandon(self):
        """After a fork, in the child: everything recorded so far is the parent's and is forgotten here.

        The recorder is as new, with the same series and the same functions of gauges; instruments bound before
        keep working. Counts are 0, gauges unset, the native thread is not started; samples wait in the ring until
        it is. Touches no lock, and leaks what the parent's threads may have been changing. MemoryError, or
        ValueError if the slot was given up by `stop` and taken by another recorder.
        """
        cdef obs_drain_t *drain
        check(obs_drain_renew(self.drain, &drain))
        self.drain = drain
        self.pid = getpid()
        self.is_first_announced = False
        self.take_slot()
        if not self.is_disabled:
            obs_thread_forget(self.slot)

    # Accounts

    cdef obs_accounts_t accounts(self) noexcept:
        cdef obs_accounts_t accounts
        with nogil:
            obs_drain_accounts(self.drain, &accounts)
        return accounts

    @property
    def observed(self):
        """Values given to instruments so far, and samples of gauges: delivered, on the way or counted below."""
        return self.accounts().observed

    @property
    def dropped_ring(self):
        """Samples that found no room."""
        return self.accounts().dropped

    @property
    def rejected_value(self):
        """Values that are no numbers, and amounts that no counter takes."""
        return self.accounts().rejected


# ---- Batch ------------------------------------------------------------------------------------------------


@cython.final
cdef class Batch:
    """Sealed samples of one stretch of time within one window; `body` is as csrc/body.h says.

    `start_ns` and `end_ns` are monotonic; `start_ms` and `end_ms` are since the epoch, by the clock that was set
    when the batch was sealed. `observed`, `dropped_ring` and `rejected_value` are sums since the recorder began,
    up to this batch: observed = samples of all batches so far + dropped_ring + rejected_value. A batch without
    samples tells of new losses.
    """

    cdef readonly int64_t start_ns
    cdef readonly int64_t end_ns
    cdef readonly int64_t start_ms
    cdef readonly int64_t end_ms
    cdef readonly uint64_t samples
    cdef readonly uint64_t observed
    cdef readonly uint64_t dropped_ring
    cdef readonly uint64_t rejected_value
    cdef readonly bytes body

    def __repr__(self):
        return f"<batch of {self.samples} samples, {len(self.body)} bytes>"


cdef Batch new_batch(const obs_batch_t *sealed):
    cdef Batch batch = Batch.__new__(Batch)
    batch.start_ns = sealed.start_ns
    batch.end_ns = sealed.end_ns
    batch.start_ms = floor_ms(sealed.start_ns + sealed.clock_offset_ns)
    batch.end_ms = floor_ms(sealed.end_ns + sealed.clock_offset_ns)
    batch.samples = sealed.samples
    batch.observed = sealed.accounts.observed
    batch.dropped_ring = sealed.accounts.dropped
    batch.rejected_value = sealed.accounts.rejected
    batch.body = PyBytes_FromStringAndSize(<const char *>sealed.bytes, <Py_ssize_t>sealed.size)
    return batch


cdef int64_t floor_ms(int64_t ns) noexcept:
    cdef int64_t ms = ns // NS_PER_MS  # cdivision: rounds towards 0
    return ms - 1 if ms * NS_PER_MS > ns else ms


include "ring_values.pxi"
include "ring_instruments.pxi"
include "ring_columns.pxi"
include "ring_rows.pxi"
include "ring_tokens.pxi"
