"""What a fit is told besides the file: which column is what."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from obsagent.errors import ObsagentError, UsageError, printable
from obsagent.limits import LABEL_VALUE_BYTES_MAX, REFERENCE_FEATURES_MAX
from obsagent.reference.columns import Source
from obsagent.reference.reference import RESERVED_NAMES

NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Names are those of columns."""

    model: str
    version: str = ""
    truth: str | None = None
    prediction: str | None = None
    score: str | None = None
    features: Sequence[str] = ()
    """Which columns are watched; none: all that have no other role."""
    drop: Sequence[str] = ()
    categories: Sequence[str] = ()
    """Columns that are categories though their values are numbers."""
    importances: Mapping[str, float] | None = None
    permutation: bool = False
    """Whether importances are estimated by permutation."""


def features_of(options: FitOptions, source: Source) -> list[str]:
    """The columns that are features; raises `UsageError` for names that do not fit the data."""
    roles = [name for name in (options.truth, options.prediction, options.score) if name is not None]
    _check_known(source, [*roles, *options.features, *options.drop, *options.categories])
    if len({*roles}) < len(roles):
        raise UsageError("truth, prediction and score are different columns")
    for name in roles:
        if name in options.features or name in options.drop:
            raise UsageError(f"{_shown(name)} is the truth, the prediction or the score: it is no feature, nor dropped")
    chosen = options.features or source.names
    features = [name for name in source.names if name in {*chosen} - {*roles} - {*options.drop}]
    if not features and not (options.prediction or options.score):
        why = "".join(f"; {_shown(name)}: {reason}" for name, reason in [*source.left_out.items()][:NAMES_SHOWN])
        raise UsageError(f"no column of {source.name} is left to watch{why}")
    _check_features(features)
    stray = [name for name in options.categories if name not in {*features, *roles}]
    if stray:
        raise UsageError(f"--categories: {_shown(stray[0])} is left out")
    if options.permutation and (options.truth is None or options.score is None or not features):
        raise UsageError("--importance permutation needs --truth and --score, and features")
    return features


def _check_features(features: Sequence[str]) -> None:
    if len(features) > REFERENCE_FEATURES_MAX:
        raise UsageError(
            f"{len(features):,} features; {REFERENCE_FEATURES_MAX:,} are the most: leave some out with --drop"
        )
    for name in features:
        if name in RESERVED_NAMES:
            raise UsageError(
                f"a feature cannot be called {name}: that is the model's output; name it with --prediction or --score"
            )
        if len(name.encode(errors="replace")) > LABEL_VALUE_BYTES_MAX:
            raise UsageError(f"the name {_shown(name)} is longer than {LABEL_VALUE_BYTES_MAX} bytes")


def _check_known(source: Source, names: Iterable[str]) -> None:
    for name in names:
        if name in source.left_out:
            raise UsageError(f"the column {_shown(name)} cannot be watched: {source.left_out[name]}")
        if name not in source.names:
            near = difflib.get_close_matches(name, source.names, 1)
            there = ", ".join(map(_shown, source.names[:NAMES_SHOWN])) + (
                ", …" if len(source.names) > NAMES_SHOWN else ""
            )
            hint = f"did you mean {_shown(near[0])}?" if near else f"there are {there}"
            raise UsageError(f"{source.name} has no column {_shown(name)}; {hint}")


def shares_of(importances: Mapping[str, float], features: Sequence[str]) -> dict[str, float]:
    """Importances that add up to 1; raises `ObsagentError` for those of other features, or below 0."""
    for name, value in importances.items():
        if name not in features:
            raise ObsagentError(f"an importance is given for {_shown(name)}, which is no feature")
        if not 0 <= value < float("inf"):
            raise ObsagentError(f"the importance of {_shown(name)} is {value}; expected a number from 0")
    total = sum(importances.values())
    if not 0 < total < float("inf"):
        raise ObsagentError("all importances are 0")
    return {name: value / total for name, value in importances.items()}


def _shown(name: str) -> str:
    return f"`{printable(name[:80])}`"
