@cython.final
cdef class Moments:
    """Moments(): how many values of which kind, and mean, spread, skew and tails of the finite ones.

    Kept are the mean and the sums of the second, third and fourth powers of the deviations from it (m2, m3, m4), which
    merge by Pebay's formulas: in any order and any partition the same within rounding; counts, min and max exactly. The
    moments are those of the values themselves, not of a population that they were drawn from: variance is m2 / count,
    as numpy.var has it.

    NaN and the infinities are counted apart and in nothing else, and so is None, which is a null; -0.0 is taken as 0.0.
    Where a power of a deviation overflows, m2 or m4 is inf and m3 NaN. Empty, mean, variance, min, max and what
    follows from them are NaN and sum is 0.0. Two are equal if everything is, to the last bit. Changed in place, so not
    hashable; use one from several threads at a time only under the GIL.
    """

    cdef obs_moments_t moments

    def __cinit__(self):
        obs_moments_init(&self.moments)

    def add(self, value, weight=1):
        """Adds value, a number of any kind or None, weight times (0 changes nothing).

        Raises TypeError if value is something else or weight not a whole number, ValueError if weight is negative or if
        there would be 2**64 samples or more.
        """
        if value is None:
            check_added(obs_moments_add_nulls(&self.moments, weight_of(weight)))
        else:
            check_added(obs_moments_add(&self.moments, value, weight_of(weight)))

    def add_many(self, values):
        """Adds each of values: a buffer of any numeric format (float64 is read in place) and of any shape and strides,
        or an iterable of numbers and None.

        Raises TypeError if something in it is neither; nothing has been added then.
        """
        cdef _Values doubles = _Values(values, True)
        cdef obs_moments_t part
        cdef int status
        obs_moments_init(&part)
        if doubles.count < <size_t>WITHOUT_GIL_VALUES:
            status = obs_moments_add_many(&part, doubles.data, doubles.count)
        else:
            with nogil:
                status = obs_moments_add_many(&part, doubles.data, doubles.count)
        check_added(status)
        check_added(obs_moments_add_nulls(&part, doubles.null_count))
        check_added(obs_moments_merge(&self.moments, &part))

    def merge(self, Moments other not None):
        """Adds everything that other holds. Raises TypeError if other is no Moments."""
        check_added(obs_moments_merge(&self.moments, &other.moments))

    @property
    def count(self):
        """How many finite values were added."""
        return self.moments.count

    @property
    def null_count(self):
        """How many values were None."""
        return self.moments.null_count

    @property
    def nan_count(self):
        """How many values were NaN; not in count."""
        return self.moments.nan_count

    @property
    def positive_infinity_count(self):
        """How many values were +inf; not in count."""
        return self.moments.positive_infinity_count

    @property
    def negative_infinity_count(self):
        """How many values were -inf; not in count."""
        return self.moments.negative_infinity_count

    @property
    def wrong_type_count(self):
        """How many values of a feature were of a type that it does not have; add refuses them, an agent counts them."""
        return self.moments.wrong_type_count

    @property
    def mean(self):
        """The mean of the finite values."""
        return self.moments.mean if self.moments.count else NAN

    @property
    def m2(self):
        """The sum of (value - mean)**2."""
        return self.moments.m2

    @property
    def m3(self):
        """The sum of (value - mean)**3."""
        return self.moments.m3

    @property
    def m4(self):
        """The sum of (value - mean)**4."""
        return self.moments.m4

    @property
    def variance(self):
        """m2 / count, as numpy.var; 0.0 exactly if all values are the same."""
        return obs_moments_variance(&self.moments)

    @property
    def stddev(self):
        """The square root of the variance, as numpy.std."""
        return sqrt(obs_moments_variance(&self.moments))

    @property
    def skewness(self):
        """m3 / count over stddev**3, as scipy.stats.skew; NaN if all values are the same."""
        return obs_moments_skewness(&self.moments)

    @property
    def kurtosis(self):
        """m4 / count over variance**2, less 3, as scipy.stats.kurtosis: 0 for a normal distribution; NaN if all values
        are the same.
        """
        return obs_moments_kurtosis(&self.moments)

    @property
    def sum(self):
        """The mean times the count."""
        return self.moments.mean * <double>self.moments.count

    @property
    def min(self):
        """The smallest finite value, exact."""
        return self.moments.min if self.moments.count else NAN

    @property
    def max(self):
        """The largest finite value, exact."""
        return self.moments.max if self.moments.count else NAN

    @property
    def memory_bytes(self):
        """Bytes that they occupy, always the same."""
        return sizeof(obs_moments_t)

    def copy(self):
        """An independent copy."""
        cdef Moments copy = Moments()
        copy.moments = self.moments
        return copy

    def _to_compact(self):
        cdef size_t size = 0
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, OBS_MOMENTS_ENCODED_MAX)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(compact)
        check(obs_moments_encode(&self.moments, out, OBS_MOMENTS_ENCODED_MAX, &size))
        return compact[:size]

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef Moments moments = Moments()
        check(obs_moments_decode(<const uint8_t *>PyBytes_AS_STRING(compact), len(compact), &moments.moments))
        return moments

    def to_bytes(self):
        """Everything as bytes with a version and a checksum; from_bytes reads them on any machine."""
        return seal(MOMENTS_MAGIC, self._to_compact())

    @staticmethod
    def from_bytes(data):
        """The moments that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release wrote it.
        """
        return Moments._from_compact(unseal(MOMENTS_MAGIC, "Moments", data))

    def __reduce__(self):
        return _moments_from_bytes, (self.to_bytes(),)

    def __eq__(self, other):
        return self._to_compact() == other._to_compact() if isinstance(other, Moments) else NotImplemented

    def __repr__(self):
        return (
            f"<Moments count={self.count} null_count={self.null_count} mean={self.mean:g} stddev={self.stddev:g} "
            f"min={self.min:g} max={self.max:g}>"
        )


def _moments_from_bytes(data):
    return Moments.from_bytes(data)
