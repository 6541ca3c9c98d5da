"""Fixtures: a real agent in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.agents import RunningAgent


@pytest.fixture
def stopped_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningAgent]:
    """An agent that has not been started yet; clients of this process find it by OBSAGENT_ENDPOINT."""
    agent = RunningAgent(tmp_path)
    monkeypatch.setenv("OBSAGENT_ENDPOINT", agent.listen)
    monkeypatch.setattr("obsagent.record.client._clients", {})  # else a closed one would take its slot in later forks
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    yield agent
    if agent.running:
        agent.kill()


@pytest.fixture
def agent(stopped_agent: RunningAgent) -> RunningAgent:
    """A running agent."""
    return stopped_agent.start()
