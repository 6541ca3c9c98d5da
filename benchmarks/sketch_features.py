"""The sketches of features: tables of `sketch.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import floor, loads, peers
from benchmarks.measure import Arm, Effort, Timing, interleave, repeating
from benchmarks.report import Row, Table, at_most, comparison, nanoseconds
from obsagent.sketches import Edges, HyperLogLog, Moments, TopK

BINS = 128
CATEGORIES = 10_000
SKEW = 1.3  # of a Zipf distribution: a few categories are most of it
GOALS_NS = {"**`Moments()`**": 0.5, "**`Edges(edges)`**, 128 bins": 3.0, "**`HyperLogLog(12)`**": 2.5}


def tables(effort: Effort) -> list[Table]:
    """What a number costs, and what a category does."""
    return [_numbers(effort), _categories(effort)]


def _numbers(effort: Effort) -> Table:
    values = loads.lognormal(effort.size(1_000_000, 50_000))
    edges = np.quantile(loads.lognormal(50_000, seed=1), np.linspace(0, 1, BINS + 1))
    arms = [Arm("sum of the values, plain C loop", repeating(floor.load().add_up, values), len(values))]
    adding = (Moments().add_many, Edges(edges).add_many, HyperLogLog().add_many)
    arms += [
        Arm(name, repeating(add_many, values), len(values)) for name, add_many in zip(GOALS_NS, adding, strict=True)
    ]
    arms.append(Arm("`numpy.mean` and `numpy.var`", repeating(_numpy_moments, values), len(values)))
    arms.append(Arm("`numpy.histogram`, the same edges", repeating(np.histogram, values, edges), len(values)))
    hll = _datasketches_hll(values)
    arms += [] if hll is None else [hll]
    return _against_first(f"A number of {len(values):,} at once", "summing", interleave(arms, effort))


def _datasketches_hll(values: loads.Values) -> Arm | None:
    module = peers.load("datasketches")
    if module is None:
        return None
    sketch = module.hll_sketch(12)
    return Arm("datasketches HLL 12, one at a time", repeating(_update_each, sketch, values.tolist()), len(values))


def _categories(effort: Effort) -> Table:
    count = effort.size(200_000, 20_000)
    ranks = np.minimum(np.random.default_rng(loads.SEED).zipf(SKEW, count), CATEGORIES)
    keys = [f"category-{rank}" for rank in ranks.tolist()]
    counter: dict[str, int] = {}
    arms = [
        Arm("counting in a dict", repeating(_count_each, counter, keys), count),
        Arm("**`TopK(128)`**", repeating(TopK().add_many, keys), count),
        Arm("**`HyperLogLog(12)`**", repeating(HyperLogLog().add_many, keys), count),
    ]
    module = peers.load("datasketches")
    if module is not None:
        items = module.frequent_strings_sketch(8)
        arms.append(Arm("datasketches frequent strings, 256", repeating(_update_each, items, keys), count))
    return _against_first(f"A category of {count:,} at once", "the dict", interleave(arms, effort))


def _against_first(title: str, reference_name: str, timings: list[Timing]) -> Table:
    reference, *others = timings
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in others:
        limit = GOALS_NS.get(timing.name) if reference_name == "summing" else None
        goals = () if limit is None else (at_most(timing.ns, limit, "ns"),)
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison(title, reference_name, rows, peers.missing_note())


def _numpy_moments(values: loads.Values) -> Any:
    return values.mean(), values.var()


def _update_each(sketch: Any, items: list[Any]) -> None:
    for item in items:
        sketch.update(item)


def _count_each(counter: dict[str, int], keys: list[str]) -> None:
    for key in keys:
        counter[key] = counter.get(key, 0) + 1
