"""How wrong are the sketches' quantiles?"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import product

import numpy as np

from benchmarks import loads, peers
from benchmarks.measure import Effort
from benchmarks.report import Table, at_most
from benchmarks.sketch_kinds import LOGHIST, SketchKind, all_kinds
from obsagent.sketches import LogHist

QUANTILES = (0.99, 0.9999)
DISTRIBUTIONS: dict[str, Callable[[int, int], loads.Values]] = {
    "lognormal": loads.lognormal,
    "Pareto 1.5": loads.pareto,
}


def run(effort: Effort) -> list[Table]:
    """One table: median relative error over the seeds."""
    kinds, count, seeds = all_kinds(), effort.size(100_000, 10_000), range(effort.size(10, 2))
    errors = {kind.name: _errors(kind, count, seeds) for kind in kinds}
    bound = LogHist().relative_error * 100
    goal = at_most(max(errors[LOGHIST.name]), bound, "% (LogHist's bound)")
    columns = ["median relative error, %", *(f"{name} p{100 * q:g}" for name, q in _cases())]
    cells = [[name, *(f"{error:.3g}" for error in row)] for name, row in errors.items()]
    note = f"{count:,} values, {len(seeds)} seeds; truth: the value of rank ceil(q n). Goal, {goal}."
    return [
        Table(
            "Error of quantiles",
            columns,
            cells,
            f"{note} {peers.missing_note()}".strip(),
            [] if goal.met else [goal.text],
        )
    ]


def _cases() -> list[tuple[str, float]]:
    return list(product(DISTRIBUTIONS, QUANTILES))


def _errors(kind: SketchKind, count: int, seeds: range) -> list[float]:
    """One figure a case, in per cent."""
    return [
        statistics.median(errors)
        for draw in DISTRIBUTIONS.values()
        for errors in zip(*(_errors_of(kind, draw(count, seed)) for seed in seeds), strict=True)
    ]


def _errors_of(kind: SketchKind, values: loads.Values) -> list[float]:
    ordered, sketch = np.sort(values), kind.filled(values)
    truths = [ordered[int(np.ceil(q * len(values))) - 1] for q in QUANTILES]
    return [abs(kind.quantile(sketch, q) / truth - 1) * 100 for q, truth in zip(QUANTILES, truths, strict=True)]
