"""What the tests of the store share: a clock to turn, producers that know what they sent, and the truth."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, nan
from typing import Any

from obsagent._native.codec import BodyWriter, Groups, SeriesMap, Window
from obsagent._native.sketch import Column, TDigest
from obsagent.clock import window_start
from obsagent.exemplars import rank
from obsagent.head.accounts import Accounts, SessionAccounts
from obsagent.head.entries import (
    REFUSED_SERIES,
    Define,
    DefinedSeries,
    Entry,
    Events,
    Frame,
    Refused,
    SessionClose,
    SessionOpen,
)
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Exemplar, Kind, Series

BEGIN_MS = 1_700_000_000_000
FAR_MS = BEGIN_MS + 10_000 * WINDOW_MS


@dataclass
class TurnedClock:
    now_ms: int = BEGIN_MS

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms


@dataclass
class Producer:
    """One session. `sent` holds every frame and refusal by sequence; whole numbers make sums exact."""

    name: str
    service: str = "shop"
    worker: int = 0
    sent: list[Frame | Refused] = field(default_factory=list)
    defined: list[Series] = field(default_factory=list)
    happened: list[Event] = field(default_factory=list)
    accounts: SessionAccounts = SessionAccounts()  # noqa: RUF009 - immutable
    closed: bool = False

    @property
    def session(self) -> bytes:
        return self.name.encode().ljust(16, b"\0")

    def open_entry(self) -> SessionOpen:
        return SessionOpen(self.session, self.service, "host", 7, BEGIN_MS, self.worker, "v1")

    def define_all(self) -> Define:
        return Define(self.session, [DefinedSeries(i, one.id, one) for i, one in enumerate(self.defined)])

    def frame(
        self, at_ms: int, body: bytes, samples: int, lost: int = 0, exemplars: tuple[Exemplar, ...] = ()
    ) -> Frame:
        observed = self.accounts.observed + samples + lost
        self.accounts = self.accounts._replace(observed=observed, dropped_ring=self.accounts.dropped_ring + lost)
        sequence = len(self.sent) + 1
        end_ms = at_ms + 100 + sequence  # no two at one time: which of two gauge values is the last is not said
        entry = Frame(self.session, sequence, 1, at_ms, end_ms, self.accounts, body, exemplars)
        self.sent.append(entry)
        return entry

    def backfill(self, hour_ms: int, body: bytes, samples: int) -> Frame:
        """A batch of an hour that is long past."""
        entry = replace(self.frame(hour_ms, body, samples), is_backfill=True)
        self.sent[-1] = entry
        return entry

    def refusal(self, at_ms: int, samples: int, reason: str = "time") -> Refused:
        self.accounts = self.accounts._replace(observed=self.accounts.observed + samples)
        entry = Refused(self.session, len(self.sent) + 1, 1, at_ms, at_ms + 100, self.accounts, reason, samples, at_ms)
        self.sent.append(entry)
        return entry

    def happens(self, at_ms: int, dropped: int = 0, rejected: int = 0) -> Events:
        """The next event; its sequence is how many happened, dropped and rejected ones included."""
        event = Event(f"e{len(self.happened) + 1}", at_ms, {"session": self.name})
        self.happened.append(event)
        return Events(self.session, len(self.happened), dropped, rejected, [event])

    def event_entries(self, after: int) -> list[Events]:
        """What is sent again of the events behind a sequence."""
        return [Events(self.session, after + 1 + index, 0, 0, [one]) for index, one in enumerate(self.happened[after:])]

    def close_entry(self, at_ms: int) -> SessionClose:
        self.closed = True
        return SessionClose(self.session, self.accounts, at_ms)


def make_body(series: Iterable[tuple[int, Series]], chance: random.Random) -> tuple[bytes, int]:
    """A body with samples for some of the series; and how many samples it has."""
    writer = BodyWriter()
    samples = 0
    for number, one in series:
        if one.kind == Kind.COUNTER:
            count = chance.randint(1, 5)
            writer.put_counter(number, count, float(chance.randint(0, 100)))
        elif one.kind == Kind.GAUGE:
            count = 1
            writer.put_gauge(number, float(chance.randint(-50, 50)))
        elif one.kind == Kind.COLUMN:
            count = put_column(writer, number, chance, is_numeric=one.id % 8 < 4)
        else:
            count = chance.randint(1, 40)
            values = [float(chance.randint(-3, 1000)) for _ in range(count)]
            writer.put_run(number, values) if count < 16 else writer.put_loghist(number, values)
            if count >= 16 and one.keeps_digest:
                writer.put_tdigest(number, values)
        samples += count
    return writer.take(), samples


def put_column(writer: BodyWriter, number: int, chance: random.Random, *, is_numeric: bool) -> int:
    """Numbers in bins or categories in bins, and what is neither; returns how many samples."""
    nulls, wrong = chance.randint(0, 3), chance.randint(0, 2)
    if is_numeric:
        numbers = [nan, inf, *(float(chance.randint(-3, 1000)) for _ in range(chance.randint(0, 20)))]
        writer.put_column(number, numbers, edges=[0.0, 10.0, 100.0, 500.0], nulls=nulls, wrong_types=wrong)
        return len(numbers) + nulls + wrong
    categories = [chance.choice(("DE", "FR", "IT", "")) for _ in range(chance.randint(1, 20))]
    writer.put_column(number, (), categories, names=["DE", "FR"], nulls=nulls, wrong_types=wrong)
    return len(categories) + nulls + wrong


def make_exemplars(series: Iterable[Series], at_ms: int, chance: random.Random) -> tuple[Exemplar, ...]:
    """One for some of the histograms; equal values are not rare."""
    return tuple(
        Exemplar(
            one.id, window_start(at_ms), float(chance.randint(0, 9)), at_ms, f"{chance.getrandbits(128):032x}", "r" * 36
        )
        for one in series
        if one.kind is Kind.HISTOGRAM and chance.random() < 0.7
    )


def resolve(store: Store, metric: str, kind: Kind, **labels: str) -> Series:
    """A series; every histogram keeps a t-digest."""
    sketch = "tdigest" if kind is Kind.HISTOGRAM else "loghist"
    series = store.series.resolve(metric, kind, labels, sketch=sketch)
    assert series is not None
    return series


def begin(store: Store, producer: Producer, kinds: Iterable[Kind] = (Kind.HISTOGRAM,)) -> None:
    """Open the producer's session and define one series of each kind."""
    store.write(producer.open_entry())
    for kind in kinds:
        labels = {"service": producer.service, "worker": producer.name}
        producer.defined.append(resolve(store, f"m_{kind.word}", kind, **labels))
    store.write(producer.define_all())


@dataclass
class Truth:
    """What a store must hold after exactly these entries, worked out without journal or segments."""

    windows: dict[int, Window] = field(default_factory=dict)
    accounts: dict[tuple[int, str], Accounts] = field(default_factory=dict)
    exemplars: dict[tuple[int, int], Exemplar] = field(default_factory=dict)
    """Window and series → the largest."""
    taken: set[Exemplar] = field(default_factory=set)
    """All of them."""

    @classmethod
    def of(cls, producers: Iterable[Producer], applied: dict[bytes, int]) -> Truth:
        """The frames of each producer up to its last applied sequence, and its close if it was applied."""
        truth = cls()
        for producer in producers:
            before = SessionAccounts()
            numbers = SeriesMap()
            for number, one in enumerate(producer.defined):
                numbers.set(number, one.id, one.kind, one.scale, one.keeps_digest)
            for entry in producer.sent[: applied.get(producer.session, 0)]:
                before = truth._apply(producer, entry, before, numbers)
        return truth

    def _apply(
        self, producer: Producer, entry: Frame | Refused, before: SessionAccounts, numbers: SeriesMap
    ) -> SessionAccounts:
        now = entry.accounts
        start = window_start(entry.start_ms if isinstance(entry, Frame) else entry.window_ms)
        page = self.accounts.setdefault((start, producer.service), Accounts())
        page.observed += now.observed - before.observed
        page.dropped_ring += now.dropped_ring - before.dropped_ring
        if isinstance(entry, Frame):
            stored, refused = self.windows.setdefault(start, Window()).apply(entry.body, numbers, entry.end_ms)
            page.stored += stored
            page.rejected_frame += refused
            self.taken.update(entry.exemplars)
            for each in entry.exemplars:
                key = start, each.series_id
                self.exemplars[key] = max(self.exemplars.get(key, each), each, key=rank)
        elif entry.reason == "time":
            page.rejected_time += entry.samples
        else:
            page.rejected_frame += entry.samples
        return now


def applied_of(store: Store | ReadOnlyStore) -> dict[bytes, int]:
    """Session → last applied sequence."""
    return {bytes.fromhex(session["session"]): session["last_applied"] for session in store.status()["sessions"]}


def contents(view: View, series_ids: Iterable[int], starts: Iterable[int]) -> dict[tuple[int, int], Any]:
    """(window, series) → histogram bytes, counter, gauge and what is in the digest, where there is anything."""
    ids = list(series_ids)
    found = {}
    for start in starts:
        groups = Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids), digests=True)
        view.collect(start, start + 1, groups)
        for index, series_id in enumerate(ids):
            if groups.samples(index):
                found[start, series_id] = *_measured(groups, index), _digested(groups, index)
    return found


def _digested(groups: Groups, index: int) -> tuple[int, float, float] | None:
    """Count, minimum and maximum, which do not depend on the order of merges; None without a digest."""
    encoded = groups.tdigest(index)
    if encoded is None:
        return None
    digest = TDigest._from_compact(encoded)
    return digest.count, digest.min, digest.max


def _measured(groups: Groups, index: int) -> Any:
    counted = _counted_column(groups, index)
    return groups.samples(index), groups.histogram(index), groups.counter(index), groups.gauge(index), counted


def _counted_column(groups: Groups, index: int) -> Any:
    """What merges exactly of a column; None of other kinds."""
    encoded = groups.column(index)
    if encoded is None:
        return None
    column = Column._from_compact(encoded)
    others = column.null_count, column.wrong_type_count, column.category_count
    top = column.topk and column.topk.items()
    return others, column.edge_counts, column.edge_sums, top, column.hll and column.hll.to_bytes()


def expected_contents(truth: Truth, series_ids: Iterable[int]) -> dict[tuple[int, int], Any]:
    ids = list(series_ids)
    found = {}
    for start, window in truth.windows.items():
        groups = Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids), digests=True)
        window.collect(groups)
        for index, series_id in enumerate(ids):
            if groups.samples(index):
                found[start, series_id] = *_measured(groups, index), _digested(groups, index)
    return found


def check_store(store: Store | ReadOnlyStore, producers: list[Producer]) -> dict[bytes, int]:
    """The store holds exactly what its sessions' sequences say; returns these."""
    applied = applied_of(store)
    truth = Truth.of(producers, applied)
    ids = sorted({one.id for producer in producers for one in producer.defined})
    starts = sorted({window_start(entry.start_ms) for producer in producers for entry in producer.sent})
    view = store.view()
    assert contents(view, ids, starts) == expected_contents(truth, ids)
    for start in starts:
        found = view.collect_exemplars(ids, start, start + 1)
        assert {(each.window_ms, each.series_id): each for each in found} == {
            key: each for key, each in truth.exemplars.items() if key[0] == start
        }
    check_accounts(view, store, truth)
    check_totals(view, ids, truth)
    return applied


def check_events(store: Store | ReadOnlyStore, producers: Iterable[Producer]) -> dict[bytes, int]:
    """The store holds each session's events up to its last one, once; returns how many."""
    last = {bytes.fromhex(session["session"]): session["last_event"] for session in store.status()["sessions"]}
    found = store.view().events()
    assert [event.at_ms for event in found] == sorted(event.at_ms for event in found)
    for producer in producers:
        of_session = [event for event in found if event.labels["session"] == producer.name]
        expected = producer.happened[: last.get(producer.session, 0)]
        assert sorted(of_session, key=repr) == sorted(expected, key=repr)
    assert store.status()["events"]["kept"] == len(found)
    return last


def check_accounts(view: View, store: Store | ReadOnlyStore, truth: Truth) -> None:
    totals: dict[str, Accounts] = {}
    for (start, service), account in truth.accounts.items():
        totals.setdefault(service, Accounts()).add(account)
        assert view.accounts(start, start + 1)[service] == account.as_dict()
    shown = store.status()["accounts"]["services"]
    assert shown == {service: account.as_dict() for service, account in totals.items()}


def check_totals(view: View, ids: list[int], truth: Truth) -> None:
    everything = Window()
    for window in truth.windows.values():
        everything.merge(window)
    wanted = Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids))
    everything.collect(wanted)
    found = Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids))
    view.collect_totals(found)
    for index in range(len(ids)):
        (*found_counts, found_column), (*wanted_counts, wanted_column) = (
            _measured(found, index),
            _measured(wanted, index),
        )
        assert found_counts == wanted_counts
        assert (found_column and found_column[0]) == (wanted_column and wanted_column[0])  # totals keep no parts


def refused_definition(number: int, metric: str) -> DefinedSeries:
    return DefinedSeries(number, REFUSED_SERIES, None, metric)


def write_all(store: Store, entries: Iterable[Entry]) -> int:
    position = 0
    for entry in entries:
        position = store.write(entry)
    return position
