"""Arrivals of tokens in one stream: the first one, the pauses between them, how many."""

cdef double MOST_TOKENS = 9007199254740992.0  # 2^53: as far as a double counts


cdef class TokenTimer:
    """Times one stream of tokens; what a generation of a language model is made of.

    Opened by `begin`, or by the first token, which then counts the time from when the timer was made. `token` observes
    in `to_first` how long the first arrival took and in `between` each pause after it, in seconds. `clock_s` is a
    clock to go by, in seconds; None is the monotonic one.
    """

    cdef Histogram to_first
    cdef Histogram between
    cdef object clock_s
    cdef bint is_open
    cdef bint is_over
    cdef int64_t started_ns
    cdef int64_t first_ns
    cdef int64_t last_ns
    cdef readonly uint64_t arrivals
    cdef readonly double counted

    def __init__(self, Histogram to_first not None, Histogram between not None, clock_s=None):
        self.to_first = to_first
        self.between = between
        self.clock_s = clock_s
        self.started_ns = self.now_ns()

    cdef int64_t now_ns(self) except? -1:
        if self.clock_s is None:
            return obs_monotonic_ns()
        return llround(<double>self.clock_s() * 1e9)

    @property
    def is_begun(self):
        """True once the stream has begun, and after its end."""
        return self.is_open or self.is_over

    @property
    def is_under_way(self):
        """True from when the stream begins to its end."""
        return self.is_open and not self.is_over

    def opened(self):
        """Called once, when the stream begins."""

    def begin(self):
        """The stream begins now; nothing if it has begun already."""
        if not self.is_open and not self.is_over:
            self.started_ns = self.now_ns()
            self.is_open = True
            self.opened()

    def token(self, count=1):
        """One token has come, or a chunk of `count`: one arrival; an empty chunk is none.

        A count that is no number from 0 upwards, and what comes after the end, is counted rejected. Never raises.
        """
        cdef double number
        cdef int64_t now_ns
        if self.to_first is None:  # made without __init__
            return
        if not as_double(count, &number) or not 0.0 <= number <= MOST_TOKENS or self.is_over:
            self.to_first.recorder.reject_values(1)
            return
        if number == 0.0:
            return
        now_ns = self.now_ns()
        if not self.is_open:
            self.is_open = True
            self.opened()
        if self.arrivals == 0:
            self.first_ns = now_ns
            self.to_first.observe_double(seconds_between(self.started_ns, now_ns))
        else:
            self.between.observe_double(seconds_between(self.last_ns, now_ns))
        self.last_ns = now_ns
        self.arrivals += 1
        self.counted += number

    def first_token(self):
        """The first token has come; nothing if one has come before."""
        if self.arrivals == 0:
            self.token(1)

    def finish(self):
        """The stream is over: seconds from its beginning to now, and from its first arrival to now (0 without).

        None if it has not begun, or was over before.
        """
        cdef int64_t now_ns
        if not self.is_open or self.is_over:
            self.is_over = True
            return None
        self.is_over = True
        now_ns = self.now_ns()
        since_first = seconds_between(self.first_ns, now_ns) if self.arrivals > 0 else 0.0
        return seconds_between(self.started_ns, now_ns), since_first


cdef inline double seconds_between(int64_t start_ns, int64_t end_ns) noexcept:
    return <double>(end_ns - start_ns) * 1e-9 if end_ns > start_ns else 0.0
