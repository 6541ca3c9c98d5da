"""A scripted life of a store: everything that writes happens in it, and what was acknowledged is remembered."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from crash.budgets import HOUR_MS, KEEP_MS, MINUTE_MS, maintain, tiny
from crash.kept_windows import check_totals, check_windows
from obsagent.errors import StoreError
from obsagent.head.accounts import Accounts
from obsagent.head.entries import Entry
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.samples import Kind
from unit.lossy_fs import LossyFs
from unit.store_lab import BEGIN_MS, Producer, Truth, TurnedClock, applied_of, begin, check_events, make_body, resolve

SMALL = tiny(
    journal_file_bytes=3_000,
    segment_file_bytes=4_000,
    frame_bytes=400,
    retention_ms=(3 * WINDOW_MS, 4 * MINUTE_MS, HOUR_MS),
)
STEP_MS = WINDOW_MS // 2


@dataclass(frozen=True)
class Sequences:
    """Session → sequence of its last frame and of its last event, as of some moment."""

    frames: dict[bytes, int] = field(default_factory=dict)
    events: dict[bytes, int] = field(default_factory=dict)

    def copy(self) -> Sequences:
        return Sequences(dict(self.frames), dict(self.events))

    def is_within(self, other: Sequences) -> bool:
        """True if the other has everything that this one has."""
        pairs = ((self.frames, other.frames), (self.events, other.events))
        return all(count <= its.get(session, 0) for mine, its in pairs for session, count in mine.items())


class Life:
    """A store, two producers that know what they sent, and what was acknowledged to them."""

    def __init__(self, directory: Path, fs: LossyFs) -> None:
        self.directory = directory
        self.fs = fs
        self.clock = TurnedClock()
        self.chance = random.Random(3)
        self.producers = [Producer("p"), Producer("q", service="bank", worker=1)]
        self.acknowledged = Sequences()
        self._waiting: list[tuple[int, dict[bytes, int], bytes, int]] = []

    @classmethod
    def again(cls, directory: Path, fs: LossyFs, before: Life, now_ms: int, acknowledged: Sequences) -> Life:
        """The life after another, on what the disk holds of it."""
        life = cls(directory, fs)
        life.clock.now_ms = now_ms
        life.producers = [replace(each, defined=list(each.defined)) for each in before.producers]
        life.acknowledged = acknowledged.copy()
        return life

    def open(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=SMALL, fs=self.fs)

    def live(self, rounds: int) -> None:
        """From the first open to the close. Where the disk refuses something, the life goes on without it."""
        while not hasattr(self, "store"):
            with suppress(StoreError):
                self.open()
        for producer in self.producers:
            begin(self.store, producer, list(Kind))
        for number in range(rounds):
            for producer in self.producers:
                self.work(producer, number)
            if number % 3:  # else the checkpoint, if it comes, has to see to it
                self.sync()
            self.clock.now_ms += STEP_MS
            self.maintain()
        for _ in range(2):
            self.clock.now_ms += KEEP_MS  # what was superseded may go now
            self.maintain()
        self.clock.now_ms += 3 * HOUR_MS  # all has expired, in every tier; but the newest file of the finest stays
        self.maintain()
        self.clock.now_ms += KEEP_MS
        self.maintain()
        self.operations_until_close = len(self.fs.log)
        with suppress(StoreError):
            self.store.close()
            self.acknowledge(self.store.position())

    def work(self, producer: Producer, number: int) -> None:
        """Frames for this window and an older one; a series, an event, a refusal now and then."""
        if number % 5 == 4 and len(producer.defined) < 6:
            labels = {"service": producer.service, "worker": producer.name, "n": str(number)}
            producer.defined.append(resolve(self.store, "m_counter", Kind.COUNTER, **labels))
            self.store.write(producer.define_all())
        for late_ms in [0, 3 * WINDOW_MS] if number % 3 == 0 else [0]:
            body = make_body(enumerate(producer.defined), self.chance)
            producer.frame(max(BEGIN_MS, self.clock.now_ms - late_ms), *body)
        if number % 7 == 6:
            producer.refusal(self.clock.now_ms, 3)
        if number % 4 == 0:
            producer.happens(self.clock.now_ms)
        self.send(producer)

    def send(self, producer: Producer) -> None:
        """Everything of a producer that is not waiting for its acknowledgement already."""
        waiting = {(session, id(which)): number for _, which, session, number in self._waiting}
        frames, events = self.acknowledged.frames, self.acknowledged.events
        sent = waiting.get((producer.session, id(frames)), frames.get(producer.session, 0))
        happened = waiting.get((producer.session, id(events)), events.get(producer.session, 0))
        for entry in producer.sent[sent:]:
            self.write(entry, frames, producer.session, entry.sequence)
        for event in producer.event_entries(happened):
            self.write(event, events, producer.session, event.sequence)

    def write(self, entry: Entry, which: dict[bytes, int], session: bytes, sequence: int) -> None:
        self._waiting.append((self.store.write(entry), which, session, sequence))

    def sync(self) -> None:
        with suppress(StoreError):
            self.acknowledge(self.store.sync())

    def acknowledge(self, synced: int) -> None:
        """What an agent says to its clients when the journal is durable up to there."""
        for position, which, session, sequence in self._waiting:
            if position <= synced:
                which[session] = max(sequence, which.get(session, 0))
        self._waiting = [waiting for waiting in self._waiting if waiting[0] > synced]

    def maintain(self) -> None:
        """A checkpoint if it is time, and whatever else the agent does to files."""
        with suppress(StoreError):
            self.store.maybe_checkpoint(self.clock.now_ms)
        with suppress(StoreError):
            maintain(self.store, self.clock.now_ms)

    def reconnect(self) -> None:
        """The clients say hello, define their series, and send again what was not acknowledged."""
        for producer in self.producers:
            known = self.store.sessions.get(producer.session)
            if known is None:
                self.store.write(producer.open_entry())
            else:  # as the welcome tells them
                self.acknowledged.frames[producer.session] = known.last_applied
                self.acknowledged.events[producer.session] = known.last_event
            for index, one in enumerate(producer.defined):
                producer.defined[index] = resolve(self.store, one.metric, one.kind, **one.labels)
            self.store.write(producer.define_all())
        for producer in self.producers:
            self.send(producer)

    def sent(self) -> Sequences:
        """Everything, whether it has arrived or not."""
        return Sequences(
            {each.session: len(each.sent) for each in self.producers},
            {each.session: len(each.happened) for each in self.producers},
        )

    def abandon(self) -> None:
        """The process is gone; nothing more is written."""
        if not hasattr(self, "store"):
            return
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()


def stored_in(store: Store | ReadOnlyStore, producers: Iterable[Producer]) -> Sequences:
    """What the store holds: bucket for bucket what its own sequences say, as far as it keeps that."""
    producers = list(producers)
    applied = applied_of(store)
    truth = Truth.of(producers, applied)
    view = store.view()
    ids = {one.id: index for index, one in enumerate(each for its in producers for each in its.defined)}
    check_windows(view, truth.windows, ids, ids)
    check_totals(view, truth.windows, ids, ids)
    check_accounts(store, view, truth)
    return Sequences(applied, check_events(store, producers))


def check_accounts(store: Store | ReadOnlyStore, view: View, truth: Truth) -> None:
    """In total, whatever is kept, and of the windows that are kept."""
    begin_ms = min(map(view.tiers.begins, TIER_WINDOWS_MS))
    totals: dict[str, Accounts] = {}
    kept: dict[str, Accounts] = {}
    for (start, service), account in truth.accounts.items():
        totals.setdefault(service, Accounts()).add(account)
        if start >= begin_ms:
            kept.setdefault(service, Accounts()).add(account)
    assert store.status()["accounts"]["services"] == {name: account.as_dict() for name, account in totals.items()}
    assert view.accounts(begin_ms, 1 << 60) == {name: account.as_dict() for name, account in kept.items()}
