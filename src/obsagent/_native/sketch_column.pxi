@cython.final
cdef class Column:
    """All that the samples of a column come to, as the store keeps them; from `_from_compact`.

    `hist` and `moments` are of its numbers. Counts over the bins of a reference are `edge_counts` (below, bins, above;
    of categories the bins, then all others); they, the most frequent categories (`topk`) and the distinct values
    (`hll`) are None if there are none, or if samples are missing in them. Not public, and not thread-safe.
    """

    cdef obs_loghist_t loghist
    cdef obs_column_t column

    def __cinit__(self):
        obs_column_init(&self.column, 0)
        check(obs_loghist_init(&self.loghist, OBS_LOGHIST_MAX_SCALE))  # takes the scale of what is merged into it

    def __dealloc__(self):
        obs_column_free(&self.column)
        obs_loghist_free(&self.loghist)

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef Column column = Column()
        check(obs_column_merge_encoded(&column.loghist, &column.column,
                                       <const uint8_t *>PyBytes_AS_STRING(compact), <size_t>len(compact)))
        return column

    def _to_compact(self):
        cdef size_t size = 0
        cdef size_t capacity = obs_column_encoded_bound(&self.loghist, &self.column)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>capacity)
        check(obs_column_encode(&self.loghist, &self.column, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        return compact[:size]

    def merge(self, Column other not None):
        """Adds everything that other holds; counts over other bins than these are given up."""
        if obs_column_samples(&other.column) > UINT64_MAX - obs_column_samples(&self.column):
            raise ValueError("a sketch holds fewer than 2**64 samples")
        check_added(obs_loghist_merge(&self.loghist, &other.loghist))
        check_added(obs_column_merge(&self.column, &other.column))

    @property
    def hist(self):
        """A LogHist of the numbers, NaN and the infinities included."""
        cdef LogHist hist = LogHist()
        obs_loghist_free(&hist.hist)
        check(obs_loghist_copy(&self.loghist, &hist.hist))
        return hist

    @property
    def moments(self):
        """Moments of the numbers; nulls and values of a wrong type are counted there too."""
        cdef Moments moments = Moments()
        moments.moments = self.column.moments
        return moments

    @property
    def samples(self):
        """Every value that was observed: numbers, nulls, values of a wrong type and categories."""
        return obs_column_samples(&self.column)

    @property
    def null_count(self):
        """How many values were missing."""
        return self.column.moments.null_count

    @property
    def wrong_type_count(self):
        """How many values were neither numbers nor categories, or the one where the other was expected."""
        return self.column.moments.wrong_type_count

    @property
    def category_count(self):
        """How many values were categories."""
        return self.column.category_count

    @property
    def edge_counts(self):
        """Samples of each bin, as a tuple; None if there are none of all of them."""
        cdef const obs_edges_t *edges = self.column.edges
        return None if edges is NULL else tuple([edges.counts[index] for index in range(edges.bin_count)])

    @property
    def edge_sums(self):
        """Sum of the numbers in each bin, as a tuple; 0.0 in those of categories."""
        cdef const obs_edges_t *edges = self.column.edges
        return None if edges is NULL else tuple([edges.sums[index] for index in range(edges.bin_count)])

    @property
    def topk(self):
        """A TopK of the categories."""
        cdef TopK topk
        if self.column.topk is NULL:
            return None
        topk = TopK()
        obs_topk_free(&topk.topk)
        check(obs_topk_copy(self.column.topk, &topk.topk))
        return topk

    @property
    def hll(self):
        """A HyperLogLog of the numbers and categories."""
        cdef HyperLogLog hll
        if self.column.hll is NULL:
            return None
        hll = HyperLogLog()
        obs_hll_free(&hll.hll)
        check(obs_hll_copy(self.column.hll, &hll.hll))
        return hll
