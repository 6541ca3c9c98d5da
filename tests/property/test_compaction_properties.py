"""Whatever is in memory, in fresh blocks and in compacted files: every question has the answer of one big window."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent.clock import window_start
from obsagent.exemplars import rank
from obsagent.head.accounts import SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Exemplar, Kind, Series
from unit.faulty_fs import FailingFs

BEGIN_MS = window_start(1_700_000_000_000)
WINDOWS = 8
SESSION = b"s" * 16
KINDS = [Kind.HISTOGRAM, Kind.COUNTER, Kind.GAUGE] * 2

repeatable = settings(max_examples=60, deadline=None, derandomize=True)

SAMPLES = st.tuples(st.integers(0, WINDOWS - 1), st.integers(0, len(KINDS) - 1), st.integers(0, 500))
STEPS = st.lists(
    st.one_of(SAMPLES, SAMPLES, SAMPLES, st.sampled_from(["checkpoint", "roll", "compact"])), min_size=5, max_size=60
)
QUESTION = st.tuples(
    st.integers(0, WINDOWS), st.integers(0, WINDOWS), st.sets(st.integers(0, len(KINDS) - 1)), st.integers(0, 3)
)


class StandingClock:
    def wall_ms(self) -> int:
        return BEGIN_MS

    monotonic_ms = wall_ms


class Lab:
    """A store and, beside it, the same samples in windows of which nothing was ever written."""

    def __init__(self, directory: Path) -> None:
        budgets = Budgets(frame_bytes=200, segment_file_age_ms=1)
        self.store = Store.open(directory, clock=StandingClock(), budgets=budgets, fs=FailingFs())
        self.store.write(SessionOpen(SESSION, "shop", "host", 1, BEGIN_MS, 0))
        found = [self.store.series.resolve(f"m{number}", kind, {}) for number, kind in enumerate(KINDS)]
        self.series: list[Series] = [series for series in found if series is not None]
        self.store.write(Define(SESSION, [DefinedSeries(n, series.id, series) for n, series in enumerate(self.series)]))
        self.numbers = SeriesMap()
        for number, series in enumerate(self.series):
            self.numbers.set(number, series.id, series.kind)
        self.truth = {BEGIN_MS + number * WINDOW_MS: Window() for number in range(WINDOWS)}
        self.exemplars: dict[tuple[int, int], Exemplar] = {}
        self.sequence = 0

    def observe(self, window: int, number: int, value: int) -> None:
        writer = BodyWriter()
        if KINDS[number] is Kind.HISTOGRAM:
            writer.put_run(number, [float(value)])
        elif KINDS[number] is Kind.COUNTER:
            writer.put_counter(number, 1, float(value))
        else:
            writer.put_gauge(number, float(value))
        body = writer.take()
        self.sequence += 1
        start_ms = BEGIN_MS + window * WINDOW_MS
        end_ms = start_ms + self.sequence  # no two at one time
        exemplars = self.exemplars_of(window, number, value) if KINDS[number] is Kind.HISTOGRAM else ()
        accounts = SessionAccounts(observed=self.sequence)
        self.store.write(Frame(SESSION, self.sequence, 1, start_ms, end_ms, accounts, body, exemplars))
        self.truth[start_ms].apply(body, self.numbers, end_ms)

    def exemplars_of(self, window: int, number: int, value: int) -> tuple[Exemplar, ...]:
        """The sample with an id; the truth keeps it if it is the largest of its window."""
        start_ms = BEGIN_MS + window * WINDOW_MS
        found = Exemplar(
            self.series[number].id, start_ms, float(value), start_ms + self.sequence, f"{self.sequence:032x}"
        )
        key = start_ms, found.series_id
        before = self.exemplars.get(key, found)
        self.exemplars[key] = max(before, found, key=lambda each: (each.value, each.time_ms))
        return (found,)

    def check_exemplars(self, first: int, last: int, chosen: set[int]) -> None:
        """In windows of 10 s as they were; in longer ones the largest of each."""
        ids = {self.series[number].id for number in chosen}
        from_ms, to_ms = BEGIN_MS + first * WINDOW_MS, BEGIN_MS + last * WINDOW_MS
        view = self.store.view()
        found = view.collect_exemplars(ids, from_ms, to_ms)
        for piece in view.tiers.pieces(from_ms, to_ms):
            wanted: dict[int, Exemplar] = {}
            for (start_ms, series_id), each in self.exemplars.items():
                if series_id in ids and piece.from_ms <= start_ms < piece.to_ms:
                    before = wanted.get(series_id, each)
                    wanted[series_id] = max(before, each, key=lambda one: (one.value, one.time_ms))
            inside = [each for each in found if piece.from_ms <= each.window_ms < piece.to_ms]
            for series_id in ids:
                largest = max((each for each in inside if each.series_id == series_id), key=rank, default=None)
                expected = wanted.get(series_id)
                assert (largest and largest.trace_id) == (expected and expected.trace_id)
        assert len({(each.window_ms, each.series_id) for each in found}) == len(found)

    def do(self, step: object) -> None:
        if isinstance(step, tuple):
            self.observe(*step)
        elif step == "checkpoint":
            self.store.checkpoint()
        elif step == "roll":
            self.store.checkpoint()
            self.store._segments.give_up()
        else:
            self.store.maybe_compact(BEGIN_MS)
            self.store.maybe_roll_up(BEGIN_MS)

    def check(self, first: int, last: int, chosen: set[int], steps: int) -> None:
        mapping = {self.series[number].id: index % 2 for index, number in enumerate(sorted(chosen))}
        axis = (BEGIN_MS, steps * WINDOW_MS, WINDOWS if steps else 1)
        found, wanted = Groups(mapping, 2, *axis), Groups(mapping, 2, *axis)
        from_ms, to_ms = BEGIN_MS + first * WINDOW_MS, BEGIN_MS + last * WINDOW_MS
        coverage = self.store.view().collect(from_ms, to_ms, found, steps * WINDOW_MS)
        inside = {start: window for start, window in self.truth.items() if from_ms <= start < to_ms}
        for start, window in inside.items():
            window.collect(wanted, start)
        for group in range(2):
            for step in range(axis[2]):
                assert found.histogram(group, step) == wanted.histogram(group, step)
                assert found.counter(group, step) == wanted.counter(group, step)
                assert found.gauge(group, step) == wanted.gauge(group, step)
        starts = [start for start, window in inside.items() if window.series_count]
        assert coverage.windows <= len(starts)
        assert (coverage.first_ms, coverage.last_ms) == (
            (min(starts), max(starts) + WINDOW_MS) if starts else (None, None)
        )

    def check_last_samples(self) -> None:
        last = {
            each.id: (start, start + WINDOW_MS)
            for start, window in self.truth.items()
            for each in self.series
            if each.id in window
        }
        assert self.store.view().last_samples([each.id for each in self.series], 0) == last
        total = self.store.view().accounts(0, 1 << 60).get("shop")
        assert total is None or total["stored"] == self.sequence


@repeatable
@given(STEPS, st.lists(QUESTION, min_size=1, max_size=5))
def test_every_question_has_the_answer_of_the_truth(
    steps: list[object], questions: list[tuple[int, int, set[int], int]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        for step in steps:
            lab.do(step)
        for question in questions:
            lab.check(*question)
            lab.check_exemplars(*question[:3])
        lab.check_last_samples()
        lab.store.close()
