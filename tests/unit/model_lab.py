"""Models whose recorder keeps every value as it was given, so that tests see what reached which column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from obsagent.record.models.models import Models
from obsagent.record.registry import Registry
from obsagent.record.request import Request, RequestInstruments
from obsagent.wire.rules import Rules


class PlainColumn:
    """Keeps what it is given; nulls as None."""

    def __init__(self, number: int) -> None:
        self.series = number
        self.values: list[Any] = []
        self.edges: list[float] | None = None
        self.categories: list[str] | None = None

    def observe(self, value: object) -> None:
        self.values.append(value)

    def observe_many(self, values: Any) -> None:
        self.values += values.tolist()

    def observe_categories(self, values: Iterable[object]) -> None:
        self.values += values

    def watch_names(self, judge: Any) -> None:
        self.judge = judge

    def add_nulls(self, count: int) -> None:
        self.values += [None] * count


class PlainCounter:
    def __init__(self, number: int) -> None:
        self.series = number
        self.total = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.total += amount

    def dec(self, amount: float = 1.0) -> None:
        self.total -= amount

    def observe(self, _value: float) -> None:
        self.total += 1


class PlainRecorder:
    """As `obsagent._native.ring.Recorder`, as far as models need it."""

    def __init__(self) -> None:
        self.bound: list[Any] = []
        self.dropped = self.rejected = 0

    def define(self, _kind: int, _scale: int = 6, _digest: bool = False) -> int:
        self.bound.append(None)
        return len(self.bound) - 1

    def set_edges(self, number: int, edges: Iterable[float]) -> None:
        self.column(number).edges = list(edges)

    def set_categories(self, number: int, names: Iterable[str]) -> None:
        self.column(number).categories = list(names)

    def column(self, number: int) -> PlainColumn:
        self.bound[number] = self.bound[number] or PlainColumn(number)
        return self.bound[number]

    def counter(self, number: int) -> PlainCounter:
        self.bound[number] = self.bound[number] or PlainCounter(number)
        return self.bound[number]

    histogram = gauge = counter

    def drop_samples(self, count: int) -> None:
        self.dropped += count

    def reject(self, count: int = 1) -> None:
        self.rejected += count


class Lab:
    """Models, and what became of what they were given."""

    def __init__(self, *, is_strict: bool = False, rules: Rules | None = None) -> None:
        self.recorder: Any = PlainRecorder()
        self.registry = Registry(self.recorder)
        self.models = Models(self.recorder, self.registry, is_strict=is_strict)
        self._rules = rules
        self._requests: RequestInstruments | None = None

    def model(self, name: str = "fraud", version: str = "4", variant: str = "live", rules: Rules | None = None) -> Any:
        """A model whose rules have come."""
        model = self.models.model(name, version, variant)
        self.models.take_rules(name, version, rules or self._rules or Rules())
        return model

    def request(self, endpoint: str = "/score", model: Any = None, **more: Any) -> Request:
        """A request whose models are these."""
        if self._requests is None:
            self._requests = RequestInstruments(self.registry, models=lambda: self.models)
        fields = {"request_id": None, "queued_at": None, **more}
        return Request(self._requests.endpoint(endpoint, model), **fields, model=model)

    def series(self, metric: str, **labels: str) -> list[Any]:
        """The bound series with these labels."""
        return [
            self.recorder.bound[each.number]
            for each in self.registry.definitions
            if each.metric == metric and labels.items() <= each.labels.items()
        ]

    def values(self, feature: str, **labels: str) -> list[Any]:
        """What a column was given."""
        return [value for each in self.series("feature", feature=feature, **labels) for value in each.values]

    def total(self, metric: str, **labels: str) -> float:
        """What a counter was incremented by."""
        return sum(each.total for each in self.series(metric, **labels))

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Name → values, in the order in which they first came."""
        names = [each.labels["feature"] for each in self.registry.definitions if each.metric == "feature"]
        return {name: self.values(name) for name in names}
