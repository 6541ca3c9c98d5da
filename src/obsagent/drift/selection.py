"""Which of many features have changed: the false discovery rate over e-values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from obsagent.errors import DriftError


def e_bh(e_values: Iterable[float] | Mapping[Any, float], alpha: float = 0.05, *, log: bool = False) -> list[Any]:
    """The e-BH procedure: the k largest of K e-values, for the largest k whose k-th is at least K / (k α).

    In the mean at most the share `alpha` of what it finds has not changed, however the features depend on each other;
    where none has, it finds any in at most that share of windows. Wang, Ramdas, False discovery rate control with
    e-values (J. R. Stat. Soc. B 84, 2022). `log=True`: they are ln E. The answer are keys of a mapping, else positions,
    strongest first. Raises `DriftError` for what is no e-value, and for an `alpha` that is no rate.
    """
    if not 0 < alpha <= 1:
        raise DriftError(f"alpha is a rate above 0 and up to 1, not {alpha!r}")
    items = list(e_values.items() if isinstance(e_values, Mapping) else enumerate(e_values))
    logs = [(_log(value, log), key) for key, value in items]
    logs.sort(key=lambda item: -item[0])
    needed = math.log(len(logs) / alpha) if logs else 0.0
    kept = max((k for k, (value, _) in enumerate(logs, 1) if value >= needed - math.log(k)), default=0)
    return [key for _, key in logs[:kept]]


def _log(value: float, log: bool) -> float:
    if math.isnan(value) or (value < 0 and not log):
        raise DriftError(
            f"an e-value is not negative, {value!r} is none" + ("" if log else "; log=True takes logarithms")
        )
    if log:
        return float(value)
    return math.log(value) if value > 0 else -math.inf
