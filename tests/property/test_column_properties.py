"""However the observations of a column are cut, the counts are those of one sketch of all of them.

Cut over threads, batches, partial windows, checkpoints, compactions, roll-ups and restarts, by a recorder and a store
as a client and an agent use them.
"""

from __future__ import annotations

import tempfile
import threading
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent._native.ring import Recorder
from obsagent._native.sketch import Column
from obsagent.clock import window_start
from obsagent.head.accounts import SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind
from unit.faulty_fs import FailingFs
from unit.store_lab import TurnedClock

BEGIN_MS = window_start(1_700_000_000_000)
SESSION = b"c" * 16
EDGES = [0.0, 0.5, 1.0, 10.0, 1000.0]
NAMES = ["DE", "FR"]
SLOT = 3

repeatable = settings(max_examples=40, deadline=None, derandomize=True)

WHOLE = st.integers(-5, 1_200).map(float)  # their sums are exact in any order
NUMBERS = st.lists(st.one_of(WHOLE, st.sampled_from([nan, inf, -inf, None, "text", 0.5])), max_size=30)
CATEGORIES = st.lists(st.sampled_from(["DE", "FR", "IT", "", "é" * 40, None, 7, 2.5, b"x"]), max_size=30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("numbers"), NUMBERS),
        st.tuples(st.just("array"), st.lists(WHOLE, max_size=900)),
        st.tuples(st.just("categories"), CATEGORIES),
        st.tuples(st.sampled_from(["seal", "window", "checkpoint", "roll", "compact", "restart"]), st.none()),
    ),
    min_size=3,
    max_size=25,
)


class Lab:
    """A recorder that feeds a store, and all that was observed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = TurnedClock(BEGIN_MS)
        self.recorder = Recorder(SLOT)
        self.numbers = self.recorder.column(self.recorder.define(Kind.COLUMN))
        self.categories = self.recorder.column(self.recorder.define(Kind.COLUMN))
        self.recorder.set_edges(self.numbers.series, EDGES)
        self.recorder.set_categories(self.categories.series, NAMES)
        self.observed: tuple[list[Any], list[Any]] = ([], [])
        self.sequence = self.samples = 0
        self.open()
        self.store.write(SessionOpen(SESSION, "shop", "host", 1, BEGIN_MS, 0))
        found = [self.store.series.resolve("feature", Kind.COLUMN, {"feature": name}) for name in ("x", "country")]
        self.ids = [series.id for series in found if series is not None]
        rows = [DefinedSeries(number, series.id, series) for number, series in enumerate(found) if series is not None]
        self.store.write(Define(SESSION, rows))

    def open(self) -> None:
        budgets = Budgets(frame_bytes=300, segment_file_age_ms=1)
        self.store = Store.open(self.directory, clock=self.clock, budgets=budgets, fs=FailingFs())

    def leave(self) -> None:
        """The agent is gone from one moment to the next."""
        self.store.sync()
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def step(self, step: str, values: list[Any] | None) -> None:
        if values is not None:
            thread = threading.Thread(target=self.observe, args=(step, values))
            thread.start()
            thread.join()
        elif step == "restart":
            self.leave()
            self.open()
        elif step == "window":
            self.send()
            self.clock.now_ms += WINDOW_MS
        elif step == "seal":
            self.send()
        else:
            self.keep(step)

    def observe(self, what: str, values: list[Any]) -> None:
        column = self.categories if what == "categories" else self.numbers
        self.observed[column is self.categories].extend(values)
        if what == "array":
            column.observe_many(memoryview(bytearray(0)).cast("d") if not values else self._strided(values))
        else:
            for value in values[:3]:
                column.observe(value)
            column.observe_many(values[3:])

    @staticmethod
    def _strided(values: list[float]) -> Any:
        import numpy as np

        return np.array([[value, -1.0] for value in values])[:, 0]

    def send(self) -> None:
        assert self.recorder.seal(5_000)
        while batch := self.recorder.take(0):
            self.sequence += 1
            self.samples += batch.samples
            accounts = SessionAccounts(observed=batch.observed)
            at_ms = self.clock.now_ms
            self.store.write(Frame(SESSION, self.sequence, 1, at_ms, at_ms + 1, accounts, batch.body))

    def keep(self, step: str) -> None:
        if step == "checkpoint":
            self.store.checkpoint(self.clock.now_ms)
            return
        self.store.checkpoint()
        self.clock.now_ms += 1
        work = self.store.maybe_roll_up if step == "roll" else self.store.maybe_compact
        while work(self.clock.now_ms):
            pass

    def stored(self, number: int) -> Column | None:
        groups = Groups({self.ids[number]: 0}, 1)
        self.store.view().collect(0, 1 << 60, groups)
        encoded = groups.column(0)
        return None if encoded is None else Column._from_compact(encoded)

    def total(self, number: int) -> int:
        groups = Groups({self.ids[number]: 0}, 1)
        self.store.view().collect_totals(groups)
        return groups.samples(0)

    def close(self) -> None:
        self.recorder.stop()
        self.leave()


def sketch_of(values: list[Any], *, is_numeric: bool) -> Column | None:
    """One sketch of all of them, as a client that sorts them by itself would write it."""
    if not values:
        return None
    nulls = sum(value is None for value in values)
    numbers = [value for value in values if isinstance(value, float)] if is_numeric else []
    texts = [] if is_numeric else [str(value) for value in values if isinstance(value, str | int | float)]
    wrong = len(values) - nulls - len(numbers) - len(texts)
    kept = {"edges": EDGES} if is_numeric else {"names": NAMES}
    writer, window, numbers_map, groups = BodyWriter(), Window(), SeriesMap(), Groups({0: 0}, 1)
    writer.put_column(0, numbers, texts, nulls=nulls, wrong_types=wrong, **kept)  # type: ignore[arg-type]
    numbers_map.set(0, 0, Kind.COLUMN)
    window.apply(writer.take(), numbers_map, 0)
    window.collect(groups)
    encoded = groups.column(0)
    assert encoded is not None
    return Column._from_compact(encoded)


def counted(column: Column | None) -> Any:
    """Everything in it that merges exactly."""
    if column is None:
        return None
    moments, topk, hll = column.moments, column.topk, column.hll
    return (
        column.samples,
        column.hist.buckets(),
        column.hist.buckets(negative=True),
        column.hist.sum,
        (moments.count, column.null_count, column.wrong_type_count, column.category_count),
        (moments.nan_count, moments.positive_infinity_count, moments.negative_infinity_count),
        (repr(moments.min), repr(moments.max)),
        (column.edge_counts, column.edge_sums),
        topk and (topk.total, topk.items()),
        hll and hll.to_bytes(),
    )


@repeatable
@given(steps=STEPS)
def test_any_partition_has_the_counts_of_one_sketch(steps: list[tuple[str, list[Any] | None]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        try:
            for step in steps:
                lab.step(*step)
            lab.send()
            for number, values in enumerate(lab.observed):
                expected, found = sketch_of(values, is_numeric=number == 0), lab.stored(number)
                assert counted(found) == counted(expected)
                assert lab.total(number) == len(values)
                if found is not None and expected is not None:
                    assert found.moments.mean == pytest.approx(expected.moments.mean, nan_ok=True)
                    assert found.moments.variance == pytest.approx(expected.moments.variance, nan_ok=True)
            assert lab.samples == sum(map(len, lab.observed)) == lab.recorder.observed
            total = lab.store.status()["accounts"]["total"]
            assert (total["observed"], total["stored"]) == (lab.samples, lab.samples)
        finally:
            lab.close()
