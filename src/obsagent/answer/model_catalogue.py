"""The part of the catalogue that is about models: which there are, what they are given, what it is compared with.

models      [{"name", "versions", "variants", "services", "features": how many, "task": what it predicts, as far as
            predictions with ids tell (`two classes`, `classes`, `numbers`), else empty, "outcomes": null without such
            predictions, else {"labels": {label: {"values", "count"}}, "metrics": [those that make sense]}}], by name
features    [{"name", "models", "references"}], by name; outputs are `prediction.value` and `prediction.score`
references  [{"name": its id as series have it, "models", "features": how many are counted over it}], by id
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obsagent.answer.of_features import FEATURE, REFERENCE
from obsagent.answer.of_outcomes import MODEL, as_series
from obsagent.answer.outcome_metrics import metrics_for, predicts
from obsagent.answer.outcomes import Ledger, OutcomeModel
from obsagent.limits import CATALOGUE_VALUES
from obsagent.samples import Kind, Series


def model_catalogue(every: Iterable[Series], ledger: Ledger | None = None) -> dict[str, list[dict[str, Any]]]:
    """All three, of these series, and of predictions with ids."""
    judged = {model.name: model for model in ledger.models()} if ledger else {}
    of_ledger = as_series("", ledger.series() if ledger else (), judged)
    series = [each for each in every if each.labels.get(MODEL)]
    features = [each for each in series if each.kind is Kind.COLUMN and each.labels.get(FEATURE)]
    return {
        "models": [
            {**_model(name, members), **_outcomes(judged.get(name), members)}
            for name, members in _by(MODEL, [*series, *of_ledger])
        ],
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


def _outcomes(model: OutcomeModel | None, series: Iterable[Series]) -> dict[str, Any]:
    if model is None:
        return {"task": "", "outcomes": None}
    values: dict[str, set[str]] = {}
    for each in series:
        for label, value in each.labels.items():
            if not each.metric:
                values.setdefault(label, set()).add(value)
    labels = {
        label: {"values": sorted(found)[:CATALOGUE_VALUES], "count": len(found)} for label, found in values.items()
    }
    task = predicts(model)
    return {"task": task, "outcomes": {"labels": labels, "metrics": metrics_for(task)}}


def _by(label: str, series: Iterable[Series]) -> list[tuple[str, list[Series]]]:
    """Series by the values of a label, in order; those without it are none's."""
    found: dict[str, list[Series]] = {}
    for each in series:
        if each.labels.get(label):
            found.setdefault(each.labels[label], []).append(each)
    return sorted(found.items())


def _values(series: Iterable[Series], label: str) -> list[str]:
    return sorted({each.labels[label] for each in series if each.labels.get(label)})
