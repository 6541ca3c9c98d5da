"""Gauges of several workers become one: once a second the live sessions' values are combined.

The combined value is a sample of a series without `worker` and `host`, so that "how many are in flight now"
has an answer, and its histogram over time too. A session that is silent is left out until it speaks again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from obsagent.samples import Series

LastOf = Callable[[int], "tuple[float, int] | None"]
PER_WORKER_LABELS = ("worker", "host")
FRESH_MS = 15_000


class Reading(NamedTuple):
    """A gauge's last value in one session."""

    value: float
    time_ms: int


def combine(across: str, readings: list[Reading]) -> float:
    """One value for the readings of all live sessions; `readings` is not empty. NaN counts as no reading."""
    numbers = [reading for reading in readings if not math.isnan(reading.value)]
    if not numbers:
        return math.nan
    values = [reading.value for reading in numbers]
    if across == "sum":
        return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
    if across == "mean":
        return sum(values) / len(values)
    if across == "last":
        return max(numbers, key=lambda reading: reading.time_ms).value
    return max(values) if across == "max" else min(values)


def combined_labels(labels: dict[str, str]) -> dict[str, str]:
    """The labels of the combined series."""
    return {name: value for name, value in labels.items() if name not in PER_WORKER_LABELS}


def group(series: Iterable[Series]) -> dict[tuple[str, tuple[tuple[str, str], ...]], list[Series]]:
    """Gauge series of live sessions by the identity of the combined series they belong to.

    A series that is nobody's own (a combined one, the overflow) is no reading: it would be added to itself.
    """
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Series]] = {}
    for each in series:
        if "worker" not in each.labels:
            continue
        groups.setdefault((each.metric, tuple(sorted(combined_labels(each.labels).items()))), []).append(each)
    return groups


def readings_of(members: list[Series], last_of: LastOf, now_ms: int) -> list[Reading]:
    """The members' last values, stale ones left out."""
    found = (last_of(member.id) for member in members)
    return [Reading(*last) for last in found if last is not None and now_ms - last[1] <= FRESH_MS]
