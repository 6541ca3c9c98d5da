"""Edges of bins, from the values of a reference. What is compared later is always counted over these."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from obsagent.errors import DriftError

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTILE = "quantile"
WIDTH = "width"
COUNTED = {QUANTILE: 128, WIDTH: 30}
"""Rules that are told how many bins to make, and how many they make otherwise."""
FITTED = ("sturges", "doane", "scott", "fd", "sqrt", "rice", "stone", "auto")
"""Rules that choose the number of bins of equal width; `numpy.histogram_bin_edges` describes and computes them."""


def edges(values: Iterable[float], rule: str = QUANTILE, bins: int | None = None) -> list[float]:
    """Ascending edges of bins [a, b), the last one closed, from all finite values; NaN and ±inf are left out.

    `"quantile"`: `bins` (128) with the same number of values each. A value that fills a bin alone gets one of its own,
    so that a column of few distinct values is counted value by value. `"width"`: `bins` (30) of the same width.
    `"sturges"`, `"doane"` (nannyml's), `"scott"`, `"fd"` (Freedman, Diaconis), `"sqrt"`, `"rice"`, `"stone"` and
    `"auto"` choose how many.

    This function alone loads numpy. Raises `DriftError` without a finite value, and for a rule that does not exist.
    """
    if rule not in COUNTED and rule not in FITTED:
        raise DriftError(f"no rule for edges is called {rule!r}; there are {', '.join((*COUNTED, *FITTED))}")
    if rule in FITTED and bins is not None:
        raise DriftError(f'the rule {rule!r} chooses the number of bins itself; rule="width" takes one')
    wanted = COUNTED.get(rule) if bins is None else bins
    if wanted is not None and wanted < 1:
        raise DriftError(f"bins is 1 or more, not {wanted}")
    import numpy as np

    given = np.asarray(values if hasattr(values, "__len__") else list(values), dtype=np.float64).ravel()
    finite = given[np.isfinite(given)]
    if not finite.size:
        raise DriftError("there is no finite value to make edges of")
    if finite.min() == finite.max():
        return isolated([float(finite[0])] * 2)
    if rule == QUANTILE:
        steps = np.linspace(0.0, 1.0, (wanted or 0) + 1)
        return isolated(np.quantile(finite, steps, method="inverted_cdf").tolist())
    return [float(each) for each in np.histogram_bin_edges(finite, bins=rule if wanted is None else wanted)]


def isolated(quantiles: Sequence[float]) -> list[float]:
    """Edges of ascending quantiles: one that comes twice or more fills a bin, and is cut off from what follows it.

    Never more edges than quantiles.
    """
    found: list[float] = []
    for value in quantiles:
        if not found or value > found[-1]:
            found.append(value)
        elif value == found[-1] < math.nextafter(math.inf, 0):
            found.append(math.nextafter(value, math.inf))
    if len(found) == 1:
        found.insert(0, math.nextafter(found[0], -math.inf))
    return found
