"""Every kind of message at every endpoint of a real agent: each takes its own kinds and refuses all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from agent_in_process import config_in, running_agent

from obsagent.ask import AgentClient
from obsagent.config import AgentConfig
from obsagent.wire.header import (
    CONTROL_KINDS,
    NOT_BUILT,
    READ_KINDS,
    WRITE_KINDS,
    Header,
    MessageKind,
    not_taken,
)
from obsagent.wire.records import RECORD_KINDS
from obsagent.wire.zmtp import UnixDealer

LIMIT_S = 10.0
SESSION = bytes(range(16))
COUNTS: Header = {"o": 0, "d": [0, 0, 0], "r": 0}
HELLO: Header = {"s": SESSION, "service": "x", "host": "h", "pid": 1, "started": 1, "clock": 1, "version": ""}
VALID: dict[MessageKind, Header] = {
    MessageKind.HELLO: HELLO,
    MessageKind.DEFINE: {"s": SESSION, "series": []},
    MessageKind.SAMPLES: {"s": SESSION, "q": 1, "f": 1, "a": 0, "b": 0, "n": 0, **COUNTS},
    MessageKind.EVENTS: {"s": SESSION, "q": 1, "f": 1, "events": [["deploy", 1, {}]]},
    **{kind: {"s": SESSION, "q": 1, "f": 1, "n": 1} for kind in RECORD_KINDS},
    MessageKind.MODEL: {"s": SESSION, "model": "fraud", "version": "4"},
    MessageKind.HEARTBEAT: {"s": SESSION, "f": 1, **COUNTS},
    MessageKind.GOODBYE: {"s": SESSION, "f": 1, **COUNTS},
    MessageKind.QUERY: {"text": "count latency"},
    MessageKind.DRIFT: {"text": "since 1h"},
    MessageKind.QUALITY: {"text": "since 1h"},
    MessageKind.KNOWN: {"id": "a"},
    MessageKind.PERFORMANCE: {"text": ""},
    MessageKind.FORGET: {"ids": ["a"]},
}
"""Fields that make a message of a kind whole; the other kinds need none."""
TAKEN = {"writers'": WRITE_KINDS - NOT_BUILT, "readers'": READ_KINDS, "control": CONTROL_KINDS}
OWN = frozenset({MessageKind.WELCOME, MessageKind.RULES, MessageKind.ACK, MessageKind.ANSWER, MessageKind.ERROR})
ANSWERED_BY = {
    MessageKind.HELLO: MessageKind.WELCOME,
    MessageKind.DEFINE: None,
    MessageKind.MODEL: MessageKind.RULES,
    **dict.fromkeys(RECORD_KINDS, MessageKind.ERROR),  # without its body
}
"""What a writer's message is answered with; the others with an acknowledgement."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentConfig]:
    config = config_in(tmp_path_factory.mktemp("kinds"))
    with running_agent(config):
        yield config


def ask(config: AgentConfig, place: str, kind: MessageKind, **fields: Any) -> tuple[MessageKind, Header]:
    endpoint = {"writers'": config.listen, "readers'": config.serve, "control": config.control_endpoint}[place]
    with closing(UnixDealer(endpoint.removeprefix("ipc://"), LIMIT_S)) as dealer:
        return dealer.request(kind, LIMIT_S, **fields)


def counted(config: AgentConfig) -> dict[str, Any]:
    with AgentClient(config.serve) as agent:
        status = agent.status()
    sessions = [one for one in status["sessions"] if one["service"] == "x"]
    services = {name: value for name, value in status["accounts"]["services"].items() if name != "obsagent"}
    return {"sessions": len(sessions), "services": services, "events": status["events"]["kept"]}


def test_every_kind_is_for_one_endpoint_or_the_agents_own() -> None:
    groups = [WRITE_KINDS, READ_KINDS, CONTROL_KINDS, OWN]
    assert sum(map(len, groups)) == len(MessageKind)
    assert frozenset().union(*groups) == set(MessageKind)


@pytest.mark.threat("E1", "E2", "E3")
@pytest.mark.parametrize("kind", MessageKind, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("place", TAKEN)
def test_a_kind_is_taken_where_it_belongs_and_refused_elsewhere(
    config: AgentConfig, place: str, kind: MessageKind
) -> None:
    fields = VALID.get(kind, {})
    if kind not in TAKEN[place]:
        before = counted(config)
        answer, header = ask(config, place, kind, **fields)
        assert answer is MessageKind.ERROR
        assert header["message"] == not_taken(kind, place)
        assert header.get("code") == "kind" if place == "writers'" else header["exit_code"] == 1
        assert counted(config) == before, "nothing has changed"
        return
    if place == "writers'":
        ask(config, place, MessageKind.HELLO, **HELLO)
        expected = ANSWERED_BY.get(kind, MessageKind.ACK)
    else:
        expected = MessageKind.ANSWER
    if expected is not None:
        assert ask(config, place, kind, **fields)[0] is expected


def test_a_refusal_names_the_endpoint_that_it_is_for() -> None:
    assert not_taken(MessageKind.QUERY, "writers'") == (
        "messages of kind query are not for the writers' endpoint, but for the readers' one"
    )
    assert not_taken(MessageKind.RELOAD, "readers'").endswith("but for the control one")
    assert not_taken(MessageKind.ACK, "control") == "messages of kind ack are the agent's own: it takes none"
    assert not_taken(MessageKind.SPANS, "writers'").endswith("reserved and not built in this version")


@pytest.mark.threat("H1")
def test_one_bad_message_costs_that_message(config: AgentConfig) -> None:
    from obsagent.wire.zmtp import encode_frame

    with closing(UnixDealer(config.listen.removeprefix("ipc://"), LIMIT_S)) as dealer:
        for garbage in (b"", b"\xc1", b"garbage", bytes(1000)):
            dealer._send(encode_frame(0, garbage))
            assert b"frame" in dealer._read_message()[0]
        assert dealer.request(MessageKind.HELLO, LIMIT_S, **HELLO)[0] is MessageKind.WELCOME
    with closing(UnixDealer(config.serve.removeprefix("ipc://"), LIMIT_S)) as dealer:
        dealer._send(encode_frame(0, b"garbage"))
        assert b"exit_code" in dealer._read_message()[0]
        assert dealer.request(MessageKind.STATUS, LIMIT_S)[0] is MessageKind.ANSWER
