"""Counts as bytes: what comes back is what was, and nothing else is believed."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from performance_rows import binary_rows

import obsagent.performance
from obsagent.errors import CorruptData, PerformanceError, UnsupportedVersion
from obsagent.limits import ERROR_MAX, PERFORMANCE_BYTES_MAX
from obsagent.performance import BinaryCounts, ClassCounts, RankingSums, RegressionSums
from obsagent.performance.bins import CELLS
from obsagent.performance.counts import Counts
from obsagent.performance.error_bins import LAST
from obsagent.performance.stored import HEADER_BYTES, MAGIC, VERSION

FORMAT = Path(obsagent.performance.__file__).with_name("FORMAT.md").read_text(encoding="utf-8")
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "performance" / "counts_1.json").read_text())


def binary() -> Counts:
    counts = BinaryCounts()
    counts.update(*binary_rows(1, 500))
    counts.update_predictions([1, 0], [0.5, None])
    return counts


def classes() -> Counts:
    counts = ClassCounts(["ant", 2, None])
    counts.update(["ant", 2, None], ["ant", "ant", 2], np.full((3, 3), 1 / 3))
    return counts


def regression() -> Counts:
    counts = RegressionSums()
    counts.update([1.0, 2.0, 0.0], [1.5, -7.0, 1e-300])
    return counts


def without_squares() -> Counts:
    return RegressionSums.from_arrays(2, (1.0, 3.0, 5.0), (0.0, 2.0), bins=([-5, 7], [1, 1]))


def ranking() -> Counts:
    counts = RankingSums((1, 3))
    counts.update([[1, 0], [0, 0, 2]], [[0.1, 0.2], [1, 2, 3]])
    return counts


ALL: list[Callable[[], Counts]] = [binary, classes, regression, without_squares, ranking]


@pytest.mark.parametrize("make", ALL)
def test_what_comes_back_is_what_was(make: Callable[[], Counts]) -> None:
    counts = make()
    again = type(counts).from_bytes(counts.to_bytes())
    assert again.measures() == counts.measures()
    assert again.to_bytes() == counts.to_bytes()
    again.merge(counts)
    assert again.measures()


def test_the_largest_errors_that_are_taken_come_back() -> None:
    counts = RegressionSums()
    counts.update([0.0, 1.0], [ERROR_MAX, 0.0])
    assert RegressionSums.from_bytes(counts.to_bytes()).measures() == counts.measures()
    with pytest.raises(PerformanceError, match="infinite"):
        counts.update([0.0], [2 * ERROR_MAX])


@pytest.mark.parametrize("at", range(len(ALL)))
def test_what_earlier_builds_wrote_is_read(at: int) -> None:
    wanted = GOLDEN["counts"][at]
    again = type(ALL[at]()).from_bytes(base64.b64decode(wanted["bytes"]))
    found = {name: each.value for name, each in again.measures().items()}
    assert {name for name, value in found.items() if value is not None} == {*wanted["values"]}
    for name, value in wanted["values"].items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("make", ALL)
def test_damage_is_found(make: Callable[[], Counts]) -> None:
    counts = make()
    data = counts.to_bytes()
    for at in range(0, len(data), 1 + len(data) // 500):
        with pytest.raises(CorruptData):
            type(counts).from_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CorruptData):
            type(counts).from_bytes(data[:at])


def sealed(body: Any) -> bytes:
    packed = zlib.compress(body if isinstance(body, bytes) else msgpack.packb(body))
    return MAGIC + bytes([VERSION]) + zlib.crc32(packed).to_bytes(4, "little") + packed


STATE = {"names": [0, 1], "cells": {"dtype": "<i8", "shape": [2, 2], "data": bytes(32)}, "losses": [0, 0.0, 0.0]}


def array(**changed: Any) -> dict[str, Any]:
    return STATE | {"cells": {"dtype": "<i8", "shape": [2, 2], "data": bytes(32)} | changed}


HOSTILE = {
    "of another kind": sealed(["binary", STATE]),
    "no state": sealed(["classes", 3]),
    "no pair": sealed([1]),
    "no msgpack": sealed(b"\xc1"),
    "nothing": sealed(b""),
    "a bomb": sealed(bytes(PERFORMANCE_BYTES_MAX + 1)),
    "no field": sealed(["classes", {}]),
    "no array": sealed(["classes", STATE | {"cells": "x"}]),
    "a negative count": sealed(["classes", array(data=b"\xff" * 32)]),
    "objects": sealed(["classes", array(dtype="|O")]),
    "too few bytes": sealed(["classes", array(data=bytes(31))]),
    "a shape of text": sealed(["classes", array(shape=["x"])]),
    "no shape": sealed(["classes", array(shape=4)]),
    "NaN": sealed(["classes", STATE | {"losses": [1, float("nan"), 0.0]}]),
    "no number": sealed(["classes", STATE | {"losses": ["a", 0.0, 0.0]}]),
    "rows without end": sealed(["classes", STATE | {"losses": [float("inf"), 0.0, 0.0]}]),
    "names that are none": sealed(["classes", STATE | {"names": [[], []]}]),
    "a shape without end": sealed(["classes", array(shape=[2**63, 2])]),
    "counts without end": sealed(["classes", array(data=b"\xff" * 7 + b"\x3f" + bytes(24))]),
    "a class that is NaN": sealed(["classes", STATE | {"names": [0, float("nan")]}]),
    "foreign": b"OBSJ" + bytes(40),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_sealed_and_wrong_is_refused(what: str) -> None:
    with pytest.raises(CorruptData):
        ClassCounts.from_bytes(HOSTILE[what])


def test_another_version_is_told_apart() -> None:
    data = bytearray(sealed(["classes", STATE]))
    assert ClassCounts.from_bytes(bytes(data)).rows == 0
    data[4] = VERSION + 1
    with pytest.raises(UnsupportedVersion, match="version 2"):
        ClassCounts.from_bytes(bytes(data))


def test_the_description_has_the_constants_and_fields_of_the_code() -> None:
    assert f"Version {VERSION}." in FORMAT
    assert f"| 0 | 4 | `{MAGIC.decode()}` |" in FORMAT
    assert f"| {HEADER_BYTES} | … |" in FORMAT
    assert f"bin {CELLS})" in FORMAT
    assert f"{PERFORMANCE_BYTES_MAX >> 20} MiB" in FORMAT
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", FORMAT, re.MULTILINE))
    for make in ALL:
        counts = make()
        for field in counts._state():
            assert f"`{field}`" in rows[counts.KIND], field
    assert LAST == 2560
