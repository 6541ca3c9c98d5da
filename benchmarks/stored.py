"""How many bytes does a series' window take on disk, and how long does it take to write and read it?"""

from __future__ import annotations

import math
import statistics
from typing import Any

from benchmarks import loads
from benchmarks.measure import Arm, Effort, Ratio, interleave, repeating
from benchmarks.report import Row, Table, at_most, byte_size, comparison, nanoseconds
from benchmarks.sketch_kinds import all_kinds
from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent.samples import Kind
from obsagent.sketches import LogHist

SAMPLES = 1_000
MEASURED = 100  # windows whose entropy, buckets and other libraries' bytes are averaged
SCALE = 6
ZSTD_LEVEL = 1
FRAME_BYTES = 64 << 10
BYTES_GOAL = 160
ENCODE_GOAL_NS = 600


def run(effort: Effort) -> list[Table]:
    """Tables: sizes over the entropy of the counts, times over a copy of the bytes; then those with t-digests."""
    series_count = effort.size(1_000, 100)
    windows = [loads.lognormal(SAMPLES, seed) for seed in range(series_count)]
    window = _window(windows)
    frames = [rows for _, _, rows in window.encode_frames(FRAME_BYTES)]
    digested = _window(windows, digest=True)
    digested_frames = [rows for _, _, rows in digested.encode_frames(FRAME_BYTES)]
    return [
        _sizes(windows, frames, digested_frames),
        _times("Time a series' window", window, frames, series_count, effort),
        _times("Time a series' window with a t-digest", digested, digested_frames, series_count, effort),
    ]


def _window(windows: list[loads.Values], *, digest: bool = False) -> Window:
    body, series_map, window = BodyWriter(), SeriesMap(), Window()
    for series, values in enumerate(windows):
        series_map.set(series, series, int(Kind.HISTOGRAM), SCALE, digest)
        body.put_loghist(series, values, SCALE)
        if digest:
            body.put_tdigest(series, values)
    window.apply(body.take(), series_map, 0)
    return window


def _sizes(windows: list[loads.Values], frames: list[bytes], digested_frames: list[bytes]) -> Table:
    count = len(windows)
    entropy = statistics.fmean(_entropy_bytes(values) for values in windows[:MEASURED])
    raw, compressed = _bytes_of(frames, count)
    digested_raw, digested_compressed = _bytes_of(digested_frames, count)
    rows = [
        Row("entropy of the counts, the distribution known", None, byte_size(entropy)),
        _size("**rows as encoded**", raw, entropy),
        _size(f"**rows in 64 KiB frames, zstd level {ZSTD_LEVEL}**", compressed, entropy, goal=BYTES_GOAL),
        _size("rows with a t-digest of compression 100, as encoded", digested_raw, entropy),
        _size("the same in frames, compressed", digested_compressed, entropy),
        *(
            _size(
                f"{kind.name} serialised",
                statistics.fmean(len(kind.to_bytes(kind.filled(v))) for v in windows[:MEASURED]),
                entropy,
            )
            for kind in all_kinds()
            if kind.to_bytes is not None
        ),
    ]
    buckets = statistics.fmean(_buckets(values) for values in windows[:MEASURED])
    note = f"A window of {SAMPLES:,} lognormal({loads.SIGMA}) samples at scale {SCALE}: {buckets:.0f} occupied buckets."
    return comparison("Bytes of a series' window", "entropy", rows, note)


def _bytes_of(frames: list[bytes], count: int) -> tuple[float, float]:
    """Of each of `count` windows, as encoded and compressed."""
    compress = _compressor().compress
    return sum(map(len, frames)) / count, sum(len(compress(rows)) for rows in frames) / count


def _size(what: str, size: float, entropy: float, goal: float | None = None) -> Row:
    ratio = size / entropy
    return Row(what, Ratio.exact(ratio), byte_size(size), () if goal is None else (at_most(size, goal, "B"),))


def _times(title: str, window: Window, frames: list[bytes], count: int, effort: Effort) -> Table:
    compress, joined = _compressor().compress, b"".join(frames)
    packed = [compress(rows) for rows in frames]
    decompress = _decompressor().decompress
    selected = dict.fromkeys(range(count), 0)
    groups, digests = Groups(selected, 1), Groups(selected, 1, digests=True)
    arms = [
        Arm("copy of the rows", repeating(bytearray, joined), count),
        Arm("encode", repeating(window.encode_frames, FRAME_BYTES), count),
        Arm("compress", repeating(_each, compress, frames), count),
        Arm("decompress", repeating(_each, decompress, packed), count),
        Arm("check and merge into a query's group", repeating(_each, groups.merge_rows, frames), count),
        Arm("the same, t-digests asked for", repeating(_each, digests.merge_rows, frames), count),
    ]
    reference, *timings = interleave(arms, effort)
    goals = {} if "t-digest" in title else {"encode": (at_most(timings[0].ns, ENCODE_GOAL_NS, "ns"),)}
    rows = [Row(reference.name, None, nanoseconds(reference))]
    rows += [Row(t.name, t.over(reference), nanoseconds(t), goals.get(t.name, ())) for t in timings]
    return comparison(title, "copying", rows, f"{count:,} series at once.")


def _each(function: Any, items: list[bytes]) -> None:
    for item in items:
        function(item)


def _compressor() -> Any:
    import zstandard

    return zstandard.ZstdCompressor(level=ZSTD_LEVEL)


def _decompressor() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor()


def _buckets(values: loads.Values) -> int:
    hist = LogHist(SCALE)
    hist.add_many(values)
    return len(hist.buckets()[0])


def _entropy_bytes(values: loads.Values) -> float:
    """What an ideal code needs for the counts if it knows the distribution: -log2 of their Poisson probability."""
    hist = LogHist(SCALE)
    hist.add_many(values)
    indices, counts = hist.buckets()
    width = math.log(2) / 2**SCALE
    bits = 0.0
    found = dict(zip(indices, counts, strict=True))
    for index in range(min(indices) - 200, max(indices) + 200):
        expected = SAMPLES * (_share_below((index + 1) * width) - _share_below(index * width))
        if expected > 0:
            count = found.get(index, 0)
            bits -= (count * math.log(expected) - expected - math.lgamma(count + 1)) / math.log(2)
    return bits / 8


def _share_below(log_value: float) -> float:
    return (1 + math.erf((log_value - math.log(loads.MEDIAN_S)) / (loads.SIGMA * math.sqrt(2)))) / 2
