"""What a window is compared with: the frozen reference, or what the same feature was before.

A slice is compared with its own past whatever the model is compared with: a reference knows the whole only, and
Germany's customers are not drift because they are Germans.
"""

from __future__ import annotations

from collections.abc import Iterable

from obsagent.answer.expected import Expected, References
from obsagent.drift import Null
from obsagent.evaluate.counts import Bins
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.gathering import Budget, Read
from obsagent.evaluate.levels import Level
from obsagent.evaluate.past import Past
from obsagent.evaluate.settings import HOUR_OF_WEEK, REFERENCE, Settings

PAST_SAMPLES_MIN = 1_000
"""A past of fewer samples is none to compare with."""


class Baselines:
    """The nulls of one stream. What it keeps is found again in the store."""

    def __init__(self, references: References) -> None:
        """Nothing is known yet."""
        self._references = references
        self._settings = Settings()
        self._frozen: dict[tuple[str, str], Null | None] = {}
        self._pasts: dict[str, Past] = {}

    def take(self, settings: Settings) -> None:
        """What was kept under other settings is forgotten."""
        if settings != self._settings:
            self._settings = settings
            self._frozen, self._pasts = {}, {}

    def prepare(self, level: Level, keys: Iterable[ChartKey], read: Read, at_ms: int, budget: Budget) -> bool:
        """Reads what charts are compared with in a window that begins then; False if the time did not do."""
        if not any(map(self._is_of_past, keys)):
            return True
        return self._past(level).advance(lambda *span: self._needed(read(*span)), at_ms, budget)

    def _needed(self, counts: dict[ChartKey, Bins]) -> dict[ChartKey, Bins]:
        return {key: bins for key, bins in counts.items() if self._is_of_past(key)}

    def _is_of_past(self, key: ChartKey) -> bool:
        return bool(key.slice) or self._settings.against != REFERENCE

    def _past(self, level: Level) -> Past:
        past = self._pasts.get(level.name)
        if past is None:
            is_hour_of_week = self._settings.against == HOUR_OF_WEEK
            past = self._pasts[level.name] = Past(self._settings.past_ms, is_hour_of_week=is_hour_of_week)
        return past

    def null(self, level: Level, key: ChartKey) -> Null | None:
        """What a chart is compared with in the window that was prepared for; None if there is not enough."""
        if not self._is_of_past(key):
            return self._of_reference(key)
        taken = self._past(level).taken
        if key not in taken.nulls:
            taken.nulls[key] = self._of_past(key, taken.counts.get(key))
        return taken.nulls[key]

    def _of_reference(self, key: ChartKey) -> Null | None:
        place = key.reference, key.feature
        if place not in self._frozen:
            expected = self._references.feature(*place)
            self._frozen[place] = _null_of(expected, self._settings.tolerance)
        return self._frozen[place]

    def _of_past(self, key: ChartKey, bins: Bins | None) -> Null | None:
        if bins is None or sum(bins) < PAST_SAMPLES_MIN:
            return None
        expected = self._references.feature(key.reference, key.feature)
        kappa0 = expected.kappa0 if expected and expected.kappa0 > 0 else None
        return Null(bins, kappa0=kappa0, tolerance=self._settings.tolerance)


def _null_of(expected: Expected | None, tolerance: float) -> Null | None:
    """None of a reference that has seen nothing of a feature."""
    if expected is None or not expected.samples:
        return None
    return Null([*expected.counts, *expected.besides], kappa0=expected.kappa0 or None, tolerance=tolerance)
