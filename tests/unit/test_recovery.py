"""Whatever happens to the agent, the store holds each batch that it acknowledged once, and none twice.

A walk of random steps over a store on a disk that loses what was not synced. After every crash, and
after every step that reads, everything is compared with a truth that knows neither journal nor segments.
"""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest
from lossy_fs import LossyFs, some
from store_lab import (
    BEGIN_MS,
    Producer,
    TurnedClock,
    begin,
    check_events,
    check_store,
    contents,
    make_body,
    resolve,
)

from obsagent.clock import window_start
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Events
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind

TINY = Budgets(journal_file_bytes=3_000, segment_file_bytes=4_000, frame_bytes=300)


class Stopped(BaseException):
    """Nothing of the process runs any more."""


class Walk:
    """One store, its producers, and the steps that can happen to them."""

    def __init__(self, root: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = TurnedClock()
        self.root = root
        self.life = 0
        self.compacted = self.rolled = 0
        self.producers: list[Producer] = []
        self.acknowledged: dict[bytes, int] = {}
        self.waiting: list[tuple[int, bytes, int]] = []
        self.acknowledged_events: dict[bytes, int] = {}
        self.waiting_events: list[tuple[int, bytes, int]] = []
        self.open(root / "0")

    def open(self, directory: Path) -> None:
        """Begin with a disk that holds all of a directory."""
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.fs = LossyFs()
        self.fs.adopt(directory)
        self.reopen()

    def reopen(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=TINY, fs=self.fs)
        self.waiting = []
        self.waiting_events = []

    def new_session(self) -> None:
        if len(self.producers) >= 6:
            return
        producer = Producer(f"p{len(self.producers)}", service=self.chance.choice(["shop", "bank"]))
        self.producers.append(producer)
        begin(self.store, producer, list(Kind))

    def new_series(self) -> None:
        producer = self.any_producer()
        labels = {"service": producer.service, "worker": producer.name, "n": str(len(producer.defined))}
        if len(producer.defined) < 12:
            kind = self.chance.choice(list(Kind))
            producer.defined.append(resolve(self.store, f"m_{kind.word}", kind, **labels))
            self.store.write(producer.define_all())

    def any_producer(self) -> Producer:
        if not self.producers:
            self.new_session()
        return self.chance.choice(self.producers)

    def send(self) -> None:
        producer = self.any_producer()
        at_ms = self.clock.now_ms
        if self.chance.random() < 0.3:  # late: its window has been checkpointed
            at_ms = max(BEGIN_MS, at_ms - self.chance.randint(0, 5) * WINDOW_MS)
        numbered = list(enumerate(producer.defined))
        body, samples = make_body(self.chance.sample(numbered, self.chance.randint(1, len(numbered))), self.chance)
        entry = producer.frame(at_ms, body, samples, lost=self.chance.choice([0, 0, 3]))
        self.write(producer, entry)

    def refuse(self) -> None:
        producer = self.any_producer()
        reason = self.chance.choice(["time", "frame"])
        self.write(producer, producer.refusal(self.clock.now_ms, self.chance.randint(1, 9), reason))

    def write(self, producer: Producer, entry: object) -> None:
        position = self.store.write(entry)  # type: ignore[arg-type]
        self.waiting.append((position, producer.session, len(producer.sent)))

    def happen(self) -> None:
        producer = self.any_producer()
        self.write_event(producer.happens(self.clock.now_ms))

    def write_event(self, entry: Events) -> None:
        self.waiting_events.append((self.store.write(entry), entry.session, entry.sequence))

    def send_again(self) -> None:
        producer = self.any_producer()
        for entry in producer.sent[-3:]:
            self.write(producer, entry)

    def sync(self) -> None:
        synced = self.store.sync()
        for position, session, sequence in self.waiting:
            if position <= synced:
                self.acknowledged[session] = max(sequence, self.acknowledged.get(session, 0))
        self.waiting = [one for one in self.waiting if one[0] > synced]
        for position, session, sequence in self.waiting_events:
            if position <= synced:
                self.acknowledged_events[session] = max(sequence, self.acknowledged_events.get(session, 0))

    def turn_clock(self) -> None:
        self.clock.now_ms += self.chance.choice([500, 3_000, WINDOW_MS, 25_000])

    def turn_clock_back(self) -> None:
        self.clock.now_ms = max(BEGIN_MS, self.clock.now_ms - 2 * WINDOW_MS)

    def checkpoint_some(self) -> None:
        self.store.checkpoint(self.clock.now_ms - self.chance.randint(0, 3) * WINDOW_MS)

    def checkpoint_all(self) -> None:
        self.store.checkpoint()

    def checkpoint_maybe(self) -> None:
        self.store.maybe_checkpoint(self.clock.now_ms)

    def compact(self) -> None:
        """Whatever is to be compacted; a view from before says afterwards what it said before."""
        view = self.store.view()
        starts = range(window_start(BEGIN_MS), self.clock.now_ms + WINDOW_MS, WINDOW_MS)
        ids = [one.id for producer in self.producers for one in producer.defined]
        before = contents(view, ids, starts)
        while self.store.maybe_compact(self.clock.now_ms):
            self.compacted += 1
        while self.store.maybe_roll_up(self.clock.now_ms):
            self.rolled += 1
        self.clock.now_ms += KEEP_MS
        self.store.maybe_retire(self.clock.now_ms)  # would remove what is superseded, but for the view
        assert contents(view, ids, starts) == before

    def compact_one(self) -> None:
        self.compacted += self.store.maybe_compact(self.clock.now_ms)
        self.rolled += self.store.maybe_roll_up(self.clock.now_ms)

    def work(self) -> None:
        """Anything that writes."""
        some = [self.sync, self.checkpoint_some, self.checkpoint_some, self.checkpoint_all, self.compact_one]
        self.chance.choice(some)()

    def fail_something(self) -> None:
        """Some calls of the file system fail during a sync, a checkpoint or a compaction."""
        first = len(self.fs.log) + self.chance.randint(1, 6)
        self.fs.failing = range(first, first + self.chance.choice([1, 1, 2, 3]))
        self.fs.short_writes = self.chance.random() < 0.5
        try:
            self.work()
        except StoreError:
            pass
        finally:
            self.fs.failing = range(0)

    def meanwhile(self) -> None:
        """Samples arrive and queries are answered while something, which may fail, is at work."""

        def others(call: str) -> None:
            if self.chance.random() < 0.3:
                self.chance.choice([self.send, self.happen])()
            if self.chance.random() < 0.2:
                self.look()

        self.fs.before = others
        try:
            self.chance.choice([self.work, self.fail_something])()
        finally:
            self.fs.before = None

    def stop_at_work(self) -> None:
        """The process is killed, or the power goes, in the middle of a sync, a checkpoint or a compaction."""
        countdown = self.chance.randint(0, 6)

        def stop(call: str) -> None:
            nonlocal countdown
            countdown -= 1
            if countdown < 0:
                raise Stopped

        self.fs.before = stop
        try:
            self.work()
        except Stopped:
            pass
        self.fs.before = None
        self.chance.choice([self.cut_power, self.kill])()

    def look(self) -> None:
        self.check(self.store)

    def look_from_outside(self) -> None:
        self.check(Store.open_read_only(self.directory, clock=self.clock))

    def check(self, store: Store | ReadOnlyStore) -> None:
        applied, events = check_store(store, self.producers), check_events(store, self.producers)
        for producer in self.producers:
            stored = applied.get(producer.session, 0)
            assert self.acknowledged.get(producer.session, 0) <= stored <= len(producer.sent)
            kept = events.get(producer.session, 0)
            assert self.acknowledged_events.get(producer.session, 0) <= kept <= len(producer.happened)

    def cut_power(self) -> None:
        """Only what is on the disk remains."""
        self.life += 1
        target = self.root / str(self.life)
        self.fs.power_cut(self.directory, target, some(self.chance))
        self.abandon()
        self.open(target)
        self.look()
        self.reconnect()

    def kill(self) -> None:
        """The process dies; what it wrote remains, but is not on the disk for that."""
        self.abandon()
        self.reopen()
        self.look()
        self.reconnect()

    def abandon(self) -> None:
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def restart(self) -> None:
        self.store.close()
        assert sum(path.stat().st_size for path in (self.directory / "journal").iterdir()) < 20_000
        self.reopen()
        self.look()
        self.reconnect()

    def reconnect(self) -> None:
        """Every client says hello, defines its series, and sends again what was not acknowledged."""
        for producer in self.producers:
            if self.store.sessions.get(producer.session) is None:
                self.store.write(producer.open_entry())
            for index, one in enumerate(producer.defined):
                found = self.store.series.resolve(one.metric, one.kind, one.labels, sketch=one.sketch)
                assert found is not None
                producer.defined[index] = found
            if producer.defined:
                self.store.write(producer.define_all())
            for entry in producer.sent[self.acknowledged.get(producer.session, 0) :]:
                self.write(producer, entry)
            for event in producer.event_entries(self.acknowledged_events.get(producer.session, 0)):
                self.write_event(event)
        self.check(self.store)


STEPS = {
    Walk.send: 30,
    Walk.happen: 8,
    Walk.sync: 12,
    Walk.turn_clock: 8,
    Walk.checkpoint_some: 5,
    Walk.checkpoint_maybe: 5,
    Walk.new_series: 4,
    Walk.refuse: 3,
    Walk.send_again: 3,
    Walk.cut_power: 3,
    Walk.look: 3,
    Walk.fail_something: 3,
    Walk.meanwhile: 5,
    Walk.stop_at_work: 3,
    Walk.kill: 2,
    Walk.new_session: 2,
    Walk.look_from_outside: 2,
    Walk.checkpoint_all: 1,
    Walk.compact: 2,
    Walk.compact_one: 5,
    Walk.restart: 1,
    Walk.turn_clock_back: 1,
}


@pytest.mark.parametrize("seed", range(16))
def test_walk(tmp_path: Path, seed: int) -> None:
    walk = Walk(tmp_path, seed)
    for step in walk.chance.choices(list(STEPS), weights=list(STEPS.values()), k=120):
        step(walk)
    walk.compact()
    assert walk.compacted > 0
    assert walk.rolled > 0
    walk.cut_power()
    walk.sync()
    walk.look_from_outside()
    for producer in walk.producers:
        assert walk.acknowledged.get(producer.session, 0) == len(producer.sent)
        assert walk.acknowledged_events.get(producer.session, 0) == len(producer.happened)
    assert walk.store.status()["corrupt"] == 0
    walk.store.close()


def test_what_a_dead_process_wrote_is_synced_before_it_counts(tmp_path: Path) -> None:
    """It was killed between write and sync, and the next one has no room for a checkpoint."""
    walk = Walk(tmp_path, 1)
    for _ in range(3):
        walk.send()

    def stop(call: str) -> None:
        if call == "sync_data":
            raise Stopped

    walk.fs.before = stop
    with pytest.raises(Stopped):
        walk.store.sync()
    walk.fs.before = None
    walk.abandon()
    walk.fs.errno = errno.ENOSPC
    walk.fs.fail_always = {"create"}
    walk.reopen()
    applied = check_store(walk.store, walk.producers)
    assert sum(applied.values()) == 3
    walk.acknowledged.update(applied)  # as a welcome tells the clients
    walk.fs.fail_always = set()
    walk.cut_power()
