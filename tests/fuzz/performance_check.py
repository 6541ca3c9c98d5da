"""What must hold for any bytes as counts of performance: refused, or counts that measure, merge and are written."""

from __future__ import annotations

import math
import zlib
from random import Random

import msgpack

from fuzz.block_parts import Mutate
from fuzz.trees import mutate_msgpack
from fuzz.wire_check import check_complaint
from obsagent.errors import CorruptData
from obsagent.performance import BinaryCounts, ClassCounts, Measured, RankingSums, RegressionSums
from obsagent.performance.counts import Counts
from obsagent.performance.stored import HEADER_BYTES

KINDS: tuple[type[Counts], ...] = (BinaryCounts, ClassCounts, RegressionSums, RankingSums)
RAW_BYTES_MAX = 1 << 17
NUMBER_BYTES = 8
ROUNDING = 1e-9
EDGES = (0, 1, 2, 1_000, -1, 1 << 31, 1 << 53, (1 << 62) + 1, (1 << 63) - 1, -(1 << 63), 0x7FF0 << 48, 0x7FEF << 48)


def check_performance(data: bytes) -> None:
    """As each of the kinds."""
    for kind in KINDS:
        try:
            counts = kind.from_bytes(data)
        except CorruptData as error:
            check_complaint(error)
            continue
        again = counts.to_bytes()
        other = kind.from_bytes(again)
        assert other.to_bytes() == again
        for measured in counts.measures().values():
            _check_measured(measured)
        other.merge(counts)
        other.measures()


def _check_measured(measured: Measured) -> None:
    if measured.value is None:
        assert measured.why
        return
    assert not math.isnan(measured.value), measured
    if measured.low is not None and measured.high is not None:
        rounding = ROUNDING * abs(measured.value)
        assert measured.low - rounding <= measured.value <= measured.high + rounding, measured


def mutate_performance(data: bytes, size_max: int, chance: Random, mutate: Mutate) -> bytes:
    """Changes what was compressed: its tree, or a number of an array."""
    if len(data) < HEADER_BYTES or chance.random() < 0.1:
        return mutate(data, size_max)
    try:
        raw = zlib.decompressobj().decompress(data[HEADER_BYTES:], RAW_BYTES_MAX)
        raw = (
            _other_number(raw, chance) if chance.random() < 0.4 else mutate_msgpack(raw, RAW_BYTES_MAX, chance, mutate)
        )
    except (zlib.error, ValueError, TypeError, AttributeError):
        return mutate(data, size_max)
    body = zlib.compress(raw, 1)
    return (data[: HEADER_BYTES - 4] + zlib.crc32(body).to_bytes(4, "little") + body)[:size_max]


def _other_number(raw: bytes, chance: Random) -> bytes:
    kind, state = msgpack.unpackb(raw, strict_map_key=False)
    arrays = [each for each in state.values() if isinstance(each, dict) and len(each.get("data", b"")) >= NUMBER_BYTES]
    if arrays:
        array = chance.choice(arrays)
        data, at = array["data"], chance.randrange(len(array["data"]) // NUMBER_BYTES) * NUMBER_BYTES
        number = chance.choice(EDGES) % (1 << 64)
        array["data"] = data[:at] + number.to_bytes(NUMBER_BYTES, "little") + data[at + NUMBER_BYTES :]
    return msgpack.packb([kind, state])
