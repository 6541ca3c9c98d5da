"""The rules that clients are told of a model: from the configuration, and from the bins of its reference."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from obsagent.limits import HORIZON_MS, TIME_MS_MAX
from obsagent.wire.rules import OUTPUTS, ColumnRule, Rules


class Column(Protocol):
    """What is asked of a column of a reference."""

    @property
    def kind(self) -> str:
        """`number` or `category`."""
        ...

    @property
    def edges(self) -> tuple[float, ...]:
        """Of a number's bins."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """That have a bin each."""
        ...


class Reference(Protocol):
    """What is asked of a reference."""

    @property
    def id(self) -> str:
        """Of its content."""
        ...

    @property
    def features(self) -> Mapping[str, Column]:
        """By name."""
        ...

    @property
    def outputs(self) -> Mapping[str, Column]:
        """Of what is predicted."""
        ...


class Model(Protocol):
    """What is asked of a model's configuration."""

    @property
    def drop(self) -> Collection[str]:
        """Columns that never leave the model's process."""
        ...

    @property
    def hash(self) -> Collection[str]:
        """Columns of which keyed hashes leave it."""
        ...

    @property
    def keep_rows(self) -> float | str | None:
        """The share of rows that is kept, or `errors`."""
        ...

    @property
    def horizon_ms(self) -> int:
        """How far back what it was given and has predicted may lie."""
        ...

    @property
    def task(self) -> str:
        """What it predicts; empty where it is told by its predictions."""
        ...

    @property
    def positive(self) -> str:
        """The class whose probability its scores are; empty where it is told by the names."""
        ...


class ModelRules:
    """Rules by model and version, made when somebody asks; `models` is replaced at a reload."""

    def __init__(
        self,
        models: Mapping[str, Model],
        lookup: Callable[[str, str], Reference | None],
        hash_key: Callable[[], bytes],
    ) -> None:
        """`lookup` finds the reference of a model and version; `hash_key` is asked when something is to be hashed."""
        self.models = models
        self.kept_ms = TIME_MS_MAX
        """How long the store keeps anything; replaced at a reload."""
        self._lookup = lookup
        self._hash_key = hash_key

    def __call__(self, model: str, version: str) -> Rules:
        """The rules of a model and version; raises what `lookup` and `hash_key` do."""
        settings = self.models.get(model)
        drop = frozenset(settings.drop if settings else ())
        hashed = frozenset(settings.hash if settings else ()) - drop
        keep_rows = settings.keep_rows if settings else None
        reference = self._lookup(model, version)
        return Rules(
            reference=reference.id if reference else "",
            features=_rules(reference.features, drop) if reference else {},
            outputs={name: rule for name, rule in _rules(reference.outputs, drop).items() if name in OUTPUTS}
            if reference
            else {},
            drop=drop,
            hash=hashed,
            hash_key=self._hash_key() if hashed else b"",
            keep_rows=0.0 if keep_rows is None else keep_rows,
            horizon_ms=self.horizon_ms(model),
        )

    def horizon_ms(self, model: str) -> int:
        """How far back what a model was given and has predicted may lie: no further than what is kept."""
        settings = self.models.get(model)
        return min(settings.horizon_ms if settings else HORIZON_MS, self.kept_ms)

    def task(self, model: str) -> str:
        """What a model predicts, if that is configured; else empty."""
        settings = self.models.get(model)
        return settings.task if settings else ""

    def positive(self, model: str) -> str:
        """The positive class of a model, if that is configured; else empty."""
        settings = self.models.get(model)
        return settings.positive if settings else ""


def _rules(columns: Mapping[str, Column], drop: Collection[str]) -> dict[str, ColumnRule]:
    return {
        name: ColumnRule(column.kind, tuple(column.edges), tuple(column.categories))
        for name, column in columns.items()
        if name not in drop
    }
