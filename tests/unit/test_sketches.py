"""The public sketches: what they take, answer, refuse and write."""

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

import obsagent.sketches
from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.sketches import LogHist, TDigest

Sketch = LogHist | TDigest
BOTH = pytest.mark.parametrize("kind", [LogHist, TDigest])
LARGE = 20_000  # values that add_many takes in without the GIL


class Celsius:
    """A number only by its __float__."""

    def __float__(self) -> float:
        return 21.5


def filled(kind: type[Sketch], *values: float) -> Sketch:
    sketch = kind()
    sketch.add_many(values)
    return sketch


def test_the_module_exports_the_sketches() -> None:
    assert obsagent.sketches.__all__ == ["Edges", "HyperLogLog", "LogHist", "Moments", "TDigest", "TopK"]


# ---- Adding ----


@BOTH
def test_an_empty_sketch(kind: type[Sketch]) -> None:
    sketch = kind()
    assert (sketch.count, sketch.sum) == (0, 0.0)
    answers = [sketch.min, sketch.max, sketch.quantile(0.5), sketch.cdf(1.0), *sketch.quantiles([0, 1])]
    assert all(math.isnan(answer) for answer in answers)
    assert "count=0" in repr(sketch)


@BOTH
@pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), Celsius()])
def test_add_takes_any_number(kind: type[Sketch], number: Any) -> None:
    sketch = kind()
    sketch.add(number)
    assert (sketch.count, sketch.sum, sketch.min) == (1, float(number), float(number))


@BOTH
def test_a_weight_counts_as_often(kind: type[Sketch]) -> None:
    sketch = kind()
    sketch.add(3.0, 4)
    sketch.add(5.0, weight=np.uint8(2))
    sketch.add(7.0, weight=0)
    assert (sketch.count, sketch.sum, sketch.min, sketch.max) == (6, 22.0, 3.0, 5.0)
    assert sketch.quantile(0.6) == pytest.approx(3.0, rel=0.006)
    assert sketch.quantile(0.7) == pytest.approx(5.0, rel=0.006)


NUMBERS = [0, 1, 2, 3, 100, 7]
DTYPES = ["<f8", ">f8", "f4", ">f4", "f2", "i2", ">i4", "u8"]
FORMATS = ["d", "f", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]


@BOTH
@pytest.mark.parametrize(
    "values",
    [
        *(pytest.param(array.array(code, NUMBERS), id=f"array-{code}") for code in FORMATS),
        *(pytest.param(np.array(NUMBERS, dtype=dtype), id=f"numpy-{dtype}") for dtype in DTYPES),
        pytest.param(np.array([NUMBERS, NUMBERS], dtype=float).T[:, 1], id="strided"),
        pytest.param(np.array(NUMBERS[::-1], dtype=float)[::-1], id="reversed"),
        pytest.param(np.array(NUMBERS, dtype=np.int8)[::-1], id="reversed-int8"),
        pytest.param(np.array(NUMBERS, dtype=float).reshape(2, 3), id="two-dimensional"),
        pytest.param(np.asfortranarray(np.array(NUMBERS, dtype=float).reshape(2, 3)), id="column-major"),
        pytest.param(memoryview(np.array(NUMBERS, dtype=float)), id="memoryview"),
        pytest.param(NUMBERS, id="list"),
        pytest.param(tuple(map(float, NUMBERS)), id="tuple"),
        pytest.param(np.array(NUMBERS, dtype=np.float32).tolist(), id="floats"),
        pytest.param(dict.fromkeys(NUMBERS), id="dict-keys"),
    ],
)
def test_add_many_takes_buffers_and_sequences(kind: type[Sketch], values: Any) -> None:
    sketch = kind()
    sketch.add_many(values)
    expected = kind()
    for number in NUMBERS:
        expected.add(number)
    assert (sketch.count, sketch.sum) == (len(NUMBERS), float(sum(NUMBERS)))
    qs = [0, 0.1, 0.3, 0.5, 0.8, 1]
    assert sketch.quantiles(qs) == expected.quantiles(qs)


@BOTH
def test_add_many_takes_an_iterator_bools_and_nothing(kind: type[Sketch]) -> None:
    sketch = kind()
    sketch.add_many(n / 2 for n in range(4))
    sketch.add_many(np.array([True, False]))
    sketch.add_many([])
    sketch.add_many(np.empty((0, 3)))
    assert (sketch.count, sketch.sum) == (6, 4.0)


@BOTH
def test_add_many_reads_unaligned_doubles(kind: type[Sketch]) -> None:
    raw = b"\0" + np.array([1.0, 2.0, 4.0]).tobytes()
    values = np.frombuffer(raw, dtype=np.float64, offset=1)
    assert not values.flags.aligned
    sketch = kind()
    sketch.add_many(values)
    assert (sketch.sum, sketch.max) == (7.0, 4.0)


@BOTH
@pytest.mark.parametrize(
    "values",
    [
        pytest.param("1.5", id="str"),
        pytest.param(b"\0" * 16, id="bytes"),
        pytest.param(bytearray(16), id="bytearray"),
        pytest.param(1.5, id="float"),
        pytest.param(None, id="none"),
        pytest.param([1.0, "2.0"], id="str-in-list"),
        pytest.param([1.0, None], id="none-in-list"),
        pytest.param([[1.0], [2.0]], id="list-of-lists"),
        pytest.param(np.array([1j]), id="complex"),
        pytest.param(np.array(["1"]), id="numpy-str"),
        pytest.param(np.array([b"12"]), id="numpy-bytes"),
        pytest.param(np.array([1.0, None]), id="numpy-object"),
        pytest.param(np.zeros(2, dtype=[("a", "f8")]), id="numpy-record"),
    ],
)
def test_add_many_refuses_what_is_not_numbers_and_adds_nothing(kind: type[Sketch], values: Any) -> None:
    sketch = kind()
    with pytest.raises(TypeError, match="values must be"):
        sketch.add_many(values)
    assert sketch.count == 0


@BOTH
def test_large_inputs_count_the_same_as_small_ones(kind: type[Sketch]) -> None:
    values = np.random.default_rng(3).normal(0, 1, LARGE)
    large, small = kind(), kind()
    large.add(math.nan)
    small.add(math.nan)
    large.add_many(values)
    for part in np.array_split(values, 4):
        small.add_many(part)
    assert large.count == small.count == LARGE
    assert (large.min, large.max, large.nan_count) == (small.min, small.max, 1)
    assert large.sum == pytest.approx(small.sum)
    assert kind is TDigest or large == small


@BOTH
def test_threads_that_share_a_sketch_lose_nothing(kind: type[Sketch]) -> None:
    sketch = kind()
    values = np.random.default_rng(4).random(LARGE)

    def work() -> None:
        for _ in range(10):
            sketch.add_many(values)
            sketch.quantile(0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sketch.count == 40 * LARGE
    assert sketch.quantile(0.5) == pytest.approx(0.5, abs=0.02)


@BOTH
def test_what_is_not_finite_is_counted_apart(kind: type[Sketch]) -> None:
    sketch = filled(kind, 1.0, math.nan, math.inf, -math.inf, -math.inf, 2.0)
    sketch.add(math.nan, weight=2)
    assert (sketch.count, sketch.sum, sketch.min, sketch.max) == (2, 3.0, 1.0, 2.0)
    assert (sketch.nan_count, sketch.positive_infinity_count, sketch.negative_infinity_count) == (3, 1, 2)
    assert [sketch.cdf(x) for x in (-math.inf, math.inf)] == [0.0, 1.0]
    assert math.isnan(sketch.cdf(math.nan))


@BOTH
def test_negative_zero_is_zero(kind: type[Sketch]) -> None:
    sketch = filled(kind, -0.0)
    assert (sketch.count, sketch.cdf(0.0), sketch.cdf(-0.0)) == (1, 1.0, 1.0)
    assert math.copysign(1, sketch.min) == math.copysign(1, sketch.quantile(0.5)) == 1


# ---- Asking ----


@BOTH
def test_quantile_ends_are_exact(kind: type[Sketch]) -> None:
    sketch = filled(kind, -3.7, 0.0, 1.1, 999.9)
    assert (sketch.quantile(0), sketch.quantile(1.0)) == (-3.7, 999.9)
    assert sketch.quantiles((0, 1)) == [-3.7, 999.9]
    assert (sketch.cdf(-3.8), sketch.cdf(999.9)) == (0.0, 1.0)


@BOTH
@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan, math.inf])
def test_quantiles_outside_0_to_1_are_refused(kind: type[Sketch], q: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        kind().quantile(q)
    with pytest.raises(ValueError, match="from 0 to 1"):
        kind().quantiles([0.5, q])


def test_loghist_interpolates_as_promql_does() -> None:
    """Four values in bucket (1, 2] of scale 0: the exponential position of rank 2 is the middle, sqrt(2)."""
    hist = LogHist(0)
    hist.add_many([1.1, 1.2, 1.3, 2.0])
    assert hist.quantile(0.5, interpolate=True) == pytest.approx(math.sqrt(2))
    assert hist.quantile(0.5) == pytest.approx(2 * 1 * 2 / (1 + 2))
    assert hist.quantiles([0.5], interpolate=True) == [hist.quantile(0.5, interpolate=True)]


def test_loghist_buckets_and_counts() -> None:
    hist = LogHist(1)
    hist.add_many([1.0, 1.1, 1.4, 1.5, 4.0, 0.0, -0.0, -4.0, -4.0])
    assert hist.buckets() == ([-1, 0, 1, 3], [1, 2, 1, 1])
    assert hist.buckets(negative=True) == ([3], [2])
    assert (hist.zero_count, hist.count) == (2, 9)
    assert hist.relative_error == pytest.approx((math.sqrt(2) - 1) / (math.sqrt(2) + 1))


@pytest.mark.parametrize("scale", range(9))
def test_loghist_scale_says_its_relative_error(scale: int) -> None:
    gamma = 2**2**-scale
    assert LogHist(scale).scale == scale
    assert LogHist(scale).relative_error == pytest.approx((gamma - 1) / (gamma + 1), rel=1e-12)


def test_tdigest_keeps_single_values_up_to_its_compression() -> None:
    digest = TDigest(50)
    digest.add_many(range(50))
    assert digest.centroids() == ([float(n) for n in range(50)], [1] * 50)
    digest.add_many(range(50, 1000))
    means, weights = digest.centroids()
    assert means == sorted(means)
    assert (sum(weights), weights[0], weights[-1], means[0], means[-1]) == (1000, 1, 1, 0.0, 999.0)
    assert len(means) <= 55


@BOTH
def test_memory_grows_and_is_counted(kind: type[Sketch]) -> None:
    sketch = kind()
    empty = sketch.memory_bytes
    sketch.add_many(np.random.default_rng(5).lognormal(0, 3, 1000))
    assert 0 < empty < 300 < sketch.memory_bytes < 40_000


# ---- Merging and changing ----


@BOTH
def test_merge_adds_everything(kind: type[Sketch]) -> None:
    left, right = filled(kind, 1.0, 2.0, math.nan), filled(kind, -5.0, math.inf)
    left.merge(right)
    assert (left.count, left.sum, left.min, left.max) == (3, -2.0, -5.0, 2.0)
    assert (left.nan_count, left.positive_infinity_count) == (1, 1)
    left.merge(left)
    assert (left.count, left.nan_count) == (6, 2)
    assert right.count == 1


@BOTH
@pytest.mark.parametrize("other", [None, 5, [1.0]])
def test_merge_refuses_anything_else(kind: type[Sketch], other: Any) -> None:
    with pytest.raises(TypeError, match=kind.__name__):
        kind().merge(other)


def test_sketches_of_different_kinds_do_not_merge() -> None:
    with pytest.raises(TypeError, match="LogHist"):
        LogHist().merge(TDigest())  # type: ignore[arg-type]


def test_loghists_of_different_scales_merge_at_the_lower_one() -> None:
    values = np.random.default_rng(6).lognormal(0, 1, 500)
    fine, coarse, expected = LogHist(8), LogHist(3), LogHist(3)
    fine.add_many(values[:250])
    coarse.add_many(values[250:])
    expected.add_many(values)
    into_fine, into_coarse = fine.copy(), coarse.copy()
    into_fine.merge(coarse)
    into_coarse.merge(fine)
    assert into_fine == into_coarse == expected
    assert fine.scale == 8


def test_tdigest_keeps_its_compression_in_a_merge() -> None:
    digest, other = TDigest(100), TDigest(1000)
    other.add_many(np.random.default_rng(7).random(LARGE))
    digest.merge(other)
    assert digest.compression == 100
    assert len(digest.centroids()[0]) <= 110 < len(other.centroids()[0])


def test_downscale_refuses_to_refine() -> None:
    hist = LogHist(4)
    hist.downscale(4)
    hist.downscale(2)
    assert hist.scale == 2
    with pytest.raises(ValueError, match="from 0 to 2, not 3"):
        hist.downscale(3)


@BOTH
def test_a_copy_is_independent(kind: type[Sketch]) -> None:
    sketch = filled(kind, 1.0, 2.0)
    for other in (sketch.copy(), copy.copy(sketch), copy.deepcopy(sketch)):
        other.add(5.0)
        assert (sketch.count, other.count, other.max) == (2, 3, 5.0)


def test_loghists_are_equal_by_what_they_counted() -> None:
    hist = filled(LogHist, 1.0, -2.0, 0.0, math.nan)
    assert hist == filled(LogHist, math.nan, 0.0, -2.0, 1.0)
    for changed in ([1.0], [-2.0], [0.0], [math.nan], [math.inf], [-math.inf]):
        other = hist.copy()
        other.add_many(changed)
        assert other != hist
    assert filled(LogHist, 1.5, 1.501) != filled(LogHist, 1.5, 1.5)  # one bucket, another max
    assert LogHist(5) != LogHist(6)
    assert LogHist() != "LogHist()"
    with pytest.raises(TypeError, match="unhashable"):
        hash(hist)


# ---- Wrong arguments ----


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LogHist(9), ValueError, "scale must be a whole number from 0 to 8, not 9"),
        (lambda: LogHist(-1), ValueError, "scale must be a whole number from 0 to 8, not -1"),
        (lambda: LogHist(6.0), TypeError, "scale must be a whole number from 0 to 8, not 6.0"),
        (lambda: LogHist("6"), TypeError, "scale must be a whole number"),
        (lambda: TDigest(19), ValueError, "compression must be a whole number from 20 to 2000, not 19"),
        (lambda: TDigest(10**30), ValueError, "compression must be a whole number from 20 to 2000"),
        (lambda: TDigest(None), TypeError, "compression must be a whole number"),
    ],
)
def test_constructors_say_what_they_expect(make: Callable[[], Sketch], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@BOTH
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("1",), TypeError, "must be real number"),
        ((None,), TypeError, "must be real number"),
        ((1j,), TypeError, "must be real number|complex"),
        ((1.0, -1), ValueError, "weight must be a whole number from 0"),
        ((1.0, 2**64), ValueError, "weight must be a whole number from 0"),
        ((1.0, 1.0), TypeError, "weight must be a whole number"),
    ],
)
def test_add_says_what_it_expects(kind: type[Sketch], arguments: Any, error: type[Exception], words: str) -> None:
    sketch = kind()
    with pytest.raises(error, match=words):
        sketch.add(*arguments)
    assert sketch.count == 0


@BOTH
def test_counts_end_below_two_to_the_64th(kind: type[Sketch]) -> None:
    sketch = kind()
    sketch.add(1.0, 2**64 - 2)
    sketch.add(math.nan)
    for add in (lambda: sketch.add(1.0), lambda: sketch.merge(sketch), lambda: sketch.add_many([1.0])):
        with pytest.raises(ValueError, match=r"fewer than 2\*\*64"):
            add()
    assert (sketch.count, sketch.nan_count) == (2**64 - 2, 1)


# ---- Bytes ----


@BOTH
def test_bytes_and_pickles_carry_everything(kind: type[Sketch]) -> None:
    sketch = filled(kind, *np.random.default_rng(8).normal(0, 5, 3000), math.nan, math.inf, -math.inf, 0.0)
    for other in (kind.from_bytes(sketch.to_bytes()), pickle.loads(pickle.dumps(sketch))):
        assert other.to_bytes() == sketch.to_bytes()
        assert (other.count, other.sum, other.min, other.max) == (3001, sketch.sum, sketch.min, sketch.max)
        assert (other.nan_count, other.positive_infinity_count, other.negative_infinity_count) == (1, 1, 1)
        assert other.quantiles([0.01, 0.5, 0.99]) == sketch.quantiles([0.01, 0.5, 0.99])


@pytest.mark.parametrize("empty", [LogHist(0), LogHist(8), TDigest(20), TDigest(2000)], ids=repr)
def test_an_empty_sketch_keeps_its_parameter_in_bytes(empty: Sketch) -> None:
    assert repr(type(empty).from_bytes(empty.to_bytes())) == repr(empty)


def test_compact_bytes_have_no_envelope() -> None:
    hist = filled(LogHist, 1.0, -2.0)
    compact = hist._to_compact()
    assert compact in hist.to_bytes()
    assert LogHist._from_compact(compact) == hist
    assert LogHist._from_compact(memoryview(compact)) == hist
    with pytest.raises(CorruptData):
        LogHist._from_compact(compact[:-1])


@BOTH
def test_bytes_are_read_from_any_buffer(kind: type[Sketch]) -> None:
    raw = filled(kind, 1.0, 2.0).to_bytes()
    for data in (raw, bytearray(raw), memoryview(raw), np.frombuffer(raw, dtype=np.uint8)):
        assert kind.from_bytes(data).sum == 3.0
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError, match="bytes-like"):
            kind.from_bytes(wrong)  # type: ignore[arg-type]


@BOTH
def test_foreign_bytes_are_corrupt_data(kind: type[Sketch]) -> None:
    raw = filled(kind, 1.0, 2.0).to_bytes()
    other = filled(TDigest if kind is LogHist else LogHist, 1.0).to_bytes()
    for foreign in (b"", b"OB", b"OBLH", b"OBTD", b"not a sketch at all", raw[4:], other, b"\0" * 100, raw + b"\0"):
        with pytest.raises(CorruptData):
            kind.from_bytes(foreign)


@BOTH
def test_a_later_version_is_named(kind: type[Sketch]) -> None:
    raw = bytearray(kind().to_bytes())
    raw[4] = 2
    with pytest.raises(UnsupportedVersion, match="version 2; this build reads 1"):
        kind.from_bytes(raw)


def test_the_documentation_is_there() -> None:
    for kind in (LogHist, TDigest):
        for name in [name for name in vars(kind) if not name.startswith("_")]:
            assert getattr(kind, name).__doc__, name


def test_a_latency_histogram_is_small() -> None:
    hist = LogHist()
    hist.add_many(np.random.default_rng(9).lognormal(-4, 0.5, 1000))
    assert hist.memory_bytes <= 4096
    assert len(hist.to_bytes()) <= 400
