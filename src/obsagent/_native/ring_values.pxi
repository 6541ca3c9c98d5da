"""Numbers out of Python objects: one, a buffer of them, or whatever an iterable gives. Nothing raises."""


cdef bint as_double(object value, double *number) noexcept:
    """Whether the value is a number; whatever its __float__ raises is swallowed."""
    number[0] = long_as_double(value) if PyLong_CheckExact(value) else float_as_double(value)
    if number[0] == -1.0 and PyErr_Occurred() != NULL:
        PyErr_Clear()
        return False
    return True


cdef bint observe_buffer(Histogram histogram, object values) noexcept:
    """False if the values are no buffer, or one of items that have to be looked at one by one."""
    cdef Py_buffer view
    cdef bint is_done
    if not PyObject_CheckBuffer(values):
        return False
    try:
        PyObject_GetBuffer(values, &view, PyBUF_ND | PyBUF_FORMAT)
    except BaseException:
        return observe_strided(histogram, values)
    is_done = observe_view(histogram, &view, view.buf)
    PyBuffer_Release(&view)
    return is_done


cdef bint observe_strided(Histogram histogram, object values) noexcept:
    """A buffer with gaps: its values are brought together first."""
    cdef Py_buffer view
    cdef bint is_done
    cdef void *together
    try:
        PyObject_GetBuffer(values, &view, PyBUF_FULL_RO)
    except BaseException:
        return False
    together = malloc(<size_t>view.len if view.len > 0 else 1)
    try:
        if together == NULL:
            histogram.recorder.drop(<uint64_t>(view.len // view.itemsize))
            is_done = True
        else:
            PyBuffer_ToContiguous(together, &view, view.len, b"C")
            is_done = observe_view(histogram, &view, together)
    except BaseException:
        is_done = False
    free(together)
    PyBuffer_Release(&view)
    return is_done


cdef bint observe_view(Histogram histogram, const Py_buffer *view, const void *items) noexcept:
    cdef const char *format = UNSIGNED_BYTES if view.format == NULL else view.format
    cdef char order = c"@"
    cdef size_t value_count = <size_t>(view.len // view.itemsize) if view.itemsize > 0 else 0
    if format[0] in (c"@", c"=", c"<", c">", c"!"):
        order = format[0]
        format += 1
    if format[0] == c"O":
        return False
    if format[0] == 0 or format[1] != 0 or obs_numbers_size(order, format[0]) != <size_t>view.itemsize:
        histogram.recorder.reject_values(value_count)
    elif format[0] == c"d" and order in (c"@", c"=", NATIVE_ORDER):
        histogram.add(<const double *>items, value_count)
    else:
        observe_numbers(histogram, order, format[0], <const char *>items, value_count, <size_t>view.itemsize)
    return True


cdef void observe_numbers(Histogram histogram, char order, char letter, const char *items, size_t value_count,
                          size_t item_size) noexcept:
    cdef double[BLOCK_VALUES] block
    cdef size_t block_count
    while value_count > 0:
        block_count = value_count if value_count < BLOCK_VALUES else BLOCK_VALUES
        obs_numbers_read(order, letter, items, block_count, block)
        histogram.add(block, block_count)
        items += block_count * item_size
        value_count -= block_count


cdef bint observe_items(Histogram histogram, object values) noexcept:
    """Any iterable; False if it is none. Python code may run between two items, so nothing is claimed meanwhile."""
    cdef double[BLOCK_VALUES] block
    cdef size_t block_count = 0
    cdef bint is_iterable = False
    try:
        for value in values:
            is_iterable = True
            if not as_double(value, &block[block_count]):
                histogram.recorder.reject_values(1)
                continue
            block_count += 1
            if block_count == BLOCK_VALUES:
                histogram.add(block, block_count)
                block_count = 0
        is_iterable = True
    except BaseException:  # what came before it counts
        if is_iterable:
            histogram.recorder.reject_values(1)
    histogram.add(block, block_count)
    return is_iterable
