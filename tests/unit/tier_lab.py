"""A store that lives for hours in a moment: files of minutes, and tiers that expire; with the truth of all windows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import lcm
from pathlib import Path

from faulty_fs import FailingFs
from store_lab import BEGIN_MS, Producer, Truth, TurnedClock, applied_of, begin, make_body, make_exemplars, resolve

from obsagent._native.codec import Groups, Window
from obsagent.clock import window_start
from obsagent.exemplars import rank
from obsagent.head.accounts import Accounts
from obsagent.head.budgets import Budgets
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind
from obsagent.segment.tiers import Piece

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NOON_MS = BEGIN_MS - BEGIN_MS % HOUR_MS
SHORT = Budgets(
    segment_file_bytes=4_000,
    segment_file_age_ms=10 * MINUTE_MS,
    frame_bytes=700,
    retention_ms=(HOUR_MS, 3 * HOUR_MS, 8 * HOUR_MS),
)


class TierLab:
    """A store with one producer of one series of each kind, and operations on it."""

    def __init__(self, directory: Path, seed: int = 1, budgets: Budgets = SHORT, fs: FailingFs | None = None) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.budgets = budgets
        self.fs = fs or FailingFs()
        self.chance = random.Random(seed)
        self.clock = TurnedClock(NOON_MS)
        self.producer = Producer("p")
        self.open()
        begin(self.store, self.producer, list(Kind))
        self.producer.defined.append(resolve(self.store, "other", Kind.COUNTER, service="shop"))
        self.store.write(self.producer.define_all())

    def open(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def crash(self) -> None:
        """The agent is gone from one moment to the next; another takes over."""
        self.leave()
        self.open()

    def leave(self) -> None:
        """The agent is gone."""
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def send(self, late_ms: int = 0) -> None:
        at_ms = max(NOON_MS, self.clock.now_ms - late_ms)
        body = make_body(enumerate(self.producer.defined), self.chance)
        exemplars = make_exemplars(self.producer.defined, at_ms, self.chance)
        self.store.write(self.producer.frame(at_ms, *body, exemplars=exemplars))

    def live(self, duration_ms: int, *, upkeep: bool = True) -> None:
        """Time goes on: samples, some of them late, checkpoints, and what an agent does with complete files."""
        end_ms = self.clock.now_ms + duration_ms
        while self.clock.now_ms < end_ms:
            self.send()
            if self.chance.random() < 0.3:
                self.send(self.chance.randrange(110) * MINUTE_MS)
            self.clock.now_ms += self.chance.choice((10_000, 40_000, 300_000))
            self.store.sync()
            if self.chance.random() < 0.5:
                self.store.checkpoint(window_start(self.clock.now_ms - 2_000))
            if upkeep and self.chance.random() < 0.3:
                self.look()

    def look(self) -> None:
        """As the agent's upkeep does every few seconds."""
        now_ms = self.clock.now_ms
        self.store.maybe_retire(now_ms)
        while self.store.maybe_compact(now_ms) or self.store.maybe_roll_up(now_ms):
            self.store.maybe_retire(now_ms)

    @property
    def ids(self) -> list[int]:
        return [series.id for series in self.producer.defined]

    def truth(self) -> Truth:
        return Truth.of([self.producer], applied_of(self.store))

    def names(self, part: str = "") -> list[str]:
        return sorted(path.name for path in (self.directory / "segments").iterdir() if part in path.name)

    def views(self) -> list[View]:
        """As the agent sees the store, and as a reader without its lock does."""
        return [self.store.view(), self.reader().view()]

    def reader(self) -> ReadOnlyStore:
        return Store.open_read_only(self.directory, clock=self.clock)

    def check(self, questions: int = 12) -> None:
        """Random questions have the answer of the truth, as far as windows are kept."""
        truth = self.truth()
        for view in self.views():
            for _ in range(questions):
                from_ms = self.chance.randrange(NOON_MS, self.clock.now_ms)
                to_ms = self.chance.randrange(from_ms + 1, self.clock.now_ms + 2)
                step_ms = self.chance.choice((0, 0, WINDOW_MS, MINUTE_MS, 5 * MINUTE_MS, HOUR_MS))
                check_question(view, truth, self.ids, from_ms, to_ms, step_ms)
            check_question(view, truth, self.ids, NOON_MS, self.clock.now_ms + WINDOW_MS, 0)
            check_totals(view, truth, self.ids)


def check_question(view: View, truth: Truth, ids: list[int], from_ms: int, to_ms: int, step_ms: int) -> None:
    step_ms = step_ms and lcm(step_ms, view.window_ms_from(from_ms))
    pieces = view.tiers.pieces(from_ms, to_ms, step_ms)
    read = {start for start in truth.windows if any(piece.from_ms <= start < piece.to_ms for piece in pieces)}
    begin_ms = min([from_ms - from_ms % WINDOW_MS, *(piece.from_ms for piece in pieces[:1])])
    first_ms = begin_ms - begin_ms % (step_ms or 1)
    end_ms = max([to_ms, *(piece.to_ms for piece in pieces[-1:])])
    axis = (first_ms, step_ms, -(-(end_ms - first_ms) // step_ms)) if step_ms else (0, 0, 1)
    mapping = {series_id: index for index, series_id in enumerate(ids)}
    found, wanted = (Groups(mapping, len(ids), *axis, digests=True) for _ in range(2))
    coverage = view.collect(from_ms, to_ms, found, step_ms)
    for start in read:
        truth.windows[start].collect(wanted, start)
    for group in range(len(ids)):
        for step in range(axis[2]):
            assert found.samples(group, step) == wanted.samples(group, step)
            assert found.histogram(group, step) == wanted.histogram(group, step)
            assert found.counter(group, step) == wanted.counter(group, step)
            assert found.gauge(group, step) == wanted.gauge(group, step)
    check_exemplars(view, truth, ids, pieces, (from_ms, to_ms, step_ms))
    accounts: dict[str, Accounts] = {}
    unstepped = view.tiers.pieces(from_ms, to_ms)
    for (start, service), account in truth.accounts.items():
        if any(piece.from_ms <= start < piece.to_ms for piece in unstepped):
            accounts.setdefault(service, Accounts()).add(account)
    assert view.accounts(from_ms, to_ms) == {service: account.as_dict() for service, account in accounts.items()}
    check_coverage(view, coverage.first_ms, coverage.last_ms, read)


def check_exemplars(
    view: View, truth: Truth, ids: list[int], pieces: Sequence[Piece], question: tuple[int, int, int]
) -> None:
    """The largest of each series and of all windows that are read, and none that is not one of its window."""
    found = view.collect_exemplars(ids, *question)
    assert len({(each.window_ms, each.series_id) for each in found}) == len(found)
    for piece in pieces:
        inside = [each for each in found if piece.from_ms <= each.window_ms < piece.to_ms]
        read = [each for (start, _), each in truth.exemplars.items() if piece.from_ms <= start < piece.to_ms]
        for series_id in ids:
            largest, wanted = (
                max((each for each in some if each.series_id == series_id), key=rank, default=None)
                for some in (inside, read)
            )
            assert (largest and largest.trace_id) == (wanted and wanted.trace_id)
        assert {each.trace_id for each in inside} <= {each.trace_id for each in read}


def check_coverage(view: View, first_ms: int | None, last_ms: int | None, read: set[int]) -> None:
    """To the window where windows of 10 s are kept."""
    if not read:
        assert (first_ms, last_ms) == (None, None)
        return
    assert first_ms is not None
    assert last_ms is not None
    assert first_ms <= min(read)
    assert last_ms >= max(read) + WINDOW_MS
    if min(read) >= view.tiers.begins(WINDOW_MS):
        assert first_ms == min(read)
    if max(read) >= view.tiers.begins(WINDOW_MS):
        assert last_ms == max(read) + WINDOW_MS


def check_totals(view: View, truth: Truth, ids: list[int]) -> None:
    """Everything that ever was, whatever is kept."""
    everything = Window(digests=False)
    for window in truth.windows.values():
        everything.merge(window)
    mapping = {series_id: index for index, series_id in enumerate(ids)}
    found, wanted = (Groups(mapping, len(ids)) for _ in range(2))
    everything.collect(wanted)
    view.collect_totals(found)
    for group in range(len(ids)):
        assert found.histogram(group) == wanted.histogram(group)
        assert found.counter(group) == wanted.counter(group)
