"""What the sketches of features have in common: what they take and refuse, merges, bytes, copies."""

from __future__ import annotations

import array
import copy
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from feature_sketches import COUNTING, MAKERS, NUMERIC, Sketch, filled, samples_of

from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.sketches import Edges, HyperLogLog, LogHist, Moments, TopK

ALL = pytest.mark.parametrize("kind", MAKERS)
NUMBERS = pytest.mark.parametrize("kind", NUMERIC)
COUNTED = pytest.mark.parametrize("kind", COUNTING)
LARGE = 20_000  # values that add_many takes in without the GIL


def numbers(sketch: Sketch) -> tuple[Any, ...]:
    """What is in it, but for rounding."""
    if isinstance(sketch, Moments):
        return samples_of(sketch), sketch.count, sketch.nan_count, sketch.min, sketch.max
    return (sketch.to_bytes(),)


# ---- Adding ----


@NUMBERS
@pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.bool_(True)])
def test_add_takes_any_number(kind: str, number: Any) -> None:
    sketch = MAKERS[kind]()
    sketch.add(number)
    assert sketch.count == samples_of(sketch) == 1


VALUES = [0, 1, 2, 3, 100, 7]


@ALL
@pytest.mark.parametrize(
    "values",
    [
        *(pytest.param(array.array(code, VALUES), id=f"array-{code}") for code in "dfbBhHiIlLqQ"),
        *(pytest.param(np.array(VALUES, dtype=dtype), id=dtype) for dtype in ("<f8", ">f8", "f4", "f2", ">i4", "u8")),
        pytest.param(np.array([VALUES, VALUES], dtype=float).T[:, 1], id="strided"),
        pytest.param(np.array(VALUES, dtype=float).reshape(2, 3), id="two-dimensional"),
        pytest.param(np.array([*VALUES], dtype=object), id="objects"),
        pytest.param(VALUES, id="list"),
        pytest.param(dict.fromkeys(VALUES), id="dict-keys"),
    ],
)
def test_add_many_takes_buffers_and_iterables(kind: str, values: Any) -> None:
    sketch, expected = MAKERS[kind](), MAKERS[kind]()
    sketch.add_many(values)
    for value in VALUES:
        expected.add(value)
    assert numbers(sketch) == numbers(expected)


@COUNTED
def test_none_is_a_null(kind: str) -> None:
    sketch = filled(kind, 1.0, None, None)
    sketch.add(None)
    sketch.add(None, weight=4)
    sketch.add(None, 0)
    sketch.add_many(np.array([None, 2.0], dtype=object))
    assert (sketch.null_count, samples_of(sketch)) == (8, 10)
    sketch.merge(sketch)
    assert (sketch.null_count, samples_of(sketch)) == (16, 20)


@NUMBERS
def test_what_is_not_finite_is_counted_apart(kind: str) -> None:
    sketch = filled(kind, 1.0, math.nan, math.inf, -math.inf, -math.inf, 2.0)
    sketch.add(math.nan, weight=2)
    sketch.add(-math.inf)
    assert (sketch.count, samples_of(sketch)) == (2, 9)
    assert (sketch.nan_count, sketch.positive_infinity_count, sketch.negative_infinity_count) == (3, 1, 3)


@NUMBERS
@pytest.mark.parametrize(
    "values", ["1.5", b"\0" * 16, 1.5, None, [1.0, "2.0"], [[1.0]], np.array([1j]), np.array(["1"])], ids=repr
)
def test_add_many_refuses_what_is_no_number_and_adds_nothing(kind: str, values: Any) -> None:
    sketch = MAKERS[kind]()
    with pytest.raises(TypeError, match="values must be"):
        sketch.add_many(values)
    assert samples_of(sketch) == 0


@ALL
@pytest.mark.parametrize("value", [[], 1j, object(), {}])
def test_add_refuses_what_is_no_value(kind: str, value: Any) -> None:
    sketch = MAKERS[kind]()
    with pytest.raises(TypeError):
        sketch.add(value)
    assert sketch == MAKERS[kind]()


@COUNTED
@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        (-1, ValueError, "weight must be a whole number from 0"),
        (2**64, ValueError, "weight must be a whole number from 0"),
        (1.0, TypeError, "weight must be a whole number"),
    ],
)
def test_add_says_what_weight_it_expects(kind: str, weight: Any, error: type[Exception], words: str) -> None:
    for value in (1.0, None):
        with pytest.raises(error, match=words):
            MAKERS[kind]().add(value, weight)


@COUNTED
def test_counts_end_below_two_to_the_64th(kind: str) -> None:
    sketch = MAKERS[kind]()
    sketch.add(1.0, 2**64 - 1)
    for add in (lambda: sketch.add(1.0), lambda: sketch.merge(sketch), lambda: sketch.add_many([1.0])):
        with pytest.raises(ValueError, match=r"fewer than 2\*\*64"):
            add()
    assert samples_of(sketch) == 2**64 - 1


@ALL
def test_large_inputs_count_the_same_as_small_ones(kind: str) -> None:
    values = np.random.default_rng(3).normal(0, 1, LARGE)
    values[::100] = math.nan
    large, small = MAKERS[kind](), MAKERS[kind]()
    large.add_many(values)
    for part in np.array_split(values, 4):
        small.add_many(part)
    if kind == "Edges":
        assert large == small
        assert large.sums == pytest.approx(small.sums)
    elif kind == "Moments":
        assert numbers(large) == numbers(small)
        assert (large.mean, large.m2) == pytest.approx((small.mean, small.m2))
    else:
        assert large == small


@ALL
def test_threads_that_share_a_sketch_lose_nothing(kind: str) -> None:
    sketch, values = MAKERS[kind](), np.random.default_rng(4).random(LARGE)
    values[7] = math.inf
    taken = values if kind in (*NUMERIC, "HyperLogLog") else values[:100].tolist()

    def work() -> None:
        for _ in range(10):
            sketch.add_many(taken)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if kind == "HyperLogLog":
        assert sketch.count() == pytest.approx(LARGE, rel=5 * sketch.relative_error)
    else:
        assert samples_of(sketch) == 40 * len(taken)


# ---- Merging, copying, comparing ----


@ALL
@pytest.mark.parametrize("other", [None, 5, [1.0], LogHist()])
def test_merge_refuses_anything_else(kind: str, other: Any) -> None:
    with pytest.raises(TypeError, match=kind):
        MAKERS[kind]().merge(other)


@ALL
def test_a_copy_is_independent(kind: str) -> None:
    sketch = filled(kind, 1.0, 2.0, None)
    for other in (sketch.copy(), copy.copy(sketch), copy.deepcopy(sketch)):
        assert other == sketch
        other.add(5.0)
        assert other != sketch


@ALL
def test_equality_is_about_what_was_added(kind: str) -> None:
    assert filled(kind, 1.0, 2.0, 4.0) == filled(kind, 1.0, 2.0, 4.0)
    assert filled(kind, 1.0) != filled(kind, 0.7)
    assert filled(kind, 1.0) != "a sketch"
    with pytest.raises(TypeError, match="unhashable"):
        hash(MAKERS[kind]())


@ALL
def test_memory_is_told_and_bounded(kind: str) -> None:
    sketch = MAKERS[kind]()
    for _ in range(5):
        sketch.add_many(np.random.default_rng(5).random(3000))
        assert 0 < sketch.memory_bytes < 8_000
    assert kind in repr(sketch)


# ---- Bytes ----

CONTENTS: list[list[Any]] = [
    [],
    [1.0],
    [None],
    [math.nan, math.inf, -math.inf, None, -0.0],
    [0.001 * n for n in range(3000)],
    [5e-324, -5e-324, 1.7e308, -1.7e308],
]


@ALL
@pytest.mark.parametrize("values", CONTENTS, ids=len)
def test_bytes_and_pickles_carry_everything(kind: str, values: list[Any]) -> None:
    sketch = filled(kind, *values)
    data = sketch.to_bytes()
    for again in (type(sketch).from_bytes(data), type(sketch).from_bytes(memoryview(data))):
        assert again == sketch
        assert again.to_bytes() == data
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(sketch, protocol)) == sketch


@ALL
def test_changed_bytes_are_refused(kind: str) -> None:
    sketch = filled(kind, *range(50), None)
    data = sketch.to_bytes()
    for size in range(len(data)):
        with pytest.raises(CorruptData, match=kind):
            type(sketch).from_bytes(data[:size])
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x10
        with pytest.raises((CorruptData, UnsupportedVersion)):
            type(sketch).from_bytes(changed)
    with pytest.raises(CorruptData, match=f"not the bytes of a {kind}"):
        type(sketch).from_bytes(LogHist().to_bytes())


@ALL
def test_bytes_of_a_later_version_are_told_apart(kind: str) -> None:
    data = bytearray(filled(kind, 1.0).to_bytes())
    data[4] = 2
    with pytest.raises(UnsupportedVersion, match="version 2; this build reads 1"):
        type(MAKERS[kind]()).from_bytes(data)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: TopK(0), ValueError, "k must be a whole number from 1 to 1024, not 0"),
        (lambda: TopK(2000), ValueError, "k must be a whole number from 1 to 1024"),
        (lambda: TopK(1.5), TypeError, "k must be a whole number"),
        (lambda: HyperLogLog(3), ValueError, "p must be a whole number from 4 to 16, not 3"),
        (lambda: HyperLogLog("12"), TypeError, "p must be a whole number"),
        (lambda: Edges([]), ValueError, "edges must be 2 to 256 finite numbers"),
        (lambda: Edges([1.0]), ValueError, "edges must be 2 to 256 finite numbers"),
        (lambda: Edges(range(257)), ValueError, "edges must be 2 to 256 finite numbers"),
        (lambda: Edges([0, 1, 1]), ValueError, "each greater than the one before"),
        (lambda: Edges([0, math.inf]), ValueError, "finite"),
        (lambda: Edges([0, math.nan, 1]), ValueError, "finite"),
        (lambda: Edges([0, None, 1]), TypeError, "values must be numbers"),
        (lambda: Edges(5), TypeError, "values must be"),
    ],
)
def test_constructors_say_what_they_expect(make: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()
