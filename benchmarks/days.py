"""A store of many hours, written in seconds: a few different windows by turns, compressed once, block after block."""

from __future__ import annotations

from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple

import zstandard

from benchmarks import loads
from benchmarks.stores import METRIC, HastyFs
from obsagent._native.codec import BodyWriter, SeriesMap, Window
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind, Series
from obsagent.segment import format as layout
from obsagent.segment.block import EncodedBlock, Mark, PackedFrame, lay_out_block
from obsagent.segment.tables import Tables
from obsagent.segment.writer import SegmentWriter

BEGIN_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
SERVICE = "benchmark"
STORE_ID = bytes(range(16))
DIFFERENT_WINDOWS = HOUR_MS // WINDOW_MS


Frame = tuple[int, int, bytes]


class Day(NamedTuple):
    """The time that a store covers, and the frames of the windows that it repeats every hour."""

    begin_ms: int
    end_ms: int
    windows: list[list[Frame]]

    def window(self, start_ms: int) -> list[Frame]:
        """The window that starts at `start_ms`: first series, last series, rows."""
        return self.windows[(start_ms - self.begin_ms) // WINDOW_MS % len(self.windows)]


def write(directory: Path, *, hours: int, series_count: int, samples: int) -> Day:
    """Segments of that many hours, a file an hour; each series has `samples` samples in each window."""
    segments = directory / "segments"
    segments.mkdir(parents=True)
    windows = [_window(series_count, samples, number).encode_frames() for number in range(DIFFERENT_WINDOWS)]
    day = Day(BEGIN_MS, BEGIN_MS + hours * HOUR_MS, windows)
    writer = SegmentWriter(segments, HastyFs(), STORE_ID, None)
    series = [Series(n, METRIC, Kind.HISTOGRAM, _labels(n), unit="seconds") for n in range(series_count)]
    starts = range(day.begin_ms, day.end_ms, WINDOW_MS)
    for sequence, start_ms, frames in zip(count(1), starts, cycle([*map(_packed, windows)]), strict=False):
        block = _block(sequence, start_ms, frames, series_count * samples)
        if (start_ms - day.begin_ms) % HOUR_MS == 0:
            writer.begin_file(_head(sequence, start_ms, series), block, start_ms)
        else:
            writer.append(block)
    writer.give_up()
    return day


def _window(series_count: int, samples: int, seed: int) -> Window:
    body, series_map, window = BodyWriter(), SeriesMap(), Window()
    values = loads.lognormal(series_count * samples, seed).reshape(series_count, samples)
    for series in range(series_count):
        series_map.set(series, series, int(Kind.HISTOGRAM))
        body.put_loghist(series, values[series])
    window.apply(body.take(), series_map, 0)
    return window


def _labels(number: int) -> dict[str, str]:
    return {"service": SERVICE, "endpoint": f"/{number:03}"}


def _packed(frames: list[Frame]) -> list[PackedFrame]:
    compress = zstandard.ZstdCompressor(level=layout.ZSTD_LEVEL).compress
    return [PackedFrame(0, first, last, 0, len(rows), compress(rows)) for first, last, rows in frames]


def _head(sequence: int, start_ms: int, series: list[Series]) -> EncodedBlock:
    return lay_out_block(layout.BLOCK_HEAD, sequence, Mark(), start_ms, Tables(series=series), [])


def _block(sequence: int, start_ms: int, frames: list[PackedFrame], samples: int) -> EncodedBlock:
    tables = Tables(accounts=[(start_ms, SERVICE, [samples, samples, 0, 0, 0, 0, 0, 0])])
    placed = [frame._replace(window_ms=start_ms) for frame in frames]
    return lay_out_block(layout.BLOCK_CHECKPOINT, sequence, Mark(), start_ms, tables, placed)
