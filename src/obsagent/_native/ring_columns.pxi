"""Columns of a table: the features, predictions and scores of a model. Recording never raises."""

cdef enum Expected:
    ANYTHING
    NUMBERS
    CATEGORIES

cdef tuple MISSING = ("NAType", "NaTType")  # of pandas, which need not be loaded
cdef tuple TIMES = ("datetime64", "timedelta64")  # of numpy: NaT is one of them
cdef double WEIGHT_MAX = 4294967296.0  # 2^32 nulls in one call: more is a mistake


@cython.final
cdef class _ColumnState:
    """What all instruments of one column share: what its reference expects, and the codes of its categories.

    `judge` is asked after every 200 new names that hardly any repetition was among: whether new ones are to be counted
    by their hashes alone from then on.
    """

    cdef int expected
    cdef dict codes
    cdef object judge
    cdef uint64_t texts
    cdef uint64_t texts_judged
    cdef uint32_t new_names
    cdef bint refuses_new
    cdef uint64_t refused

    def __cinit__(self):
        self.expected = ANYTHING
        self.codes = {}


@cython.final
cdef class Column:
    """A column bound to its series, as `Recorder.column` makes it.

    A number is a number, NaN and the infinities included; None and the NA and NaT of pandas and numpy are nulls; text
    is a category; anything else is of a wrong type. Each is a sample. Where the reference expects numbers text is of a
    wrong type, and where it expects categories a number is the category that it reads as ("3" for 3.0), NaN a null.
    """

    cdef Recorder recorder
    cdef readonly uint32_t series
    cdef _ColumnState state

    def __cinit__(self, Recorder recorder not None, uint32_t series):
        recorder.defined(series, OBS_KIND_COLUMN)
        self.recorder = recorder
        self.series = series
        self.state = recorder.columns[series]

    def observe(self, value):
        """Records one value of any type."""
        if PyFloat_CheckExact(<PyObject *>value) and self.state.expected != CATEGORIES:
            self.push(OBS_RECORD_SAMPLE, PyFloat_AS_DOUBLE(<PyObject *>value))
        else:
            self.observe_object(value, self.state.expected == CATEGORIES)

    def observe_many(self, values):
        """Records every item of a buffer of numbers (float64 is fastest; with gaps it need not be copied before) or of
        an iterable; an argument that is neither, or text, is counted rejected.
        """
        if isinstance(values, str) or not (column_buffer(self, values) or self.observe_items(values, False)):
            self.recorder.reject_values(1)

    def observe_categories(self, values):
        """Records every item of an iterable as a category, numbers as they read, unless numbers are expected."""
        if isinstance(values, str) or not self.observe_items(values, True):
            self.recorder.reject_values(1)

    def add_nulls(self, count):
        """Records that many nulls; what is no whole number from 0 to 2**32 is counted rejected."""
        cdef double number
        if not as_double(count, &number) or not 0.0 <= number <= WEIGHT_MAX or number != <double><uint64_t>number:
            self.recorder.reject_values(1)
        elif number > 0.0:
            self.push_weighted(OBS_RECORD_NULLS, <uint64_t>number)

    def watch_names(self, judge):
        """`judge` gets the newest 200 names of categories if 98 % of the texts since the 200 before were new ones; if
        it returns true, no new name is kept any more: such texts count by their hash alone.
        """
        self.state.judge = judge

    @property
    def refused_names(self):
        """Texts that had no name of their own because of that."""
        return self.state.refused

    # Objects

    cdef bint observe_items(self, object values, bint as_categories) noexcept:
        """Any iterable; False if it is none."""
        cdef bint is_iterable = False
        cdef bint by_text = as_categories and self.state.expected != NUMBERS or self.state.expected == CATEGORIES
        try:
            for value in values:
                is_iterable = True
                self.observe_object(value, by_text)
            is_iterable = True
        except BaseException:  # what came before it counts
            if is_iterable:
                self.recorder.reject_values(1)
        return is_iterable

    cdef void observe_object(self, object value, bint by_text) noexcept:
        cdef double number
        if value is None:
            self.push_weighted(OBS_RECORD_NULLS, 1)
        elif isinstance(value, str):
            if self.state.expected == NUMBERS:
                self.push_weighted(OBS_RECORD_WRONG_TYPES, 1)
            else:
                self.observe_text(value)
        elif is_missing(value):
            self.push_weighted(OBS_RECORD_NULLS, 1)
        elif not as_double(value, &number):
            self.push_weighted(OBS_RECORD_WRONG_TYPES, 1)
        elif not by_text:
            self.push(OBS_RECORD_SAMPLE, number)
        elif number != number:
            self.push_weighted(OBS_RECORD_NULLS, 1)
        else:
            self.observe_text(text_of(value))

    cdef void observe_text(self, object text) noexcept:
        """A category; None is one whose text could not be had."""
        cdef uint64_t bits
        cdef int what = OBS_RECORD_WRONG_TYPES
        try:
            if type(text) is not str and text is not None:
                text = PyUnicode_FromObject(text)  # a subclass may be equal to others than its text is
            if text is not None:
                what = self.code_of(text, &bits)
        except BaseException:
            what = OBS_RECORD_WRONG_TYPES
        if what == OBS_RECORD_WRONG_TYPES:
            self.push_weighted(what, 1)
        else:
            self.push(what, as_record_value(bits))

    cdef int code_of(self, str text, uint64_t *bits) except -1:
        """What tells the category in a record: its code, or its hash if there are no more codes."""
        cdef uint32_t code
        self.state.texts += 1
        known = self.state.codes.get(text)
        if known is not None:
            bits[0] = <uint64_t>known
            return OBS_RECORD_CATEGORY
        key = text.encode("utf-8", "replace")
        cdef obs_series_t *cell = obs_open_batch_series(&self.recorder.drain.open, self.series)
        cdef int status = OBS_ERR_STATE
        if self.state.refuses_new:
            self.state.refused += 1
        else:
            status = obs_series_add_category(cell, PyBytes_AS_STRING(key), <size_t>len(key), &code)
        if status != OBS_OK:
            bits[0] = obs_hash_bytes(PyBytes_AS_STRING(key), <size_t>len(key))
            return OBS_RECORD_HASH
        self.state.codes[text] = code
        self.state.new_names += 1
        if self.state.new_names % NAMES_JUDGED == 0:
            self.judge_names()
        bits[0] = code
        return OBS_RECORD_CATEGORY

    cdef int judge_names(self) except -1:
        cdef uint64_t texts = self.state.texts - self.state.texts_judged
        self.state.texts_judged = self.state.texts
        if self.state.judge is not None and 98 * texts <= 100 * NAMES_JUDGED:
            self.state.refuses_new = bool(self.state.judge(list(self.state.codes)[-NAMES_JUDGED:]))
        return 0

    # Records

    cdef inline void push(self, int what, double value) noexcept:
        cdef uint64_t tag = OBS_RECORD_TAG(what, self.series)
        if obs_thread_push(self.recorder.slot, tag, value) == OBS_ERR_STATE:
            self.recorder.push_slowly(tag, value)

    cdef void push_weighted(self, int what, uint64_t weight) noexcept:
        cdef uint64_t tag = OBS_RECORD_TAG(what, self.series)
        cdef obs_producer_t *producer = self.recorder.producer()
        if producer == NULL or obs_producer_push_weighted(producer, tag, weight, weight) == OBS_ERR_STATE:
            self.recorder.drop(weight)

    cdef void add(self, const char *values, Py_ssize_t stride, size_t value_count) noexcept:
        """Doubles, stride bytes from one to the next."""
        cdef obs_shape_t shape = obs_series_shape(obs_open_batch_series(&self.recorder.drain.open, self.series))
        cdef obs_producer_t *producer = self.recorder.producer()
        if producer == NULL:
            self.recorder.drop(value_count)
        elif value_count < WITHOUT_GIL_VALUES:
            obs_producer_add_column(producer, &shape, values, stride, value_count)
        else:
            with nogil:
                obs_producer_add_column(producer, &shape, values, stride, value_count)


cdef inline double as_record_value(uint64_t bits) noexcept:
    cdef double value
    memcpy(&value, &bits, sizeof(value))
    return value


cdef bint is_missing(object value) noexcept:
    """What stands for a missing value in a table, but for None."""
    if PyFloat_CheckExact(<PyObject *>value) or PyLong_CheckExact(value):
        return False
    try:
        name = type(value).__name__
        return name in MISSING or (name in TIMES and str(value) == "NaT")
    except BaseException:
        return False


cdef object text_of(object number):
    """A number as a category; None if it cannot be written."""
    try:
        return str(number).removesuffix(".0")
    except BaseException:
        return None


cdef bint column_buffer(Column column, object values) noexcept:
    """False if the values are no buffer of numbers, or must be looked at one by one."""
    cdef Py_buffer view
    cdef bint is_done
    if column.state.expected == CATEGORIES or not PyObject_CheckBuffer(values):
        return False
    try:
        PyObject_GetBuffer(values, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
    except BaseException:
        return False
    is_done = column_rows(column, values) if view.ndim > 1 else column_view(column, &view)
    PyBuffer_Release(&view)
    return is_done


cdef bint column_rows(Column column, object values) noexcept:
    """Of more dimensions than one, row by row."""
    try:
        for row in values:
            column.observe_many(row)
    except BaseException:
        return False
    return True


cdef bint column_view(Column column, const Py_buffer *view) noexcept:
    cdef char order, letter
    cdef size_t value_count = 1 if view.ndim == 0 else <size_t>view.shape[0]
    cdef Py_ssize_t stride = view.itemsize if view.ndim == 0 else view.strides[0]
    if not format_of_number(view, &order, &letter):
        return False
    if letter == c"d" and order in (c"@", c"=", NATIVE_ORDER):
        column.add(<const char *>view.buf, stride, value_count)
    elif letter == c"f" and order in (c"@", c"=", NATIVE_ORDER):
        column_floats(column, <const char *>view.buf, stride, value_count)
    else:
        column_numbers(column, order, letter, <const char *>view.buf, stride, value_count)
    return True


cdef bint format_of_number(const Py_buffer *view, char *order, char *letter) noexcept:
    """False unless the items of the buffer are numbers."""
    cdef const char *format = UNSIGNED_BYTES if view.format == NULL else view.format
    order[0] = c"@"
    if format[0] in (c"@", c"=", c"<", c">", c"!"):
        order[0] = format[0]
        format += 1
    letter[0] = format[0]
    if format[0] == 0 or format[1] != 0 or view.itemsize == 0:
        return False
    return obs_numbers_size(order[0], letter[0]) == <size_t>view.itemsize


cdef void column_floats(Column column, const char *items, Py_ssize_t stride, size_t value_count) noexcept:
    """Singles, as most features are that do not come as doubles; they may lie anywhere."""
    cdef double[BLOCK_VALUES] block
    cdef float single
    cdef size_t block_count, i
    while value_count > 0:
        block_count = value_count if value_count < BLOCK_VALUES else BLOCK_VALUES
        for i in range(block_count):
            memcpy(&single, items + <Py_ssize_t>i * stride, sizeof(single))
            block[i] = single
        column.add(<const char *>block, sizeof(double), block_count)
        items += <Py_ssize_t>block_count * stride
        value_count -= block_count


cdef void column_numbers(Column column, char order, char letter, const char *items, Py_ssize_t stride,
                         size_t value_count) noexcept:
    """Numbers of any other format, brought together and converted a block at a time."""
    cdef double[BLOCK_VALUES] block
    cdef char[BLOCK_VALUES * NUMBER_BYTES_MAX] together
    cdef const char *source
    cdef size_t item_size = obs_numbers_size(order, letter)
    cdef size_t block_count, i
    while value_count > 0:
        block_count = value_count if value_count < BLOCK_VALUES else BLOCK_VALUES
        source = items
        if stride != <Py_ssize_t>item_size:
            source = together
            for i in range(block_count):
                memcpy(together + i * item_size, items + <Py_ssize_t>i * stride, item_size)
        obs_numbers_read(order, letter, source, block_count, block)
        column.add(<const char *>block, sizeof(double), block_count)
        items += <Py_ssize_t>block_count * stride
        value_count -= block_count
