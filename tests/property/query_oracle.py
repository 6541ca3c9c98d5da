"""The query language in plain Python over raw samples: what an answer has to say, by definition and not by sketch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

WINDOW_MS = 10_000
HISTOGRAM, COUNTER, GAUGE = "histogram", "counter", "gauge"


@dataclass(frozen=True)
class Sample:
    metric: str
    kind: str
    labels: tuple[tuple[str, str], ...]
    window_ms: int
    at_ms: int
    value: float


@dataclass(frozen=True)
class Asked:
    """A query, as a structure that knows its text and does not come from the parser."""

    metrics: tuple[str, ...]
    stats: tuple[str, ...] = ()
    ratio: bool = False
    filters: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    by: tuple[str, ...] = ()
    since_s: int = 300
    until_s: int = 0
    step_s: int = 0
    where: tuple[str, str, float] | None = None
    limit: tuple[str, int] | None = None
    earlier_s: int = 0

    def text(self, now_ms: int, iso: Callable[[int], str]) -> str:
        stats = ",".join(self.stats)
        if self.ratio:
            words = [f"{stats} {self.metrics[0]} / {stats} {self.metrics[1]}"]
        else:
            words = [stats, ",".join(self.metrics)]
        for label, operator, values in self.filters:
            words.append(f"{label}={','.join(values)}" if operator == "=" else f"{label} {operator} {','.join(values)}")
        words += [f"by {','.join(self.by)}"] if self.by else []
        if self.until_s:
            words.append(f"from {iso(now_ms - self.since_s * 1000)} to {iso(now_ms - self.until_s * 1000)}")
        else:
            words.append(f"since {self.since_s}s")
        words += [f"step {self.step_s}s"] if self.step_s else []
        words += [f"vs {self.earlier_s}s ago"] if self.earlier_s else []
        words += [f"where {self.where[0]} {self.where[1]} {self.where[2]:g}"] if self.where else []
        words += [f"{self.limit[0]} {self.limit[1]}"] if self.limit else []
        return " ".join(word for word in words if word)


@dataclass
class Row:
    metric: str
    labels: dict[str, str]
    samples: list[Sample]
    values: dict[str, float | None] = field(default_factory=dict)
    points: dict[int, Row] = field(default_factory=dict)
    other: Row | None = None


class Oracle:
    """All samples that were ever stored, and the time."""

    def __init__(self, samples: list[Sample], now_ms: int) -> None:
        self.samples = samples
        self.now_ms = now_ms

    def answer(self, asked: Asked) -> list[Row]:
        rows = self._side(asked, 0)
        if asked.earlier_s:
            rows = self._with_other(rows, self._side(asked, asked.earlier_s * 1000), asked)
        if asked.where:
            rows = self._passing(rows, asked)
        if asked.limit:
            rows = self._limited(rows, asked)
        return rows

    def span(self, asked: Asked, earlier_ms: int = 0) -> tuple[int, int]:
        to_ms = self.now_ms - asked.until_s * 1000 - earlier_ms
        from_ms = self.now_ms - asked.since_s * 1000 - earlier_ms
        return from_ms - from_ms % WINDOW_MS, to_ms

    def covered(self, asked: Asked, earlier_ms: int = 0) -> tuple[int, int] | None:
        from_ms, to_ms = self.span(asked, earlier_ms)
        windows = [each.window_ms for each in self.samples if from_ms <= each.window_ms < to_ms]
        return (min(windows), min(max(windows) + WINDOW_MS, to_ms)) if windows else None

    def _side(self, asked: Asked, earlier_ms: int) -> list[Row]:
        if asked.ratio:
            return self._ratio(asked, earlier_ms)
        return [row for metric in asked.metrics for row in self._direct(asked, metric, earlier_ms)]

    def _groups(self, asked: Asked, metric: str, earlier_ms: int) -> dict[tuple[str, ...], list[Sample]]:
        from_ms, to_ms = self.span(asked, earlier_ms)
        groups: dict[tuple[str, ...], list[Sample]] = {}
        for sample in self.samples:
            labels = dict(sample.labels)
            if sample.metric != metric or not from_ms <= sample.window_ms < to_ms:
                continue
            if all(passes(labels.get(label, ""), operator, values) for label, operator, values in asked.filters):
                groups.setdefault(tuple(labels.get(label, "") for label in asked.by), []).append(sample)
        return dict(sorted(groups.items()))

    def _direct(self, asked: Asked, metric: str, earlier_ms: int) -> list[Row]:
        stats = {*asked.stats, *([asked.where[0]] if asked.where else [])}
        rows = []
        for key, samples in self._groups(asked, metric, earlier_ms).items():
            row = Row(metric, dict(zip(asked.by, key, strict=True)), samples)
            row.values = self._measure(samples, stats, self.covered(asked, earlier_ms))
            for start_ms, inside in self._steps(asked, samples).items():
                part = self._part(asked, start_ms, earlier_ms)
                row.points[start_ms] = Row(metric, row.labels, inside, self._measure(inside, stats, part))
            rows.append(row)
        return rows

    def _ratio(self, asked: Asked, earlier_ms: int) -> list[Row]:
        (stat,) = asked.stats
        top, bottom = (self._groups(asked, metric, earlier_ms) for metric in asked.metrics)
        rows = []
        for key, below in bottom.items():
            above = top.get(key, [])
            labels = dict(zip(asked.by, key, strict=True))
            row = Row("ratio", labels, below, {"ratio": self._divided(above, below, stat), "count": len(below)})
            tops = self._steps(asked, above)
            for start_ms, inside in self._steps(asked, below).items():
                value = self._divided(tops.get(start_ms, []), inside, stat)
                row.points[start_ms] = Row("ratio", labels, inside, {"ratio": value, "count": len(inside)})
            rows.append(row)
        return rows

    @staticmethod
    def _divided(above: list[Sample], below: list[Sample], stat: str) -> float | None:
        total = sum(each.value for each in below)
        return sum(each.value for each in above) / total if total else None

    @staticmethod
    def _steps(asked: Asked, samples: Iterable[Sample]) -> dict[int, list[Sample]]:
        steps: dict[int, list[Sample]] = {}
        if asked.step_s:
            for sample in samples:
                start_ms = sample.window_ms - sample.window_ms % (asked.step_s * 1000)
                steps.setdefault(start_ms, []).append(sample)
        return dict(sorted(steps.items()))

    def _part(self, asked: Asked, start_ms: int, earlier_ms: int) -> tuple[int, int] | None:
        covered = self.covered(asked, earlier_ms)
        if covered is None:
            return None
        return max(covered[0], start_ms), min(covered[1], start_ms + asked.step_s * 1000)

    @staticmethod
    def _measure(
        samples: list[Sample], stats: Iterable[str], covered: tuple[int, int] | None
    ) -> dict[str, float | None]:
        seconds = (covered[1] - covered[0]) / 1000 if covered else 0.0
        return {stat: measure(samples, stat, seconds) for stat in stats}

    def _with_other(self, rows: list[Row], others: list[Row], asked: Asked) -> list[Row]:
        by_key = {(other.metric, *other.labels.values()): other for other in others}
        for row in rows:
            row.other = by_key.pop((row.metric, *row.labels.values()), None)
        for other in by_key.values():
            rows.append(Row(other.metric, other.labels, [], dict.fromkeys(other.values), {}, other))
        names = ["ratio"] if asked.ratio else list(asked.metrics)
        return sorted(rows, key=lambda row: (names.index(row.metric), *row.labels.values()))

    @staticmethod
    def _passing(rows: list[Row], asked: Asked) -> list[Row]:
        assert asked.where
        stat, side, limit = asked.where

        def passes_(row: Row) -> bool:
            value = row.values[stat]
            return value is not None and (value > limit if side == "above" else value < limit)

        if not asked.step_s:
            return [row for row in rows if passes_(row)]
        for row in rows:
            row.points = {start: point for start, point in row.points.items() if passes_(point)}
        return [row for row in rows if row.points]

    @staticmethod
    def _limited(rows: list[Row], asked: Asked) -> list[Row]:
        assert asked.limit
        word, count = asked.limit
        stat = "ratio" if asked.ratio else asked.stats[0]
        first: dict[tuple[str, ...], Row] = {}
        for row in rows:
            first.setdefault(tuple(row.labels.values()), row)

        def rank(row: Row) -> tuple[bool, float]:
            value = row.values[stat]
            return (True, 0.0) if value is None else (False, -value if word == "top" else value)

        kept = [tuple(row.labels.values()) for row in sorted(first.values(), key=rank)][:count]
        names = list(dict.fromkeys(row.metric for row in rows))
        inside = [row for row in rows if tuple(row.labels.values()) in kept]
        return sorted(inside, key=lambda row: (names.index(row.metric), kept.index(tuple(row.labels.values()))))


def passes(value: str, operator: str, values: tuple[str, ...]) -> bool:
    def listed(each: str) -> bool:
        is_class = len(each) == 3 and each.endswith("xx")
        return value == each or (is_class and len(value) == 3 and value.isdecimal() and value[0] == each[0])

    if operator == "matches":
        return values[0] in value  # the tests search for plain text
    return any(map(listed, values)) is (operator == "=")


def measure(samples: list[Sample], stat: str, seconds: float) -> float | None:
    """The statistic by its definition in the README."""
    values = sorted(each.value for each in samples)
    kind = samples[0].kind
    if kind == COUNTER:
        total = math.fsum(values)
        return (total / seconds if seconds else None) if stat == "rate" else total
    if stat == "last":
        return max(samples, key=lambda each: each.at_ms).value
    if stat.startswith("p"):
        return values[max(0, math.ceil(float(stat[1:]) / 100 * len(values) - 1e-9) - 1)]
    simple: dict[str, Callable[[], float | None]] = {
        "count": lambda: len(values),
        "sum": lambda: math.fsum(values),
        "min": lambda: values[0],
        "max": lambda: values[-1],
        "mean": lambda: math.fsum(values) / len(values),
        "stddev": lambda: statistics.pstdev(values),
        "rate": lambda: len(values) / seconds if seconds else None,
    }
    if stat in simple:
        return simple[stat]()
    word, limit = stat.split()
    share = sum(value <= float(limit) for value in values) / len(values)
    return share if word == "under" else 1 - share
