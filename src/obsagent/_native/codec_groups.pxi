"""What a query gathers from windows and rows."""


@cython.final
cdef class Groups(_Shared):
    """What a query gathers: each selected series' samples, merged by group and step of time.

    `mapping` is series id -> group. The step of a window is (its start - first_ms) // step_ms; windows outside
    the steps are passed over. With step_ms 0 there is one step for all windows. Only with `digests` are t-digests
    merged too: that costs several times what a histogram costs. Without `columns` only the histograms and counts of
    columns are merged, which costs a fraction.
    """

    cdef obs_groups_t groups
    cdef array.array selected  # series ids, ascending

    def __cinit__(self, mapping, size_t group_count, int64_t first_ms=0, int64_t step_ms=0, size_t step_count=1,
                  bint digests=False, bint columns=True):
        cdef int status
        self.selected = array.array("I", sorted(mapping))
        status = obs_groups_init(&self.groups, group_count, first_ms, step_ms, step_count)
        if status == OBS_ERR_RANGE:
            raise ValueError(f"there cannot be {group_count} groups of {step_count} steps of {step_ms} ms")
        check(status)
        if digests:
            obs_groups_keep_digests(&self.groups)
        if not columns:
            obs_groups_drop_parts(&self.groups)
        for series_id, group in mapping.items():
            status = obs_groups_select(&self.groups, series_id, group)
            if status == OBS_ERR_RANGE:
                raise ValueError(f"series {series_id} is mapped to group {group} of {group_count}")
            check(status)

    def __dealloc__(self):
        obs_groups_free(&self.groups)

    def selects_any(self, uint32_t first_series, uint32_t last_series):
        """True if a series from first to last, both included, is selected: whether a frame need be read."""
        return self.selects(first_series, last_series)

    cdef bint selects(self, uint32_t first_series, uint32_t last_series) noexcept:
        cdef const unsigned int *selected = self.selected.data.as_uints
        cdef Py_ssize_t low = 0, high = len(self.selected), middle
        while low < high:
            middle = (low + high) // 2
            if selected[middle] < first_series:
                low = middle + 1
            else:
                high = middle
        return low < len(self.selected) and selected[low] <= last_series

    def select_frames(self, index, int64_t from_ms, int64_t to_ms):
        """The numbers of the lines of a block's index whose frames hold a selected series and a window in the range."""
        cdef _View view = _View(index)
        cdef const uint8_t *line = view.data
        cdef int64_t first_ms
        if view.size % INDEX_LINE != 0:
            raise CorruptData(f"an index of {view.size} bytes has no whole lines")
        found = []
        for number in range(<Py_ssize_t>(view.size // INDEX_LINE)):
            first_ms = <int64_t>obs_load_u64(line)
            if first_ms < to_ms and first_ms + <int64_t>obs_load_u32(line + INDEX_SPAN) >= from_ms:
                if self.selects(obs_load_u32(line + INDEX_FIRST_SERIES), obs_load_u32(line + INDEX_LAST_SERIES)):
                    found.append(number)
            line += INDEX_LINE
        return found

    def merge_sections(self, frame, int64_t from_ms, int64_t to_ms):
        """Merges the rows of selected series from a frame that is cut by series; returns how many.

        Windows outside [from_ms, to_ms) are passed over; on bad sections or rows (CorruptData) nothing is merged.
        """
        cdef _View view = _View(frame)
        cdef size_t rows_used = 0
        cdef int status
        self.begin_write()
        try:
            with nogil:
                status = obs_groups_merge_sections(&self.groups, from_ms, to_ms, view.data, view.size, &rows_used)
        finally:
            self.end_write()
        check(status)
        return rows_used

    def merge_rows(self, rows, int64_t window_ms=0):
        """Merges the rows of selected series of a window and returns how many; on bad rows (CorruptData) none."""
        cdef _View view = _View(rows)
        cdef size_t rows_used = 0
        cdef int status
        self.begin_write()
        try:
            with nogil:
                status = obs_groups_merge_rows(&self.groups, window_ms, view.data, view.size, &rows_used)
        finally:
            self.end_write()
        check(status)
        return rows_used

    cdef const obs_accumulator_t *accumulator(self, Py_ssize_t group, Py_ssize_t step) except NULL:
        self.check_readable()
        if group < 0 or <size_t>group >= self.groups.group_count:
            raise IndexError(f"group {group} of {self.groups.group_count}")
        if step < 0 or <size_t>step >= self.groups.step_count:
            raise IndexError(f"step {step} of {self.groups.step_count}")
        return obs_groups_at(&self.groups, group, step)

    def histogram(self, group, step=0):
        """The group's histogram (of gauges: of their samples) as loghist compact bytes; None without samples."""
        cdef const obs_loghist_t *hist = &self.accumulator(group, step).hist
        cdef size_t size = 0
        if hist.count + hist.nan_count + hist.positive_infinity_count + hist.negative_infinity_count == 0:
            return None
        out = bytearray(obs_loghist_encoded_bound(hist))
        check(obs_loghist_encode(hist, <uint8_t *>out, <size_t>len(out), &size))
        return bytes(memoryview(out)[:size])

    def tdigest(self, group, step=0):
        """The group's t-digest, of all samples of its histogram, as t-digest compact bytes.

        None without samples, and None if any sample was in no digest: that of a series which keeps none, or one
        for whose digest there was no memory. What a digest answers depends, within its rank error, on the order in
        which the windows were merged. ValueError unless the groups were made with `digests`.
        """
        cdef const obs_accumulator_t *accumulator = self.accumulator(group, step)
        if not self.groups.keeps_digests:
            raise ValueError("these groups keep no t-digests: make them with digests=True")
        cdef const obs_tdigest_t *digest = obs_accumulator_digest(accumulator)
        return None if digest is NULL or obs_tdigest_samples(digest) == 0 else compact_tdigest(digest)

    def column(self, group, step=0):
        """All that the group's columns come to, their histogram included, as `sketch.Column` reads it.

        None without samples of columns. Counts over bins are those of one reference only if the group's series are.
        """
        cdef const obs_accumulator_t *accumulator = self.accumulator(group, step)
        cdef const obs_column_t *column = accumulator.column
        cdef size_t size = 0
        if column is NULL or obs_column_samples(column) == 0:
            return None
        out = bytearray(obs_column_encoded_bound(&accumulator.hist, column))
        check(obs_column_encode(&accumulator.hist, column, <uint8_t *>out, <size_t>len(out), &size))
        return bytes(memoryview(out)[:size])

    def counter(self, group, step=0):
        """(increments, sum) of the group's counters."""
        cdef const obs_accumulator_t *accumulator = self.accumulator(group, step)
        return accumulator.increments, accumulator.sum

    def gauge(self, group, step=0):
        """(value, time in ms) of the latest sample of the group's gauges; None without one."""
        return last_of(self.accumulator(group, step))

    def samples(self, group, step=0):
        """Samples that were merged into the group."""
        return obs_accumulator_samples(self.accumulator(group, step))
