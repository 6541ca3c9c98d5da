"""What the samples of a page are: which of them are totals, which belong together, and what they measure.

    type on the page    sample                          becomes
    counter             x_total, x                      counter
    gauge, untyped      x                               gauge
    info, stateset      x_info, x                       gauge
    histogram           x_bucket{le}, x_sum, x_count    counters: a classic histogram, kept as it is
    summary             x{quantile}                     gauge
                        x_sum, x_count                  counters
    gaugehistogram      x_bucket{le}, x_gsum, x_gcount  gauges

`x_created`, of a counter, a histogram or a summary, says when its count began; it is used and not kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from obsagent.collect.exposition import Labels, Malformed, Page, Sample, number_of
from obsagent.samples import Instrument, Kind

BUCKET, SUM, COUNT, TOTAL, CREATED = "_bucket", "_sum", "_count", "_total", "_created"
SUFFIXES = (BUCKET, SUM, COUNT, TOTAL, CREATED, "_info", "_gsum", "_gcount")
EDGE, QUANTILE = "le", "quantile"
COUNTED = ("counter", "histogram", "summary")

TIMES = ("seconds", "milliseconds", "microseconds", "nanoseconds", "ms", "us", "ns", "minutes", "hours")
SIZES = ("bytes", "kilobytes", "megabytes")
UNITS = frozenset((*TIMES, *SIZES, "ratio", "ratios", "percent", "celsius", "joules", "watts", "volts", "hertz"))
"""Last words of names that are units."""

ACROSS_BY_UNIT = {
    "ratio": "mean",
    "ratios": "mean",
    "percent": "mean",
    "celsius": "max",
    "volts": "max",
    "hertz": "max",
}
ACROSS_BY_ENDING = {"_info": "max", "_time_seconds": "max", "_timestamp_seconds": "max"}
"""How gauges of several series are one where nobody says; the others are added."""

Key = tuple[str, Labels]
"""A family and labels, without those that only tell a histogram's or summary's parts apart."""


class Point(NamedTuple):
    """One sample, as a series of ours."""

    instrument: Instrument
    labels: Labels
    value: float
    key: Key


@dataclass(slots=True)
class Total:
    """A counter, or a histogram or summary, on one page: its parts by name and edge, and when its count began."""

    parts: dict[tuple[str, str], float] = field(default_factory=dict)
    created_s: float | None = None


class Role(NamedTuple):
    """What samples of one name are."""

    family: str
    suffix: str
    type: str

    @property
    def key_family(self) -> str:
        """The same for a counter and for when it was created."""
        return self.family.removesuffix(TOTAL) if self.type == "counter" else self.family


@dataclass(slots=True)
class Families:
    """The points of a page, and its totals."""

    points: list[Point] = field(default_factory=list)
    totals: dict[Key, Total] = field(default_factory=dict)


def families_of(page: Page) -> Families:
    """Everything that a page has said; what cannot be is refused on the page."""
    return _Reader(page).read()


def names_of(name: str) -> Iterator[str]:
    """The names that patterns may mean by a sample's: itself, and its family's."""
    yield name
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            yield name[: -len(suffix)]


class _Reader:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._roles: dict[str, Role] = {}
        self._instruments: dict[str, Instrument] = {}
        self._seen: set[tuple[str, Labels]] = set()
        self._found = Families()

    def read(self) -> Families:
        for sample in self._page.samples:
            role = self._roles.get(sample.name)
            if role is None:
                role = self._roles[sample.name] = self._role_of(sample.name)
            why = self._add(sample, role)
            if why:
                self._page.refuse(f"`{sample.name}` {why}")
        return self._found

    def _role_of(self, name: str) -> Role:
        types = self._page.types
        if name.endswith(CREATED):
            family = name.removesuffix(CREATED)
            for each in (family, family + TOTAL):
                if types.get(each) in COUNTED:
                    return Role(each, CREATED, types[each])
        if name in types:
            return Role(name, "", types[name])
        for suffix, owners in _OWNERS.items():
            family = name.removesuffix(suffix)
            if family != name and types.get(family) in owners:
                return Role(family, suffix, types[family])
        return Role(name, "", "untyped")

    def _add(self, sample: Sample, role: Role) -> str:
        """Takes a sample; else says what is wrong with it."""
        labels = tuple(sorted(sample.labels))
        apart = {BUCKET: EDGE, "": QUANTILE}.get(role.suffix, "") if role.type in ("histogram", "summary") else ""
        shared = tuple(pair for pair in labels if pair[0] != apart) if apart else labels
        if role.suffix == CREATED:
            if math.isfinite(sample.value):
                self._total(role, labels).created_s = sample.value
            return ""
        edge = dict(labels).get(apart, "") if apart else ""
        is_total = role.type == "counter" or (role.type in ("histogram", "summary") and role.suffix != "")
        why = _wrong(sample.value, role, edge, is_total=is_total)
        if why:
            return why
        if (sample.name, labels) in self._seen:
            return "stands on the page twice with the same labels"
        self._seen.add((sample.name, labels))
        if is_total:
            self._total(role, shared).parts[role.suffix, edge] = sample.value
        elif role.type == "summary" and math.isnan(sample.value):
            return ""  # nothing was observed of late
        key = (role.key_family, shared)
        self._found.points.append(Point(self._instrument(sample.name, role), labels, sample.value, key))
        return ""

    def _total(self, role: Role, labels: Labels) -> Total:
        return self._found.totals.setdefault((role.key_family, labels), Total())

    def _instrument(self, name: str, role: Role) -> Instrument:
        known = self._instruments.get(name)
        if known is None:
            known = self._instruments[name] = self._new_instrument(name, role)
        return known

    def _new_instrument(self, name: str, role: Role) -> Instrument:
        page, family = self._page, role.family
        is_total = role.type == "counter" or (role.type in ("histogram", "summary") and role.suffix != "")
        help_text = page.helps.get(family) or page.helps.get(family.removesuffix(TOTAL), "")
        unit = page.units.get(family) or page.units.get(family.removesuffix(TOTAL)) or unit_of(family)
        if role.suffix in (BUCKET, COUNT):
            unit = ""
        if is_total:
            return Instrument(name, Kind.COUNTER, help_text, unit)
        return Instrument(name, Kind.GAUGE, help_text, unit, across=_across(name, unit, role))


_OWNERS = {
    BUCKET: ("histogram", "gaugehistogram"),
    SUM: ("histogram", "summary"),
    COUNT: ("histogram", "summary"),
    TOTAL: ("counter",),
    "_info": ("info",),
    "_gsum": ("gaugehistogram",),
    "_gcount": ("gaugehistogram",),
}
"""Suffix of a sample → types of the families that have it."""


def unit_of(family: str) -> str:
    """The unit that a name ends in; empty if it ends in none."""
    word = family.removesuffix(TOTAL).rpartition("_")[2]
    return word if word in UNITS else ""


def _wrong(value: float, role: Role, edge: str, *, is_total: bool) -> str:
    if is_total and not math.isfinite(value):
        return f"is {value}, which is no total"
    if is_total and value < 0 and role.suffix != SUM:
        return "is a total below zero"
    if role.type == "histogram" and role.suffix == BUCKET and not _is_edge(edge):
        return f'has no edge le="NUMBER", but `{edge}`' if edge else "has no edge (le)"
    if role.type == "summary" and role.suffix == "" and not edge:
        return "is a summary without a quantile"
    if role.type == "histogram" and role.suffix == "":
        return "is a histogram, of which _bucket, _sum and _count are samples"
    return ""


def _is_edge(text: str) -> bool:
    try:
        return not math.isnan(number_of(text))
    except Malformed:
        return False


def _across(name: str, unit: str, role: Role) -> str:
    if role.type == "summary":
        return "max"
    for ending, across in ACROSS_BY_ENDING.items():
        if name.endswith(ending):
            return across
    return ACROSS_BY_UNIT.get(unit, "sum")
