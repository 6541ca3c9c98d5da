"""What the compiled modules read, wrong in one thing each: records, sketches, bodies, rows, sections."""

from __future__ import annotations

from collections.abc import Iterator
from struct import pack

from fuzz.seeds_native import SPREADS, loghist_of, row_of, tdigest_of, varint
from obsagent._native.codec import BodyWriter, pack_record

Cases = Iterator[tuple[str, bytes]]

NAN, INF = float("nan"), float("inf")
OVERLONG_ZERO = b"\x80\x00"
BEYOND_64_BITS = b"\xff" * 9 + b"\x02"
FAR_BEYOND_THE_END = varint(2**62)
RUN, LOGHIST, COUNTER, GAUGE, TDIGEST, COLUMN = range(1, 7)
NO_NUMBERS = b"\x03\x01\x06\x00"
"""What a column begins with: an empty histogram, and its size."""
POSITIVE, NONFINITE, ZERO = 0x40, 0x20, 0x10


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    """The bytes with one bit flipped."""
    at %= len(data)
    return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


def f64(value: float) -> bytes:
    """A double."""
    return pack("<d", value)


def record() -> Cases:
    """Records of a journal."""
    sound = pack_record(3, b"\xf5OBE payload")
    yield "header_truncated", sound[:8]
    yield "payload_truncated", sound[:-1]
    yield "size_beyond_the_end", b"\xff\xff\xff\x7f" + sound[4:]
    yield "size_one_less", bytes((sound[0] - 1,)) + sound[1:]
    yield "crc_flipped", flipped(sound, 4)
    yield "type_flipped", flipped(sound, 8)
    yield "payload_flipped", flipped(sound, -1)
    yield "zeros", bytes(32)


def entry(kind: int, payload: bytes, series: bytes = b"\0") -> bytes:
    """A body of one entry."""
    return b"\x01" + series + bytes((kind,)) + payload


def digested(samples: int, other: int, series: int = 0) -> bytes:
    """A histogram, and behind it a digest of so many samples."""
    hist = loghist_of(SPREADS["latencies"][:samples])._to_compact()
    digest = tdigest_of(SPREADS["latencies"][:other])._to_compact()
    behind = bytes((series, TDIGEST)) + varint(len(digest)) + digest
    return entry(LOGHIST, varint(len(hist)) + hist) + behind


def column(payload: bytes) -> bytes:
    """A body of one column."""
    return entry(COLUMN, varint(len(payload)) + payload)


def nothing_but_nulls() -> bytes:
    """The payload of a column without numbers."""
    writer = BodyWriter()
    writer.put_column(0, nulls=3)
    return writer.take()[4:]


def body() -> Cases:
    """Bodies of samples messages."""
    sound = entry(COUNTER, varint(2) + f64(3.0))
    yield "empty", b""
    yield "version_0", b"\0" + sound[1:]
    yield "version_from_the_future", b"\x02" + sound[1:]
    yield "truncated", sound[:-1]
    yield "ends_behind_the_series", b"\x01\x00"
    yield "series_overlong", entry(GAUGE, f64(1), OVERLONG_ZERO)
    yield "series_beyond_31_bits", entry(GAUGE, f64(1), varint(2**31))
    yield "series_beyond_64_bits", entry(GAUGE, f64(1), BEYOND_64_BITS)
    yield "type_0", entry(0, f64(1))
    yield "type_unknown", entry(7, f64(1))
    yield "column_empty", column(b"")
    yield "column_without_extras", column(NO_NUMBERS)
    yield "column_of_unknown_parts", column(NO_NUMBERS + b"\x08\x00\x00")
    yield "column_part_given_up_and_there", column(NO_NUMBERS + b"\x11\x00\x00\x00")
    yield "column_without_moments", column(NO_NUMBERS + b"\x00\x00")
    yield "column_beyond_the_end", entry(COLUMN, FAR_BEYOND_THE_END)
    hist = loghist_of([1.5])._to_compact()
    yield "column_of_other_samples", column(varint(len(hist)) + hist + nothing_but_nulls()[4:])
    yield "run_of_none", entry(RUN, b"\0")
    yield "run_of_65_537", entry(RUN, varint(65_537) + bytes(64))
    yield "run_beyond_the_end", entry(RUN, varint(3) + f64(1))
    yield "run_of_2_62", entry(RUN, FAR_BEYOND_THE_END + f64(1))
    yield "counter_of_none", entry(COUNTER, b"\0" + f64(0))
    yield "counter_nan", entry(COUNTER, b"\x01" + f64(NAN))
    yield "counter_negative", entry(COUNTER, b"\x01" + f64(-1))
    yield "counter_infinite", entry(COUNTER, b"\x01" + f64(INF))
    yield "counter_beyond_2_48", entry(COUNTER, varint(2**48 + 1) + f64(1))
    yield "counters_that_overflow_together", entry(COUNTER, varint(2**48) + f64(1)) + sound[1:]
    yield "gauge_truncated", entry(GAUGE, f64(1)[:7])
    yield "histogram_beyond_the_end", entry(LOGHIST, FAR_BEYOND_THE_END)
    yield "histogram_of_no_bytes", entry(LOGHIST, b"\0")
    yield "histogram_followed_by_a_byte", entry(LOGHIST, b"\x04\x01\x06\x00\x00")
    yield "digest_alone", entry(TDIGEST, b"\x05\x64\x00\x00\x00\x00")
    yield "digest_behind_a_run", entry(RUN, b"\x01" + f64(1)) + b"\0\x05\x05\x64\x00\x00\x00\x00"
    yield "digest_of_another_series", digested(5, 5, series=1)
    yield "digest_of_more_samples", digested(5, 6)
    hist = loghist_of(SPREADS["latencies"][:5])._to_compact()
    yield "digest_twice", digested(5, 5) + digested(5, 5)[len(entry(LOGHIST, varint(len(hist)))) + len(hist) :]


def histogram(head: int, count: int, numbers: tuple[float, ...], rest: bytes) -> bytes:
    """A histogram of scale 0 as csrc/loghist_codec.h says."""
    return bytes((1, head)) + varint(count) + b"".join(map(f64, numbers)) + rest


def page(number: int = 0, pages: int = 1, gap: int = 0, bitmap: int = 1, field: int = 2) -> bytes:
    """A range of one page, eight bits a field; sound for three samples of 1.5."""
    zigzag = number * 2 if number >= 0 else -number * 2 - 1
    return varint(zigzag) + varint(pages) + varint(gap << 3 | 3) + pack("<Q", bitmap) + bytes((field,))


def loghist() -> Cases:
    """Histograms."""
    three = (4.5, 1.5, 1.5)
    sound = histogram(POSITIVE, 3, three, page())
    yield "empty", b""
    yield "version_from_the_future", b"\x02" + sound[1:]
    yield "truncated", sound[:-1]
    yield "followed_by_a_byte", sound + b"\0"
    yield "scale_9", histogram(POSITIVE | 9, 3, three, page())
    yield "count_overlong", b"\x01\x00" + OVERLONG_ZERO
    yield "count_above_the_buckets", histogram(POSITIVE, 4, three, page())
    yield "count_below_the_buckets", histogram(POSITIVE, 2, three, page())
    yield "count_without_buckets", histogram(0, 3, three, b"")
    yield "sum_of_the_wrong_sign", histogram(POSITIVE, 3, (-4.5, 1.5, 1.5), page())
    yield "sum_nan_without_negatives", histogram(POSITIVE, 3, (NAN, 1.5, 1.5), page())
    yield "min_nan", histogram(POSITIVE, 3, (4.5, NAN, 1.5), page())
    yield "max_infinite", histogram(POSITIVE, 3, (4.5, 1.5, INF), page())
    yield "min_above_max", histogram(POSITIVE, 3, (4.5, 1.6, 1.5), page())
    yield "min_negative_zero", histogram(ZERO, 2, (0.0, -0.0, 0.0), varint(2))
    yield "zeros_without_count", histogram(ZERO, 0, (), b"\0")
    yield "nonfinite_without_count", histogram(NONFINITE, 0, (), b"\0\0\0")
    yield "nonfinite_that_overflow", histogram(NONFINITE, 0, (), varint(2**64 - 1) + b"\x01\0")
    yield "pages_none", histogram(POSITIVE, 3, three, page(pages=0))
    yield "pages_2_62", histogram(POSITIVE, 3, three, page(pages=2**62))
    yield "page_empty", histogram(POSITIVE, 3, three, page(bitmap=0))
    yield "page_beyond_the_doubles", histogram(POSITIVE, 3, three, page(number=2**40))
    yield "gap_before_the_first_page", histogram(POSITIVE, 3, three, page(number=-1, gap=1))
    yield "gap_that_overflows", histogram(POSITIVE, 3, three, page(gap=2**60))
    excess = varint(2**64 - 255)
    yield "bucket_that_overflows", histogram(POSITIVE, 1, three, page(field=255) + excess)
    fill = varint(0) + varint(1) + varint(0) + pack("<Q", 1) + b"\x02"
    yield "fill_not_zero", histogram(POSITIVE, 1, (1.5, 1.5, 1.5), fill)


def digest(centroids: bytes, count: int, compression: int = 100, odd: bytes = b"\0\0\0") -> bytes:
    """A digest as csrc/tdigest_codec.c says, whose sum is 1."""
    return varint(compression) + odd + varint(count) + f64(1.0) + centroids


def key(value: float) -> int:
    """A double as an integer of the same order."""
    bits: int = int.from_bytes(f64(value), "little")
    return bits ^ (2**64 - 1 if bits >> 63 else 2**63)


def tdigest() -> Cases:
    """t-digests."""
    one = varint(key(1.0)) + b"\x01"
    yield "empty", b""
    yield "truncated", digest(one, 1)[:-1]
    yield "followed_by_a_byte", digest(one, 1) + b"\0"
    yield "compression_19", digest(one, 1, 19)
    yield "compression_2_001", digest(one, 1, 2_001)
    yield "compression_overlong", b"\xe4\x80\x00" + digest(one, 1)[1:]
    yield "centroids_beyond_the_end", digest(one, 2**62)
    yield "centroids_above_what_the_compression_allows", digest(one + b"\0\x01" * 60, 61, 20)
    yield "weight_0", digest(varint(key(1.0)) + b"\0", 1)
    yield "first_weight_2", digest(varint(key(1.0)) + b"\x02" + b"\0\x01", 2)
    yield "last_weight_2", digest(one + b"\0\x02", 2)
    yield "mean_nan", digest(varint(key(NAN)) + b"\x01", 1)
    yield "mean_infinite", digest(varint(key(INF)) + b"\x01", 1)
    yield "mean_negative_zero", digest(varint(key(-0.0)) + b"\x01", 1)
    yield "key_that_overflows", digest(one + varint(2**64 - 1) + b"\x01", 2)
    yield "weights_that_overflow", digest(one + (b"\0" + varint(2**63)) * 2 + b"\0\x01", 4)
    yield "samples_that_overflow", digest(one, 1, odd=varint(2**64 - 1) + b"\0\0")


def row(kind: int, payload: bytes, delta: bytes = b"\x05") -> bytes:
    """A row."""
    return delta + bytes((kind,)) + varint(len(payload)) + payload


def rows() -> Cases:
    """Rows of a window."""
    sound = row(2, varint(3) + f64(1.5))
    yield "truncated", sound[:-1]
    yield "delta_overlong", row(2, varint(3) + f64(1.5), OVERLONG_ZERO)
    yield "series_twice", sound + row(2, varint(3) + f64(1.5), b"\0")
    yield "series_that_overflows", sound + row(2, varint(3) + f64(1.5), varint(2**32 - 1))
    yield "series_beyond_32_bits", row(2, varint(3) + f64(1.5), varint(2**32))
    yield "kind_0", row(0, b"")
    yield "kind_unknown", row(5, b"")
    yield "column_empty", row(4, b"")
    yield "column_without_extras", row(4, NO_NUMBERS)
    yield "column_of_unknown_parts", row(4, NO_NUMBERS + b"\x08\x00\x00")
    yield "column_with_a_digest", row(0x14, nothing_but_nulls()) + b"\x05\x64\x00\x00\x00\x00"
    yield "exemplar_reserved", row(0x21, b"\x01\x06\x00")
    yield "digest_of_a_counter", row(0x12, varint(3) + f64(1.5)) + b"\0"
    yield "payload_beyond_the_end", b"\x05\x02" + FAR_BEYOND_THE_END
    yield "counter_nan", row(2, varint(3) + f64(NAN))
    yield "counter_negative", row(2, varint(3) + f64(-1.0))
    yield "counter_followed_by_a_byte", row(2, varint(3) + f64(1.5) + b"\0")
    yield "gauge_without_samples", row(3, bytes(16))
    yield "gauge_truncated", row(3, bytes(15))
    yield "histogram_empty", row(1, b"")
    yield "digest_of_other_samples", row_of(1.5, 1)[:1] + b"\x11" + row_of(1.5, 1)[2:] + b"\x05\x64\x00\x00\x00\x00"
    yield "digest_beyond_the_end", row(0x11, b"\x01\x06\x00") + FAR_BEYOND_THE_END


def section(step: int, content: bytes) -> bytes:
    """A section."""
    return varint(step) + varint(len(content)) + content


def sections() -> Cases:
    """Frames of compacted blocks."""
    begin, sound = pack("<q", 0), row(2, varint(3) + f64(1.5))
    yield "empty", b""
    yield "window_truncated", bytes(7)
    yield "first_step_not_0", begin + section(1, sound)
    yield "window_twice", begin + section(0, sound) + section(0, sound)
    yield "window_that_overflows", pack("<q", 2**63 - 1) + section(0, sound) + section(1, sound)
    yield "step_overlong", begin + OVERLONG_ZERO + section(0, sound)[1:]
    yield "size_beyond_the_end", begin + b"\0" + FAR_BEYOND_THE_END
    yield "rows_truncated", begin + section(0, sound[:-1])
    yield "rows_unsorted", begin + section(0, sound + row(2, varint(3) + f64(1.5), b"\0"))


def sketch() -> Cases:
    """Sketches as `to_bytes` writes them."""
    for name, sound in (("loghist", loghist_of([1.5]).to_bytes()), ("tdigest", tdigest_of([1.5]).to_bytes())):
        yield f"{name}_empty", b""
        yield f"{name}_magic_wrong", b"OBXX" + sound[4:]
        yield f"{name}_version_from_the_future", sound[:4] + b"\x02" + sound[5:]
        yield f"{name}_truncated", sound[:-1]
        yield f"{name}_crc_flipped", flipped(sound, -1)
        yield f"{name}_flipped", flipped(sound, 12)
