"""What holds of the sketches of features for any values: merges in any order, bytes there and back, hostile bytes."""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from obsagent.errors import CorruptData
from obsagent.sketches import Edges, HyperLogLog, Moments, TopK

ANY = st.one_of(st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True), st.none())
MODERATE = st.floats(-1e6, 1e6, allow_subnormal=True)
TIED = st.sampled_from([0.0, -0.0, 1.0, 1.0000001, -2.5, 1e-300, None])
LISTS = st.one_of(st.lists(ANY, max_size=80), st.lists(TIED, max_size=80))
FINITE = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
CUTS = st.lists(st.one_of(FINITE, st.integers(-3, 3).map(float)), min_size=2, max_size=40, unique=True).map(sorted)
KEYS = st.lists(st.one_of(st.sampled_from("abcdefgh"), st.text(max_size=5)), max_size=120)
KINDS = st.sampled_from([Edges, HyperLogLog, Moments, TopK])


def bin_of(edges: list[float], value: float) -> int:
    """numpy's rule: the last bin is closed."""
    return len(edges) - 1 if value == edges[-1] else bisect.bisect_right(edges, value)


# ---- Edges ----


@given(CUTS, LISTS)
def test_every_value_is_in_the_bin_of_the_rule(edges: list[float], values: list[float | None]) -> None:
    counted = Edges(edges)
    counted.add_many(values)
    finite = [value for value in values if value is not None and math.isfinite(value)]
    expected = Counter(bin_of(edges, value) for value in [*finite, *edges])
    counted.add_many(edges)
    assert counted.counts == tuple(expected[bin] for bin in range(len(edges) + 1))
    assert counted.null_count == values.count(None)
    odd = counted.nan_count + counted.positive_infinity_count + counted.negative_infinity_count
    assert odd + counted.null_count + len(finite) == len(values)


@given(CUTS, LISTS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_counts_merge_in_any_order_and_partition(
    edges: list[float], values: list[float | None], parts: int, rng: random.Random
) -> None:
    whole, merged = Edges(edges), Edges(edges)
    whole.add_many(values)
    pieces = []
    shuffled = rng.sample(values, len(values))
    for part in range(parts):
        piece = Edges(edges)
        piece.add_many(shuffled[part::parts])
        pieces.append(piece)
    for piece in pieces:
        merged.merge(piece)
    assert merged == whole
    assert Edges.from_bytes(merged.to_bytes()) == whole


# ---- Moments ----


@given(st.lists(MODERATE, min_size=1, max_size=60), st.integers(1, 5), st.randoms(use_true_random=False))
def test_moments_are_the_same_in_any_order(values: list[float], parts: int, rng: random.Random) -> None:
    shuffled, merged = rng.sample(values, len(values)), Moments()
    for part in range(parts):
        piece = Moments()
        piece.add_many(shuffled[part::parts])
        merged.merge(piece)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    powers = [float(sum((value - mean) ** power for value in exact)) for power in (2, 3, 4)]
    size = max(map(abs, values))
    assert (merged.count, merged.min, merged.max) == (len(values), min(values) + 0.0, max(values) + 0.0)
    assert merged.min <= merged.mean <= merged.max
    assert abs(merged.mean - float(mean)) <= 1e-14 * size + 1e-300
    for power, (ours, true) in enumerate(zip((merged.m2, merged.m3, merged.m4), powers, strict=True), 2):
        spread = sum(abs(float(value - mean)) ** (power - 1) for value in exact)
        error = 1e-13 * size * spread + 1e-300  # the mean's rounding, felt in every deviation
        assert abs(ours - true) <= power * error + 1e-12 * sum(abs(float(value - mean)) ** power for value in exact)


@given(LISTS)
def test_moments_count_every_value(values: list[float | None]) -> None:
    moments = Moments()
    moments.add_many(values)
    one_by_one = Moments()
    for value in values:
        one_by_one.add(value)
    for counted in (moments, one_by_one):
        odd = counted.nan_count + counted.positive_infinity_count + counted.negative_infinity_count
        assert counted.count + counted.null_count + odd == len(values)
        assert counted.count == 0 or counted.min <= counted.mean <= counted.max
    assert Moments.from_bytes(moments.to_bytes()) == moments


# ---- TopK ----


@given(st.lists(KEYS, min_size=1, max_size=6), st.integers(1, 6))
def test_no_count_is_too_high_or_beyond_the_error(streams: list[list[str]], k: int) -> None:
    merged, truth = TopK(k), Counter[str]()
    for stream in streams:
        top = TopK(k)
        top.add_many(stream)
        merged.merge(top)
        truth.update(key.encode("utf-8", "replace").decode() for key in stream)
    assert merged.total == truth.total()
    assert merged.error * (k + 1) <= merged.total
    counted = dict(merged.items())
    assert len(counted) <= k
    assert merged.other == merged.total - sum(counted.values())
    for key, count in counted.items():
        assert truth[key] - merged.error <= count <= truth[key]
    floor = min(counted.values()) if len(counted) == k else 0
    assert all(count - merged.error <= floor for key, count in truth.items() if key not in counted)
    assert TopK.from_bytes(merged.to_bytes()) == merged


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 4), st.randoms(use_true_random=False))
def test_few_keys_are_exact_in_any_order(keys: list[str], parts: int, rng: random.Random) -> None:
    shuffled, merged, whole = rng.sample(keys, len(keys)), TopK(6), TopK(6)
    whole.add_many(keys)
    for part in range(parts):
        piece = TopK(6)
        piece.add_many(shuffled[part::parts])
        merged.merge(piece)
    assert merged == whole
    assert (merged.error, dict(merged.items())) == (0, dict(Counter(keys)))


# ---- HyperLogLog ----


@given(st.lists(st.one_of(ANY, st.integers(), st.text(max_size=4)), max_size=60), st.integers(4, 12))
def test_registers_are_free_of_order_partition_and_repeats(values: list[float | int | str | None], p: int) -> None:
    whole, merged = HyperLogLog(p), HyperLogLog(p)
    whole.add_many([*values, *values])
    for value in reversed(values):
        piece = HyperLogLog(p)
        piece.add(value)
        merged.merge(piece)
    assert merged == whole
    assert merged.count() == whole.count()
    assert HyperLogLog.from_bytes(merged.to_bytes()) == whole


# ---- Hostile bytes ----


@given(KINDS, st.binary(max_size=120))
def test_any_bytes_are_refused(kind: type[Edges | HyperLogLog | Moments | TopK], data: bytes) -> None:
    try:
        kind.from_bytes(data)
    except CorruptData:
        return
    raise AssertionError("random bytes passed for a sketch")


@given(st.sampled_from([HyperLogLog, Moments, TopK]), st.binary(max_size=60))
def test_any_compact_bytes_are_refused_or_the_only_ones(kind: type[HyperLogLog | Moments | TopK], data: bytes) -> None:
    try:
        sketch = kind._from_compact(data)
    except CorruptData:
        return
    assert sketch._to_compact() == data
