"""Bound instruments: what the user holds and records with."""


@cython.final
cdef class Histogram:
    """A histogram bound to its series, as `Recorder.histogram` makes it."""

    cdef Recorder recorder
    cdef uint64_t tag
    cdef readonly uint32_t series
    cdef int scale
    cdef bint keeps_digest

    def __cinit__(self, Recorder recorder not None, uint32_t series):
        self.scale = recorder.defined(series, OBS_KIND_HISTOGRAM).scale
        self.keeps_digest = recorder.defined(series, OBS_KIND_HISTOGRAM).keeps_digest
        self.recorder = recorder
        self.series = series
        self.tag = OBS_RECORD_TAG(OBS_RECORD_SAMPLE, series)

    def observe(self, value, exemplar=None):
        """Records one number; anything that is none is counted rejected. Never raises, never waits.

        `exemplar={"trace_id": …, "request_id": …}`, either or both, are the ids by which the observation is found
        again, if it is the largest of its batch.
        """
        cdef double number
        if not as_double(value, &number):
            self.recorder.reject_values(1)
            return
        self.observe_double(number)
        if exemplar is not None:
            self.recorder.lead_to(self.series, number, exemplar)

    cdef inline void observe_object(self, PyObject *value) noexcept:
        cdef double number
        if PyFloat_CheckExact(value):
            number = PyFloat_AS_DOUBLE(value)
        elif not as_double(<object>value, &number):
            self.recorder.reject_values(1)
            return
        self.observe_double(number)

    cdef inline void observe_double(self, double number) noexcept:
        if obs_thread_push(self.recorder.slot, self.tag, number) == OBS_ERR_STATE:
            self.recorder.push_slowly(self.tag, number)

    def observe_many(self, values):
        """Records every number of a buffer (float64 is fastest; any shape) or of an iterable.

        Values that are no numbers are counted rejected, one each; an argument that is neither buffer nor
        iterable, or text, counts as one. Never raises.
        """
        if isinstance(values, str) or not (observe_buffer(self, values) or observe_items(self, values)):
            self.recorder.reject_values(1)

    cdef void add(self, const double *values, size_t value_count) noexcept:
        cdef Recorder recorder = self.recorder
        cdef obs_producer_t *producer = recorder.producer()
        if producer == NULL:
            recorder.drop(value_count)
        elif value_count < WITHOUT_GIL_VALUES:
            obs_producer_add_many(producer, self.series, self.scale, self.keeps_digest, values, value_count)
        else:
            with nogil:
                obs_producer_add_many(producer, self.series, self.scale, self.keeps_digest, values, value_count)

    def time(self):
        """A context manager that records how long its block takes, in seconds, exceptions included."""
        cdef Timer timer = Timer.__new__(Timer)
        timer.histogram = self
        return timer


ctypedef object (*observing)(Histogram, PyObject *const *, Py_ssize_t, PyObject *)
cdef observing observe_any
cdef PyMethodDef *OBSERVE = (<PyMethodDescrObject *><PyObject *>Histogram.observe).d_method


cdef object observe(Histogram self, PyObject *const *arguments, Py_ssize_t argument_count, PyObject *names):
    """What is called as `Histogram.observe`: what Cython makes of it looks for its second argument for half as long as
    the first takes to be recorded.
    """
    if argument_count == 1 and names == NULL:
        self.observe_object(arguments[0])
        return None
    return observe_any(self, arguments, argument_count, names)


if OBSERVE.ml_flags == METH_FASTCALL | METH_KEYWORDS and OBSERVE.ml_meth != <PyCFunction><void *>observe:
    observe_any = <observing><void *>OBSERVE.ml_meth
    OBSERVE.ml_meth = <PyCFunction><void *>observe


@cython.final
@cython.no_gc
@cython.freelist(32)
cdef class Timer:
    """Times one block; from `Histogram.time`."""

    cdef Histogram histogram  # None in one that was made by hand
    cdef int64_t start_ns

    def __enter__(self):
        """Starts the clock."""
        self.start_ns = obs_monotonic_ns()
        return self

    def __exit__(self, kind, error, trace):
        """Records the seconds since the block began."""
        if self.histogram is not None:
            self.histogram.observe_double(<double>(obs_monotonic_ns() - self.start_ns) * 1e-9)


@cython.final
cdef class Counter:
    """A counter bound to its series, as `Recorder.counter` makes it."""

    cdef Recorder recorder
    cdef uint64_t tag
    cdef readonly uint32_t series

    def __cinit__(self, Recorder recorder not None, uint32_t series):
        recorder.defined(series, OBS_KIND_COUNTER)
        self.recorder = recorder
        self.series = series
        self.tag = OBS_RECORD_TAG(OBS_RECORD_INCREMENT, series)

    def inc(self, amount=1.0):
        """Adds an amount; a negative one, NaN, infinity and what is no number are counted rejected."""
        cdef double number
        if not as_double(amount, &number) or not 0.0 <= number <= DBL_MAX:
            self.recorder.reject_values(1)
        elif obs_thread_push(self.recorder.slot, self.tag, number) == OBS_ERR_STATE:
            self.recorder.push_slowly(self.tag, number)


@cython.final
cdef class Gauge:
    """A gauge bound to its series, as `Recorder.gauge` makes it.

    Sampled once a second and at `seal`, from when it is first set.
    """

    cdef Recorder recorder
    cdef readonly uint32_t series

    def __cinit__(self, Recorder recorder not None, uint32_t series):
        recorder.defined(series, OBS_KIND_GAUGE)
        self.recorder = recorder
        self.series = series

    cdef inline obs_series_t *cell(self) noexcept:
        return obs_open_batch_series(&self.recorder.drain.open, self.series)

    cdef void add(self, object amount, double sign) noexcept:
        cdef double number
        if not as_double(amount, &number):
            self.recorder.reject_values(1)
            return
        obs_gauge_add(self.cell(), sign * number)
        self.recorder.announce_first()

    def set(self, value):
        """Sets the value; what is no number is counted rejected and changes nothing."""
        cdef double number
        if not as_double(value, &number):
            self.recorder.reject_values(1)
            return
        obs_gauge_set(self.cell(), number)
        self.recorder.announce_first()

    def inc(self, amount=1.0):
        """Adds to the value, which is 0 before it is first set."""
        self.add(amount, 1.0)

    def dec(self, amount=1.0):
        """Takes from the value, which is 0 before it is first set."""
        self.add(amount, -1.0)

    def set_function(self, function):
        """Once a second the gauge is set to `function()`; None ends that. TypeError if it cannot be called."""
        if function is None:
            self.recorder.functions.pop(self.series, None)
        elif not callable(function):
            raise TypeError(f"set_function takes a callable or None, not {function!r}")
        else:
            self.recorder.functions[self.series] = function

    def track_inprogress(self):
        """A context manager: the gauge is one higher inside its block."""
        cdef InProgress block = InProgress.__new__(InProgress)
        block.gauge = self
        return block


@cython.final
@cython.no_gc
@cython.freelist(32)
cdef class InProgress:
    """Holds a gauge one higher; from `Gauge.track_inprogress`."""

    cdef Gauge gauge  # None in one that was made by hand

    def __enter__(self):
        """Adds one."""
        if self.gauge is not None:
            self.gauge.add(1.0, 1.0)
        return self

    def __exit__(self, kind, error, trace):
        """Takes one."""
        if self.gauge is not None:
            self.gauge.add(1.0, -1.0)
