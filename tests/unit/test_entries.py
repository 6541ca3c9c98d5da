"""Entries survive their encoding, and nothing that is not one is taken for one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.head import journal_format as layout
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import (
    REFUSED_SERIES,
    Define,
    DefinedSeries,
    Entry,
    Events,
    Frame,
    KnownSeries,
    KnownSession,
    Refused,
    SessionClose,
    SessionOpen,
    decode,
    encode,
)
from obsagent.samples import Event, Kind, Series
from obsagent.segment.tables import SessionRow, series_to_row

SESSION = bytes(range(16))
SERIES = Series(7, "latency", Kind.HISTOGRAM, {"service": "shop", "worker": "0"}, "seconds", "Time", 5, "max")
ROW = SessionRow(SESSION, "shop", "host", 12, 99, 3, "v1", 41, (1, 2, 3, 4, 5), 1234, False)

EXAMPLES: list[Entry] = [
    SessionOpen(SESSION, "shop", "host", 12, 1_700_000_000_000, 3, "v1"),
    Define(SESSION, [DefinedSeries(0, 7, SERIES), DefinedSeries(1, 7), DefinedSeries(2, REFUSED_SERIES, None, "m")]),
    Frame(SESSION, 5, 2, -10, 90, SessionAccounts(1, 2, 3, 4, 5), b"the body"),
    Refused(SESSION, 6, 2, 10, 90, SessionAccounts(9, 8, 7, 6, 5), "time", 17, 20_000),
    Refused(SESSION, 7, 2, 10, 90, SessionAccounts(), "frame", 0, 0),
    Events(SESSION, 8, 1, 2, [Event("deploy", 1_700_000_000_000, {"version": "4"}), Event("reload", 5)]),
    SessionClose(SESSION, SessionAccounts(1, 2, 3, 4, 5), 77),
    KnownSession(ROW, [0, 7, 1, 8]),
    KnownSession(SessionRow(SESSION, "shop", "host", 12, 99, 3, "", 0, None, 0, True), []),
    KnownSeries([series_to_row(SERIES)]),
]


def payload_of(entry: Entry) -> tuple[int, bytes]:
    encoded = encode(entry)
    return encoded.type, encoded.head + bytes(encoded.body)


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: type(entry).__name__)
def test_decode_is_the_opposite_of_encode(entry: Entry) -> None:
    assert decode(*payload_of(entry)) == entry


u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)


@given(u64, u64, i64, i64, st.tuples(u64, u64, u64, u64, u64), st.binary())
def test_any_frame_survives(
    sequence: int, first_kept: int, start: int, end: int, counters: tuple[int, ...], body: bytes
) -> None:
    entry = Frame(SESSION, sequence, first_kept, start, end, SessionAccounts(*counters), body)
    assert decode(*payload_of(entry)) == entry


def test_a_frame_is_encoded_without_a_copy_of_its_body() -> None:
    body = memoryview(bytes(300_000))
    assert encode(Frame(SESSION, 1, 1, 0, 1, SessionAccounts(), body)).body is body


def test_a_decoded_body_is_a_view_into_the_payload() -> None:
    entry_type, payload = payload_of(EXAMPLES[2])
    decoded = decode(entry_type, payload)
    assert isinstance(decoded, Frame)
    assert isinstance(decoded.body, memoryview)
    assert decoded.body.obj is payload


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: type(entry).__name__)
def test_a_truncated_payload_is_corrupt(entry: Entry) -> None:
    entry_type, payload = payload_of(entry)
    fixed = len(payload) - (len(entry.body) if isinstance(entry, Frame) else 0)
    for size in range(fixed):
        with pytest.raises(CorruptData):
            decode(entry_type, payload[:size])


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: type(entry).__name__)
def test_flipped_bytes_are_corrupt_or_another_entry(entry: Entry) -> None:
    """The checksum of the record finds a flip; decode must only never fail in another way."""
    entry_type, payload = payload_of(entry)
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(payload)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        try:
            decode(entry_type, damaged)
        except CorruptData:
            continue


def test_an_unknown_type_is_of_a_version_to_come() -> None:
    with pytest.raises(UnsupportedVersion, match="99"):
        decode(99, layout.MARKER)


def test_a_payload_without_its_marker_is_corrupt() -> None:
    with pytest.raises(CorruptData, match="marker"):
        decode(layout.SESSION_CLOSE, b"\x93\xc4")
