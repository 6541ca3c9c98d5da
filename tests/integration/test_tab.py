"""Tab in real shells: metrics, labels and live values of a real agent, and the grammar without one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import Tmux, need, terminal

BEGIN = {
    "bash": 'eval "$(obsagent completion bash)"',
    "zsh": 'exec zsh -f; autoload -Uz compinit && compinit -D -u && eval "$(obsagent completion zsh)"',
    "fish": "exec fish --no-config; obsagent completion fish | source",
}
QUICK_S = 2.0
TRIES = 5
TRY_S = 3.0

Open = Callable[[str], AbstractContextManager[Tmux]]


@pytest.fixture
def open_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens one of the shells, with `obsagent` in its path and its completion loaded."""
    command = tmp_path / "bin" / "obsagent"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m obsagent "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))

    @contextmanager
    def opened(shell: str) -> Iterator[Tmux]:
        need(shell)
        with terminal(tmp_path, columns=100) as screen:
            for line in BEGIN[shell].split("; "):
                screen.enter(line)
            screen.enter("clear; echo loa''ded")
            screen.wait_for_text("loaded")
            yield screen

    return opened


@pytest.fixture
def served(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningAgent]:
    """An agent that knows two endpoints."""
    monkeypatch.setenv("OBSAGENT_AGENT", agent.serve)
    client = obsagent.connect(service="shop")
    for endpoint in ("/score", "/very long"):
        with client.request(endpoint):
            pass
    client.flush(10)
    yield agent
    client.close()


def tab(screen: Tmux, typed: str, completed: str) -> None:
    """Types and presses Tab; the line must become as wanted. Then clears it.

    On a busy machine the agent may not answer within the time that completion gives it: then Tab is pressed again.
    """
    screen.type(typed)
    for _ in range(TRIES):
        screen.press("Tab")
        if screen.becomes(lambda text: completed in text, TRY_S):
            break
    screen.wait_for(lambda text: completed in text)
    screen.press("C-u")
    screen.enter("clear; echo cle''an")
    screen.wait_for(lambda text: "clean" in text and completed not in text)


@pytest.mark.parametrize("shell", BEGIN)
def test_commands_options_and_queries(shell: str, served: RunningAgent, open_shell: Open) -> None:
    with open_shell(shell) as screen:
        tab(screen, "obsagent stat", "obsagent status")
        tab(screen, "obsagent query --form", "obsagent query --format")
        tab(screen, "obsagent query --format js", "--format json")
        tab(screen, "obsagent query p99 laten", "p99 latency")
        tab(screen, "obsagent query p99 latency by endp", "by endpoint")
        tab(screen, "obsagent query p99 latency endpoint=/s", "endpoint=/score")
        tab(screen, "obsagent query p99 latency endp", "latency endpoint=")
        tab(screen, "obsagent query 'p99 latency end", "'p99 latency endpoint=")
        tab(screen, "obsagent query latency since 15", "since 15m")
        tab(screen, "obsagent list val", "list values")


@pytest.mark.parametrize("shell", BEGIN)
def test_a_value_with_a_space_reaches_the_query_as_it_is(shell: str, served: RunningAgent, open_shell: Open) -> None:
    with open_shell(shell) as screen:
        screen.type('obsagent query count latency endpoint=\\"/v')
        for _ in range(TRIES):
            screen.press("Tab")
            if screen.becomes(lambda text: "long" in text, TRY_S):
                break
        screen.press("Enter")
        screen.wait_for_text("1 sample")


@pytest.mark.parametrize("shell", BEGIN)
def test_without_an_agent_the_grammar_comes_quickly_and_silently(
    shell: str, stopped_agent: RunningAgent, open_shell: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSAGENT_AGENT", stopped_agent.serve)
    with open_shell(shell) as screen:
        screen.type("obsagent query p99 latency sin")
        began = time.monotonic()
        screen.press("Tab")
        shown = screen.wait_for_text("latency since")
        assert time.monotonic() - began < QUICK_S
        assert "no agent" not in shown
