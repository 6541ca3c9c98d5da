"""What a service manager is told, seen at its socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsagent.supervisor import Supervisor


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@obsagent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        listener.settimeout(0.2)
        yield name, listener


def heard(listener: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(listener.recv(4096).decode())
        except TimeoutError:
            return messages


def test_a_life(listening: tuple[str, socket.socket]) -> None:
    name, listener = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    before_us = time.monotonic_ns() // 1000
    supervisor.ready()
    for _ in range(3):
        supervisor.ping()
        supervisor.status("ok\nWATCHDOG=1")
    supervisor.reloading()
    supervisor.ready()
    supervisor.stopping()
    ready, ping, status, reloading, *rest = heard(listener)
    assert (ready, ping, status) == ("READY=1", "WATCHDOG=1", "STATUS=ok WATCHDOG=1")
    first, second = reloading.split("\n")
    assert first == "RELOADING=1"
    assert before_us <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert [each.split("\n")[0] for each in rest] == ["READY=1", "STOPPING=1"]


def test_it_pings_three_times_within_the_limit(listening: tuple[str, socket.socket]) -> None:
    name, listener = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "300"})
    assert supervisor.watchdog_s == 0.0003
    for _ in range(3):
        supervisor.ping()
        time.sleep(0.001)
    assert heard(listener) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("limit", ["0", "-1", "x", ""])
def test_without_a_limit_it_does_not_ping(limit: str, listening: tuple[str, socket.socket]) -> None:
    name, listener = listening
    supervisor = Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": limit})
    supervisor.ping()
    Supervisor({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "300", "WATCHDOG_PID": "1"}).ping()
    assert heard(listener) == []


def test_without_a_manager_and_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "300"}):
        supervisor = Supervisor(environ)
        supervisor.ready()
        supervisor.ping()
        supervisor.status("ok")
        supervisor.stopping()
