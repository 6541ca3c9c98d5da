"""Pids to sessions: containers, other machines, children, pids that are used again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from obsagent import processes
from obsagent.head.sessions import Session
from obsagent.owners import owners_of
from obsagent.processes import began_ms, outer_pids, parent_pid, pid_namespace

HERE = 4026531836
CONTAINER = 4026532281
BOOT_S, BEGAN_S = 1_700_000_000, 500
TICKS = os.sysconf("SC_CLK_TCK")


def session(pid: int, service: str = "fraud", *, host: str = "ham", namespace: int = HERE, **more: object) -> Session:
    words = {"session": os.urandom(16), "started_ms": (BOOT_S + BEGAN_S + 1) * 1000, "worker": 0, "version": "", **more}
    return Session(service=service, host=host, pid=pid, pid_namespace=namespace, **words)  # type: ignore[arg-type]


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc in which the process 900 is the first of a container, and 901 a child of it."""
    (tmp_path / "stat").write_text(f"cpu  1 2 3\nbtime {BOOT_S}\n")
    for pid, parent, inner in ((10, 1, 10), (11, 1, 11), (12, 1, 12), (900, 50, 1), (901, 900, 17)):
        directory = tmp_path / str(pid)
        (directory / "ns").mkdir(parents=True)
        (directory / "status").write_text(f"Name:\tx\nNSpid:\t{pid}\t{inner}\nThreads:\t1\n")
        (directory / "stat").write_text(f"{pid} (a ) b) S {parent} {'0 ' * 17}{BEGAN_S * TICKS} 0\n")
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(processes, "PROC", str(tmp_path))
    stat = os.stat

    def of_container(path: object, *args: object, **words: object) -> object:
        if str(path).endswith(("900/ns/pid", "901/ns/pid")):
            return type("Stat", (), {"st_ino": CONTAINER})
        return stat(path, *args, **words)  # type: ignore[arg-type]

    monkeypatch.setattr("obsagent.processes.os.stat", of_container)
    monkeypatch.setattr("obsagent.owners.pid_namespace", lambda: HERE)
    return tmp_path


def test_sessions_of_this_machine_own_their_processes(proc: Path) -> None:
    sessions = [session(10, worker=3, version="7"), session(11, host="spam"), session(12, state="closed")]
    assert owners_of(sessions, "ham") == {10: {"service": "fraud", "worker": "3", "version": "7"}}


def test_a_process_in_a_container_is_found_by_its_namespace(proc: Path) -> None:
    owners = owners_of([session(1, host="pod-1", namespace=CONTAINER), session(1, "risk", namespace=99)], "ham")
    assert owners == {900: {"service": "fraud", "worker": "0"}}


def test_of_a_pid_that_is_used_again_the_last_session_counts(proc: Path) -> None:
    old, new = session(10, "old", state="suspended"), session(10, "new", started_ms=(BOOT_S + BEGAN_S + 2) * 1000)
    assert owners_of([new, old], "ham")[10]["service"] == "new"


def test_a_process_that_began_after_the_session_is_another(proc: Path) -> None:
    before = (BOOT_S + BEGAN_S) * 1000 - 60_000
    assert owners_of([session(10, started_ms=before), session(13)], "ham") == {}
    assert owners_of([session(1, namespace=CONTAINER, started_ms=before)], "ham") == {}


def test_the_agent_itself_is_no_model(proc: Path) -> None:
    assert owners_of([session(10, "obsagent")], "ham") == {}


def test_pids_of_namespaces_and_parents(proc: Path) -> None:
    assert outer_pids({CONTAINER}) == {(CONTAINER, 1): 900, (CONTAINER, 17): 901}
    assert outer_pids({HERE}) == {}
    assert [parent_pid(901), parent_pid(900), parent_pid(50)] == [900, 50, 0]


def test_the_real_proc() -> None:
    assert parent_pid(os.getpid()) == os.getppid()
    began = began_ms(os.getpid())
    assert began is not None
    assert 0 <= time.time() * 1000 - began < 86_400_000
    here = pid_namespace()
    assert here == 0 or outer_pids({here})[here, os.getpid()] == os.getpid()
