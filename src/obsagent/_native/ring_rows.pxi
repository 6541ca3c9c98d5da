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


def observe_matrix(tuple columns not None, matrix):
    """Observes each column of a buffer of numbers in two dimensions, or the values of a row in one, where it lies.

    Columns that are none of ours get a view of it. ValueError unless there are as many columns; what the buffer's own
    type raises if it has none.
    """
    cdef Py_buffer view
    cdef Py_ssize_t first, block_rows
    PyObject_GetBuffer(matrix, &view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
    try:
        if view.ndim not in (1, 2) or view.shape[view.ndim - 1] != len(columns):
            raise ValueError(f"{len(columns)} columns for a buffer of another shape")
        if view.ndim == 1:
            observe_rows(columns, matrix, &view, 0, 1)
        else:
            block_rows = BLOCK_VALUES if view.strides[0] > view.strides[1] else max(view.shape[0], 1)
            for first in range(0, view.shape[0], block_rows):
                observe_rows(columns, matrix, &view, first, min(block_rows, view.shape[0] - first))
    finally:
        PyBuffer_Release(&view)


cdef int observe_rows(tuple columns, object matrix, const Py_buffer *view, Py_ssize_t first,
                      Py_ssize_t row_count) except -1:
    """Some rows, column by column: few enough that they are still near when the next column is their turn."""
    cdef Py_buffer one = view[0]
    cdef Py_ssize_t index
    cdef Py_ssize_t last = view.ndim - 1
    one.ndim = last
    one.shape = &row_count
    for index in range(len(columns)):
        column = columns[index]
        one.buf = <char *>view.buf + index * view.strides[last] + (first * view.strides[0] if last == 1 else 0)
        if type(column) is Column and (<Column>column).state.expected != CATEGORIES and column_view(column, &one):
            continue
        if last == 0:
            column.observe(memoryview(matrix)[index])
        else:
            column.observe_many(matrix[first:first + row_count, index])
    return 0
