cdef tuple buckets_of(const obs_loghist_range_t *values):
    cdef int32_t index = INT32_MIN
    cdef uint64_t count
    indices, counts = [], []
    while obs_loghist_next(values, &index, &count):
        indices.append(index)
        counts.append(count)
        index += 1
    return indices, counts


cdef size_t occupied_of(const obs_loghist_range_t *values):
    cdef int32_t index = INT32_MIN
    cdef uint64_t count
    cdef size_t occupied = 0
    while obs_loghist_next(values, &index, &count):
        occupied += 1
        index += 1
    return occupied


cdef uint8_t *put_varint(uint8_t *at, uint64_t value) noexcept:
    while value > 127:
        at[0] = <uint8_t>(value & 127 | 128)
        value >>= 7
        at += 1
    at[0] = <uint8_t>value
    return at + 1


cdef tuple native_of(const obs_loghist_range_t *values):
    cdef int32_t index = INT32_MIN
    cdef int64_t first = 0, end = 0, gap = 0, delta
    cdef uint64_t count, before = 0
    cdef bytes deltas = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(occupied_of(values) * VARINT_BYTES_MAX))
    cdef uint8_t *begin = <uint8_t *>PyBytes_AS_STRING(deltas)
    cdef uint8_t *at = begin
    cdef list spans = []
    while obs_loghist_next(values, &index, &count):
        if <int64_t>index + 1 != end or at == begin:
            if at != begin:
                spans.append((gap, end - first))
            first = <int64_t>index + 1
            gap = first - end
        end = <int64_t>index + 2
        delta = <int64_t>(count - before)
        at = put_varint(at, (<uint64_t>delta << 1) ^ <uint64_t>(delta >> 63))
        before = count
        index += 1
    if at != begin:
        spans.append((gap, end - first))
    return spans, deltas[:at - begin]


cdef bint same_buckets(const obs_loghist_range_t *left, const obs_loghist_range_t *right):
    cdef int32_t left_index = INT32_MIN, right_index = INT32_MIN
    cdef uint64_t left_count, right_count
    while obs_loghist_next(left, &left_index, &left_count):
        if not obs_loghist_next(right, &right_index, &right_count):
            return False
        if left_index != right_index or left_count != right_count:
            return False
        left_index += 1
        right_index += 1
    return not obs_loghist_next(right, &right_index, &right_count)


@cython.final
cdef class LogHist:
    """LogHist(scale=6): a histogram with buckets of constant relative width, for values of any sign.

    Bucket i of the positive range counts values in (gamma**i, gamma**(i+1)] with gamma = 2**(2**-scale),
    exactly as OpenTelemetry's exponential histogram; negative values are counted by their magnitude in a
    range of their own, 0.0 and -0.0 in zero_count. A quantile's relative error is at most relative_error
    (below 1e-308 the format of the numbers itself is coarser). Merging adds counts: any order and any
    partition of the values give the same buckets.

    scale is 0 (coarse) to 8 (fine). NaN and the infinities are counted apart and in nothing else. An empty
    histogram's min, max, quantiles and cdf are NaN, its sum is 0.0. Two histograms are equal if scale,
    buckets, counts, min and max are (sums may differ in rounding). Changed in place, so not hashable; use
    one from several threads at a time only under the GIL.
    """

    cdef obs_loghist_t hist

    def __cinit__(self, scale=OBS_LOGHIST_DEFAULT_SCALE):
        check(obs_loghist_init(&self.hist, whole("scale", scale, OBS_LOGHIST_MIN_SCALE, OBS_LOGHIST_MAX_SCALE)))

    def __dealloc__(self):
        obs_loghist_free(&self.hist)

    def add(self, double value, weight=1):
        """Counts value, a number of any kind, weight times (0 changes nothing).

        Raises TypeError if value is not a number or weight not a whole one, ValueError if weight is
        negative or if 2**64 samples or more would be counted.
        """
        check_added(obs_loghist_add(&self.hist, value, weight_of(weight)))

    def add_many(self, values):
        """Counts each of values: a buffer of any numeric format (float64 is read in place) and of any shape
        and strides, or an iterable of numbers.

        Raises TypeError if something in it is not a number; nothing has been counted then.
        """
        cdef _Values doubles = _Values(values)
        if doubles.count < <size_t>WITHOUT_GIL_VALUES:
            check_added(obs_loghist_add_many(&self.hist, doubles.data, doubles.count))
        else:
            self.add_without_gil(doubles)

    cdef int add_without_gil(self, _Values values) except -1:
        cdef obs_loghist_t part
        cdef int status
        check(obs_loghist_init(&part, self.hist.scale))
        try:
            with nogil:
                status = obs_loghist_add_many(&part, values.data, values.count)
            check_added(status)
            check_added(obs_loghist_merge(&self.hist, &part))
        finally:
            obs_loghist_free(&part)
        return 0

    def merge(self, LogHist other not None):
        """Adds everything that other counted; a finer histogram of the two is read at the coarser scale,
        which becomes this one's. Raises TypeError if other is not a LogHist.
        """
        check_added(obs_loghist_merge(&self.hist, &other.hist))

    def downscale(self, scale):
        """Makes the buckets wider in place, exactly. Raises ValueError if scale is above the present one."""
        check(obs_loghist_downscale(&self.hist, whole("scale", scale, OBS_LOGHIST_MIN_SCALE, self.hist.scale)))

    cdef double quantile_of(self, double q, bint interpolate) except? -1:
        cdef double value
        check_quantile(q)
        check(obs_loghist_quantile(&self.hist, q, interpolate, &value))
        return value

    def quantile(self, double q, *, bint interpolate=False):
        """An estimate of the value of rank ceil(q * count); q = 0 is the exact min, q = 1 the exact max.

        The relative error is at most relative_error. With interpolate the answer is the one that PromQL
        gives for native histograms, and its error at most gamma - 1. Raises ValueError unless q is in 0..1.
        """
        return self.quantile_of(q, interpolate)

    def quantiles(self, qs, *, bint interpolate=False):
        """A list with the quantile of each of qs."""
        return [self.quantile_of(q, interpolate) for q in qs]

    def cdf(self, double x):
        """An estimate of the share, 0 to 1, of finite values <= x; exact at bucket bounds."""
        return obs_loghist_cdf(&self.hist, x)

    def rank_error(self, double q, double x):
        """How far off x may be in rank as an answer for q: it stands for a quantile from q - e to q + e.

        It holds for any x and any values, as the counts below and above the bucket of x are exact: a sound bound for
        what a t-digest of the same values answers. NaN if empty or x is not finite. Raises ValueError unless q is in
        0..1.
        """
        check_quantile(q)
        return obs_loghist_rank_error(&self.hist, q, x)

    def buckets(self, bint negative=False):
        """The occupied buckets of the positive (or negative) range in ascending order: two lists of int,
        (indices, counts).
        """
        return buckets_of(&self.hist.negative if negative else &self.hist.positive)

    def _native_buckets(self, bint negative=False):
        """The same as Prometheus writes them: (spans, deltas). A span is (gap to the one before, length), its indices
        are those of buckets() + 1; deltas are the differences of the counts as zigzag varints, one after the other.
        """
        return native_of(&self.hist.negative if negative else &self.hist.positive)

    @property
    def scale(self):
        """Each bucket is 2**(2**-scale) times as wide as the one before; 0 to 8."""
        return self.hist.scale

    @property
    def relative_error(self):
        """The largest relative error of a quantile: (gamma - 1) / (gamma + 1)."""
        return obs_loghist_relative_error(self.hist.scale)

    @property
    def count(self):
        """How many finite values were counted."""
        return self.hist.count

    @property
    def sum(self):
        """The sum of the finite values, rounded as doubles are."""
        return self.hist.sum

    @property
    def min(self):
        """The smallest finite value, exact; NaN if there is none."""
        return self.hist.min if self.hist.count else NAN

    @property
    def max(self):
        """The largest finite value, exact; NaN if there is none."""
        return self.hist.max if self.hist.count else NAN

    @property
    def zero_count(self):
        """How many values were 0.0 or -0.0."""
        return self.hist.zero_count

    @property
    def nan_count(self):
        """How many values were NaN; not in count."""
        return self.hist.nan_count

    @property
    def positive_infinity_count(self):
        """How many values were +inf; not in count."""
        return self.hist.positive_infinity_count

    @property
    def negative_infinity_count(self):
        """How many values were -inf; not in count."""
        return self.hist.negative_infinity_count

    @property
    def memory_bytes(self):
        """Bytes that the buckets and counts occupy."""
        return obs_loghist_memory_bytes(&self.hist)

    def copy(self):
        """An independent copy."""
        cdef LogHist copy = LogHist(self.hist.scale)
        check(obs_loghist_copy(&self.hist, &copy.hist))
        return copy

    def _to_compact(self):
        cdef size_t size = 0
        cdef size_t capacity = obs_loghist_encoded_bound(&self.hist)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, capacity)
        check(obs_loghist_encode(&self.hist, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        return compact[:size]

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef LogHist hist = LogHist(OBS_LOGHIST_MAX_SCALE)  # takes the scale of what is merged into it
        check(obs_loghist_merge_encoded(&hist.hist, <const uint8_t *>PyBytes_AS_STRING(compact), len(compact)))
        return hist

    def to_bytes(self):
        """Everything as bytes with a version and a checksum; from_bytes reads them on any machine."""
        return seal(LOGHIST_MAGIC, self._to_compact())

    @staticmethod
    def from_bytes(data):
        """The histogram that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release
        wrote it.
        """
        return LogHist._from_compact(unseal(LOGHIST_MAGIC, "LogHist", data))

    def __reduce__(self):
        return _loghist_from_bytes, (self.to_bytes(),)

    def __eq__(self, other):
        if not isinstance(other, LogHist):
            return NotImplemented
        cdef obs_loghist_t *left = &self.hist
        cdef obs_loghist_t *right = &(<LogHist>other).hist
        return (
            left.scale == right.scale and left.count == right.count and left.zero_count == right.zero_count
            and left.nan_count == right.nan_count and left.min == right.min and left.max == right.max
            and left.positive_infinity_count == right.positive_infinity_count
            and left.negative_infinity_count == right.negative_infinity_count
            and same_buckets(&left.positive, &right.positive)
            and same_buckets(&left.negative, &right.negative)
        )

    def __repr__(self):
        return (
            f"<LogHist scale={self.scale} count={self.count} min={self.min:g} "
            f"p50={self.quantile(0.5):g} p99={self.quantile(0.99):g} max={self.max:g}>"
        )


def _loghist_from_bytes(data):
    return LogHist.from_bytes(data)
