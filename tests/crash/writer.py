"""The process that is killed: it writes through a store and says what was acknowledged.

Usage: writer.py DIRECTORY SEED POINT NOW_MS FIRST_SEQUENCE..., one first sequence for each session. POINT, as in
`killing_fs.py`, is where it kills itself; `-` is nowhere. Its clock begins at NOW_MS.

Protocol on stdout: `ready`, then `SESSION SEQUENCE` for each session whenever a sync has made it durable.
What it sends follows from the seed and the sequence alone, so that the ledger can work it out as well.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from crash.budgets import hurry, maintain, tiny
from crash.killing_fs import KillingFs, KillPoint
from obsagent._native.codec import BodyWriter
from obsagent.errors import StoreError
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import Define, DefinedSeries, Events, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Kind, Series

BEGIN_MS = 1_700_000_000_000
FRAMES_PER_WINDOW = 25
SAMPLES = 20
FRAMES_PER_EVENT = 10
EVENTS_OF_A_NAME = 300
"""A store keeps the last thousand of each name, and there are three sessions."""
METRICS = {"latency": Kind.HISTOGRAM, "served": Kind.COUNTER, "depth": Kind.GAUGE}


class FrameClock:
    """Time goes on with the frames, so that windows end and checkpoints come."""

    def __init__(self) -> None:
        self.now_ms = BEGIN_MS

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms


def session_id(number: int) -> bytes:
    return b"session-%08d" % number


def sent_ms(sequence: int) -> int:
    """When a frame is sent."""
    return BEGIN_MS + sequence * WINDOW_MS // FRAMES_PER_WINDOW


def frame_ms(sequence: int) -> int:
    """When a frame's samples were taken; every seventh frame is late by three windows."""
    at_ms = sent_ms(sequence)
    return at_ms - 3 * WINDOW_MS if sequence % 7 == 0 and sequence > 100 else at_ms


def frame_body(session: int, sequence: int) -> tuple[bytes, int]:
    """The body of a frame and its number of samples."""
    chance = random.Random(session * 1_000_003 + sequence)
    writer = BodyWriter()
    writer.put_run(0, [float(chance.randint(1, 5_000)) for _ in range(SAMPLES)])
    writer.put_counter(1, 3, float(chance.randint(0, 9)))
    writer.put_gauge(2, float(chance.randint(0, 9)))
    return writer.take(), SAMPLES + 3 + 1


def observed(sequence: int) -> int:
    return sequence * (SAMPLES + 4)


def event(session: int, number: int) -> Event:
    """The event that is sent before every tenth frame."""
    name = f"deploy-{number // EVENTS_OF_A_NAME}"
    return Event(name, frame_ms(number * FRAMES_PER_EVENT), {"session": str(session), "number": str(number)})


def define(store: Store, session: int) -> list[Series]:
    """Open a session, if it is not known, and define its series."""
    if store.sessions.get(session_id(session)) is None:
        store.write(SessionOpen(session_id(session), "shop", "host", 1, BEGIN_MS, session))
    found = [store.series.resolve(name, kind, {"session": str(session)}) for name, kind in METRICS.items()]
    known = [series for series in found if series is not None]
    series = [DefinedSeries(number, one.id, one) for number, one in enumerate(known)]
    store.write(Define(session_id(session), series))
    return known


def send(store: Store, session: int, sequence: int) -> int:
    body, _ = frame_body(session, sequence)
    at_ms = frame_ms(sequence)
    accounts = SessionAccounts(observed(sequence))
    if sequence % FRAMES_PER_EVENT == 0:
        number = sequence // FRAMES_PER_EVENT
        store.write(Events(session_id(session), number, 0, 0, [event(session, number)]))
    return store.write(Frame(session_id(session), sequence, 1, at_ms, at_ms + 100 + sequence % 50, accounts, body))


def keep_checkpointing(store: Store, clock: FrameClock, stop: threading.Event) -> None:
    while not stop.wait(0.002):
        store.maybe_checkpoint(clock.now_ms)


def keep_compacting(store: Store, clock: FrameClock, stop: threading.Event) -> None:
    while True:
        maintain(store, clock.now_ms)
        stop.wait(0.002)


def keep_syncing(store: Store, sent: list[tuple[int, int, int]], stop: threading.Event) -> None:
    """Sync and say what is durable; `sent` grows at its end while this goes on."""
    told = 0
    while not stop.wait(0.001):
        waiting = sent[told:]
        durable = store.sync()
        done = [(session, sequence) for position, session, sequence in waiting if position <= durable]
        told += len(done)
        lines = [f"{session} {sequence}" for session, sequence in dict(done).items()]
        if lines:
            print("\n".join(lines), flush=True)


def main() -> None:
    directory, seed, first = Path(sys.argv[1]), int(sys.argv[2]), [int(word) for word in sys.argv[5:]]
    chance = random.Random(seed)
    clock = FrameClock()
    clock.now_ms = int(sys.argv[4])
    fs = KillingFs(KillPoint.parse(sys.argv[3]) if sys.argv[3] != "-" else None)
    fs.watch()
    hurry()
    store = Store.open(directory, clock=clock, budgets=tiny(), fs=fs)
    for session in range(len(first)):
        define(store, session)
    stop = threading.Event()
    threading.Thread(target=keep_compacting, args=(store, clock, stop), daemon=True).start()
    print("ready", flush=True)
    sent: list[tuple[int, int, int]] = []
    threading.Thread(target=keep_syncing, args=(store, sent, stop), daemon=True).start()
    threading.Thread(target=keep_checkpointing, args=(store, clock, stop), daemon=True).start()
    following = list(first)
    while True:
        session = chance.randrange(len(first))
        clock.now_ms = max(clock.now_ms, sent_ms(following[session]))
        try:
            sent.append((send(store, session, following[session]), session, following[session]))
        except StoreError:
            continue
        following[session] += 1
        if len(sent) % 50 == 0:
            stop.wait(0.001)


if __name__ == "__main__":
    main()
