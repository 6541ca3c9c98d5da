@cython.final
cdef class Edges:
    """Edges(edges): counts and sums of values over edges that never change.

    k + 1 edges make k bins by the rule of numpy.histogram, each with its lower edge and without its upper one, but for
    the last, which has both; and two more, for what is below and what is above. Merging adds counts: any order and any
    partition of the values give the same ones; sums are right within rounding.

    edges are 2 to 256 finite numbers, each greater than the one before. NaN and the infinities are counted apart and
    in no bin, and so is None, which is a null; -0.0 is taken as 0.0. Two are equal if their edges and counts are (sums
    may differ in rounding). Changed in place, so not hashable; use one from several threads at a time only under the
    GIL.
    """

    cdef obs_cuts_t cuts
    cdef obs_edges_t bins
    cdef Apart apart

    def __cinit__(self, edges):
        cdef _Values values = _Values(edges)
        cdef uint32_t count = <uint32_t>min(values.count, <size_t>OBS_EDGES_MAX_BINS)
        cdef int status = obs_cuts_init(&self.cuts, values.data, count)
        if status == OBS_ERR_RANGE:
            raise ValueError("edges must be 2 to 256 finite numbers, each greater than the one before")
        check(status)
        check(obs_edges_init(&self.bins, count + 1))

    def __dealloc__(self):
        obs_cuts_free(&self.cuts)
        obs_edges_free(&self.bins)

    def add(self, value, weight=1):
        """Counts value, a number of any kind or None, weight times (0 changes nothing).

        Raises TypeError if value is something else or weight not a whole number, ValueError if weight is negative or if
        2**64 values or more would be counted.
        """
        cdef double number
        cdef uint64_t times = weight_of(weight)
        if value is None:
            check_added(apart_add(&self.apart.null_count, times))
            return
        number = value
        if isfinite(number):
            check_added(obs_edges_add(&self.bins, &self.cuts, number, times))
        else:
            check_added(apart_add(apart_of(&self.apart, number), times))

    def add_many(self, values):
        """Counts each of values: a buffer of any numeric format (float64 is read in place) and of any shape and
        strides, or an iterable of numbers and None.

        Raises TypeError if something in it is neither; nothing has been counted then.
        """
        cdef _Values doubles = _Values(values, True)
        cdef uint64_t before = self.bins.total
        if doubles.count < <size_t>WITHOUT_GIL_VALUES:
            check_added(obs_edges_add_many(&self.bins, &self.cuts, doubles.data, doubles.count))
        else:
            before += self.add_without_gil(doubles)
        if self.bins.total - before != doubles.count:
            check_added(apart_add_many(&self.apart, doubles.data, doubles.count))
        check_added(apart_add(&self.apart.null_count, doubles.null_count))

    cdef uint64_t add_without_gil(self, _Values values) except? 1:
        """Returns how much others have counted meanwhile."""
        cdef obs_edges_t part
        cdef uint64_t before = self.bins.total
        cdef int status
        check(obs_edges_init(&part, self.bins.bin_count))
        try:
            with nogil:
                status = obs_edges_add_many(&part, &self.cuts, values.data, values.count)
            check_added(status)
            before = self.bins.total - before
            check_added(obs_edges_merge(&self.bins, &part))
        finally:
            obs_edges_free(&part)
        return before

    cdef bint has_edges_of(self, Edges other):
        return (
            self.cuts.cut_count == other.cuts.cut_count
            and memcmp(self.cuts.cuts, other.cuts.cuts, self.cuts.cut_count * sizeof(double)) == 0
        )

    def merge(self, Edges other not None):
        """Adds everything that other counted.

        Raises ValueError if its edges are not the same: counts over other edges say nothing about these. Raises
        TypeError if other is no Edges.
        """
        if not self.has_edges_of(other):
            raise ValueError("the edges of the two differ, so that their counts cannot be added")
        check_added(apart_check(&self.apart, &other.apart))
        check_added(obs_edges_merge(&self.bins, &other.bins))
        apart_merge(&self.apart, &other.apart)

    @property
    def edges(self):
        """The edges, in ascending order, a tuple of float."""
        return tuple([self.cuts.cuts[i] for i in range(self.cuts.cut_count)])

    @property
    def counts(self):
        """How many values were below, in each bin, and above: a tuple of int, one longer than edges."""
        return tuple([self.bins.counts[i] for i in range(self.bins.bin_count)])

    @property
    def sums(self):
        """The sums of those values: a tuple of float, one longer than edges."""
        return tuple([self.bins.sums[i] for i in range(self.bins.bin_count)])

    @property
    def count(self):
        """How many finite values were counted."""
        return self.bins.total

    @property
    def null_count(self):
        """How many values were None."""
        return self.apart.null_count

    @property
    def nan_count(self):
        """How many values were NaN; in no bin."""
        return self.apart.nan_count

    @property
    def positive_infinity_count(self):
        """How many values were +inf; in no bin."""
        return self.apart.positive_infinity_count

    @property
    def negative_infinity_count(self):
        """How many values were -inf; in no bin."""
        return self.apart.negative_infinity_count

    @property
    def memory_bytes(self):
        """Bytes that edges, counts and sums occupy."""
        return obs_cuts_memory_bytes(&self.cuts) + obs_edges_memory_bytes(&self.bins)

    def copy(self):
        """An independent copy."""
        cdef Edges copy = Edges(self.edges)
        check(obs_edges_merge(&copy.bins, &self.bins))
        copy.apart = self.apart
        return copy

    def to_bytes(self):
        """Everything, edges included, as bytes with a version and a checksum; from_bytes reads them on any machine."""
        cdef size_t size = 0
        cdef size_t capacity = obs_edges_encoded_bound(&self.bins)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, capacity)
        check(obs_edges_encode(&self.bins, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        head = [
            self.apart.null_count,
            self.apart.nan_count,
            self.apart.positive_infinity_count,
            self.apart.negative_infinity_count,
            self.cuts.cut_count,
        ]
        edges = struct.pack(f"<{self.cuts.cut_count}d", *self.edges)
        return seal(EDGES_MAGIC, varints(head) + edges + compact[:size])

    @staticmethod
    def from_bytes(data):
        """The counts that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release wrote it.
        """
        cdef bytes payload = unseal(EDGES_MAGIC, "Edges", data)
        cdef list head
        cdef Py_ssize_t at
        head, at = read_varints(payload, 5)
        cdef Py_ssize_t end = at + 8 * <Py_ssize_t>min(head[4], OBS_EDGES_MAX_BINS)
        if end > len(payload):
            raise CorruptData("the bytes of Edges end early")
        cdef Edges read
        try:
            read = Edges(struct.unpack(f"<{(end - at) // 8}d", payload[at:end]))
        except ValueError:
            raise CorruptData("the bytes of Edges hold edges that do not ascend") from None
        read.take(head, payload[end:], payload[at:end])
        return read

    cdef int take(self, list head, bytes compact, bytes edges) except -1:
        cdef const uint8_t *bins = <const uint8_t *>PyBytes_AS_STRING(compact)
        if struct.pack(f"<{self.cuts.cut_count}d", *self.edges) != edges:
            raise CorruptData("the bytes of Edges hold -0.0")
        cdef int status = obs_edges_merge_encoded(&self.bins, bins, len(compact))
        if status == OBS_ERR_STATE:
            raise CorruptData("the bytes of Edges hold other than one count a bin")
        check(status)
        self.apart = Apart(head[0], head[1], head[2], head[3])
        return 0

    def __reduce__(self):
        return _edges_from_bytes, (self.to_bytes(),)

    def __eq__(self, other):
        if not isinstance(other, Edges):
            return NotImplemented
        cdef Edges right = other
        return (
            self.has_edges_of(right)
            and memcmp(self.bins.counts, right.bins.counts, self.bins.bin_count * sizeof(uint64_t)) == 0
            and memcmp(&self.apart, &right.apart, sizeof(Apart)) == 0
        )

    def __repr__(self):
        counts = self.counts
        return (
            f"<Edges bins={len(counts) - 2} from={self.cuts.cuts[0]:g} to={self.cuts.cuts[self.cuts.cut_count - 1]:g} "
            f"count={self.count} below={counts[0]} above={counts[len(counts) - 1]}>"
        )


def _edges_from_bytes(data):
    return Edges.from_bytes(data)


# ---- What is in no bin -------------------------------------------------------------------------------


cdef int apart_add(uint64_t *count, uint64_t times) noexcept nogil:
    if times > UINT64_MAX - count[0]:
        return OBS_ERR_RANGE
    count[0] += times
    return 0


cdef uint64_t *apart_of(Apart *apart, double value) noexcept nogil:
    """The count of a value that is not finite."""
    if isnan(value):
        return &apart.nan_count
    return &apart.positive_infinity_count if value > 0 else &apart.negative_infinity_count


cdef int apart_add_many(Apart *apart, const double *values, size_t count) noexcept nogil:
    cdef int status = 0
    cdef double value
    cdef size_t i
    for i in range(count):
        memcpy(&value, values + i, sizeof(double))  # which may lie anywhere
        if not isfinite(value) and status == 0:
            status = apart_add(apart_of(apart, value), 1)
    return status


cdef int apart_check(const Apart *left, const Apart *right) noexcept nogil:
    if (
        left.null_count > UINT64_MAX - right.null_count
        or left.nan_count > UINT64_MAX - right.nan_count
        or left.positive_infinity_count > UINT64_MAX - right.positive_infinity_count
        or left.negative_infinity_count > UINT64_MAX - right.negative_infinity_count
    ):
        return OBS_ERR_RANGE
    return 0


cdef void apart_merge(Apart *into, const Apart *source) noexcept nogil:
    into.null_count += source.null_count
    into.nan_count += source.nan_count
    into.positive_infinity_count += source.positive_infinity_count
    into.negative_infinity_count += source.negative_infinity_count
