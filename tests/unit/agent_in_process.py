"""A whole agent in this process, on a store and sockets of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from obsagent.config import AgentConfig
from obsagent.daemon import Agent, LoadConfig


def config_in(directory: Path, **changes: Any) -> AgentConfig:
    """Everything in one directory: the store in `data`, the sockets in `sockets`."""
    sockets = directory / "sockets"
    places = {"listen": f"ipc://{sockets}/ingest.sock", "serve": f"ipc://{sockets}/query.sock"}
    return AgentConfig(**{"data": directory / "data", "collect": {}, "http": "off", **places, **changes})


@contextmanager
def running_agent(config: AgentConfig, load_again: LoadConfig | None = None) -> Iterator[Agent]:
    """The agent, from its start to its orderly end."""
    agent = Agent(config, load_again)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()
