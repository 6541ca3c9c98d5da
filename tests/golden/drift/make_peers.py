"""Writes what other libraries compute, with the bins that they have made themselves: evidently.json, nannyml.json.

    DO_NOT_TRACK=1 NML_DISABLE_USAGE_LOGGING=1 ENVIRONMENT/bin/python tests/golden/drift/make_peers.py evidently|nannyml

Run it where that library is installed (`python -m benchmarks.drift_peers` makes such environments); obsagent needs
neither. Each case holds counts, with them where they are needed edges and sums, and the number that the library gave
for the values.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CATEGORIES = {
    "three": ([500, 300, 200], [80, 90, 30]),
    "two": ([700, 300], [55, 45]),
    "unseen before": ([500, 300, 200, 0], [80, 90, 30, 5]),
    "gone": ([500, 300, 200, 40], [80, 90, 30, 0]),
    "many, some rare": ([4000, 3000, 2000, 900, 80, 15, 4, 1], [390, 310, 190, 100, 6, 0, 3, 1]),
}


def numeric() -> dict[str, tuple[Any, Any]]:
    """Columns of numbers: the same, moved, wider, with values that come often, and far ones."""
    chance = np.random.default_rng(42)
    base = chance.normal(50, 10, 12_000)
    return {
        "the same": (base, chance.normal(50, 10, 3_000)),
        "moved": (base, chance.normal(54, 10, 3_000)),
        "wider": (base, chance.normal(50, 16, 3_000)),
        "skewed": (chance.gamma(2, 5, 12_000), chance.gamma(2.4, 5, 3_000)),
        "beyond": (chance.uniform(0, 1, 12_000), chance.uniform(0.2, 1.4, 3_000)),
    }


def column(counts: list[int]) -> pd.Series:
    """Values of a category column with these counts."""
    return pd.Series(np.repeat([f"c{index}" for index in range(len(counts))], counts), dtype="object")


def binned(values: Any, edges: Any) -> list[int]:
    """Counts below, in each bin, above: numpy's rule for the bins."""
    return [int((values < edges[0]).sum()), *np.histogram(values, edges)[0].tolist(), int((values > edges[-1]).sum())]


def inside(values: Any, edges: Any) -> list[int]:
    """Counts in each bin, of edges that hold all values."""
    return np.histogram(values, edges)[0].tolist()


def evidently_cases() -> Iterator[dict[str, Any]]:
    """psi, kl, js, hellinger, total variation, chi-squared and Wasserstein, as evidently defines them."""
    from evidently.legacy.calculations.stattests import (
        chisquare_stattest,
        hellinger_distance,
        jensenshannon,
        kl_div,
        psi,
        tvd_stattest,
        wasserstein_distance_norm,
    )
    from evidently.legacy.core import ColumnType

    shared = {"psi": psi._psi, "kl": kl_div._kl_div, "js": jensenshannon._jensenshannon}
    category, number = ColumnType.Categorical, ColumnType.Numerical
    for name, (before, after) in CATEGORIES.items():
        sides = column(before), column(after)
        case = {"name": name, "reference": before, "current": after}
        for function, call in {**shared, "hellinger": hellinger_distance._hellinger_distance}.items():
            yield {**case, "function": function, "value": float(call(*map(pd.Series.copy, sides), category, 0.1)[0])}
        yield {**case, "function": "total_variation", "value": float(tvd_stattest._total_variation_distance(*sides))}
        if 0 not in before:  # by which it divides
            p_value = float(chisquare_stattest._chi_stat_test(*sides, category, 0.05)[0])
            yield {**case, "function": "chi_squared_p", "value": p_value}
    for name, (first, second) in numeric().items():
        sides = pd.Series(first), pd.Series(second)
        edges = np.histogram_bin_edges(np.concatenate([first, second]), bins="sturges")
        case = {"name": name, "reference": inside(first, edges), "current": inside(second, edges)}
        for function, call in shared.items():
            yield {**case, "function": function, "value": float(call(*map(pd.Series.copy, sides), number, 0.1)[0])}
        edges = np.histogram_bin_edges(np.unique(np.concatenate([first, second])), bins="sturges")
        case = {"name": name, "reference": inside(first, edges), "current": inside(second, edges)}
        call = hellinger_distance._hellinger_distance
        yield {**case, "function": "hellinger", "value": float(call(*map(pd.Series.copy, sides), number, 0.1)[0])}
        rounded = pd.Series(np.round(first, 0)), pd.Series(np.round(second, 0))
        value = float(wasserstein_distance_norm._wasserstein_distance_norm(*rounded, number, 0.1)[0])
        yield {"name": name, "function": "wasserstein", **_atoms(*rounded), "value": value}


def _atoms(first: pd.Series, second: pd.Series) -> dict[str, Any]:
    """Bins that hold one value each."""
    values = np.unique(np.concatenate([first, second]))
    edges = [values[0] - 1, *((values[1:] + values[:-1]) / 2), values[-1] + 1]
    counts = [np.histogram(side, edges)[0] for side in (first, second)]
    return {
        "edges": [float(edge) for edge in edges],
        "reference": counts[0].tolist(),
        "current": counts[1].tolist(),
        "reference_sums": (counts[0] * values).tolist(),
        "current_sums": (counts[1] * values).tolist(),
        "stddev": float(np.std(first)),
    }


def nannyml_cases() -> Iterator[dict[str, Any]]:
    """js, hellinger, linf, chi-squared, KS and Wasserstein, as nannyml defines them; the last two by its estimates."""
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory

    def value(key: str, kind: Any, before: pd.Series, after: pd.Series) -> float:
        method = MethodFactory.create(key, kind, calculation_method="estimated")
        return float(method.fit(before.copy()).calculate(after.copy()))

    names = {"js": "jensen_shannon", "hellinger": "hellinger", "linf": "l_infinity", "chi_squared": "chi2"}
    for name, (before, after) in CATEGORIES.items():
        for function, key in names.items():
            sides = column(before).astype("category"), column(after).astype("category")
            if function in ("linf", "chi_squared"):
                sides = column(before), column(after)
            found = value(key, FeatureType.CATEGORICAL, *sides)
            yield {"name": name, "function": function, "reference": before, "current": after, "value": found}
    for name, (first, second) in numeric().items():
        sides = pd.Series(first, name="x"), pd.Series(second, name="x")
        edges = np.histogram_bin_edges(first, bins="doane")
        case = {"name": name, "reference": binned(first, edges), "current": binned(second, edges)}
        for function in ("js", "hellinger"):
            yield {**case, "function": function, "value": value(names[function], FeatureType.CONTINUOUS, *sides)}
        edges = np.quantile(first, np.arange(0, 1 + 1 / 24, 1 / 24))
        case = {"name": name, "reference": binned(first, edges), "current": binned(second, edges)}
        yield {**case, "function": "ks", "value": value("kolmogorov_smirnov", FeatureType.CONTINUOUS, *sides)}
        inside = sides[0], pd.Series(np.clip(second, first.min(), first.max()), name="x")
        edges = np.histogram(first, bins=24)[1]
        case = {"name": name, "reference": binned(first, edges), "current": binned(inside[1], edges)}
        found = value("wasserstein", FeatureType.CONTINUOUS, *inside)
        yield {**case, "function": "wasserstein", "edges": edges.tolist(), "value": found}


PEERS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {"evidently": evidently_cases, "nannyml": nannyml_cases}


def main() -> None:
    name = sys.argv[1]
    lines = ",\n".join(json.dumps(case) for case in PEERS[name]())
    text = f'{{"{name}": "{version(name)}", "cases": [\n{lines}\n]}}\n'
    Path(__file__).with_name(f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
