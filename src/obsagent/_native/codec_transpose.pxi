def read_sections(frame):
    """The sections of a frame that is cut by series: (window in ms, rows as a view of the frame) of each."""
    cdef _View view = _View(frame)
    cdef obs_sections_reader_t reader
    cdef obs_section_t section
    rows = memoryview(frame).cast("B")
    found = []
    check(obs_sections_reader_init(&reader, view.data, view.size))
    while check(obs_sections_next(&reader, &section)) > 0:
        begin = section.rows - view.data
        found.append((section.window_ms, rows[begin:begin + <Py_ssize_t>section.size]))
    return found


@cython.final
cdef class Transpose(_Shared):
    """From rows by window to frames by series, of the series first_series..last_series, both included.

    Rows go to the windows of width_ms that hold theirs, 0: to their own.
    """

    cdef obs_transpose_t transpose
    cdef uint32_t first_series
    cdef uint32_t last_series

    def __cinit__(self, uint32_t first_series=0, uint32_t last_series=0xFFFFFFFF, int64_t width_ms=0):
        if width_ms < 0:
            raise ValueError("a window is not of negative width")
        self.first_series = first_series
        self.last_series = last_series
        obs_transpose_init(&self.transpose, width_ms)

    def __dealloc__(self):
        obs_transpose_free(&self.transpose)

    def __len__(self):
        """Rows added."""
        self.check_readable()
        return self.transpose.row_count

    def add_rows(self, int64_t window_ms, rows):
        """Takes the rows of a window; on bad ones (CorruptData) none."""
        cdef _View view = _View(rows)
        cdef int status
        self.begin_write()
        try:
            with nogil:
                status = obs_transpose_add_rows(&self.transpose, self.first_series, self.last_series, window_ms,
                                                view.data, view.size)
        finally:
            self.end_write()
        check(status)

    def add_sections(self, frame):
        """Takes the rows of a frame that is cut by series already; of a bad one (CorruptData) none."""
        cdef _View view = _View(frame)
        cdef int status
        self.begin_write()
        try:
            with nogil:
                status = obs_transpose_add_sections(&self.transpose, self.first_series, self.last_series, view.data,
                                                    view.size)
        finally:
            self.end_write()
        check(status)

    def encode(self, size_t max_bytes=65536):
        """Frames (first window, last window, first series, last series, sections) of at most max_bytes.

        Rows of one series and window become one. Raises CorruptData if a series has two kinds in a window.
        """
        cdef obs_transposed_t out
        cdef int status
        obs_transposed_init(&out)
        self.begin_write()
        try:
            with nogil:
                status = obs_transpose_encode(&self.transpose, max_bytes, &out)
            if status == OBS_ERR_STATE:
                raise CorruptData("a series has two kinds in one window")
            check(status)
            return [transposed_frame(&out, index) for index in range(out.frame_count)]
        finally:
            self.end_write()
            obs_transposed_free(&out)


cdef object transposed_frame(const obs_transposed_t *out, size_t index):
    cdef const obs_transposed_frame_t *frame = &out.frames[index]
    sections = PyBytes_FromStringAndSize(<const char *>out.bytes.bytes + frame.offset, <Py_ssize_t>frame.size)
    return frame.first_window_ms, frame.last_window_ms, frame.first_series, frame.last_series, sections
