"""A pid counts within its pid namespace only: the namespace travels, is kept, and is shown."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import pytest
from store_lab import BEGIN_MS, TurnedClock

from obsagent import processes
from obsagent.cli.sessions import session_lines
from obsagent.errors import CorruptData
from obsagent.head import journal_format as layout
from obsagent.head.entries import KnownSession, SessionOpen, decode, encode
from obsagent.head.store import Store
from obsagent.segment.tables import SessionRow, session_from_row, session_to_row
from obsagent.store_sink import StoreSink
from obsagent.wire.frame import Hello, read_hello

OURS, CONTAINERS = 4_026_531_836, 4_026_532_281
HELLO = {"s": bytes(16), "service": "fraud", "host": "h", "pid": 1, "started": 2, "clock": 3, "version": ""}
ROW = SessionRow(b"s" * 16, "shop", "host", 1, 2, 0, "v", 9, (5, 4, 3, 2, 1), 77, False, 6, CONTAINERS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path / "store", clock=TurnedClock())) as opened:
        yield opened


def test_it_is_the_kernels_number() -> None:
    assert processes.pid_namespace() == Path("/proc/self/ns/pid").stat().st_ino > 0
    assert f"pid:[{processes.pid_namespace()}]" == os.readlink("/proc/self/ns/pid")  # noqa: PTH115


def test_without_proc_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PID_NAMESPACE", "/nowhere/ns/pid")
    assert processes.pid_namespace() == 0


def test_a_hello_may_say_it() -> None:
    assert read_hello({**HELLO, "pidns": CONTAINERS}).pid_namespace == CONTAINERS
    assert read_hello(HELLO).pid_namespace == 0
    for wrong in (-1, "x", None, 1.5, True):
        with pytest.raises(CorruptData, match="pidns"):
            read_hello({**HELLO, "pidns": wrong})


def test_entries_and_rows_keep_it_and_those_of_before_have_none() -> None:
    entry = SessionOpen(b"s" * 16, "shop", "host", 1, 2, 0, "v", CONTAINERS)
    packed = encode(entry)
    assert decode(packed.type, packed.head) == entry
    before = layout.MARKER + msgpack.packb([b"s" * 16, "shop", "host", 1, 2, 0, "v"])
    assert decode(layout.SESSION_OPEN, before) == dataclasses.replace(entry, pid_namespace=0)
    assert session_from_row(session_to_row(ROW)) == ROW
    for size, missing in ((12, {"pid_namespace": 0}), (11, {"pid_namespace": 0, "last_event": 0})):
        assert session_from_row(session_to_row(ROW)[:size]) == dataclasses.replace(ROW, **missing)  # type: ignore[arg-type]
    known = encode(KnownSession(ROW, []))
    assert decode(known.type, known.head) == KnownSession(ROW, [])


def hello(name: bytes, namespace: int) -> Hello:
    return Hello(name * 16, "fraud", "node-1", 1, BEGIN_MS, BEGIN_MS, "", namespace)


def sessions_of(status: dict[str, Any]) -> set[tuple[int, int, int, str]]:
    return {(one["pid"], one["pid_namespace"], one["worker"], one["state"]) for one in status["sessions"]}


@pytest.mark.threat("P1")
def test_the_first_processes_of_two_containers_and_the_host_are_three_workers(store: Store, tmp_path: Path) -> None:
    sink = StoreSink(store)
    for index, namespace in enumerate((OURS, CONTAINERS, CONTAINERS + 1)):
        sink.open_session(hello(b"abc"[index : index + 1], namespace))
    expected = {(1, OURS, 0, "live"), (1, CONTAINERS, 1, "live"), (1, CONTAINERS + 1, 2, "live")}
    assert sessions_of(store.status()) == expected
    store.sync()
    assert sessions_of(Store.open_read_only(tmp_path / "store").status()) == expected, "from the journal"
    store.checkpoint()
    assert sessions_of(Store.open_read_only(tmp_path / "store").status()) == expected, "from a segment"


def test_when_one_falls_silent_the_others_of_its_pid_live_on(store: Store) -> None:
    sink = StoreSink(store)
    for index, namespace in enumerate((OURS, CONTAINERS)):
        sink.open_session(hello(b"ab"[index : index + 1], namespace))
    sink.heard(b"a" * 16, 1)
    sink.heard(b"b" * 16, 99_000)
    for at_ms in range(1_000, 100_001, 1_000):
        sink.suspend_silent(at_ms)
    assert sessions_of(store.status()) == {(1, OURS, 0, "suspended"), (1, CONTAINERS, 1, "live")}
    sink.open_session(hello(b"c", CONTAINERS + 1))
    assert (1, CONTAINERS + 1, 0, "live") in sessions_of(store.status()), "the silent one's slot is free"
    assert (1, CONTAINERS, 1, "live") in sessions_of(store.status())


def test_the_table_says_where_a_pid_counts_if_that_is_elsewhere() -> None:
    shared = {"service": "fraud", "host": "node-1", "version": "", "state": "live", "last_ms": 0, "skew_ms": None}
    sessions = [
        {**shared, "worker": 0, "pid": 4711, "pid_namespace": OURS},
        {**shared, "worker": 1, "pid": 1, "pid_namespace": CONTAINERS},
        {**shared, "worker": 2, "pid": 7, "pid_namespace": 0},
        {**shared, "worker": 3, "pid": 8},
    ]
    _, *lines = session_lines(sessions, None, everything=True, own_namespace=OURS)
    assert [line.split()[3] for line in lines] == ["4711", f"1@{CONTAINERS}", "7", "8"]
