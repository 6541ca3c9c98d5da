"""The ledger's kernels against the plain way to say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from obsagent._native.codec import RunColumn, order_of, passed_by_sieve, places_among, siphash_texts
from obsagent.by_id.batches import Ids
from obsagent.ledger import search, sieve
from obsagent.ledger.keys import keys_of
from obsagent.ledger.tables import CLASS_SUMS, COUNTS, Array, Block, normal

MASK = (1 << 64) - 1
WORDS = arrays.arrays("u8", st.integers(0, 200), elements=st.integers(0, MASK))
FEW_WORDS = arrays.arrays("u8", st.integers(0, 200), elements=st.integers(MASK - 9, MASK))


def _siphash(text: bytes, key: bytes) -> bytes:
    """SipHash-2-4-128, as its authors wrote it down."""
    k0, k1 = (int.from_bytes(key[at : at + 8], "little") for at in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def mix(one: int, other: int, bits: int) -> None:
        v[one] = (v[one] + v[other]) & MASK
        v[other] = _rotated(v[other], bits) ^ v[one]

    def rounds(count: int) -> None:
        for _ in range(count):
            mix(0, 1, 13)
            v[0] = _rotated(v[0], 32)
            mix(2, 3, 16)
            mix(0, 3, 21)
            mix(2, 1, 17)
            v[2] = _rotated(v[2], 32)

    padded = text + bytes(-(len(text) + 1) % 8) + bytes([len(text) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    halves = []
    for place, mark in ((2, 0xEE), (1, 0xDD)):
        v[place] ^= mark
        rounds(4)
        halves.append(v[0] ^ v[1] ^ v[2] ^ v[3])
    return b"".join(half.to_bytes(8, "little") for half in halves)


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & MASK


@given(st.lists(st.binary(max_size=255)), st.binary(min_size=16, max_size=16))
@settings(deadline=None)
def test_keys_are_those_of_the_plain_hash(texts: list[bytes], key: bytes) -> None:
    keys = keys_of(Ids(bytes(map(len, texts)), b"".join(texts)), key)
    for text, hi, lo in zip(texts, keys.hi, keys.lo, strict=True):
        assert hi.tobytes() + lo.tobytes() == _siphash(text, key)[:12]


@given(st.one_of(WORDS, FEW_WORDS))
def test_an_order_is_that_of_a_stable_sort(keys: Array) -> None:
    assert search.order_of(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("kind", ["u8", "i8"])
@given(own=st.one_of(WORDS, FEW_WORDS), keys=st.one_of(WORDS, FEW_WORDS), is_sorted=st.booleans())
def test_places_are_those_of_searchsorted(own: Array, keys: Array, is_sorted: bool, kind: str) -> None:
    own, keys = np.sort(own.view(kind)), np.sort(keys.view(kind)) if is_sorted else keys.view(kind)
    assert search.places_among(own, keys).tolist() == np.searchsorted(own, keys, "left").tolist()
    assert search.places_among(own, keys, or_equal=True).tolist() == np.searchsorted(own, keys, "right").tolist()


@given(own=st.one_of(WORDS, FEW_WORDS), keys=st.one_of(WORDS, FEW_WORDS))
def test_what_is_found_is_there(own: Array, keys: Array) -> None:
    own, keys = np.sort(own), np.unique(keys)
    found = search.found_in(own, keys)
    assert keys[found.which].tolist() == [key for key in keys.tolist() if key in own.tolist()]
    assert found.begins.tolist() == np.searchsorted(own, keys[found.which], "left").tolist()
    assert found.ends.tolist() == np.searchsorted(own, keys[found.which], "right").tolist()


KEY_COLUMNS = {"window_ms": "i8", "series": "u4", "predicted": "u2", "truth": "u2", "bin": "i2"}


@given(rows=st.integers(1, 60), seed=st.integers(0, 1000), widths=st.tuples(*[st.integers(1, 70)] * 5))
def test_equal_rows_become_one(rows: int, seed: int, widths: tuple[int, ...]) -> None:
    """Also those whose columns have together more bits than a number has."""
    chance = np.random.default_rng(seed)
    shapes = zip(KEY_COLUMNS.items(), widths, strict=True)
    key = {name: _column(chance, kind, width, rows) for (name, kind), width in shapes}
    block: Block = {**key, "count": chance.integers(-(1 << 62), 1 << 62, rows)}
    added = normal(COUNTS, [block])
    expected: dict[tuple[int, ...], int] = {}
    for *where, count in zip(*(values.tolist() for values in block.values()), strict=True):
        expected[*where] = expected.get((*where,), 0) + count
    assert [*zip(*(added[name].tolist() for name in key), strict=True)] == sorted(expected)
    wrapped = [(expected[where] + (1 << 63)) % (1 << 64) - (1 << 63) for where in sorted(expected)]
    assert added["count"].tolist() == wrapped


def _column(chance: np.random.Generator, kind: str, width: int, rows: int) -> Array:
    """Numbers of one of few values, as far apart as so many bits can have, and at either end of the type."""
    bounds = np.iinfo(kind)
    spread = min(1 << width, bounds.max - bounds.min) // 2
    return np.array(
        [(bounds.min + spread, bounds.min, bounds.min + 2 * spread)[i] for i in chance.integers(0, 3, rows)], kind
    )


def test_sums_of_numbers_are_added_in_order() -> None:
    rows = 5
    block: Block = {name: np.zeros(rows, kind) for name, kind in CLASS_SUMS.columns.items()}
    block["window_ms"][2] = -10_000
    block["score"] = np.array([0.1, 0.2, 7.0, 0.3, 1e17])
    added = normal(CLASS_SUMS, [block])
    assert added["score"].tolist() == [7.0, 0.1 + 0.2 + 0.3 + 1e17]


@pytest.mark.parametrize("size", [8, 64, 1024])
def test_a_sieve_passes_what_was_added(size: int) -> None:
    chance = np.random.default_rng(size)
    bits, keys = np.zeros(size, "u1"), np.sort(chance.integers(0, 1 << 64, size, "u8"))
    sieve.add(bits, keys)
    assert sieve.passed(bits, keys).tolist() == [*range(size)]
    others = chance.integers(0, 1 << 64, 1000, "u8")
    expected = [index for index, key in enumerate(others.tolist()) if _bit(bits, key)]
    assert sieve.passed(bits, others).tolist() == expected


def _bit(bits: Array, key: int) -> bool:
    number = key * len(bits) * 8 >> 64
    return bool(bits[number // 8] >> number % 8 & 1)


GROUP_BYTES = 64 * 4 + 40


def _column_of(file: bytes) -> RunColumn:
    return RunColumn(file, first=4, rows=128, group_rows=64, group_bytes=GROUP_BYTES, width=4, item=8, low=bytes(8))


def test_a_column_outside_of_its_file_is_refused() -> None:
    file = bytes(4 + GROUP_BYTES + 64 * 4)
    column = _column_of(file)
    out = np.full(2, 7)
    column.take(np.array([0, 127]).data, out.data)
    assert out.tolist() == [0, 0]
    with pytest.raises(ValueError, match="range"):
        _column_of(file[:-1])
    with pytest.raises(ValueError, match="range"):
        column.take(np.array([0, 128]).data, out.data)
    with pytest.raises(ValueError, match="range"):
        column.slice(127, out.data)
    with pytest.raises(ValueError, match="range"):
        column.find(np.array([2]).data, np.array([0]).data, out[:1].data, out[1:].data)


WRONG: dict[str, Callable[[], Any]] = {
    "other widths": lambda: order_of(np.zeros(3, "u4").data, np.zeros(3, "i8").data),
    "other lengths": lambda: order_of(np.zeros(3, "u8").data, np.zeros(2, "i8").data),
    "not in its place": lambda: order_of(np.frombuffer(bytes(17), "u8", 2, 1).data, np.zeros(2, "i8").data),
    "places of other lengths": lambda: places_among(np.zeros(3).data, np.zeros(3).data, np.zeros(4).data),
    "no sieve": lambda: passed_by_sieve(bytes(24), np.zeros(1, "u8").data, np.zeros(1, "i8").data),
    "a short key": lambda: siphash_texts(bytes(15), b"", b"", b"", b""),
    "texts too short": lambda: siphash_texts(bytes(16), b"\2", b"a", np.zeros(1, "u8").data, np.zeros(1, "u4").data),
}


@pytest.mark.parametrize("what", WRONG)
def test_other_arrays_are_refused(what: str) -> None:
    with pytest.raises((ValueError, BufferError)):
        WRONG[what]()
