"""What holds for any values: merges in any order, bytes there and back, hostile bytes, weights."""

from __future__ import annotations

import math
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.errors import CorruptData
from obsagent.sketches import LogHist, TDigest

ANY = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
MODERATE = st.floats(-1e6, 1e6, allow_subnormal=True)
TIED = st.sampled_from([0.0, 1.0, 1.0000001, -2.5, 1e-300])
LISTS = st.one_of(st.lists(ANY, max_size=80), st.lists(TIED, max_size=80))
FINITE_LISTS = st.one_of(st.lists(FINITE, min_size=1, max_size=300), st.lists(TIED, min_size=1, max_size=300))
SCALES = st.integers(0, 8)
UNIT = st.floats(0, 1)
SKETCHES = st.sampled_from([LogHist, TDigest])

Sketch = LogHist | TDigest


def hist_of(values: list[float], scale: int = 6) -> LogHist:
    hist = LogHist(scale)
    hist.add_many(values)
    return hist


def digest_of(values: list[float], compression: int = 20) -> TDigest:
    digest = TDigest(compression)
    digest.add_many(values)
    return digest


def truth(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


# ---- LogHist ----


@given(LISTS, SCALES, st.integers(1, 9), st.randoms(use_true_random=False))
def test_loghist_merges_are_free_of_order_and_partition(
    values: list[float], scale: int, parts: int, rng: random.Random
) -> None:
    whole = hist_of(values, scale)
    shuffled = rng.sample(values, len(values))
    pieces = [hist_of(shuffled[i::parts], scale) for i in range(parts)]
    rng.shuffle(pieces)
    merged = LogHist(scale)
    for piece in pieces:
        merged.merge(piece)
    assert merged == whole
    assert merged.buckets() == whole.buckets()
    assert merged.buckets(negative=True) == whole.buckets(negative=True)


@given(st.lists(st.tuples(LISTS, SCALES), min_size=1, max_size=5))
def test_loghists_of_mixed_scales_merge_at_the_lowest(parts: list[tuple[list[float], int]]) -> None:
    merged = LogHist(8)
    for values, scale in parts:
        merged.merge(hist_of(values, scale))
    assert merged == hist_of([value for values, _ in parts for value in values], min(scale for _, scale in parts))


@given(LISTS, SCALES, SCALES)
def test_downscaling_then_counting_commute(values: list[float], scale: int, lower: int) -> None:
    scale, lower = max(scale, lower), min(scale, lower)
    hist = hist_of(values, scale)
    hist.downscale(lower)
    assert hist == hist_of(values, lower)


@given(LISTS, SCALES)
def test_loghist_counts_add_up(values: list[float], scale: int) -> None:
    hist = hist_of(values, scale)
    in_buckets = sum(hist.buckets()[1]) + sum(hist.buckets(negative=True)[1])
    assert in_buckets + hist.zero_count == hist.count == sum(map(math.isfinite, values))
    assert hist.count + hist.nan_count + hist.positive_infinity_count + hist.negative_infinity_count == len(values)


@given(FINITE_LISTS, SCALES, UNIT)
def test_loghist_quantiles_are_within_the_relative_error(values: list[float], scale: int, q: float) -> None:
    hist = hist_of(values, scale)
    true = truth(values, q)
    spacing = 5e-324  # subnormal answers are rounded to it
    assert abs(hist.quantile(q) - true) <= hist.relative_error * abs(true) * (1 + 1e-12) + spacing
    assert hist.min <= hist.quantile(q) <= hist.max


@given(FINITE_LISTS, SCALES, st.lists(UNIT, min_size=2, max_size=10), st.booleans())
def test_loghist_quantiles_ascend(values: list[float], scale: int, qs: list[float], interpolate: bool) -> None:
    answers = hist_of(values, scale).quantiles(sorted(qs), interpolate=interpolate)
    assert answers == sorted(answers)


@given(LISTS, st.lists(ANY, min_size=2, max_size=10))
def test_cdfs_ascend_within_0_and_1(values: list[float], xs: list[float]) -> None:
    for sketch in (hist_of(values), digest_of(values)):
        shares = [sketch.cdf(x) for x in sorted(x for x in xs if not math.isnan(x))]
        if sketch.count:
            assert all(0 <= share <= 1 for share in shares)
            assert shares == sorted(shares)
        else:
            assert all(map(math.isnan, shares))


@given(st.lists(st.tuples(ANY, st.integers(0, 20)), max_size=30), SCALES)
def test_loghist_weights_are_repeats(pairs: list[tuple[float, int]], scale: int) -> None:
    weighted = LogHist(scale)
    for value, weight in pairs:
        weighted.add(value, weight)
    assert weighted == hist_of([value for value, weight in pairs for _ in range(weight)], scale)


# ---- TDigest ----


@given(st.one_of(st.lists(FINITE, min_size=1, max_size=100), st.lists(TIED, min_size=1, max_size=100)), UNIT)
def test_tdigest_is_exact_up_to_its_compression(values: list[float], q: float) -> None:
    digest = digest_of(values, 100)
    assert digest.quantile(q) == truth(values, q)
    x = values[len(values) // 2]
    assert digest.cdf(x) == sum(value <= x for value in values) / len(values)


@given(FINITE_LISTS, st.lists(UNIT, min_size=2, max_size=10))
def test_tdigest_quantiles_ascend_from_min_to_max(values: list[float], qs: list[float]) -> None:
    digest = digest_of(values)
    answers = digest.quantiles([0, *sorted(qs), 1])
    assert answers == sorted(answers)
    assert (answers[0], answers[-1]) == (min(values), max(values)) == (digest.min, digest.max)


@given(st.lists(FINITE_LISTS, min_size=1, max_size=6), st.sampled_from([20, 57, 300]))
def test_tdigest_keeps_its_invariants_through_merges(lists: list[list[float]], compression: int) -> None:
    merged = TDigest(compression)
    for values in lists:
        merged.merge(digest_of(values))
    means, weights = merged.centroids()
    assert means == sorted(means)
    assert weights[0] == weights[-1] == 1
    assert min(weights) >= 1
    assert sum(weights) == merged.count == sum(map(len, lists))
    assert (means[0], means[-1]) == (min(map(min, lists)), max(map(max, lists)))
    assert len(means) <= 2 * compression + 8


@given(st.lists(MODERATE, max_size=200), MODERATE, st.integers(1, 2000))
def test_tdigest_weights_are_repeats(others: list[float], value: float, weight: int) -> None:
    weighted = digest_of(others)
    weighted.centroids()  # takes the buffer in, as add with a weight does
    repeated = weighted.copy()
    weighted.add(value, weight)
    repeated.add_many([value] * weight)  # fewer than the buffer holds: one pass, as for the weight
    assert weighted.centroids()[1] == repeated.centroids()[1]
    assert weighted.centroids()[0] == pytest.approx(repeated.centroids()[0], rel=1e-9, abs=1e-6)
    assert weighted.count == len(others) + weight


# ---- Bytes ----


@given(LISTS, SCALES)
def test_loghist_bytes_and_pickles_are_the_same_histogram(values: list[float], scale: int) -> None:
    hist = hist_of(values, scale)
    for other in (LogHist.from_bytes(hist.to_bytes()), pickle.loads(pickle.dumps(hist)), hist.copy()):
        assert other == hist
        assert other.to_bytes() == hist.to_bytes()
        assert other.sum == hist.sum or math.isnan(hist.sum)
    assert LogHist._from_compact(hist._to_compact()) == hist


@given(LISTS, st.sampled_from([20, 200, 2000]))
def test_tdigest_bytes_and_pickles_are_the_same_digest(values: list[float], compression: int) -> None:
    digest = digest_of(values, compression)
    for other in (TDigest.from_bytes(digest.to_bytes()), pickle.loads(pickle.dumps(digest)), digest.copy()):
        assert other.to_bytes() == digest.to_bytes()
        assert other.centroids() == digest.centroids()


@given(LISTS, SCALES)
def test_equal_histograms_have_equal_bytes(values: list[float], scale: int) -> None:
    """Up to the sum, whose rounding depends on the order: whole numbers have none."""
    whole = [float(round(value)) for value in values if abs(value) < 2**40]
    forward, backward = hist_of(whole, scale), hist_of(whole[::-1], scale)
    assert forward.to_bytes() == backward.to_bytes()


@given(SKETCHES, LISTS, st.data())
def test_flipped_bits_are_found(kind: type[Sketch], values: list[float], data: st.DataObject) -> None:
    sketch = kind()
    sketch.add_many(values)
    raw = bytearray(sketch.to_bytes())
    for bit in data.draw(st.lists(st.integers(0, 8 * len(raw) - 1), min_size=1, max_size=3, unique=True)):
        raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptData):
        kind.from_bytes(raw)


@given(SKETCHES, LISTS, st.data())
def test_truncated_and_extended_bytes_are_found(kind: type[Sketch], values: list[float], data: st.DataObject) -> None:
    sketch = kind()
    sketch.add_many(values)
    raw = sketch.to_bytes()
    cut = data.draw(st.integers(0, len(raw) - 1))
    for changed in (raw[:cut], raw[cut + 1 :], raw + raw[:1]):
        with pytest.raises(CorruptData):
            kind.from_bytes(changed)


@given(SKETCHES, st.binary(max_size=200))
def test_foreign_bytes_are_refused(kind: type[Sketch], raw: bytes) -> None:
    for foreign in (raw, kind().to_bytes()[:5] + raw):
        with pytest.raises(CorruptData):
            kind.from_bytes(foreign)


@given(LISTS, SCALES, st.data())
def test_compact_bytes_that_changed_are_refused_or_are_a_histogram(
    values: list[float], scale: int, data: st.DataObject
) -> None:
    """Compact bytes have no checksum: what passes must be whole and usable, whatever it says."""
    raw = bytearray(hist_of(values, scale)._to_compact())
    for position in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[position] = data.draw(st.integers(0, 255))
    try:
        hist = LogHist._from_compact(raw)
    except CorruptData:
        return
    assert sum(hist.buckets()[1]) + sum(hist.buckets(negative=True)[1]) + hist.zero_count == hist.count
    assert LogHist._from_compact(hist._to_compact()) == hist
    if hist.count:
        assert hist.min <= hist.quantile(0.5) <= hist.max
