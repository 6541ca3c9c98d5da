"""A model whose features a test draws: its references, what it is given, and the view in which that is stored."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from obsagent.answer.expected import Expected, ExpectedOutcomes
from obsagent.samples import Kind, Series
from unit.fake_view import FakeView

LABEL = "1a2b3c4d"
EDGES = tuple(float(edge) for edge in range(-4, 5))
LANDS = ("DE", "FR", "IT")
LAND_SHARES = (0.6, 0.3, 0.1)
ROWS = 20_000


class Lab:
    """Implements `obsagent.answer.expected.References` too."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.view = FakeView()
        self.known: dict[tuple[str, str], Expected] = {}
        self.configured: dict[str, str] = {}
        self.joints: dict[str, ExpectedOutcomes] = {}

    # --- the reference

    def learn_numbers(self, name: str, label: str = LABEL, importance: float = 1.0) -> None:
        """A standard normal feature."""
        values = [self.chance.gauss(0, 1) for _ in range(ROWS)]
        counts, sums = binned(values)
        self._know(name, Expected(label, name, True, counts, sums, EDGES, stddev=1.0, importance=importance))

    def learn_lands(self, name: str = "land", label: str = LABEL) -> None:
        counts = tuple(ROWS * share for share in LAND_SHARES)
        self._know(name, Expected(label, name, False, (*counts, 0.0), categories=LANDS))

    def _know(self, name: str, expected: Expected) -> None:
        self.known[expected.reference, name] = expected
        self.configured["fraud"] = expected.reference

    def feature(self, reference: str, feature: str) -> Expected | None:
        return self.known.get((reference, feature))

    def features(self, reference: str) -> tuple[str, ...]:
        return tuple(name for label, name in self.known if label == reference)

    def current(self, model: str, version: str) -> str:
        return self.configured.get(model, "")

    def outcomes(self, reference: str) -> ExpectedOutcomes | None:
        return self.joints.get(reference)

    # --- what comes

    def series(self, feature: str, reference: str = LABEL, **labels: str) -> Series:
        given = {"service": "shop", "model": "fraud", "version": "4", "variant": "live", "feature": feature, **labels}
        if reference:
            given["reference"] = reference
        return self.view.add_series("feature", Kind.COLUMN, **given)

    def numbers(self, name: str, at_ms: int, values: Iterable[float], reference: str = LABEL, **labels: str) -> None:
        edges = EDGES if reference else None
        self.view.give(self.series(name, reference, **labels), at_ms, list(values), edges=edges)

    def others(self, name: str, at_ms: int, **others: Any) -> None:
        self.view.give(self.series(name), at_ms, edges=EDGES, **others)

    def lands(self, at_ms: int, values: Iterable[str], name: str = "land", **labels: str) -> None:
        self.view.give(self.series(name, **labels), at_ms, categories=list(values), names=LANDS)

    def rows(self, at_ms: int, count: int, **labels: str) -> None:
        given = {"service": "shop", "model": "fraud", "version": "4", "variant": "live", **labels}
        self.view.increment(self.view.add_series("feature_rows", Kind.COUNTER, "rows", **given), at_ms, count, count)

    def normal(self, count: int, mean: float = 0.0, spread: float = 1.0) -> list[float]:
        return [self.chance.gauss(mean, spread) for _ in range(count)]

    def some_lands(self, count: int, shares: tuple[float, ...] = LAND_SHARES) -> list[str]:
        return self.chance.choices(LANDS, shares, k=count)

    def forget(self, label: str = LABEL) -> None:
        """The reference is not known any more."""
        self.known = {key: value for key, value in self.known.items() if key[0] != label}

    def change(self, name: str, change: Callable[[Expected], Expected]) -> None:
        self.known[LABEL, name] = change(self.known[LABEL, name])

    def rename(self, label: str) -> None:
        """The reference that is configured has another id now."""
        for (_, name), expected in list(self.known.items()):
            self.known[label, name] = replace(expected, reference=label)
        self.configured["fraud"] = label


def binned(values: Iterable[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Counts and sums: below, the bins, above."""
    counts, sums = [0.0] * (len(EDGES) + 1), [0.0] * (len(EDGES) + 1)
    for value in values:
        place = sum(value >= edge for edge in EDGES)
        if value == EDGES[-1]:
            place -= 1
        counts[place] += 1
        sums[place] += value
    return tuple(counts), tuple(sums)
