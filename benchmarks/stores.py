"""A store with a past: written through the store itself, a window and a checkpoint at a time, as an agent does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import loads
from obsagent._native.codec import BodyWriter
from obsagent.clock import window_start
from obsagent.fs import Fs
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import CHECKPOINT_DELAY_MS, WINDOW_MS
from obsagent.samples import Kind

METRIC = "prediction_time"
SESSION = bytes(range(16))
DIFFERENT_WINDOWS = 10


class StandingClock:
    """A clock that the writer turns on."""

    def __init__(self, wall_ms: int) -> None:
        """Stands at `wall_ms`."""
        self.at_ms = wall_ms

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self.at_ms

    def monotonic_ms(self) -> int:
        """The same."""
        return self.at_ms


class HastyFs(Fs):
    """Syncs nothing: what is written here is read back soon, and thrown away."""

    def sync_data(self, descriptor: int) -> None:
        """Leaves it to the kernel."""


def write_past(directory: Path, *, series_count: int, windows: int, samples: int) -> int:
    """A store whose last window is the one that ended last; each series has `samples` samples in each window.

    Returns the bytes of its segments.
    """
    end_ms = window_start(time.time_ns() // 1_000_000)
    clock = StandingClock(end_ms - windows * WINDOW_MS)
    store = Store.open(directory, clock=clock, fs=HastyFs())
    _define(store, series_count, clock.at_ms)
    bodies = _bodies(series_count, samples)
    for sequence in range(1, windows + 1):
        start_ms = clock.at_ms
        accounts = SessionAccounts(sequence * series_count * samples, 0, 0, 0, 0)
        body = next(bodies)
        store.write(Frame(SESSION, sequence, sequence, start_ms, start_ms + WINDOW_MS - 1, accounts, body))
        store.sync()
        clock.at_ms += WINDOW_MS
        store.maybe_checkpoint(clock.at_ms + CHECKPOINT_DELAY_MS)
    store.close()
    return sum(path.stat().st_size for path in (directory / "segments").iterdir())


def _define(store: Store, series_count: int, at_ms: int) -> None:
    store.write(SessionOpen(SESSION, "benchmark", "here", 1, at_ms, 0))
    labels = [{"service": "benchmark", "endpoint": f"/{number:03}"} for number in range(series_count)]
    found = [store.series.resolve(METRIC, Kind.HISTOGRAM, each, unit="seconds") for each in labels]
    numbered = [DefinedSeries(number, series.id, series) for number, series in enumerate(found) if series is not None]
    store.write(Define(SESSION, numbered))


def _bodies(series_count: int, samples: int) -> Iterator[bytes]:
    """Sample frames of one window, a few different ones by turns."""
    written = []
    for seed in range(DIFFERENT_WINDOWS):
        body = BodyWriter()
        values = loads.lognormal(series_count * samples, seed).reshape(series_count, samples)
        for series in range(series_count):
            body.put_loghist(series, values[series])
        written.append(body.take())
    while True:
        yield from written
