"""Seeds of what the C kernels read: numbers, records, sketches, bodies, rows, sections."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from obsagent._native.codec import BodyWriter, SeriesMap, Transpose, Window, pack_record
from obsagent.sketches import LogHist, TDigest

Seeds = Iterator[tuple[str, bytes]]

NAMES = ["0.5", "1", "nan"]
"""Categories that have a bin."""

SPREADS: dict[str, list[float]] = {
    "empty": [],
    "one": [0.25],
    "equal": [0.1] * 300,
    "latencies": [0.001 * number for number in range(1, 200)],
    "dense": [1.0 + number / 700 for number in range(600)],
    "both_signs": [-3.0, -0.5, 0.0, -0.0, 0.5, 3.0],
    "decades": [10.0**power for power in range(-300, 300, 40)],
    "not_finite": [math.nan, math.inf, -math.inf, 1.0],
    "least_and_greatest": [5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308],
}


def varint(value: int) -> bytes:
    """A number as LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def varint_seeds() -> Seeds:
    yield "bounds", b"".join(varint(value) for power in range(0, 65, 7) for value in (2**power - 1, 2**power))
    yield "largest", varint(2**64 - 1)
    yield "overlong_zero", b"\x80\x00"
    yield "beyond_64_bits", b"\xff" * 9 + b"\x02"
    yield "without_an_end", b"\xff" * 10


def run_column_seeds() -> Seeds:
    """The fields of a column's place (`csrc/run_column.h`), and behind them the file in which it lies."""
    ascending = bytes(number // 3 for number in range(64)) * 2
    for name, kind, width, item, rows, group_rows, first, group_bytes, low in (
        *(("whole", 0, 1, 8, 128, 64, 0, 64, 5), ("of_one_value", 0, 0, 8, 1 << 40, 8_192, 0, 0, 7)),
        *(("wide", 0, 8, 8, 16, 16, 0, 128, 0), ("small", 0, 2, 2, 60, 30, 4, 62, 65_000)),
        *(("real", 1, 4, 8, 30, 30, 8, 120, 0x3FF0 << 48), ("single", 2, 4, 8, 32, 32, 0, 128, 0)),
        *(("beyond_the_file", 0, 1, 8, 129, 64, 0, 64, 0), ("far_beyond", 0, 0, 8, 2, 1, 1 << 63, 1 << 63, 0)),
    ):
        place = struct.pack("<3B5Q", kind, width, item, rows, group_rows, first, group_bytes, low)
        yield name, place + ascending


def record_seeds() -> Seeds:
    yield "empty_payload", pack_record(1, b"")
    yield "two", pack_record(3, b"\xf5OBE" + bytes(20)) + pack_record(16, b"\xf5OBE")
    yield "torn", pack_record(2, bytes(40))[:-1]
    yield "flipped", pack_record(2, bytes(39) + b"\x01")[:-1] + b"\x00"
    yield "zeros", bytes(64)


def loghist_of(values: list[float], scale: int = 6, weight: int = 1) -> LogHist:
    """A histogram of values, each `weight` times."""
    hist = LogHist(scale)
    for value in values:
        hist.add(value, weight)
    return hist


def tdigest_of(values: list[float], compression: int = 100) -> TDigest:
    """A t-digest of values."""
    digest = TDigest(compression)
    digest.add_many(values)
    return digest


def loghist_seeds() -> Seeds:
    for name, values in SPREADS.items():
        yield name, loghist_of(values)._to_compact()
    for scale in (0, 3, 8):
        yield f"scale_{scale}", loghist_of(SPREADS["latencies"], scale)._to_compact()
    for weight in (2, 15, 255, 70_000, 2**40):
        yield f"weight_{weight}", loghist_of(SPREADS["both_signs"], 6, weight)._to_compact()
    yield "nearly_full", loghist_of([1.5], 6, 2**64 - 1)._to_compact()


def tdigest_seeds() -> Seeds:
    for name, values in SPREADS.items():
        yield name, tdigest_of(values)._to_compact()
    yield "coarse", tdigest_of(SPREADS["dense"], 20)._to_compact()
    yield "fine", tdigest_of(SPREADS["dense"], 2000)._to_compact()
    heavy = tdigest_of([1.0, 2.0])
    heavy.add(1.5, 2**63)
    yield "heavy", heavy._to_compact()


def body_seeds() -> Seeds:
    """Series numbers below 64 are those that the fuzz targets know; number % 4 is the kind they have."""
    writer = BodyWriter()
    yield "empty", writer.take()
    writer.put_run(1, [0.5, 1.5, math.nan])
    writer.put_counter(2, 3, 4.5)
    writer.put_gauge(3, -1.0)
    yield "one_of_each", writer.take()
    for name, values in SPREADS.items():
        if values:
            writer.put_loghist(0, values)
            writer.put_tdigest(0, values)
            yield f"digested_{name}", writer.take()
    writer.put_loghist(8, SPREADS["latencies"], 8)
    writer.put_loghist(8, SPREADS["latencies"], 2)
    writer.put_loghist(4, SPREADS["dense"])
    writer.put_tdigest(4, SPREADS["dense"])
    writer.put_run(4, SPREADS["both_signs"])
    writer.put_gauge(0, 1.0)
    yield "several_scales_and_kinds", writer.take()
    writer.put_run(15, [1.0])
    writer.put_counter(31, 1, 0.0)
    writer.put_gauge(2**31 - 1, 1.0)
    yield "refused_and_unknown", writer.take()
    for name, values in SPREADS.items():
        put_column(writer, 4, values)
        yield f"column_{name}", writer.take()
    put_column(writer, 0, SPREADS["dense"])
    put_column(writer, 0, SPREADS["equal"], names=None)
    put_column(writer, 1, SPREADS["one"])
    writer.put_run(0, SPREADS["one"])
    yield "columns_of_all_sorts", writer.take()
    writer.put_counter(2, 2**48, 1e308)
    yield "as_many_samples_as_allowed", writer.take()


def put_column(writer: BodyWriter, number: int, values: list[float], names: list[str] | None = NAMES) -> None:
    """Numbers in bins, and categories that are as many as there are values; a column of either."""
    edges = sorted({value for value in values if math.isfinite(value)})[:5]
    writer.put_column(number, values, edges=edges if len(edges) > 1 else None, nulls=3, wrong_types=1)
    writer.put_column(number, (), [f"{value:g}" for value in values], names=names)


def filled_window(first: int, digests: bool = True) -> Window:
    """Series 1 to 12 of every kind but columns, histograms of every other with a digest."""
    writer, series_map, window = BodyWriter(), SeriesMap(), Window()
    for number in range(1, 13):
        kind = number % 3 + 1
        series_map.set(number, number * first, kind, digest=digests and kind == 1)
        if kind == 1:
            writer.put_run(number, [first + 0.1 * number * value for value in range(1, 9)])
        elif kind == 2:
            writer.put_counter(number, number, 2.0 * number)
        else:
            writer.put_gauge(number, float(first))
    window.apply(writer.take(), series_map, 1_000 * first)
    return window


def row_of(value: float, kind: int, series: int = 5, digest: bool = False) -> bytes:
    """One row."""
    window = Window()
    if kind == 2:
        window.add_counter(series, 3, value)
    else:
        window.add_value(series, kind, value, weight=4, time_ms=7, digest=digest)
    return window.encode_frames()[0][2]


def column_window(first: int) -> Window:
    """Columns of numbers and of categories."""
    writer, series_map, window = BodyWriter(), SeriesMap(), Window()
    for number, (numbers, categories) in enumerate((([1.0, 2.0, 7.5], ()), ((), ("a", "b", "b")), ((), ()))):
        series_map.set(number, number * first, 4)
        edges, names = ([0.0, 1.0, 5.0], None) if numbers else (None, ["a"])
        writer.put_column(number, numbers, categories, edges=edges, names=names, nulls=number)
    window.apply(writer.take(), series_map, 1_000 * first)
    return window


def rows_seeds() -> Seeds:
    yield "empty", b""
    yield "columns", column_window(3).encode_frames()[0][2]
    yield "histogram", row_of(1.5, 1)
    yield "digested", row_of(1.5, 1, digest=True)
    yield "counter", row_of(1.5, 2)
    yield "gauge", row_of(-1.5, 3)
    yield "infinite_counter", row_of(1e308, 2).replace(b"\xa0\xc8\xeb\x85\xf3\xcc\xe1\x7f", b"\0" * 6 + b"\xf0\x7f")
    yield "greatest_series", row_of(1.0, 2, 2**32 - 1)
    yield "all_kinds", filled_window(1).encode_frames()[0][2]
    yield "without_digests", filled_window(3, digests=False).encode_frames()[0][2]


def sections_seeds() -> Seeds:
    for name, windows, size in (("one_window", 1, 65_536), ("many_windows", 5, 65_536), ("long_history", 8, 400)):
        transpose = Transpose()
        for window in range(windows):
            transpose.add_rows(10_000 * window - 20_000, filled_window(1 + window % 2).encode_frames()[0][2])
        yield name, transpose.encode(size)[0][4]
    columns = Transpose()
    for window in range(3):
        columns.add_rows(10_000 * window, column_window(1 + window % 2).encode_frames()[0][2])
    yield "columns", columns.encode(65_536)[0][4]
    yield "no_section", (-5).to_bytes(8, "little", signed=True)
    yield "latest_window", (2**63 - 1).to_bytes(8, "little") + b"\0\0"
