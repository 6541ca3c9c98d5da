"""One window in memory: its series and what their samples come to."""


@cython.final
cdef class Window(_Shared):
    """The series of one window in memory: store series id -> histogram, counter, gauge or column.

    With `digests` it keeps the t-digests that come with histograms. One that missed samples of its series is
    dropped: a window has the digest of all samples or none. No sample is lost for a digest's sake. It is the same with
    what columns hold beside their histograms and counts.
    """

    cdef obs_window_t window

    def __cinit__(self, bint digests=True):
        obs_window_init(&self.window)
        self.window.drops_digests = not digests

    def __dealloc__(self):
        obs_window_free(&self.window)

    @property
    def memory_bytes(self):
        """Bytes that it takes; kept up to date, not counted."""
        return obs_window_memory_bytes(&self.window)

    @property
    def series_count(self):
        """Series that have an accumulator."""
        return self.window.slot_count

    @property
    def sample_count(self):
        """Samples added and merged; an increment of a counter is one."""
        return self.window.sample_count

    def __contains__(self, uint32_t series_id):
        self.check_readable()
        return obs_window_find(&self.window, series_id) is not NULL

    def series_ids(self):
        """The ids of all series, ascending."""
        self.begin_read()
        try:
            ids = [obs_window_slot_at(&self.window, slot).series for slot in range(self.window.slot_count)]
        finally:
            self.end_read()
        return sorted(ids)

    def sample_counts(self):
        """Series id -> its samples."""
        cdef const obs_window_slot_t *slot
        cdef dict counts = {}
        cdef size_t number
        self.begin_read()
        try:
            for number in range(self.window.slot_count):
                slot = obs_window_slot_at(&self.window, number)
                counts[slot.series] = obs_accumulator_samples(&slot.accumulator)
        finally:
            self.end_read()
        return counts

    def apply(self, body, SeriesMap series_map not None, int64_t end_ms):
        """Adds a checked sample body; (samples applied, samples refused).

        Refused are samples of series that the map does not have, refuses or knows by another kind.
        """
        cdef _View view = _View(body)
        cdef obs_applied_t applied
        cdef int status
        self.begin_write()
        try:
            series_map.begin_read()
            try:
                with nogil:
                    status = obs_window_apply(&self.window, view.data, view.size, &series_map.map, end_ms, &applied)
            finally:
                series_map.end_read()
        finally:
            self.end_write()
        check(status)
        return applied.applied, applied.refused

    def add_counter(self, uint32_t series_id, uint64_t increments, double sum):
        """That many increments that add up to sum (finite, not negative)."""
        self.begin_write()
        try:
            self.check_added(obs_window_add_counter(&self.window, series_id, increments, sum), series_id)
        finally:
            self.end_write()

    def add_value(self, uint32_t series_id, uint8_t kind, double value, uint64_t weight=1, int64_t time_ms=0,
                  uint8_t scale=6, bint digest=False):
        """weight samples of a histogram or a gauge; the time is that of a gauge's last value.

        `scale` and `digest` are those of a histogram that begins with it.
        """
        cdef obs_series_target_t target
        target.series = series_id
        target.kind = kind
        target.scale = scale
        target.keeps_digest = digest and kind == OBS_KIND_HISTOGRAM
        self.begin_write()
        try:
            self.check_added(obs_window_add_value(&self.window, &target, value, weight, time_ms), series_id)
        finally:
            self.end_write()

    cdef int check_added(self, int status, uint32_t series_id) except -1:
        if status == OBS_ERR_STATE:
            raise ValueError(f"series {series_id} has another kind in this window")
        return check(status)

    def merge(self, Window other not None):
        """Adds everything of another window."""
        cdef int status
        if other is self:
            raise ValueError("a window cannot be merged into itself")
        self.begin_write()
        try:
            other.begin_read()
            try:
                with nogil:
                    status = obs_window_merge(&self.window, &other.window)
            finally:
                other.end_read()
        finally:
            self.end_write()
        if status == OBS_ERR_STATE:
            raise ValueError("a series has another kind in the other window")
        check(status)

    def merge_rows(self, rows):
        """Adds encoded rows; on bad ones (CorruptData) nothing."""
        cdef _View view = _View(rows)
        cdef int status
        self.begin_write()
        try:
            with nogil:
                status = obs_window_merge_rows(&self.window, view.data, view.size)
        finally:
            self.end_write()
        if status == OBS_ERR_STATE:
            raise CorruptData("a row is of another kind than its series")
        check(status)

    def encode_frames(self, size_t max_bytes=65536):
        """Rows by ascending series id, as frames (first series, last series, rows) of at most max_bytes."""
        cdef obs_frames_t frames
        cdef int status
        self.begin_read()
        try:
            obs_frames_init(&frames)
            try:
                with nogil:
                    status = obs_frames_encode(&frames, &self.window, max_bytes)
                check(status)
                return [frame_of(&frames, index) for index in range(frames.frame_count)]
            finally:
                obs_frames_free(&frames)
        finally:
            self.end_read()

    def collect(self, Groups groups not None, int64_t window_ms=0):
        """Merges each selected series into its group, as the window that starts at window_ms."""
        cdef int status
        self.begin_read()
        try:
            groups.begin_write()
            try:
                with nogil:
                    status = obs_groups_collect(&groups.groups, window_ms, &self.window)
            finally:
                groups.end_write()
        finally:
            self.end_read()
        check(status)

    def gauge_last(self, uint32_t series_id):
        """(value, time in ms) of a gauge's last sample, or None if the window has none."""
        cdef const obs_window_slot_t *slot
        self.check_readable()
        slot = obs_window_find(&self.window, series_id)
        if slot is NULL or slot.kind != OBS_KIND_GAUGE:
            return None
        return last_of(&slot.accumulator)


cdef object frame_of(const obs_frames_t *frames, size_t index):
    cdef const obs_frame_t *frame = &frames.frames[index]
    rows = PyBytes_FromStringAndSize(<const char *>frames.rows.bytes + frame.offset, <Py_ssize_t>frame.size)
    return frame.first_series, frame.last_series, rows


cdef object last_of(const obs_accumulator_t *accumulator):
    if accumulator.last_ms == OBS_ACCUMULATOR_NEVER:
        return None
    return accumulator.last, accumulator.last_ms


cdef bytes compact_tdigest(const obs_tdigest_t *digest):
    cdef obs_tdigest_t copy
    cdef size_t size = 0
    cdef int status
    check(obs_tdigest_copy(digest, &copy))  # to encode may sort its buffer, and others may read it
    out = bytearray(obs_tdigest_encoded_bound(&copy))
    status = obs_tdigest_encode(&copy, <uint8_t *>out, <size_t>len(out), &size)
    obs_tdigest_free(&copy)
    check(status)
    return bytes(memoryview(out)[:size])
