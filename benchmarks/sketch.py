"""What do the sketches cost: adding one value, adding many, merging, asking?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import floor, loads, peers, sketch_features
from benchmarks.measure import Arm, Effort, Timing, calls, interleave, repeating
from benchmarks.report import Goal, Row, Table, at_most, byte_size, comparison, nanoseconds
from benchmarks.sketch_kinds import LOGHIST, TDIGEST, SketchKind, all_kinds

VALUE = 0.0123
MERGED_VALUES = 10_000
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def run(effort: Effort) -> list[Table]:
    """One table an operation."""
    kinds = all_kinds()
    of_quantiles = [
        _adding(kinds, effort),
        _adding_many(kinds, effort),
        _merging(kinds, effort),
        _asking(kinds, effort),
    ]
    return [*of_quantiles, *sketch_features.tables(effort)]


def _adding(kinds: list[SketchKind], effort: Effort) -> Table:
    arms = [calls("empty Cython method", "observe(value)", observe=floor.load().Empty().observe, value=VALUE)]
    arms += [calls(kind.name, "add(value)", add=getattr(kind.make(), kind.add), value=VALUE) for kind in kinds]
    return _against_first("Adding one value", "empty method", interleave(arms, effort), peers.missing_note())


def _adding_many(kinds: list[SketchKind], effort: Effort) -> Table:
    values = loads.lognormal(effort.size(1_000_000, 50_000))
    arms = [Arm("sum of the values, plain C loop", repeating(floor.load().add_up, values), len(values))]
    for kind in kinds:
        if kind.add_many is not None:
            arms.append(Arm(kind.name, repeating(getattr(kind.make(), kind.add_many), values), len(values)))
    arms.append(Arm("`numpy.quantile`, five quantiles", repeating(_exact_quantiles, values), len(values)))
    goals = {LOGHIST.name: 1.5, TDIGEST.name: 8.0}
    timings = interleave(arms, effort)
    title = f"A value of {len(values):,} at once"
    return _against_first(title, "summing", timings, goals=lambda timing: _ns_goal(timing, goals))


def _merging(kinds: list[SketchKind], effort: Effort) -> Table:
    left, right = loads.lognormal(MERGED_VALUES), loads.lognormal(MERGED_VALUES, seed=1)
    arms, sizes = [], {}
    for kind in kinds:
        into, other = kind.filled(left), kind.filled(right)
        sizes[kind.name] = "" if kind.to_bytes is None else f", {byte_size(len(kind.to_bytes(other)))} serialised"
        arms.append(calls(kind.name, "merge(other)", merge=getattr(into, kind.merge), other=other))
    timings = interleave(arms, effort)
    rows = [
        Row(
            timing.name,
            timing.over(timings[0]),
            nanoseconds(timing) + sizes[timing.name],
            _ns_goal(timing, {TDIGEST.name: 3_500}),
        )
        for timing in timings
    ]
    return comparison(f"Merging a sketch of {MERGED_VALUES:,} values into another", "LogHist", rows)


def _asking(kinds: list[SketchKind], effort: Effort) -> Table:
    values = loads.lognormal(MERGED_VALUES)
    arms = [calls(kind.name, "ask(sketch, 0.99)", ask=kind.quantile, sketch=kind.filled(values)) for kind in kinds]
    timings = interleave(arms, effort)
    rows = [
        Row(timing.name, timing.over(timings[0]), nanoseconds(timing), _ns_goal(timing, {TDIGEST.name: 120}))
        for timing in timings
    ]
    return comparison("Asking for p99", "LogHist", rows)


def _against_first(
    title: str,
    reference_name: str,
    timings: list[Timing],
    note: str = "",
    goals: Callable[[Timing], tuple[Goal, ...]] = lambda timing: (),
) -> Table:
    reference, *others = timings
    rows = [Row(reference.name, None, nanoseconds(reference))]
    rows += [Row(timing.name, timing.over(reference), nanoseconds(timing), goals(timing)) for timing in others]
    return comparison(title, reference_name, rows, note)


def _ns_goal(timing: Timing, limits: dict[str, float]) -> tuple[Goal, ...]:
    limit = limits.get(timing.name)
    return () if limit is None else (at_most(timing.ns, limit, "ns"),)


def _exact_quantiles(values: loads.Values) -> Any:
    return np.quantile(values, QUANTILES)
