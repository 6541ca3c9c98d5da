"""Writes a small store whose segments are kept as golden files of the present format version.

    python tests/golden/make_segments.py DIRECTORY

Two segment files, a counter, a histogram, a gauge and a column in four windows each; the first file is compacted and
rolled up if this build can do that. `tests/unit/test_golden_segments.py` says what is in them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from obsagent._native.codec import BodyWriter
from obsagent.fs import Fs
from obsagent.head.accounts import SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.samples import Kind

BEGIN_MS = 1_700_000_000_000
WINDOW_MS = 10_000
SESSION = b"golden session 1"
METRICS = {"latency": Kind.HISTOGRAM, "served": Kind.COUNTER, "depth": Kind.GAUGE, "feature": Kind.COLUMN}
SAMPLES_PER_WINDOW = 100 + 100 + 1 + 13


class Clock:
    """Stands where it is put."""

    at_ms = BEGIN_MS

    def wall_ms(self) -> int:
        return self.at_ms

    monotonic_ms = wall_ms


def body_of(window: int) -> bytes:
    """100 latencies of 1 to 100 ms times the window's number, as many requests, one depth; a feature's 10 numbers, 2
    nulls and a value of a wrong type.
    """
    writer = BodyWriter()
    writer.put_loghist(0, [number * window / 1000 for number in range(1, 101)])
    writer.put_counter(1, 100, 100.0)
    writer.put_gauge(2, float(window))
    writer.put_column(3, [float(number * window) for number in range(10)], edges=[0, 5, 10], nulls=2, wrong_types=1)
    return writer.take()


def main() -> None:
    """Write, roll to a second file in the middle, compact the first and roll it up."""
    clock = Clock()
    store = Store.open(Path(sys.argv[1]), clock=clock, budgets=Budgets(segment_file_age_ms=2 * WINDOW_MS), fs=Fs())
    store.write(SessionOpen(SESSION, "shop", "host", 1, BEGIN_MS, 0, "v1"))
    found = [store.series.resolve(metric, kind, {"service": "shop"}) for metric, kind in METRICS.items()]
    store.write(Define(SESSION, [DefinedSeries(n, one.id, one) for n, one in enumerate(found) if one is not None]))
    for window in range(1, 5):
        accounts = SessionAccounts(observed=SAMPLES_PER_WINDOW * window)
        store.write(Frame(SESSION, window, 1, clock.at_ms, clock.at_ms + 5_000, accounts, body_of(window)))
        clock.at_ms += WINDOW_MS
        store.checkpoint()
    for name in ("maybe_compact", "maybe_roll_up", "maybe_compact", "maybe_retire"):  # as the agent of that version
        while hasattr(store, name) and getattr(store, name)(clock.at_ms):
            pass
        clock.at_ms += 10 * WINDOW_MS
    store.close()


if __name__ == "__main__":
    main()
