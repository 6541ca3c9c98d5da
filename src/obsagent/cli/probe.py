"""Sends a sample the way a model's process does, and reads it back the way a person does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from obsagent.errors import ObsagentError, ProtocolError

if TYPE_CHECKING:
    from obsagent.record.client import FlushResult

SERVICE = "obsagent-probe"
METRIC = "probe_sent"
TIMEOUT_S = 5.0


class Agent(Protocol):
    """What is asked of the agent; `obsagent.ask.AgentClient` has it."""

    def query(self, text: str) -> dict[str, Any]:
        """The answer to one query."""
        ...

    def status(self) -> dict[str, Any]:
        """Accounts and state."""
        ...


def probe(agent: Agent, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """`{"listen", "acknowledged_ms", "read_ms"}`: the endpoint and the time until each step was done.

    The sample is the time at which it was sent, so that the largest one of this host tells whether it arrived;
    a maximum is exact. Raises `ObsagentError`, which says how far the sample came.
    """
    listen = _listen_of(agent)
    sent = time.time()
    began = time.monotonic()
    result = _send(listen, sent, timeout_s)
    acknowledged = time.monotonic()
    if result.pending or not result.acknowledged:
        raise ObsagentError(
            f"the probe failed: the agent answers readers, but no sample sent to {listen} was acknowledged within "
            f"{timeout_s:g} s; check that this user may write to that endpoint and that the agent's disk has room"
        )
    _read_back(agent, sent)
    return {
        "listen": listen,
        "acknowledged_ms": (acknowledged - began) * 1000,
        "read_ms": (time.monotonic() - began) * 1000,
    }


def _listen_of(agent: Agent) -> str:
    listen = agent.status().get("agent", {}).get("listen")
    if not isinstance(listen, str):
        raise ProtocolError("the agent's status does not say where writers connect")
    return listen


def _send(listen: str, sent: float, timeout_s: float) -> FlushResult:
    import obsagent

    client = obsagent.connect(service=SERVICE, endpoint=listen)
    histogram = client.histogram(METRIC, help="When a probe was sent, since the epoch", unit="seconds")
    histogram.observe(sent)
    result = client.flush(timeout_s)
    client.close(0.0 if result.pending else timeout_s)
    return result


def _read_back(agent: Agent, sent: float) -> None:
    answer = agent.query(f'max {METRIC} service={SERVICE} host="{os.uname().nodename}" since 1m')
    found = max((row["values"]["max"] for row in answer["series"]), default=None)
    if found is None or found < sent:
        raise ObsagentError(
            "the probe failed: the agent acknowledged the sample, but a query does not find it: "
            f"{answer.get('empty', 'only older ones')}"
        )
