@cython.final
cdef class TDigest:
    """TDigest(compression=200): a merging t-digest, quantiles by rank, tight in both tails.

    Values are kept as centroids (mean, weight): single values at both ends, groups in the middle. Up to
    compression values everything is exact, and min and max always are. Above, the error is one of rank: the
    answer for q stands for a quantile between q - e and q + e. A group holds a share of at most
    g * q * (1 - q), where g grows with count: 0.22 for ten thousand and 0.34 for a million values at
    compression 200. For values of a continuous distribution e is at most 0.2 * g * q * (1 - q), for a million
    0.017 at p50 and 0.0007 at p99; ties and gaps can raise it eightfold, to 1.6 * g * q * (1 - q).
    Values that are spread over dozens of decades are beyond any promise: the largest rule their group's mean.

    The error in value is not bounded. At a gap in the data (nothing between 11 ms and 500 ms, say) the
    quantiles just beside it may be answered with a value inside the gap, which nobody measured. What is
    answered depends, within the rank error, on the order of additions and merges. Where that is not good
    enough use LogHist.

    compression is 20 to 2000; about as many centroids are kept. NaN and the infinities are counted apart and
    in nothing else; -0.0 is taken as 0.0. An empty digest's min, max, quantiles and cdf are NaN, its sum is
    0.0. Changed in place; use one from several threads at a time only under the GIL.
    """

    cdef obs_tdigest_t digest

    def __cinit__(self, compression=OBS_TDIGEST_DEFAULT_COMPRESSION):
        low, high = OBS_TDIGEST_MIN_COMPRESSION, OBS_TDIGEST_MAX_COMPRESSION
        check(obs_tdigest_init(&self.digest, whole("compression", compression, low, high)))

    def __dealloc__(self):
        obs_tdigest_free(&self.digest)

    def add(self, double value, weight=1):
        """Adds value, a number of any kind, weight times (0 changes nothing).

        Raises TypeError if value is not a number or weight not a whole one, ValueError if weight is
        negative or if there would be 2**64 samples or more.
        """
        check_added(obs_tdigest_add(&self.digest, value, weight_of(weight)))

    def add_many(self, values):
        """Adds each of values: a buffer of any numeric format (float64 is read in place) and of any shape
        and strides, or an iterable of numbers.

        Raises TypeError if something in it is not a number; nothing has been added then.
        """
        cdef _Values doubles = _Values(values)
        if doubles.count < <size_t>WITHOUT_GIL_VALUES:
            check_added(obs_tdigest_add_many(&self.digest, doubles.data, doubles.count))
        else:
            self.add_without_gil(doubles)

    cdef int add_without_gil(self, _Values values) except -1:
        cdef obs_tdigest_t part
        cdef int status
        check(obs_tdigest_init(&part, self.digest.compression))
        try:
            with nogil:
                status = obs_tdigest_add_many(&part, values.data, values.count)
            check_added(status)
            check_added(obs_tdigest_merge(&self.digest, &part))
        finally:
            obs_tdigest_free(&part)
        return 0

    def merge(self, TDigest other not None):
        """Adds everything that other holds; compression stays this one's.

        Raises TypeError if other is not a TDigest.
        """
        check_added(obs_tdigest_merge(&self.digest, &other.digest))

    cdef double quantile_of(self, double q) except? -1:
        cdef double value
        check_quantile(q)
        check(obs_tdigest_quantile(&self.digest, q, &value))
        return value

    def quantile(self, double q):
        """An estimate of the value of rank ceil(q * count); q = 0 is the exact min, q = 1 the exact max.

        Raises ValueError unless q is in 0..1.
        """
        return self.quantile_of(q)

    def quantiles(self, qs):
        """A list with the quantile of each of qs."""
        return [self.quantile_of(q) for q in qs]

    def cdf(self, double x):
        """An estimate of the share, 0 to 1, of finite values <= x."""
        cdef double share
        check(obs_tdigest_cdf(&self.digest, x, &share))
        return share

    def rank_error(self, double q):
        """How far off the answer for q is in rank at most: it stands for a quantile from q - e to q + e.

        2 * g * q * (1 - q) + 1 / count, and 0 up to compression values. Measured over merges of up to ten thousand
        digests, it holds where most values differ; not for values like zeros and ones. LogHist.rank_error says of one
        answer what always holds, if there is a LogHist of the same values. Raises ValueError unless q is in 0..1.
        """
        check_quantile(q)
        return obs_tdigest_rank_error(&self.digest, q)

    def centroids(self):
        """What the digest keeps, in ascending order: two lists, (means, weights), of float and of int."""
        cdef size_t i
        check(obs_tdigest_flush(&self.digest))
        means = [self.digest.centroids[i].mean for i in range(self.digest.centroid_count)]
        weights = [self.digest.centroids[i].weight for i in range(self.digest.centroid_count)]
        return means, weights

    @property
    def compression(self):
        """How finely values are kept, 20 to 2000: about the number of centroids."""
        return self.digest.compression

    @property
    def count(self):
        """How many finite values were added."""
        return self.digest.count

    @property
    def sum(self):
        """The sum of the finite values, rounded as doubles are."""
        return self.digest.sum

    @property
    def min(self):
        """The smallest finite value, exact; NaN if there is none."""
        return self.digest.min if self.digest.count else NAN

    @property
    def max(self):
        """The largest finite value, exact; NaN if there is none."""
        return self.digest.max if self.digest.count else NAN

    @property
    def nan_count(self):
        """How many values were NaN; not in count."""
        return self.digest.nan_count

    @property
    def positive_infinity_count(self):
        """How many values were +inf; not in count."""
        return self.digest.positive_infinity_count

    @property
    def negative_infinity_count(self):
        """How many values were -inf; not in count."""
        return self.digest.negative_infinity_count

    @property
    def memory_bytes(self):
        """Bytes that the centroids and the buffer of new values occupy."""
        return obs_tdigest_memory_bytes(&self.digest)

    def copy(self):
        """An independent copy."""
        cdef TDigest copy = TDigest(self.digest.compression)
        check(obs_tdigest_copy(&self.digest, &copy.digest))
        return copy

    def _to_compact(self):
        cdef size_t size = 0
        cdef size_t capacity = obs_tdigest_encoded_bound(&self.digest)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, capacity)
        check(obs_tdigest_encode(&self.digest, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        return compact[:size]

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef TDigest digest = TDigest()
        check(obs_tdigest_decode(<const uint8_t *>PyBytes_AS_STRING(compact), len(compact), &digest.digest))
        return digest

    def to_bytes(self):
        """Everything as bytes with a version and a checksum; from_bytes reads them on any machine."""
        return seal(TDIGEST_MAGIC, self._to_compact())

    @staticmethod
    def from_bytes(data):
        """The digest that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release
        wrote it.
        """
        return TDigest._from_compact(unseal(TDIGEST_MAGIC, "TDigest", data))

    def __reduce__(self):
        return _tdigest_from_bytes, (self.to_bytes(),)

    def __repr__(self):
        return (
            f"<TDigest compression={self.compression} count={self.count} min={self.min:g} "
            f"p50={self.quantile(0.5):g} p99={self.quantile(0.99):g} max={self.max:g}>"
        )


def _tdigest_from_bytes(data):
    return TDigest.from_bytes(data)
