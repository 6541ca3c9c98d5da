"""What was observed of features and is not stored with them: told apart from what never came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from obsagent._native.codec import Groups
from obsagent.answer.of_features import FEATURE
from obsagent.answer.view import View
from obsagent.evaluate.findings import MEDIUM, Finding, graded, percent
from obsagent.samples import Series

OVERFLOW = "overflow"
REASONS = {
    "ring": "for want of room in the client's ring",
    "budget": "beyond what the client may keep for the agent",
    "expired": "after an hour without an agent",
    "value": "which were no numbers",
    "frame": "refused, as their batch was damaged",
    "time": "refused, as they were of another time than is kept",
}


def lost(view: View, services: Iterable[str], from_ms: int, to_ms: int) -> Iterator[tuple[str, Finding]]:
    """By service, what was observed and lost, and why: of all that it records, for nobody knows of which metric."""
    accounts = view.accounts(from_ms, to_ms)
    for service in sorted(set(services)):
        account = accounts.get(service)
        reasons = _reasons(account) if account else {}
        count, observed = sum(reasons.values()), account["observed"] if account else 0
        if count:
            share = min(1.0, count / max(observed, count))
            why = ", ".join(f"{number:,} {REASONS.get(name, name)}" for name, number in reasons.items())
            says = f"{percent(share)} of {observed:,} samples of {service} were lost: {why}"
            yield service, Finding("lost", graded(share), share, 0.0, says, "obsagent_samples")


def _reasons(account: Mapping[str, Any]) -> dict[str, int]:
    every = {**account["dropped"], **account["rejected"]}
    return {name: count for name, count in every.items() if count}


def overflowed(view: View, services: Iterable[str], from_ms: int, to_ms: int) -> Iterator[tuple[str, Finding]]:
    """By service, what went to `{overflow="true"}`, as there was no room for more series."""
    wanted = set(services)
    for series in view.series():
        service = series.labels.get("service", "")
        if series.metric == FEATURE and OVERFLOW in series.labels and service in wanted:
            samples = _samples(view, series, from_ms, to_ms)
            if samples:
                says = (
                    f"{samples:,} values of features that are not told apart, as there are more series than "
                    "series_per_metric: slice by less, or raise it"
                )
                yield service, Finding("overflow", MEDIUM, 1.0, 0.0, says, "null_share")


def _samples(view: View, series: Series, from_ms: int, to_ms: int) -> int:
    groups = Groups({series.id: 0}, 1)
    view.collect(from_ms, to_ms, groups)
    return groups.samples(0)
