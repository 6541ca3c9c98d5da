"""Rows of features into their columns: a mapping, or a matrix where it lies."""


def observe_row(columns not None, dict row not None):
    """Observes each value of a row in the column of its name; `columns` is a mapping that makes those that it lacks.

    Columns that are none of ours are called. Raises only what `columns` raises for a name.
    """
    for name, value in row.items():
        column = columns[name]
        if type(column) is Column:
            observe_in(<Column>column, value)
        else:
            column.observe(value)


cdef inline void observe_in(Column column, object value) noexcept:
    """As Column.observe, without a call by name."""
    cdef bint by_text = column.state.expected == CATEGORIES
    if PyFloat_CheckExact(<PyObject *>value) and not by_text:
        column.push(OBS_RECORD_SAMPLE, PyFloat_AS_DOUBLE(<PyObject *>value))
    else:
        column.observe_object(value, by_text)


def observe_array(dict plans not None, names, array, rows):
    """Observes an array of NumPy as `observe_matrix` does and adds its rows to `rows`, a counter.

    `plans` are columns by the names of a row. False, and nothing is observed, unless `names` is a list or tuple that
    has a plan, and `array` a plain array of numbers that fits it.
    """
    cdef Py_buffer view
    cdef char order, letter
    if type(names) is list:
        names = tuple(names)
    if type(names) is not tuple or not is_plain_array(array):
        return False
    try:
        plan = plans.get(names)
        if plan is None:
            return False
        PyObject_GetBuffer(array, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
    except BaseException:  # names that cannot be hashed, an array of dates
        return False
    try:
        if view.ndim not in (1, 2) or view.shape[view.ndim - 1] != len(<tuple>plan):
            return False
        if not format_of_number(&view, &order, &letter):
            return False
        rows.inc(view.shape[0] if view.ndim == 2 else 1)
        observe_view_of_rows(<tuple>plan, array, &view)
        return True
    finally:
        PyBuffer_Release(&view)


cdef object ndarray = None  # of NumPy, once that is loaded: by who passes arrays, not by us


cdef bint is_plain_array(object value):
    global ndarray
    if ndarray is None:
        ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    return type(value) is ndarray


def observe_matrix(tuple columns not None, matrix):
    """Observes each column of a buffer of numbers in two dimensions, or the values of a row in one, where it lies.

    Columns that are none of ours get a view of it. ValueError unless there are as many columns; what the buffer's own
    type raises if it has none.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(matrix, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
    try:
        if view.ndim not in (1, 2) or view.shape[view.ndim - 1] != len(columns):
            raise ValueError(f"{len(columns)} columns for a buffer of another shape")
        observe_view_of_rows(columns, matrix, &view)
    finally:
        PyBuffer_Release(&view)


cdef int observe_view_of_rows(tuple columns, object matrix, const Py_buffer *view) except -1:
    """So many columns at a time that they may travel together."""
    cdef Py_ssize_t first, end
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t row_count = view.shape[0] if view.ndim == 2 else 1
    cdef Py_ssize_t block_rows = max(row_count, 1)
    if view.ndim == 2 and view.strides[0] > view.strides[1]:
        block_rows = BLOCK_VALUES
    while begin < len(columns):
        end = min(begin + <Py_ssize_t>OBS_TABLE_COLUMNS_MAX, len(columns))
        first = observe_table(columns, view, begin, end, row_count)
        while first < row_count:
            observe_rows(columns, matrix, view, begin, end, first, min(block_rows, row_count - first))
            first += block_rows
        begin = end
    return 0


cdef Py_ssize_t observe_table(tuple columns, const Py_buffer *view, Py_ssize_t begin, Py_ssize_t end,
                              Py_ssize_t row_count) noexcept:
    """Rows that lie in one piece, for the drain to take apart, as many as there is room for; the others are left to who
    calls, as all are if they lie otherwise or one of the columns wants to see its values first.
    """
    cdef uint32_t[OBS_TABLE_COLUMNS_MAX] series
    cdef Py_ssize_t last = view.ndim - 1
    cdef Recorder recorder = None
    cdef obs_producer_t *producer
    cdef obs_table_t table
    cdef char order, letter
    if not format_of_number(view, &order, &letter) or letter not in (c"d", c"f"):
        return 0
    if order not in (c"@", c"=", NATIVE_ORDER) or view.strides[last] != view.itemsize:
        return 0
    recorder = series_of_numbers(columns, begin, end, series)
    producer = NULL if recorder is None else recorder.producer()
    if producer == NULL:
        return 0
    table.series = series
    table.column_count = <uint32_t>(end - begin)
    table.is_of_singles = letter == c"f"
    table.values = <const char *>view.buf + begin * view.itemsize
    table.row_stride = view.strides[0] if last == 1 else 0
    table.row_count = <size_t>row_count
    if row_count * (end - begin) < WITHOUT_GIL_VALUES:
        return <Py_ssize_t>obs_producer_push_table(producer, &table)
    with nogil:
        row_count = <Py_ssize_t>obs_producer_push_table(producer, &table)
    return row_count


cdef Recorder series_of_numbers(tuple columns, Py_ssize_t begin, Py_ssize_t end, uint32_t *series):
    """The recorder of these columns, whose numbers are told; None unless all are of one, and numbers to be counted."""
    cdef Py_ssize_t index
    cdef Column column
    cdef Recorder recorder = None
    for index in range(begin, end):
        if type(columns[index]) is not Column:
            return None
        column = <Column>columns[index]
        if column.state.expected == CATEGORIES or (recorder is not None and column.recorder is not recorder):
            return None
        recorder = column.recorder
        series[index - begin] = column.series
    return recorder


cdef int observe_rows(tuple columns, object matrix, const Py_buffer *view, Py_ssize_t begin, Py_ssize_t end,
                      Py_ssize_t first, Py_ssize_t row_count) except -1:
    """Some rows, column by column: few enough that they are still near when the next column is their turn."""
    cdef Py_buffer one = view[0]
    cdef Py_ssize_t index
    cdef Py_ssize_t last = view.ndim - 1
    one.ndim = last
    one.shape = &row_count
    for index in range(begin, end):
        column = columns[index]
        one.buf = <char *>view.buf + index * view.strides[last] + (first * view.strides[0] if last == 1 else 0)
        if type(column) is Column and (<Column>column).state.expected != CATEGORIES and column_view(column, &one):
            continue
        if last == 0:
            column.observe(memoryview(matrix)[index])
        else:
            column.observe_many(matrix[first:first + row_count, index])
    return 0
