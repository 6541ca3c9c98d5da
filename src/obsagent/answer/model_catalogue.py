"""The part of the catalogue that is about models: which there are, what they are given, what it is compared with.

models      [{"name", "versions", "variants", "services", "features": how many}], by name
features    [{"name", "models", "references"}], by name; outputs are `prediction.value` and `prediction.score`
references  [{"name": its id as series have it, "models", "features": how many are counted over it}], by id
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obsagent.answer.of_features import FEATURE, REFERENCE
from obsagent.samples import Kind, Series

MODEL = "model"


def model_catalogue(every: Iterable[Series]) -> dict[str, list[dict[str, Any]]]:
    """All three, of these series."""
    series = [each for each in every if each.labels.get(MODEL)]
    features = [each for each in series if each.kind is Kind.COLUMN and each.labels.get(FEATURE)]
    return {
        "models": [_model(name, members) for name, members in _by(MODEL, series)],
        "references": [
            {"name": name, "models": _values(members, MODEL), "features": len(_values(members, FEATURE))}
            for name, members in _by(REFERENCE, features)
        ],
        "features": [
            {"name": name, "models": _values(members, MODEL), "references": _values(members, REFERENCE)}
            for name, members in _by(FEATURE, features)
        ],
    }


def _model(name: str, series: list[Series]) -> dict[str, Any]:
    return {
        "name": name,
        "versions": _values(series, "version"),
        "variants": _values(series, "variant"),
        "services": _values(series, "service"),
        "features": len(_values(series, FEATURE)),
    }


def _by(label: str, series: Iterable[Series]) -> list[tuple[str, list[Series]]]:
    """Series by the values of a label, in order; those without it are none's."""
    found: dict[str, list[Series]] = {}
    for each in series:
        if each.labels.get(label):
            found.setdefault(each.labels[label], []).append(each)
    return sorted(found.items())


def _values(series: Iterable[Series], label: str) -> list[str]:
    return sorted({each.labels[label] for each in series if each.labels.get(label)})
