"""Who is let in, as libzmq asks and is answered: RFC 27, against requests that are well and badly formed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.wire import zap

PUBLIC = bytes(range(32))
REQUEST = [b"1.0", b"7", b"write", b"192.0.2.1", b"", b"CURVE", PUBLIC]


def admit(public: bytes, address: str) -> str | None:
    assert address == "192.0.2.1"
    return "web-1" if public == PUBLIC else None


def test_a_known_key_comes_in_under_its_name() -> None:
    assert zap.reply(REQUEST, b"write", admit) == [b"1.0", b"7", b"200", b"OK", b"web-1", b""]


def test_an_unknown_key_does_not() -> None:
    version, request_id, status, _, user, metadata = zap.reply([*REQUEST[:-1], bytes(32)], b"write", admit)
    assert (version, request_id, status, user, metadata) == (b"1.0", b"7", b"400", b"", b"")


MALFORMED = {
    "another domain": [*REQUEST[:2], b"read", *REQUEST[3:]],
    "another version": [b"2.0", *REQUEST[1:]],
    "no mechanism": [*REQUEST[:5], b"NULL"],
    "a password": [*REQUEST[:5], b"PLAIN", b"admin", b"secret"],
    "null with a key": [*REQUEST[:5], b"NULL", PUBLIC],
    "a short key": [*REQUEST[:6], PUBLIC[:31]],
    "a long key": [*REQUEST[:6], PUBLIC + b"\0"],
    "two keys": [*REQUEST, PUBLIC],
    "nothing": [],
    "little": [b"1.0"],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_whatever_else_is_asked_is_refused(name: str) -> None:
    reply = zap.reply(MALFORMED[name], b"write", lambda *_: "anybody")
    assert reply[2] == b"400"
    assert len(reply) == 6


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_no_request_raises_or_comes_in_by_chance(request_: list[bytes]) -> None:
    assert zap.reply(request_, b"write", lambda *_: None)[2] == b"400"
