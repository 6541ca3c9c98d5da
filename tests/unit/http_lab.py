"""An HTTP port before an agent that only says what it was asked, and requests to it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from obsagent.config import AgentConfig
from obsagent.errors import UsageError
from obsagent.http_port import HttpPort


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeAgent:
    """What the port asks of an agent."""

    scraped: list[str] = field(default_factory=list)
    reloads: int = 0
    body: bytes = b"# nothing\n"
    refusal: Exception | None = None
    alive: bool = True
    reasons: list[str] = field(default_factory=list)

    def scrape(self, accept: str) -> tuple[str, bytes]:
        self.scraped.append(accept)
        if self.refusal:
            raise self.refusal
        return "text/plain; version=0.0.4; charset=utf-8", self.body

    def drift(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"report": "drift", **fields}

    def quality(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"report": "quality", **fields}

    def query(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        if fields["text"] == "wrong":
            raise UsageError("not understood\n    wrong\n    ^^^^^")
        if fields["text"] == "broken":
            raise RuntimeError("a bug")
        return dict(fields)

    def reload(self) -> Mapping[str, Any]:
        if self.refusal:
            raise self.refusal
        self.reloads += 1
        return {"keys": 1}

    def is_alive(self) -> bool:
        return self.alive

    def why_not_ready(self) -> list[str]:
        return self.reasons


@dataclass
class Served:
    """A port that answers."""

    port: HttpPort
    agent: FakeAgent

    @property
    def number(self) -> int:
        assert self.port.address is not None
        return self.port.address.port

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.number, method, path, body, named)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)


def ask(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        connection.close()


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """A port on this machine, from its start to its orderly end."""
    port = HttpPort(AgentConfig(**{"http": "127.0.0.1:0", **settings}))
    agent = FakeAgent()
    port.start(agent)
    try:
        yield Served(port, agent)
    finally:
        port.stop()
