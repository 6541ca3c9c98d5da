"""Does it grow? A robust line through measurements that jump, and what it may rise by.

The slope is Theil and Sen's: the median of the slopes between all pairs of points, so that a third of them may be
anywhere. It is then asked how much the line rises over the time that was measured, against an allowance: the longer
the run, the smaller the leak that is found.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

POINTS_MAX = 400
POINTS_MIN = 8


@dataclass(frozen=True, slots=True)
class Allowance:
    """By how much something may rise while it is measured, and how much it may be at all; in its own unit."""

    what: str
    unit: str
    rise: float
    most: float = float("inf")


@dataclass(slots=True)
class Measured:
    """One thing over time: (seconds, value)."""

    allowance: Allowance
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, at_s: float, value: float) -> None:
        self.points.append((at_s, value))

    def begin_anew(self) -> None:
        """What is measured from now on has nothing to do with what was: the process is another one."""
        self.points.clear()

    def after(self, at_s: float) -> Measured:
        """What was measured from some time on."""
        return Measured(self.allowance, [point for point in self.points if point[0] >= at_s])

    @property
    def slope(self) -> float:
        """Units a second."""
        return theil_sen(self.points)

    @property
    def rise(self) -> float:
        """By how much the line rises between the first point and the last."""
        return self.slope * (self.points[-1][0] - self.points[0][0])

    @property
    def highest(self) -> float:
        return max(value for _, value in self.points)

    @property
    def complaint(self) -> str:
        """What is wrong with it; empty if nothing is."""
        if len(self.points) < POINTS_MIN:
            return f"measured {len(self.points)} times only"
        if self.rise > self.allowance.rise:
            return "grows"
        return "too much" if self.highest > self.allowance.most else ""


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs of points; of many points, every so many-th."""
    some = points[:: 1 + len(points) // POINTS_MAX]
    pairs = ((one, other) for one, other in itertools.combinations(some, 2) if other[0] > one[0])
    return statistics.median((other[1] - one[1]) / (other[0] - one[0]) for one, other in pairs)


def table(measured: Sequence[Measured]) -> str:
    """A line for each: what, first, last, highest, rise a minute, rise against allowance, verdict."""
    rows = [("", "first", "last", "highest", "a minute", "rises by", "may", "")]
    rows += [_row(each) for each in measured]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:-1]), row[-1]]).rstrip() for row in rows
    )


def _row(one: Measured) -> tuple[str, ...]:
    name = f"{one.allowance.what}, {one.allowance.unit}" if one.allowance.unit else one.allowance.what
    if len(one.points) < POINTS_MIN:
        return (name, *[""] * 6, one.complaint)
    values = [one.points[0][1], one.points[-1][1], one.highest, one.slope * 60, one.rise, one.allowance.rise]
    return (name, *(f"{value:,.2f}".removesuffix(".00") for value in values), one.complaint or "ok")
