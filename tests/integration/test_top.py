"""`obsagent top` in a real terminal: what it shows, what keys do, and that the terminal comes back."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import Tmux, terminal

TOP = f"{sys.executable} -m obsagent top"
AFTERWARDS = (False, True)  # the first screen, and a cursor on it


@pytest.fixture
def served(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningAgent]:
    """An agent that two services have told of their requests."""
    monkeypatch.setenv("OBSAGENT_AGENT", agent.serve)
    clients = [obsagent.connect(service=service, version="4") for service in ("fraud", "risk")]
    for client in clients:
        for endpoint in ("/score", "/score_batch"):
            for number in range(20):
                with client.request(endpoint, queued_at=time.time() - 0.01) as request:
                    request.status = 500 if number == 0 else 200
        client.flush(10)
    yield agent
    for client in clients:
        client.close()


@pytest.fixture(params=[80, 200])
def screen(request: pytest.FixtureRequest, served: RunningAgent, tmp_path: Path) -> Iterator[Tmux]:
    with terminal(tmp_path, columns=request.param) as opened:
        opened.enter(f"clear; {TOP}; echo ended with $?")
        opened.wait_for_text("fraud", "risk", "5 %")
        yield opened


def test_keys_sort_filter_and_group(screen: Tmux) -> None:
    shown = screen.wait_for_text("agent ok", "2 sessions", "nothing lost", "rate ▼", "q quit")
    assert ("trend" in shown) == (len(max(shown.splitlines(), key=len)) > 100)
    screen.press("Right")
    screen.wait_for_text("p50 ▼")
    screen.type("r")
    screen.wait_for_text("p50 ▲")
    screen.type("e")
    screen.wait_for_text("endpoint", "/score_batch")
    screen.type("/risk")
    screen.press("Enter")
    screen.wait_for(lambda text: "only `risk`" in text and "fraud" not in text)
    screen.type("h")
    screen.wait_for_text("sort by the next column")
    screen.type("q")
    screen.wait_for_text("ended with 0")
    assert screen.state == AFTERWARDS


def test_another_size_is_filled(screen: Tmux) -> None:
    screen.resize(120, 12)
    screen.wait_for(lambda text: fills(text, 120, 12))
    screen.press("C-c")
    screen.wait_for_text("ended with 0")
    assert screen.state == AFTERWARDS


def test_an_agent_that_goes_and_comes_back(screen: Tmux, served: RunningAgent) -> None:
    served.kill()
    screen.wait_for_text("no agent is listening", "trying again", "fraud")
    served.start()
    screen.wait_for(lambda text: "trying again" not in text and "fraud" in text)
    screen.type("q")
    screen.wait_for_text("ended with 0")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_a_signal_gives_the_terminal_back(served: RunningAgent, tmp_path: Path, number: int, code: int) -> None:
    pid = tmp_path / "pid"
    with terminal(tmp_path) as screen:
        screen.enter(f"clear; sh -c 'echo $$ > {pid}; exec {TOP}'; echo ended with $?")
        screen.wait_for_text("rate ▼")
        os.kill(int(pid.read_text()), number)
        screen.wait_for_text(f"ended with {code}")
        assert screen.state == AFTERWARDS


def test_a_stopped_program_gives_the_terminal_back_until_it_goes_on(screen: Tmux) -> None:
    screen.press("C-z")
    screen.wait_for_text("Stopped")
    assert screen.state == AFTERWARDS
    screen.enter("fg")
    screen.wait_for_text("rate ▼", "q quit")
    screen.type("q")
    screen.wait_for_text("prompt$")
    assert screen.state == AFTERWARDS


def fills(text: str, columns: int, lines: int) -> bool:
    """True if the clock stands at the right edge of the first line, and the hints in the last one."""
    shown = text.splitlines()
    return len(shown) == lines and len(shown[0]) == columns and shown[-1].startswith("q quit")
