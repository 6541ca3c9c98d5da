"""Fixtures: a real agent in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.agents import RunningAgent
from obsagent.record.client import Client


@pytest.fixture
def own_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clients of one test; closed also when it fails, or they would keep the slots of all that follow."""
    clients: dict[Any, Client] = {}
    monkeypatch.setattr(
        "obsagent.record.clients._clients", clients
    )  # else a closed one would take its slot in later forks
    yield
    for client in clients.values():
        client.close(0)


@pytest.fixture
def stopped_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_clients: None) -> Iterator[RunningAgent]:
    """An agent that has not been started yet; clients of this process find it by OBSAGENT_ENDPOINT."""
    agent = RunningAgent(tmp_path)
    monkeypatch.setenv("OBSAGENT_ENDPOINT", agent.listen)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    yield agent
    if agent.running:
        agent.kill()


@pytest.fixture
def agent(stopped_agent: RunningAgent) -> RunningAgent:
    """A running agent."""
    return stopped_agent.start()
