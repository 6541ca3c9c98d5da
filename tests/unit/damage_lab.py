"""A store of a few KB whose every bit the tests of damage can afford to flip, and what is asked of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faulty_fs import FailingFs
from plain_survivors import Key, Prediction, predict, union
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, resolve

from obsagent._native.codec import BodyWriter, Groups
from obsagent.clock import window_start
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.samples import Exemplar, Kind

FIRST_MS = window_start(BEGIN_MS)
WINDOWS = 10
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
BACKFILLED = {days: (FIRST_MS - days * DAY_MS) // HOUR_MS * HOUR_MS for days in (20, 300)}
"""The hours of backfills."""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Small:
    """The files of a store that was killed, the time of that, and what is in it."""

    files: Files
    now_ms: int
    values: dict[Key, tuple[int, float]]
    exemplars: dict[Key, list[Any]]


class Maker:
    """Makes a store: one compacted file, one plain one, and a journal with every type of entry."""

    def __init__(self, directory: Path, *, has_backfills: bool = False) -> None:
        self.directory = directory
        self.has_backfills = has_backfills
        self.clock = TurnedClock(FIRST_MS + 1_000)
        self.store = Store.open(directory, clock=self.clock, fs=FailingFs())
        self.producer = Producer("p")
        begin(self.store, self.producer, [Kind.COUNTER])
        self.sent = 0

    def send(self, producer: Producer, late_ms: int = 0) -> None:
        self.sent += 1
        writer = BodyWriter()
        for number in range(len(producer.defined)):
            writer.put_counter(number, self.sent, float(self.sent))
        samples = self.sent * len(producer.defined)
        at_ms = self.clock.now_ms - late_ms
        exemplars: tuple[Exemplar, ...] = ()
        if self.sent % 2 == 0:
            exemplars = (Exemplar(producer.defined[0].id, window_start(at_ms), self.sent / 2, at_ms, f"t{self.sent}"),)
        self.store.write(producer.frame(at_ms, writer.take(), samples, exemplars=exemplars))

    def backfill(self, days: int) -> None:
        """Samples of an hour that is some days past; the store may be asked to reach further back for them."""
        if not self.has_backfills:
            return
        self.sent += 1
        writer = BodyWriter()
        writer.put_counter(0, self.sent, float(self.sent))
        self.store.reach_back((days + 1) * DAY_MS)
        self.store.write(self.producer.backfill(BACKFILLED[days], writer.take(), self.sent))

    def window(self, late_ms: int = 0) -> None:
        """A window's samples, and the checkpoint of the one before."""
        self.send(self.producer)
        if late_ms:
            self.send(self.producer, late_ms)
        self.clock.now_ms += WINDOW_MS
        self.store.sync()
        self.store.checkpoint(window_start(self.clock.now_ms - 2_000))

    def make(self, *, journal_reaches_back: bool) -> Files:
        for _ in range(2):
            self.window()
        self.backfill(days=20)
        self.store._segments.give_up()
        self.window()
        self.window(late_ms=2 * WINDOW_MS)
        self.compact()
        if not journal_reaches_back:
            self.store._syncs.begin_file()
            self.store._journal.remove_below(self.store._mark.low)
        self.window()
        if not journal_reaches_back:
            self.store._syncs.begin_file()
            self.store._journal.remove_below(self.store._mark.low)
        self.unfinished()
        self.store._store_lock.release()
        self.store._journal.close()
        files = (path for path in self.directory.rglob("*") if path.is_file() and path.name != "store.lock")
        return {str(path.relative_to(self.directory)): path.read_bytes() for path in sorted(files)}

    def compact(self) -> None:
        """And nothing is left of what was compacted."""
        assert self.store.maybe_compact(self.clock.now_ms)
        self.store.maybe_compact(self.clock.now_ms + KEEP_MS)

    def unfinished(self) -> None:
        """What is in the journal only: another session, a refusal, late samples, an event, a close."""
        other = Producer("q", worker=1)
        self.store.write(other.open_entry())
        other.defined.append(resolve(self.store, "later", Kind.COUNTER, service="shop"))
        self.store.write(other.define_all())
        self.send(self.producer)
        self.send(other)
        self.backfill(days=300)
        self.store.write(self.producer.refusal(self.clock.now_ms, 3))
        self.clock.now_ms += WINDOW_MS
        self.store.write(self.producer.happens(self.clock.now_ms))
        self.send(other, late_ms=WINDOW_MS)
        self.store.write(other.close_entry(self.clock.now_ms))
        self.send(self.producer)
        self.store.sync()


def make_small(directory: Path, *, journal_reaches_back: bool, has_backfills: bool = False) -> Small:
    maker = Maker(directory, has_backfills=has_backfills)
    files = maker.make(journal_reaches_back=journal_reaches_back)
    found = predict(directory, maker.clock.now_ms)
    assert found.gaps == []
    return Small(files, maker.clock.now_ms, found.values, found.exemplars)


def write(directory: Path, files: Files) -> None:
    """Make the files all that a directory has."""
    for folder in (directory, directory / "segments", directory / "journal"):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.is_file() and str(path.relative_to(directory)) not in files:
                path.unlink()
    for name, data in files.items():
        (directory / name).write_bytes(data)


def found_in(store: Store | ReadOnlyStore) -> Prediction:
    """What a store says it has, after all of it was read."""
    view = store.view()
    values, exemplars = read_values(view), read_exemplars(view)
    view.accounts(0, 1 << 60)
    gaps = view.gaps(0, 1 << 60)
    assert {(gap.from_ms, gap.to_ms) for gap in gaps} == {(g["from_ms"], g["to_ms"]) for g in store.status()["gaps"]}
    return Prediction(values, union([(gap.from_ms, gap.to_ms) for gap in gaps]), exemplars)


def read_exemplars(view: View) -> dict[Key, list[Any]]:
    by_id = {one.id: one for one in view.series()}
    found = view.collect_exemplars(by_id, FIRST_MS, FIRST_MS + WINDOWS * WINDOW_MS)
    return {
        (each.window_ms, by_id[each.series_id].metric, tuple(sorted(by_id[each.series_id].labels.items()))): [
            each.value,
            each.time_ms,
            each.trace_id,
            each.request_id,
        ]
        for each in found
    }


def read_values(view: View) -> dict[Key, tuple[int, float]]:
    values = read_windows(view, FIRST_MS, WINDOWS)
    for start_ms in BACKFILLED.values():
        values |= read_windows(view, start_ms, 1)
    return values


def read_windows(view: View, from_ms: int, count: int) -> dict[Key, tuple[int, float]]:
    series = list(view.series())
    groups = Groups({one.id: n for n, one in enumerate(series)}, len(series), from_ms, WINDOW_MS, count)
    view.collect(from_ms, from_ms + count * WINDOW_MS, groups, WINDOW_MS)
    values: dict[Key, tuple[int, float]] = {}
    for step in range(count):
        for number, one in enumerate(series):
            counter = groups.counter(number, step)
            if counter[0]:
                values[from_ms + step * WINDOW_MS, one.metric, tuple(sorted(one.labels.items()))] = counter
    return values


def check_sound(small: Small, found: Prediction) -> None:
    """Nothing is invented, and what is missing lies in a gap."""
    assert found.values.keys() <= small.values.keys()
    for key, value in small.values.items():
        left = found.values.get(key, (0, 0.0))
        assert left <= value, key
        if left != value:
            assert any(begin <= key[0] and key[0] + WINDOW_MS <= end for begin, end in found.gaps), (key, found.gaps)
    assert found.exemplars.keys() <= small.exemplars.keys()
    for key, exemplar in small.exemplars.items():
        if found.exemplars.get(key) != exemplar:
            assert any(begin <= key[0] and key[0] + WINDOW_MS <= end for begin, end in found.gaps), (key, found.gaps)


def check_read(small: Small, directory: Path) -> Prediction:
    """A reader finds what is predicted."""
    expected = predict(directory, small.now_ms)
    found = found_in(Store.open_read_only(directory, clock=TurnedClock(small.now_ms)))
    assert found == expected
    return found


def check_started(small: Small, directory: Path) -> None:
    """An agent starts, finds the same, and it stays so after it has ended."""
    expected = predict(directory, small.now_ms)
    store = Store.open(directory, clock=TurnedClock(small.now_ms), fs=FailingFs())
    found = found_in(store)
    store.close()
    assert found == expected
    again = found_in(Store.open_read_only(directory, clock=TurnedClock(small.now_ms)))
    assert again.values == found.values
    assert again.exemplars == found.exemplars
    assert union([*again.gaps, *found.gaps]) == again.gaps
    check_sound(small, again)
