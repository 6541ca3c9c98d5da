"""What is exported: families of points, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from obsagent.exported import TOTAL
from obsagent.samples import Kind
from obsagent.sketches import LogHist

Labels = tuple[tuple[str, str], ...]
"""Names and values as they are exported, by name."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observed value and the labels that lead to it (`trace_id`, `request_id`); `at_ms` is when, if known."""

    labels: Labels
    value: float
    at_ms: int | None = None


class ClassicBuckets(NamedTuple):
    """A histogram by upper bounds: how many observations were at most each of them. The last bound is infinity.

    `sum` is None where nobody has kept it.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float | None

    @property
    def total(self) -> int:
        """All observations."""
        return self.counts[-1]


Value = float | LogHist | ClassicBuckets


@dataclass(frozen=True, slots=True)
class Point:
    """One series: the total of a counter, the value of a gauge, the histogram of all observations.

    `created_ms` is when the total was zero; None if that is not known, and for gauges.
    """

    labels: Labels
    value: Value
    created_ms: int | None = None
    exemplars: tuple[Exemplar, ...] = ()


@dataclass(slots=True)
class Family:
    """The series of one exported name. `name` is without the `_total` of a counter; `unit` is its suffix, if any."""

    name: str
    kind: Kind
    unit: str
    help: str
    points: list[Point] = field(default_factory=list)

    @property
    def sample_name(self) -> str:
        """The name of the series themselves; of a histogram the native one."""
        return f"{self.name}{TOTAL}" if self.kind is Kind.COUNTER else self.name

    def names(self) -> list[str]:
        """Every name that the family takes in the text formats."""
        if self.kind is Kind.GAUGE:
            return [self.name]
        suffixes = [TOTAL] if self.kind is Kind.COUNTER else ["_bucket", "_count", "_sum"]
        return [self.name, f"{self.name}_created", *(f"{self.name}{suffix}" for suffix in suffixes)]
