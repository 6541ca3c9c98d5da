# cython: autotestdict=False
"""Bytes and windows: records, sample bodies, one window's series in memory, what a query gathers.

Everything that reads bytes takes any contiguous buffer and raises obsagent.errors.CorruptData (or
UnsupportedVersion) on what it does not accept, having changed nothing. Work that grows with its input
runs without the GIL. An object has either one writer or any number of readers at a time; the caller's lock
sees to that, and a clash raises RuntimeError rather than corrupt memory.
"""

cimport cython
from cpython cimport array
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from obsagent._native.c_body cimport *
from obsagent._native.c_crc32c cimport obs_crc32c
from obsagent._native.c_envelope cimport *
from obsagent._native.c_groups cimport *
from obsagent._native.c_loghist cimport *
from obsagent._native.c_obs cimport *
from obsagent._native.c_port cimport *
from obsagent._native.c_rows cimport *
from obsagent._native.c_series_map cimport *
from obsagent._native.c_tdigest cimport *
from obsagent._native.c_transpose cimport *
from obsagent._native.c_window cimport *

import array

from obsagent.errors import CorruptData

# The index of a block's frames, of which segment/format.py has the whole: bytes of a line, offsets of fields.
cdef enum:
    INDEX_LINE = 40
    INDEX_FIRST_SERIES = 8
    INDEX_LAST_SERIES = 12
    INDEX_SPAN = 36

cdef size_t RECORD_HEADER = OBS_ENVELOPE_HEADER_BYTES

RECORD_HEADER_BYTES = RECORD_HEADER


@cython.final
cdef class _View:
    """A borrowed buffer of any contiguous type, given back with this object."""

    cdef Py_buffer buffer
    cdef const uint8_t *data
    cdef size_t size

    def __cinit__(self, source):
        PyObject_GetBuffer(source, &self.buffer, PyBUF_SIMPLE)
        self.data = <const uint8_t *>self.buffer.buf
        self.size = <size_t>self.buffer.len

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


cdef class _Shared:
    """One writer or any number of readers: changed with the GIL held, kept while it is released."""

    cdef int readers
    cdef bint written

    cdef int check_readable(self) except -1:
        if self.written:
            raise RuntimeError("read while another thread changes it: the caller's lock is missing")
        return 0

    cdef int begin_read(self) except -1:
        self.check_readable()
        self.readers += 1
        return 0

    cdef void end_read(self) noexcept:
        self.readers -= 1

    cdef int begin_write(self) except -1:
        if self.written or self.readers != 0:
            raise RuntimeError("changed while another thread uses it: the caller's lock is missing")
        self.written = True
        return 0

    cdef void end_write(self) noexcept:
        self.written = False


def crc32c(data, uint32_t crc=0):
    """CRC-32C of the data, going on from the CRC of what came before."""
    cdef _View view = _View(data)
    with nogil:
        crc = obs_crc32c(crc, view.data, view.size)
    return crc


def pack_record(uint8_t type, payload):
    """The record (size, checksum, type, payload) of a payload."""
    cdef _View view = _View(payload)
    cdef bytes record = PyBytes_FromStringAndSize(NULL, RECORD_HEADER + <Py_ssize_t>view.size)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(record)
    cdef int status
    with nogil:
        memcpy(out + RECORD_HEADER, view.data, view.size)
        status = obs_envelope_put(out, type, view.data, view.size)
    check(status)
    return record


def read_record(data, Py_ssize_t offset):
    """(type, payload as a view of data, offset of the next record) of the record at an offset.

    Raises EOFError if the data ends inside the record (torn), CorruptData if its checksum is wrong.
    """
    cdef _View view = _View(data)
    cdef obs_envelope_t record
    cdef int status
    if offset < 0:
        raise ValueError(f"offset {offset} is negative")
    if <size_t>offset > view.size:
        raise EOFError(f"no record at offset {offset}: there are {view.size} bytes")
    with nogil:
        status = obs_envelope_get(view.data + offset, view.size - <size_t>offset, &record)
    if status == OBS_ERR_FULL:
        raise EOFError(f"torn record at offset {offset}")
    if status == OBS_ERR_CORRUPT:
        raise CorruptData(f"wrong checksum of the record at offset {offset}")
    check(status)
    begin = offset + <Py_ssize_t>RECORD_HEADER
    end = begin + <Py_ssize_t>record.payload_size
    return record.type, memoryview(data).cast("B")[begin:end], end


def series_in_rows(rows):
    """The ids of the series that have a row, ascending; what the rows say is not checked."""
    cdef _View view = _View(rows)
    cdef obs_rows_reader_t reader
    cdef obs_row_t row
    found = []
    obs_rows_reader_init(&reader, view.data, view.size)
    while check(obs_rows_next(&reader, &row)) > 0:
        found.append(row.series)
    return found


def check_body(body):
    """Samples in a sample body, after checking all of it."""
    cdef _View view = _View(body)
    cdef uint64_t samples = 0
    cdef int status
    with nogil:
        status = obs_body_check(view.data, view.size, &samples)
    check(status)
    return samples


def row_sizes(rows):
    """Series id → bytes of its row, of the rows of one window."""
    cdef _View view = _View(rows)
    cdef obs_rows_reader_t reader
    cdef obs_row_t row
    cdef const uint8_t *begin = view.data
    cdef dict sizes = {}
    cdef int status
    obs_rows_reader_init(&reader, view.data, view.size)
    while True:
        status = obs_rows_next(&reader, &row)
        check(status)
        if status == 0:
            return sizes
        sizes[row.series] = reader.cursor - begin
        begin = reader.cursor


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


@cython.final
cdef class SeriesMap(_Shared):
    """Session series number -> store series id, with the kind, the scale and the digest that the store knows."""

    cdef obs_series_map_t map

    REFUSED = 0xFFFFFFFF

    def __cinit__(self):
        obs_series_map_init(&self.map)

    def __dealloc__(self):
        obs_series_map_free(&self.map)

    def set(self, uint32_t session_series, uint32_t store_series, uint8_t kind=0, uint8_t scale=6, bint digest=False):
        """Where the samples of a session's series go; REFUSED counts them refused.

        Samples of another kind than `kind` are refused too; 0 takes what comes first in a window. With `digest` a
        t-digest is kept beside the histogram, in windows that meet the series from now on.
        """
        cdef obs_series_target_t target
        if session_series > OBS_BODY_MAX_SERIES:
            raise ValueError(f"session series {session_series} is above {OBS_BODY_MAX_SERIES}")
        if kind > OBS_KIND_GAUGE:
            raise ValueError(f"{kind} is no kind of instrument")
        if scale > OBS_LOGHIST_MAX_SCALE:
            raise ValueError(f"scale {scale} is outside {OBS_LOGHIST_MIN_SCALE}..{OBS_LOGHIST_MAX_SCALE}")
        target.series = store_series
        target.kind = kind
        target.scale = scale
        target.keeps_digest = digest
        self.begin_write()
        try:
            check(obs_series_map_set(&self.map, session_series, target))
        finally:
            self.end_write()

    def get(self, uint32_t session_series):
        """The store's id (or REFUSED), or None if the number is not defined."""
        cdef const obs_series_target_t *target = obs_series_map_find(&self.map, session_series)
        return None if target is NULL else target.series

    def __len__(self):
        return self.map.count

    def items(self):
        """All (session series, store series), by session series."""
        return sorted([(self.map.numbers[at], self.map.targets[at].series) for at in range(self.map.count)])


@cython.final
cdef class Window(_Shared):
    """The series of one window in memory: store series id -> histogram, counter or gauge.

    With `digests` it keeps the t-digests that come with histograms. One that missed samples of its series is
    dropped: a window has the digest of all samples or none. No sample is lost for a digest's sake.
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


@cython.final
cdef class Groups(_Shared):
    """What a query gathers: each selected series' samples, merged by group and step of time.

    `mapping` is series id -> group. The step of a window is (its start - first_ms) // step_ms; windows outside
    the steps are passed over. With step_ms 0 there is one step for all windows. Only with `digests` are t-digests
    merged too: that costs several times what a histogram costs.
    """

    cdef obs_groups_t groups
    cdef array.array selected  # series ids, ascending

    def __cinit__(self, mapping, size_t group_count, int64_t first_ms=0, int64_t step_ms=0, size_t step_count=1,
                  bint digests=False):
        cdef int status
        self.selected = array.array("I", sorted(mapping))
        status = obs_groups_init(&self.groups, group_count, first_ms, step_ms, step_count)
        if status == OBS_ERR_RANGE:
            raise ValueError(f"there cannot be {group_count} groups of {step_count} steps of {step_ms} ms")
        check(status)
        if digests:
            obs_groups_keep_digests(&self.groups)
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


include "codec_transpose.pxi"
