"""`obsagent query --watch` in a real terminal: redrawn in place, and the terminal as it was afterwards."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import Tmux, terminal

WATCH = f"{sys.executable} -m obsagent query"


@pytest.fixture
def step(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> Iterator[obsagent.Client]:
    """A client whose samples the watched question counts."""
    monkeypatch.setenv("OBSAGENT_AGENT", agent.serve)
    client = obsagent.connect(service="fraud")
    observe(client, 5)
    yield client
    client.close()


def observe(client: obsagent.Client, count: int) -> None:
    histogram = client.histogram("step_duration", unit="seconds", labels=["step"])
    for name in ("features", "predict", "a_step_with_quite_a_long_name_for_a_narrow_terminal"):
        for _ in range(count):
            histogram.labels(step=name).observe(0.010)
    client.flush(10).raise_if_pending()


@pytest.fixture(params=[80, 200])
def screen(request: pytest.FixtureRequest, step: obsagent.Client, tmp_path: Path) -> Iterator[Tmux]:
    with terminal(tmp_path, columns=request.param) as opened:
        yield opened


def test_answers_replace_each_other_in_place(screen: Tmux, step: obsagent.Client) -> None:
    question = "p50,p90,p99,p99.9,mean,stddev,min,max step_duration by step"
    screen.enter(f"clear; {WATCH} {question} --watch 500ms; echo ended with $?")
    first = screen.wait_for_text("15 samples", "every 500ms")
    observe(step, 2)
    second = screen.wait_for_text("21 samples")
    for shown in (first, second):
        lines = shown.splitlines()
        assert sum("every 500ms" in line for line in lines) == 1
        assert sum(line.startswith("features") for line in lines) <= 2  # a block of statistics each
        assert len(re.findall("nothing lost", shown)) == 1
    screen.press("C-c")
    screen.wait_for_text("ended with 0")


def test_it_ends_with_the_first_match(screen: Tmux, step: obsagent.Client) -> None:
    screen.enter(f"clear; {WATCH} count step_duration where count above 15 --watch 300ms --exit-match; echo code $?")
    screen.wait_for_text("the only row does not have count above 15")
    observe(step, 1)
    screen.wait_for_text("code 3")


def test_an_agent_that_goes_and_comes_back(screen: Tmux, step: obsagent.Client, agent: RunningAgent) -> None:
    screen.enter(f"clear; {WATCH} count step_duration --watch 300ms; echo ended with $?")
    screen.wait_for_text("nothing lost")
    agent.kill()
    screen.wait_for_text("no agent is listening")
    agent.start()
    observe(step, 1)
    screen.wait_for_text("18")
    screen.press("C-c")
    screen.wait_for_text("ended with 0")
