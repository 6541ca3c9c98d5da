"""Statistics: their names, and what each one means for each kind of instrument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from obsagent.answer.values import Value
from obsagent.samples import Kind

QUANTILE = "quantile"
"""The word under which all of `p0` … `p100` stand in the tables below."""

UNDER = "under"
OVER = "over"
AGE = "age"

WORDS = ("mean", "min", "max", "sum", "count", "rate", "stddev", "last", AGE)
SHARES = (UNDER, OVER)


class Scraped(Enum):
    """Kinds that are none of an instrument of ours: several series of other servers, asked for as one metric."""

    CLASSIC = "classic histogram"

    @property
    def word(self) -> str:
        """The kind as it is shown to people."""
        return self.value


CLASSIC = Scraped.CLASSIC
MetricKind = Kind | Scraped

_OF_OBSERVATIONS = {
    QUANTILE: "value below which that percentage of the observations lies",
    "mean": "sum of the observations / count",
    "min": "smallest observation",
    "max": "largest observation",
    "sum": "sum of the observations",
    "count": "number of observations",
    "rate": "observations per second of the covered time",
    "stddev": "standard deviation of the observations",
    UNDER: "share of the observations that are at most the value",
    OVER: "share of the observations that are above the value",
    AGE: "time since the last observation",
}

MEANING: dict[MetricKind, dict[str, str]] = {
    Kind.HISTOGRAM: _OF_OBSERVATIONS,
    Kind.COUNTER: {
        "rate": "increment per second of the covered time",
        "sum": "increment in the asked time",
        "count": "the same as sum",
        AGE: "time since the last increment",
    },
    Kind.GAUGE: {
        "last": "latest value, combined across workers",
        "mean": "mean of the samples, one a second",
        "min": "smallest sample",
        "max": "largest sample",
        QUANTILE: "value below which that percentage of the samples lies",
        "stddev": "standard deviation of the samples",
        "count": "number of samples",
        UNDER: "share of the samples that are at most the value",
        OVER: "share of the samples that are above the value",
        AGE: "time since the last sample",
    },
    CLASSIC: {
        QUANTILE: "the same, by linear interpolation between the edges of its bucket",
        "mean": "sum of the observations / count",
        "min": "the same as p0",
        "max": "the same as p100",
        "sum": "sum of the observations",
        "count": "number of observations",
        "rate": "observations per second of the covered time",
        "stddev": "standard deviation of observations that lie evenly in their buckets",
        UNDER: "share of the observations that are at most the value: exact at an edge",
        OVER: "share of the observations that are above the value: exact at an edge",
        AGE: "time since the last observation",
    },
    Kind.COLUMN: {
        **{word: text.replace("observation", "number") for word, text in _OF_OBSERVATIONS.items()},
        "count": "how many numbers",
    },
}
"""Kind → stat → meaning; a stat that is absent is an error for that kind."""

DEFAULT: dict[MetricKind, tuple[str, ...]] = {
    Kind.HISTOGRAM: ("p50", "p99", "count"),
    Kind.COUNTER: ("rate",),
    Kind.GAUGE: ("last",),
    CLASSIC: ("p50", "p99", "count"),
    Kind.COLUMN: ("p50", "p99", "count"),
}

ALIASES = {
    "avg": "mean",
    "average": "mean",
    "median": "p50",
    "total": "sum",
    "minimum": "min",
    "maximum": "max",
    "latest": "last",
    "std": "stddev",
    "stdev": "stddev",
    "qps": "rate",
    "rps": "rate",
    "below": UNDER,
    "above": OVER,
}
"""Words of other tools, for suggestions."""

_QUANTILE_SHAPE = re.compile(r"p([0-9]{1,3})(?:\.([0-9]{1,12}))?")


@dataclass(frozen=True, slots=True)
class Stat:
    """One statistic of a query: `q` of a quantile, `value` of a share. `start` and `end` say where it stands."""

    name: str
    q: float | None = None
    value: Value | None = None
    start: int = 0
    end: int = 0

    @property
    def word(self) -> str:
        """Its key in `MEANING`."""
        if self.value is not None:
            return self.name.split(" ", 1)[0]
        return QUANTILE if self.q is not None else self.name


def parse_stat(text: str, start: int = 0, end: int = 0) -> Stat | None:
    """The statistic that one word names, or None. `p99.90` is `p99.9`."""
    if text in WORDS:
        return Stat(text, start=start, end=end)
    shape = _QUANTILE_SHAPE.fullmatch(text)
    if not shape:
        return None
    whole, fraction = str(int(shape[1])), (shape[2] or "").rstrip("0")
    percent = f"{whole}.{fraction}" if fraction else whole
    # Shifting the decimal point in the text gives the double nearest to 0.999; 99.9 / 100 does not.
    q = float(f"{percent}e-2")
    return Stat(f"p{percent}", q, None, start, end) if q <= 1.0 else None


def looks_like_quantile(text: str) -> bool:
    """True for `p` and a number, in range or not."""
    return re.fullmatch(r"[pP][0-9.]+", text) is not None


def works_for(kind: MetricKind) -> list[str]:
    """The stats that have a meaning for `kind`, as they are written."""
    shown = {QUANTILE: "p0 … p100", UNDER: "under VALUE", OVER: "over VALUE"}
    return [shown.get(word, word) for word in MEANING[kind]]


def default_stats(kind: MetricKind) -> tuple[Stat, ...]:
    """What is answered when a query names no stat."""
    return tuple(stat for stat in map(parse_stat, DEFAULT[kind]) if stat is not None)
