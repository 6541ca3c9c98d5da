"""Sample bodies, written entry by entry."""


@cython.final
cdef class _ColumnSketch:
    """A column and the histogram beside it."""

    cdef obs_loghist_t hist
    cdef obs_column_t column

    def __cinit__(self, int scale):
        obs_column_init(&self.column, 0)
        check(obs_loghist_init(&self.hist, scale))

    def __dealloc__(self):
        obs_column_free(&self.column)
        obs_loghist_free(&self.hist)

    cdef int add_numbers(self, array.array numbers, edges) except -1:
        cdef obs_cuts_t cuts
        cdef array.array bounds = array.array("d", edges or ())
        cdef const double *values = numbers.data.as_doubles
        cdef size_t count = <size_t>len(numbers)
        cdef int status
        check(obs_loghist_add_many(&self.hist, values, count))
        if edges is None:
            return check(obs_column_add_many(&self.column, NULL, values, count))
        check(obs_cuts_init(&cuts, bounds.data.as_doubles, <uint32_t>len(bounds)))
        status = obs_column_add_many(&self.column, &cuts, values, count)
        obs_cuts_free(&cuts)
        return check(status)

    cdef int add_categories(self, categories, names) except -1:
        cdef obs_category_t category
        cdef uint32_t bin_count = 0 if names is None else <uint32_t>len(names) + 1
        bins = {name: number for number, name in enumerate(names or ())}
        for text in categories:
            key = text.encode()
            category.key = <const uint8_t *>PyBytes_AS_STRING(key)
            category.key_size = <uint32_t>len(key)
            category.hash = obs_hash_bytes(category.key, category.key_size)
            category.bin = bins.get(text, max(bin_count, 1) - 1)
            check(obs_column_add_category(&self.column, &category, bin_count, 1))
        return 0


@cython.final
cdef class BodyWriter:
    """Writes a sample body entry by entry; `take` returns it and begins the next."""

    cdef obs_body_t body

    def __cinit__(self):
        obs_body_init(&self.body)
        check(obs_body_begin(&self.body))

    def __dealloc__(self):
        obs_body_free(&self.body)

    def put_run(self, uint32_t series, values):
        """Histogram samples as they are; 1 to 65,536 of them."""
        cdef array.array column = array.array("d", values)
        check(obs_body_put_run(&self.body, series, column.data.as_doubles, <size_t>len(column)))

    def put_loghist(self, uint32_t series, values, int scale=6):
        """Histogram samples as a loghist of a scale."""
        cdef array.array column = array.array("d", values)
        cdef obs_loghist_t hist
        cdef int status
        check(obs_loghist_init(&hist, scale))
        status = obs_loghist_add_many(&hist, column.data.as_doubles, <size_t>len(column))
        if status == OBS_OK:
            status = obs_body_put_loghist(&self.body, series, &hist)
        obs_loghist_free(&hist)
        check(status)

    def put_tdigest(self, uint32_t series, values, uint32_t compression=OBS_TDIGEST_SERIES_COMPRESSION):
        """The values of the `put_loghist` just before, of the same series, once more as a t-digest."""
        cdef array.array column = array.array("d", values)
        cdef obs_tdigest_t digest
        cdef int status
        check(obs_tdigest_init(&digest, compression))
        status = obs_tdigest_add_many(&digest, column.data.as_doubles, <size_t>len(column))
        if status == OBS_OK:
            status = obs_body_put_tdigest(&self.body, series, &digest)
        obs_tdigest_free(&digest)
        check(status)

    def put_column(self, uint32_t series, numbers=(), categories=(), *, edges=None, names=None, uint64_t nulls=0,
                   uint64_t wrong_types=0, int scale=6):
        """Samples of a column: numbers, categories as text, nulls and values of a wrong type.

        `edges` are the bounds of the bins of its numbers, `names` the categories that have a bin each.
        """
        cdef _ColumnSketch sketch = _ColumnSketch(scale)
        sketch.add_numbers(array.array("d", numbers), edges)
        sketch.add_categories(categories, names)
        check(obs_column_add_nulls(&sketch.column, nulls))
        check(obs_column_add_wrong_types(&sketch.column, wrong_types))
        check(obs_body_put_column(&self.body, series, &sketch.hist, &sketch.column))

    def put_counter(self, uint32_t series, uint64_t increments, double sum):
        """That many increments that add up to sum."""
        check(obs_body_put_counter(&self.body, series, increments, sum))

    def put_gauge(self, uint32_t series, double value):
        """One sample of a gauge."""
        check(obs_body_put_gauge(&self.body, series, value))

    def take(self):
        """The body; the writer begins an empty one."""
        body = PyBytes_FromStringAndSize(<const char *>self.body.bytes, <Py_ssize_t>self.body.size)
        check(obs_body_begin(&self.body))
        return body
