cdef uint64_t hash_of_bytes(const char *data, Py_ssize_t size) noexcept nogil:
    return obs_hash_bytes(data, <size_t>size)


cdef uint64_t hash_of_whole(number) except? 0:
    """Of its double where a double holds it, and of its digits where none does: 2**53 and 2**53 + 1 are two values."""
    cdef bytes digits
    try:
        rounded = float(number)
        if rounded == number:
            return obs_hash_double(rounded)
    except OverflowError:
        pass
    digits = b"%d" % number
    return hash_of_bytes(PyBytes_AS_STRING(digits), len(digits))


cdef uint64_t hash_of(value) except? 0:
    cdef bytes data
    if PyFloat_CheckExact(value):
        return obs_hash_double(PyFloat_AS_DOUBLE(value))
    if isinstance(value, (str, bytes)):
        data = PyUnicode_FromObject(value).encode("utf-8", "replace") if isinstance(value, str) else bytes(value)
        return hash_of_bytes(PyBytes_AS_STRING(data), len(data))
    if is_number(value) and hasattr(value, "__index__"):
        return hash_of_whole(operator.index(value))
    if is_number(value):
        return obs_hash_double(value)
    raise TypeError(f"a value must be a number, text or bytes, not {type(value).__name__}")


@cython.final
cdef class HyperLogLog:
    """HyperLogLog(p=12): how many distinct values were added, in at most 2**p bytes.

    Adding a value again changes nothing, and merging is exact: any order and any partition of the values give the same.
    The estimate is Ertl's improved estimator; its standard error is relative_error, 1.04 / sqrt(2**p), 1.6 % at p = 12:
    two of three estimates are that near, nineteen of twenty twice that far at most. Small counts are nearly exact.

    Values are numbers, text and bytes; numbers that are equal are one value (1, 1.0 and True; 0.0 and -0.0), every NaN
    is one value and each infinity is one; text is the same as its UTF-8 bytes, and "1" another value than 1. None is a
    null and no value: it changes nothing. p is 4 to 16. Two are equal if all registers are. Changed in place, so not
    hashable; use one from several threads at a time only under the GIL.
    """

    cdef obs_hll_t hll

    def __cinit__(self, p=OBS_HLL_DEFAULT_P):
        check(obs_hll_init(&self.hll, whole("p", p, OBS_HLL_MIN_P, OBS_HLL_MAX_P)))

    def __dealloc__(self):
        obs_hll_free(&self.hll)

    def add(self, value):
        """Adds value: a number, text, bytes or None. Raises TypeError if it is something else."""
        if value is not None:
            check(obs_hll_add_hash(&self.hll, hash_of(value)))

    def add_many(self, values):
        """Adds each of values: a buffer of numbers of any format, shape and strides (float64 is fastest), or an
        iterable of what add takes.

        Raises TypeError if something in it is none; what came before it has been added then.
        """
        if isinstance(values, (str, bytes, bytearray)):
            raise TypeError(f"values must be a buffer or an iterable of values, not {type(values).__name__}")
        if PyObject_CheckBuffer(values) and holds_doubles(values):
            self.add_doubles(_Values(values))
            return
        for value in flat(values):
            if value is not None:
                check(obs_hll_add_hash(&self.hll, hash_of(value)))

    cdef int add_doubles(self, _Values values) except -1:
        cdef obs_hll_t part
        cdef int status
        if values.count < <size_t>WITHOUT_GIL_VALUES:
            return check(obs_hll_add_many(&self.hll, values.data, values.count))
        check(obs_hll_init(&part, self.hll.p))
        try:
            with nogil:
                status = obs_hll_add_many(&part, values.data, values.count)
            check(status)
            check(obs_hll_merge(&self.hll, &part))
        finally:
            obs_hll_free(&part)
        return 0

    def merge(self, HyperLogLog other not None):
        """Adds everything that other has seen.

        Raises ValueError if its p is another one, TypeError if other is no HyperLogLog.
        """
        if self.hll.p != other.hll.p:
            raise ValueError(f"p differs: {self.hll.p} here, {other.hll.p} there")
        check(obs_hll_merge(&self.hll, &other.hll))

    def count(self):
        """An estimate of how many distinct values were added, a float."""
        return obs_hll_count(&self.hll)

    @property
    def p(self):
        """2**p registers are kept; 4 to 16."""
        return self.hll.p

    @property
    def relative_error(self):
        """The standard error of the estimate as a share of it."""
        return obs_hll_relative_error(self.hll.p)

    @property
    def memory_bytes(self):
        """Bytes that the registers occupy: few values need few."""
        return obs_hll_memory_bytes(&self.hll)

    def copy(self):
        """An independent copy."""
        cdef HyperLogLog copy = HyperLogLog(self.hll.p)
        check(obs_hll_copy(&self.hll, &copy.hll))
        return copy

    def _to_compact(self):
        cdef size_t size = 0
        cdef size_t capacity = obs_hll_encoded_bound(&self.hll)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, capacity)
        check(obs_hll_encode(&self.hll, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        return compact[:size]

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef HyperLogLog hll = HyperLogLog()
        check(obs_hll_decode(<const uint8_t *>PyBytes_AS_STRING(compact), len(compact), &hll.hll))
        return hll

    def to_bytes(self):
        """Everything as bytes with a version and a checksum; from_bytes reads them on any machine."""
        return seal(HLL_MAGIC, self._to_compact())

    @staticmethod
    def from_bytes(data):
        """The sketch that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release wrote it.
        """
        return HyperLogLog._from_compact(unseal(HLL_MAGIC, "HyperLogLog", data))

    def __reduce__(self):
        return _hll_from_bytes, (self.to_bytes(),)

    def __eq__(self, other):
        return self._to_compact() == other._to_compact() if isinstance(other, HyperLogLog) else NotImplemented

    def __repr__(self):
        return f"<HyperLogLog p={self.p} count={self.count():.6g} ± {100 * self.relative_error:.2g} %>"


cdef bint holds_doubles(values):
    """Whether a buffer's numbers are doubles without loss: integers of 64 bits are not, and text is no number."""
    return memoryview(values).format.lstrip("@=<>!") in DOUBLES


def _hll_from_bytes(data):
    return HyperLogLog.from_bytes(data)
