"""What the evaluation remembers: the file comes back as it was, and a damaged one is noticed."""

import struct
import zlib
from pathlib import Path

import pytest

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.evaluate import state as module
from obsagent.evaluate.chart import Chart
from obsagent.evaluate.family import Alarm, ChartKey
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import (
    NAME,
    Counted,
    Judged,
    State,
    decode,
    encode,
    read_state,
    write_state,
)
from obsagent.fs import Fs
from obsagent.limits import DRIFT_ALARMS_KEPT
from obsagent.state_file import CHECKSUM, HEADER

FRAUD = Judged("fraud", "4", "live")


def alarm(feature: str = "amount", slice_: str = "", raised_ms: int = 20_000) -> Alarm:
    return Alarm(feature, "1a2b3c4d", slice_, "10s", 10_000, raised_ms, 31.5)


def full() -> State:
    state = State()
    families = state.families(FRAUD)
    families["10s"].next_ms = 30_000
    families["10s"].charts[ChartKey("amount", "1a2b3c4d")] = Chart(1.5, 2.5, 10_000, 7, 30_000, 0.25, 120, 0, True)
    families["10s"].charts[ChartKey("land", "1a2b3c4d", "Käse=\x1b[0m ")] = Chart()
    families["1h"].alarms[alarm().key] = alarm()
    state.families(Judged("other", "", ""))["1d"].next_ms = 86_400_000
    state.has_ended(FRAUD, [alarm("old")])
    state.totals[Counted(FRAUD, "amount", "", "10s")] = 3
    state.settings["fraud"] = Settings(days=7)
    return state


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    write_state(tmp_path, full(), Fs())
    assert read_state(tmp_path) == full()
    assert {path.name for path in tmp_path.iterdir()} == {NAME}
    assert decode(encode(State())) == State()


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    data = encode(full())
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            if bytes(flipped[10:12]) != b"\0\0":
                continue  # reserved
            with pytest.raises(CorruptData):
                decode(bytes(flipped))
        with pytest.raises(CorruptData):
            decode(data[:position])
    with pytest.raises(CorruptData):
        decode(data + b"\0")


def test_what_a_newer_version_wrote_is_left_alone() -> None:
    data = bytearray(encode(full()))
    struct.pack_into("<H", data, 8, 2)
    with pytest.raises(UnsupportedVersion, match="newer obsagent"):
        decode(bytes(data))


def sealed(raw: bytes, raw_size: int | None = None) -> bytes:
    payload = zlib.compress(raw)
    size = len(raw) if raw_size is None else raw_size
    header = HEADER.pack(module.MAGIC, 1, 0, len(payload), size)
    return header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"models":1,"settings":{},"ended":[],"totals":[]}',
        b'{"models":[{"judged":["a"],"levels":{}}],"settings":{},"ended":[],"totals":[]}',
        b'{"models":[{"judged":["a","",""],"levels":{"10s":{"next_ms":1,"charts":[[1]],"alarms":[]}}}],"settings":{},'
        b'"ended":[],"totals":[]}',
        b'{"models":[],"settings":{},"ended":[["a","","",{"feature":"x","more":1}]],"totals":[]}',
        b'{"models":[],"settings":{},"ended":[],"totals":[["a",1]]}',
        b'{"models":[],"settings":{"a":{"more":1}},"ended":[],"totals":[]}',
        b'{"models":[{"judged":["a","",""],"levels":{"10s":{"next_ms":1,"charts":[["x","","",NaN,0,0,0,0,0,0,0,0]],'
        b'"alarms":[]}}}],"settings":{},"ended":[],"totals":[]}',
        b"[" * 100_000,
    ],
)
def test_what_is_sound_and_says_nonsense_is_damaged_too(raw: bytes) -> None:
    with pytest.raises(CorruptData):
        decode(sealed(raw))


def test_a_file_that_promises_more_than_may_be_is_not_believed() -> None:
    with pytest.raises(CorruptData):
        decode(sealed(b" " * 1000, 10))
    with pytest.raises(CorruptData):
        decode(sealed(b" " * 1000, module.DRIFT_STATE_BYTES_MAX + 1))


def test_of_the_alarms_that_are_over_the_latest_are_kept() -> None:
    state = State()
    for number in range(DRIFT_ALARMS_KEPT + 5):
        state.has_ended(FRAUD, [alarm(raised_ms=number)])
    assert len(state.ended) == DRIFT_ALARMS_KEPT
    assert state.ended[0][1].raised_ms == 5
