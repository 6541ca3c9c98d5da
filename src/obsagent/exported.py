"""What metrics, labels and units are called where Prometheus reads them.

    metric ──► NAMES (of language models and Python: OpenTelemetry's), or its own name with an underscore for
               what Prometheus does not allow
           ──► its unit as a suffix, where that is one of UNITS
           ──► `_total`, if it is a counter

The exporter and the PromQL of `--explain` both go by these rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from obsagent.samples import Kind
from obsagent.semantic_conventions import CONVENTIONS, label_attributes

TOTAL = "_total"

NAMES = {
    "latency": "obsagent_request_duration",
    "queue_delay": "obsagent_request_queue_delay",
    "requests": "obsagent_requests",
    "errors": "obsagent_request_errors",
    "in_flight": "obsagent_requests_in_flight",
    **{metric: convention.name.replace(".", "_") for metric, convention in CONVENTIONS.items()},
}
"""Metric → its exported name, without unit and `_total`. A metric that is not here keeps its own."""

CONSTANT_LABELS: dict[str, Mapping[str, str]] = {
    metric: convention.constant for metric, convention in CONVENTIONS.items() if convention.constant
}
"""Metric → labels that all its series get where they are exported: what tells metrics apart that share a name."""

UNITS = {
    **dict.fromkeys(("seconds", "second", "s"), "seconds"),
    **dict.fromkeys(("milliseconds", "millisecond", "ms"), "milliseconds"),
    **dict.fromkeys(("microseconds", "microsecond", "us", "µs"), "microseconds"),
    **dict.fromkeys(("nanoseconds", "nanosecond", "ns"), "nanoseconds"),
    **dict.fromkeys(("minutes", "minute", "min"), "minutes"),
    **dict.fromkeys(("hours", "hour", "h"), "hours"),
    **dict.fromkeys(("bytes", "byte", "By", "B"), "bytes"),
    **dict.fromkeys(("kilobytes", "kilobyte", "kB", "KB"), "kilobytes"),
    **dict.fromkeys(("megabytes", "megabyte", "MB"), "megabytes"),
    **dict.fromkeys(("ratio", "ratios", "1"), "ratio"),
    **dict.fromkeys(("percent", "%"), "percent"),
    **dict.fromkeys(("celsius", "°C", "Cel"), "celsius"),
    **dict.fromkeys(("joules", "joule", "J"), "joules"),
    **dict.fromkeys(("watts", "watt", "W"), "watts"),
    **dict.fromkeys(("volts", "volt", "V"), "volts"),
    **dict.fromkeys(("amperes", "ampere", "A"), "amperes"),
    **dict.fromkeys(("hertz", "Hz"), "hertz"),
}
"""Unit of a metric → the word for it in names. Values are exported in the unit that they were recorded in.

What only says what is counted (`requests`, `tokens`) is no unit and becomes no suffix.
"""

RESERVED_LABELS = frozenset({"le", "quantile"})
"""Labels that Prometheus gives itself."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")


def unit_word(unit: str) -> str:
    """The suffix that a unit becomes; empty if it becomes none."""
    return UNITS.get(unit, "")


def family_name(metric: str, kind: Kind, unit: str) -> str:
    """The exported name of a metric without the `_total` of a counter."""
    name = NAMES.get(metric) or _allowed(_NOT_IN_NAMES.sub("_", metric))
    if kind is Kind.COUNTER:
        name = name.removesuffix(TOTAL)
    word = unit_word(unit)
    return name if not word or name == word or name.endswith(f"_{word}") else f"{name}_{word}"


def exported_name(metric: str, kind: Kind, unit: str) -> str:
    """The name under which Prometheus finds a metric; of a histogram the native one, without `_bucket` and so on."""
    name = family_name(metric, kind, unit)
    return f"{name}{TOTAL}" if kind is Kind.COUNTER else name


def label_name(label: str, metric: str = "") -> str:
    """The exported name of a metric's label. Two underscores before it, `le` and `quantile` are Prometheus' own."""
    name = _allowed(_NOT_IN_LABELS.sub("_", label_attributes(metric).get(label, label)))
    if name.startswith("__"):
        return f"_{name.lstrip('_')}"
    return f"exported_{name}" if name in RESERVED_LABELS else name


def constant_labels(metric: str) -> tuple[tuple[str, str], ...]:
    """The labels that a metric's series get, under their exported names."""
    return tuple((label_name(label), value) for label, value in CONSTANT_LABELS.get(metric, {}).items())


def _allowed(name: str) -> str:
    return f"_{name}" if not name or name[0].isdigit() else name
