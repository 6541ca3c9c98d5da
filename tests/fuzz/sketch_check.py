"""What must hold for any bytes that are given to the compiled modules: sketches, bodies, rows, sections, records.

The kernels below have targets of their own in C (tests/c/fuzz_*.c), which go deeper; here it is what Python sees.
"""

from __future__ import annotations

import math
import struct
from random import Random

from fuzz.block_parts import Mutate
from obsagent._native import codec
from obsagent._native.codec import Groups, SeriesMap, Transpose, Window, crc32c
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.sketches import Edges, HyperLogLog, LogHist, Moments, TDigest, TopK

NOT_TAKEN = (CorruptData, UnsupportedVersion)
SERIES = range(64)
WINDOW_MS = 10_000
SEAL_BYTES = 4


def check_sketch(data: bytes) -> None:
    """A sketch that is written again as the same, or one of the two errors; `mutate_sketch` seals."""
    _check_quantile_sketches(data)
    for kind in (Edges, HyperLogLog, Moments, TopK):
        try:
            sketch = kind.from_bytes(data)
        except NOT_TAKEN:
            continue
        assert sketch.to_bytes() == data
        assert sketch.copy() == sketch == kind.from_bytes(data)
        _check_feature_answers(sketch)


def _check_feature_answers(sketch: Edges | HyperLogLog | Moments | TopK) -> None:
    if isinstance(sketch, Edges):
        assert len(sketch.counts) == len(sketch.sums) == len(sketch.edges) + 1
        assert sum(sketch.counts) == sketch.count
    elif isinstance(sketch, Moments):
        assert sketch.count == 0 or sketch.min <= sketch.mean <= sketch.max
        assert not sketch.variance < 0
    elif isinstance(sketch, TopK):
        counts = [count for _, count in sketch.items()]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) + sketch.other == sketch.total
        assert sketch.error <= sketch.total
    else:
        assert sketch.count() >= 0


def _check_quantile_sketches(data: bytes) -> None:
    for kind in (LogHist, TDigest):
        try:
            sketch = kind.from_bytes(data)
        except NOT_TAKEN:
            continue
        again = kind.from_bytes(sketch.to_bytes())
        assert again.to_bytes() == sketch.to_bytes()
        assert (again.count, again.nan_count) == (sketch.count, sketch.nan_count)
        _check_answers(sketch)


def _check_answers(sketch: LogHist | TDigest) -> None:
    values = sketch.quantiles([0, 0.5, 1])
    if sketch.count == 0:
        assert all(math.isnan(value) for value in values)
        return
    assert sketch.min == values[0] <= values[1] <= values[2] == sketch.max
    assert 0 <= sketch.cdf(values[1]) <= 1


def mutate_sketch(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes what the checksum covers and mends it."""
    if chance.random() < 0.2:
        return mutate(data, size_max)
    changed = mutate(data[:-SEAL_BYTES], size_max - SEAL_BYTES)
    return changed + crc32c(changed).to_bytes(SEAL_BYTES, "little")


def check_loghist(data: bytes) -> None:
    """The compact form."""
    try:
        sketch = LogHist._from_compact(data)
    except NOT_TAKEN:
        return
    assert LogHist._from_compact(sketch._to_compact()) == sketch
    _check_answers(sketch)


def check_tdigest(data: bytes) -> None:
    """The compact form, of which there is one for each digest."""
    try:
        sketch = TDigest._from_compact(data)
    except NOT_TAKEN:
        return
    assert sketch._to_compact() == data
    _check_answers(sketch)


def check_moments(data: bytes) -> None:
    """The compact form, of which there is one for the same moments."""
    _check_compact(Moments, data)


def check_topk(data: bytes) -> None:
    """The compact form, of which there is one for each summary."""
    _check_compact(TopK, data)


def check_hll(data: bytes) -> None:
    """The compact form, of which there is one for the same registers."""
    _check_compact(HyperLogLog, data)


def check_edges(data: bytes) -> None:
    """The compact form, with as many edges as it has bins."""
    bins = data[0] if data and 3 <= data[0] < 0x80 else 3
    edges = struct.pack(f"<{bins - 1}d", *range(bins - 1))
    sealed = b"OBED\x01" + bytes((0, 0, 0, 0, bins - 1)) + edges + data
    check_sketch(sealed + crc32c(sealed).to_bytes(SEAL_BYTES, "little"))


def _check_compact(kind: type[HyperLogLog | Moments | TopK], data: bytes) -> None:
    try:
        sketch = kind._from_compact(data)
    except NOT_TAKEN:
        return
    assert sketch._to_compact() == data
    _check_feature_answers(sketch)


def check_body(data: bytes) -> None:
    """A body is applied and counts what its check said, or is refused by both."""
    series_map, window = SeriesMap(), Window()
    for number in SERIES:
        series_map.set(number, number % 48, number % 4, number % 9, digest=number % 2 == 0)
    try:
        samples = codec.check_body(data)
    except NOT_TAKEN:
        return
    applied, refused = window.apply(data, series_map, WINDOW_MS)
    assert applied + refused == samples
    assert window.sample_count == applied == sum(window.sample_counts().values())


def check_rows(data: bytes) -> None:
    """Everybody who reads rows sees the same ones, or nobody takes any."""
    window, transpose = Window(), Transpose()
    try:
        window.merge_rows(data)
    except NOT_TAKEN:
        assert window.series_count == 0
        _check_refused(transpose, data)
        return
    ids = codec.series_in_rows(data)
    assert ids == window.series_ids() == sorted(set(ids))
    sizes = codec.row_sizes(data)
    assert list(sizes) == ids
    assert sum(sizes.values()) == len(data)
    groups = Groups(dict.fromkeys(ids, 0), 1)
    assert groups.merge_rows(data) == len(ids)
    transpose.add_rows(WINDOW_MS, data)
    assert len(transpose) == len(ids)
    again = Window()
    for _, _, rows in window.encode_frames(64):
        again.merge_rows(rows)
    assert again.series_ids() == ids
    assert again.sample_count == window.sample_count


def _check_refused(transpose: Transpose, data: bytes) -> None:
    try:
        transpose.add_rows(WINDOW_MS, data)
    except NOT_TAKEN:
        assert len(transpose) == 0
        assert transpose.encode() == []
    else:
        raise AssertionError("a compaction takes rows that a window refuses")


def check_sections(data: bytes) -> None:
    """Windows ascend, rows are views of the frame, a query takes all of it or nothing."""
    groups, transpose = Groups(dict.fromkeys(SERIES, 0), 1), Transpose()
    try:
        found = codec.read_sections(data)
        transpose.add_sections(data)
    except NOT_TAKEN:
        assert len(transpose) == 0
        return
    windows = [window_ms for window_ms, _ in found]
    assert windows == sorted(set(windows))
    groups.merge_sections(data, -(1 << 63), (1 << 63) - 1)
    for _, _, _, _, frame in transpose.encode(256):
        assert codec.read_sections(frame)


def check_record(data: bytes) -> None:
    """A record lies in the bytes, and is what packing its payload gives."""
    at = 0
    while at < len(data):
        try:
            kind, payload, following = codec.read_record(data, at)
        except (EOFError, CorruptData):
            return
        assert at < following <= len(data)
        assert codec.pack_record(kind, payload) == data[at:following]
        at = following
