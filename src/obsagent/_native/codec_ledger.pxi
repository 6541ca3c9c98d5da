# What the ledger does with whole columns: arrays come and go as buffers of numbers, results into arrays of the caller.

cdef enum:
    PACKED_COLUMNS_MAX = 8


@cython.final
cdef class _Numbers:
    """A borrowed array of numbers, one behind the other, of `width` bytes each; given back with this object."""

    cdef Py_buffer buffer
    cdef void *data
    cdef size_t count

    def __cinit__(self, source, Py_ssize_t width, bint writable=False):
        PyObject_GetBuffer(source, &self.buffer, PyBUF_ND | (PyBUF_WRITABLE if writable else 0))
        if self.buffer.itemsize != width or <size_t>self.buffer.buf % <size_t>width != 0:
            raise ValueError(f"numbers of {width} bytes are expected, in their places")
        self.data = self.buffer.buf
        self.count = <size_t>(self.buffer.len // width)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)

    cdef int expect(self, size_t count) except -1:
        if self.count != count:
            raise ValueError(f"{count} numbers are expected, there are {self.count}")
        return 0


cdef _Numbers numbers_out(out, Py_ssize_t width, size_t count):
    cdef _Numbers numbers = _Numbers(out, width, True)
    numbers.expect(count)
    return numbers


def siphash_texts(key, lengths, texts, hi, lo):
    """SipHash-2-4-128 of texts that lie one behind the other, under a key of 16 bytes.

    `lengths` has a u8 of each; u64 `hi` gets the first 64 bits of each hash, u32 `lo` the next 32. Raises ValueError
    if the texts are not as long as `lengths` says.
    """
    cdef _View secret = _View(key), sizes = _View(lengths), text = _View(texts)
    cdef _Numbers first = numbers_out(hi, 8, sizes.size), second = numbers_out(lo, 4, sizes.size)
    cdef int status
    if secret.size != <size_t>OBS_SIPHASH_KEY_BYTES:
        raise ValueError(f"a key has {OBS_SIPHASH_KEY_BYTES} bytes, not {secret.size}")
    with nogil:
        status = obs_siphash_texts(secret.data, sizes.data, sizes.size, text.data, text.size, <uint64_t *>first.data,
                                   <uint32_t *>second.data)
    check(status)


def order_of(keys, order):
    """What sorts u64 keys: into i64 `order` the indices of the keys, ascending; equal ones stay in their order."""
    cdef _Numbers own = _Numbers(keys, 8)
    cdef _Numbers out = numbers_out(order, 8, own.count)
    cdef int status
    with nogil:
        status = obs_order(<const uint64_t *>own.data, own.count, <int64_t *>out.data)
    check(status)


def places_among(own, keys, places, *, bint signed=False, bint or_equal=False):
    """Into i64 `places` how many of `own`, ascending, are less than each of some keys; with `or_equal` not greater.

    All are u64, or i64 if `signed`. It is cheapest if the keys ascend.
    """
    cdef _Numbers numbers = _Numbers(own, 8), asked = _Numbers(keys, 8)
    cdef _Numbers out = numbers_out(places, 8, asked.count)
    cdef uint64_t flip = OBS_ORDER_SIGNED if signed else 0
    with nogil:
        obs_order_places(<const uint64_t *>numbers.data, numbers.count, <const uint64_t *>asked.data, asked.count,
                         flip, or_equal, <int64_t *>out.data)


def pack_rows(columns, packed):
    """Into u64 `packed` the rows of some columns of whole numbers, each as one number that sorts as the rows do.

    `columns` are (buffer, bytes of a number, whether they have a sign). False if 64 bits are not enough.
    """
    cdef obs_order_column_t pieces[PACKED_COLUMNS_MAX]
    cdef _Numbers out = _Numbers(packed, 8, True), numbers
    cdef size_t count = 0
    cdef int status
    if len(columns) > PACKED_COLUMNS_MAX:
        raise ValueError(f"at most {PACKED_COLUMNS_MAX} columns become one, not {len(columns)}")
    borrowed = [_Numbers(values, item) for values, item, _ in columns]
    for numbers in borrowed:
        numbers.expect(out.count)
        pieces[count].values = numbers.data
        pieces[count].item = <uint8_t>numbers.buffer.itemsize
        pieces[count].is_signed = columns[count][2]
        count += 1
    with nogil:
        status = obs_order_pack(pieces, count, out.count, <uint64_t *>out.data)
    return status == OBS_OK


def add_groups(values, places, begins, sums, *, bint real):
    """Into `sums` those of groups of i64, or with `real` of f64.

    A group has the values at i64 `places`, from one of i64 `begins` to before the next one. Raises ValueError for
    places that there are not.
    """
    cdef _Numbers own = _Numbers(values, 8), where = _Numbers(places, 8), groups = _Numbers(begins, 8)
    cdef _Numbers out = numbers_out(sums, 8, groups.count)
    cdef int status
    with nogil:
        status = obs_order_add(<const uint64_t *>own.data, own.count, real, <const int64_t *>where.data, where.count,
                               <const int64_t *>groups.data, groups.count, <uint64_t *>out.data)
    check(status)


def passed_by_sieve(sieve, keys, passed):
    """Into i64 `passed` the indices of those u64 keys whose bit is set in a sieve; returns how many."""
    cdef _View bits = _View(sieve)
    cdef _Numbers asked = _Numbers(keys, 8)
    cdef _Numbers out = numbers_out(passed, 8, asked.count)
    cdef size_t count = 0
    cdef int status
    with nogil:
        status = obs_run_sieve(bits.data, bits.size, <const uint64_t *>asked.data, asked.count, <int64_t *>out.data,
                               &count)
    check(status)
    return count


@cython.final
cdef class RunColumn:
    """One column of a run in a file that is mapped: `group_rows` values in each group of `group_bytes`, the first one
    at the offset `first`.

    A value is `low` (its bytes) plus the whole number of `width` bytes that stands there, or with `single` an f32;
    in memory it has `item` bytes, and is an f64 if it is `real`. Raises ValueError if one would lie outside of the
    file.
    """

    cdef _View file
    cdef obs_run_column_t column

    def __cinit__(self, file, uint64_t first, uint64_t rows, uint64_t group_rows, uint64_t group_bytes, uint8_t width,
                  uint8_t item, bytes low, bint real=False, bint single=False):
        cdef uint64_t low_bits = int.from_bytes(low, "little")
        self.file = _View(file)
        self.column.bytes = self.file.data
        self.column.first = first
        self.column.rows = rows
        self.column.group_rows = group_rows
        self.column.group_bytes = group_bytes
        self.column.low = low_bits
        self.column.kind = OBS_RUN_SINGLE if single else OBS_RUN_REAL if real else OBS_RUN_WHOLE
        self.column.width = width
        self.column.item = item
        check(obs_run_column_check(&self.column, self.file.size))

    def take(self, rows, out):
        """Into `out` the values in some rows, of which i64 `rows` has the numbers. Raises ValueError for others."""
        cdef _Numbers numbers = _Numbers(rows, 8)
        cdef _Numbers values = numbers_out(out, self.column.item, numbers.count)
        cdef int status
        with nogil:
            status = obs_run_column_take(&self.column, <const int64_t *>numbers.data, numbers.count, values.data)
        check(status)

    def slice(self, uint64_t begin, out):
        """Into `out`, as many as it has room for, the values of the rows from `begin` on."""
        cdef _Numbers values = _Numbers(out, self.column.item, True)
        cdef int status
        with nogil:
            status = obs_run_column_slice(&self.column, begin, values.count, values.data)
        check(status)

    def find(self, stretches, keys, begins, ends, *, bint signed=False):
        """In one stretch for each key, whose values ascend: into i64 `begins` the first row that is not less than the
        key, into `ends` the first one behind it that is not the key; the end of the stretch if there is none.

        A stretch is 64 rows; i64 `stretches` has their numbers. Raises ValueError for those that there are not.
        """
        cdef _Numbers asked = _Numbers(keys, 8), within = _Numbers(stretches, 8)
        cdef _Numbers first = numbers_out(begins, 8, asked.count), behind = numbers_out(ends, 8, asked.count)
        cdef uint64_t flip = OBS_ORDER_SIGNED if signed else 0
        cdef int status
        within.expect(asked.count)
        with nogil:
            status = obs_run_column_find(&self.column, <const int64_t *>within.data, <const uint64_t *>asked.data,
                                         asked.count, flip, <int64_t *>first.data, <int64_t *>behind.data)
        check(status)
