"""What one client that may write can take from the others: bounded, and told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from agent_in_process import config_in, running_agent

import obsagent
from obsagent.ask import AgentClient
from obsagent.receive import ingest
from obsagent.wire.header import Header, MessageKind, pack
from obsagent.wire.zmtp import UnixDealer, encode_frame

LIMIT_S = 10.0


@pytest.fixture(autouse=True)
def no_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    yield
    obsagent.record.clients._close_all()


def hello(listen: str, number: int) -> tuple[MessageKind, Header]:
    fields: dict[str, Any] = {"service": "x", "host": "h", "pid": 1, "started": 1, "clock": 1, "version": ""}
    with closing(UnixDealer(listen.removeprefix("ipc://"), LIMIT_S)) as dealer:
        return dealer.request(MessageKind.HELLO, LIMIT_S, s=number.to_bytes(16, "big"), **fields)


@pytest.mark.threat("H4")
def test_sessions_are_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "SESSIONS_MAX", 4)
    config = config_in(tmp_path)
    with running_agent(config):
        kinds = [hello(config.listen, number)[0] for number in range(1, 8)]
        welcomed = kinds.count(MessageKind.WELCOME)
        assert kinds == [MessageKind.WELCOME] * welcomed + [MessageKind.ERROR] * (7 - welcomed)
        assert welcomed == 3, "the agent's own session is one of them"
        kind, header = hello(config.listen, 9)
        assert (kind, header["message"]) == (MessageKind.ERROR, "the agent holds 4 sessions already")
        assert hello(config.listen, 2)[0] is MessageKind.WELCOME, "whoever is in stays in"


@pytest.mark.threat("H5")
def test_series_beyond_the_budget_take_nothing_from_those_before(tmp_path: Path) -> None:
    config = config_in(tmp_path, series_per_metric=10, series_total=100)
    with running_agent(config), AgentClient(config.serve) as agent:
        first = obsagent.connect("first", endpoint=config.listen)
        kept = first.counter("sold", labels=["shop"]).labels(shop="kiosk")
        kept.inc()
        first.flush(LIMIT_S).raise_if_pending()
        define_many(config.listen, 200)
        kept.inc()
        first.flush(LIMIT_S).raise_if_pending()
        rows = agent.query("sum sold shop=kiosk by service,shop")["series"]
        assert [row["values"]["sum"] for row in rows] == [2.0]
        assert agent.status()["series"]["refused"]["sold"] >= 190


def define_many(listen: str, count: int) -> None:
    """A client that minds no limit of ours."""
    session = {"s": b"flood".ljust(16, b"!")}
    fields: dict[str, Any] = {"service": "flood", "host": "h", "pid": 1, "started": 1, "clock": 1, "version": ""}
    rows = [[number, "sold", 2, {"shop": f"{number:032x}"}, "", "", 6, "sum"] for number in range(count)]
    with closing(UnixDealer(listen.removeprefix("ipc://"), LIMIT_S)) as dealer:
        assert dealer.request(MessageKind.HELLO, LIMIT_S, **session, **fields)[0] is MessageKind.WELCOME
        dealer._send(encode_frame(0, pack(MessageKind.DEFINE, **session, series=rows)))
        heartbeat = {"f": 1, "o": 0, "d": [0, 0, 0], "r": 0}
        assert dealer.request(MessageKind.HEARTBEAT, LIMIT_S, **session, **heartbeat)[0] is MessageKind.ACK
