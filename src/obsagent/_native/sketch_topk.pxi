cdef str text_of(key):
    """A category as text: text as it is, a number as it reads, without the .0 of a whole one."""
    if isinstance(key, str):
        return PyUnicode_FromObject(key)  # of a subclass the text alone
    if isinstance(key, float) and key == 0:
        return "0"  # also -0.0
    if is_number(key):
        return str(key).removesuffix(".0")
    raise TypeError(f"a key must be text or a number, not {type(key).__name__}")


cdef bytes key_of(key):
    cdef bytes encoded = text_of(key).encode("utf-8", "replace")
    if len(encoded) > OBS_TOPK_KEY_MAX:
        raise ValueError(f"a key has at most {OBS_TOPK_KEY_MAX} bytes, not {len(encoded)}: shorten or hash it before")
    return encoded


cdef str key_text(const obs_topk_item_t *item):
    cdef bytes key = PyBytes_FromStringAndSize(<const char *>item.key, <Py_ssize_t>item.key_size)
    return key.decode("utf-8", "backslashreplace")


@cython.final
cdef class TopK:
    """TopK(k=128): the k most frequent keys of a stream of any length, in constant memory, with their counts.

    A Misra-Gries summary, of which the counters of 2 * k keys are kept. A count is never too high, and too low by at
    most error, which is at most total / (k + 1): every key that makes up more than that is in items. Up to k distinct
    keys everything is exact, and merging free of order; above, counts depend on the order within the error.

    Keys are text of at most 256 bytes as UTF-8; a number is the key that it reads as, without the .0 of a whole one, so
    that 3, 3.0 and "3" are one key, as are 0.0 and -0.0; NaN is "nan", the infinities "inf" and "-inf". None is a null
    and no key: it is counted in null_count alone. k is 1 to 1024. Two are equal if all counters are. Changed in place,
    so not hashable; use one from several threads at a time only under the GIL.
    """

    cdef obs_topk_t topk
    cdef uint64_t nulls

    def __cinit__(self, k=OBS_TOPK_DEFAULT_K):
        check(obs_topk_init(&self.topk, whole("k", k, OBS_TOPK_MIN_K, OBS_TOPK_MAX_K)))

    def __dealloc__(self):
        obs_topk_free(&self.topk)

    cdef int add_key(self, bytes key, uint64_t weight) except -1:
        return check_added(obs_topk_add(&self.topk, PyBytes_AS_STRING(key), len(key), weight))

    def add(self, key, weight=1):
        """Counts key, text, a number or None, weight times (0 changes nothing).

        Raises TypeError if key is something else or weight not a whole number, ValueError if key is longer than 256
        bytes, weight is negative or 2**64 keys or more would be counted.
        """
        if key is None:
            check_added(apart_add(&self.nulls, weight_of(weight)))
        else:
            self.add_key(key_of(key), weight_of(weight))

    def add_many(self, keys):
        """Counts each of keys, an iterable of what add takes.

        Raises TypeError or ValueError if something in it is none; nothing has been counted then.
        """
        if isinstance(keys, (str, bytes, bytearray)):
            raise TypeError(f"keys must be an iterable of keys, not {type(keys).__name__}")
        cdef list encoded = [key if key is None else key_of(key) for key in flat(keys)]
        for key in encoded:
            if key is None:
                check_added(apart_add(&self.nulls, 1))
            else:
                self.add_key(key, 1)

    def merge(self, TopK other not None):
        """Adds everything that other counted; k becomes the smaller of the two.

        Raises TypeError if other is no TopK.
        """
        if other.nulls > UINT64_MAX - self.nulls:
            check_added(OBS_ERR_RANGE)
        check_added(obs_topk_merge(&self.topk, &other.topk))
        self.nulls += other.nulls

    cdef list listed(self):
        cdef uint32_t i, count
        cdef obs_topk_item_t *items = <obs_topk_item_t *>PyMem_Malloc((self.topk.entry_count + 1) * sizeof(items[0]))
        if items == NULL:
            raise MemoryError
        try:
            count = obs_topk_list(&self.topk, items)
            return [(key_text(&items[i]), items[i].count) for i in range(count)]
        finally:
            PyMem_Free(items)

    def items(self):
        """The at most k most frequent keys with their counts, by count descending: a list of (str, int)."""
        return self.listed()

    @property
    def k(self):
        """How many keys are told at most, 1 to 1024."""
        return self.topk.k

    @property
    def total(self):
        """How many keys were counted, None not among them."""
        return self.topk.total

    @property
    def other(self):
        """How many of them are in no count of items: total less these."""
        return self.topk.total - sum([count for _, count in self.listed()])

    @property
    def error(self):
        """By how much a count may be too low at most; 0 up to k distinct keys."""
        return obs_topk_error(&self.topk)

    @property
    def null_count(self):
        """How many keys were None; not in total."""
        return self.nulls

    @property
    def memory_bytes(self):
        """Bytes that keys and counters occupy."""
        return obs_topk_memory_bytes(&self.topk)

    def copy(self):
        """An independent copy."""
        cdef TopK copy = TopK(self.topk.k)
        check(obs_topk_copy(&self.topk, &copy.topk))
        copy.nulls = self.nulls
        return copy

    def _to_compact(self):
        cdef size_t size = 0
        cdef size_t capacity = obs_topk_encoded_bound(&self.topk)
        cdef bytes compact = PyBytes_FromStringAndSize(NULL, capacity)
        check(obs_topk_encode(&self.topk, <uint8_t *>PyBytes_AS_STRING(compact), capacity, &size))
        return compact[:size]

    @staticmethod
    def _from_compact(data):
        cdef bytes compact = memoryview(data).tobytes()
        cdef TopK topk = TopK()
        check(obs_topk_decode(<const uint8_t *>PyBytes_AS_STRING(compact), len(compact), &topk.topk))
        return topk

    def to_bytes(self):
        """Everything as bytes with a version and a checksum; from_bytes reads them on any machine."""
        return seal(TOPK_MAGIC, varints([self.nulls]) + self._to_compact())

    @staticmethod
    def from_bytes(data):
        """The summary that to_bytes wrote, from any bytes-like object.

        Raises obsagent.errors.CorruptData if it is anything else, UnsupportedVersion if a later release wrote it.
        """
        cdef bytes payload = unseal(TOPK_MAGIC, "TopK", data)
        cdef list head
        cdef Py_ssize_t at
        head, at = read_varints(payload, 1)
        cdef TopK topk = TopK._from_compact(payload[at:])
        topk.nulls = head[0]
        return topk

    def __reduce__(self):
        return _topk_from_bytes, (self.to_bytes(),)

    def __eq__(self, other):
        return self.to_bytes() == other.to_bytes() if isinstance(other, TopK) else NotImplemented

    def __repr__(self):
        first = "".join(f" {key!r}: {count}" for key, count in self.listed()[:3])
        return f"<TopK k={self.k} total={self.total} error={self.error}{first}>"


def _topk_from_bytes(data):
    return TopK.from_bytes(data)
