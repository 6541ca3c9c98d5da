"""What a window is compared with: the frozen reference, or what the same feature was before.

A slice is compared with its own past whatever the model is compared with: a reference knows the whole only, and
Germany's customers are not drift because they are Germans.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from obsagent.answer.expected import Expected, References
from obsagent.drift import Null
from obsagent.evaluate.counts import Bins, Stream, View, collect, expects
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.settings import HOUR_OF_WEEK, REFERENCE, Settings
from obsagent.limits import WINDOW_MS

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS
PAST_SAMPLES_MIN = 1_000
"""A past of fewer samples is none to compare with."""
PHASE_SAMPLES = 1_000
"""So many samples of the whole are added to those of an hour of the week, which may be few."""
REFRESH_FIRST_MS = 60_000


@dataclass(slots=True)
class Past:
    """The counts before a moment, by chart, and until when they are taken for the past."""

    counts: dict[ChartKey, Bins] = field(default_factory=dict)
    until_ms: int = 0
    from_ms: int = 0
    holds_ms: int = REFRESH_FIRST_MS
    nulls: dict[ChartKey, Null | None] = field(default_factory=dict)


class Baselines:
    """The nulls of one stream. What it keeps is found again in the store."""

    def __init__(self, references: References) -> None:
        """Nothing is known yet."""
        self._references = references
        self._settings = Settings()
        self._frozen: dict[tuple[str, str], Null | None] = {}
        self._past = Past()

    def take(self, settings: Settings) -> None:
        """What was kept under other settings is forgotten."""
        if settings != self._settings:
            self._settings = settings
            self._frozen, self._past = {}, Past()

    def null(self, view: View, stream: Stream, key: ChartKey, at_ms: int) -> Null | None:
        """What a window that begins then is compared with; None if there is not enough to compare it with."""
        if not key.slice and self._settings.against == REFERENCE:
            return self._of_reference(key)
        past = self._before(view, stream, at_ms)
        if key not in past.nulls:
            past.nulls[key] = self._of_past(key, past.counts.get(key))
        return past.nulls[key]

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

    def _before(self, view: View, stream: Stream, at_ms: int) -> Past:
        """The past, read again when it has become old: seldom once there is much of it."""
        past = self._past
        if not past.from_ms <= at_ms < past.until_ms:
            holds_ms = min(HOUR_MS, 2 * past.holds_ms) if past.until_ms else REFRESH_FIRST_MS
            until_ms = at_ms - at_ms % WINDOW_MS + holds_ms
            if self._settings.against == HOUR_OF_WEEK:
                until_ms = min(until_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
            self._past = past = Past(self._read(view, stream, at_ms), until_ms, at_ms, holds_ms)
        return past

    def _read(self, view: View, stream: Stream, at_ms: int) -> dict[ChartKey, Bins]:
        expected_of = expects(self._references)
        whole = collect(view, stream, max(0, at_ms - self._settings.past_ms), at_ms, expected_of)
        if self._settings.against != HOUR_OF_WEEK:
            return whole
        phase: dict[ChartKey, Bins] = {}
        hour_ms = at_ms - at_ms % HOUR_MS
        for back_ms in range(WEEK_MS, self._settings.past_ms + 1, WEEK_MS):
            begin_ms = hour_ms - back_ms
            if begin_ms >= 0:
                _add(phase, collect(view, stream, begin_ms, begin_ms + HOUR_MS, expected_of))
        return {key: shrunk(phase.get(key), bins) for key, bins in whole.items()}


def _add(into: dict[ChartKey, Bins], more: dict[ChartKey, Bins]) -> None:
    for key, bins in more.items():
        known = into.get(key)
        into[key] = bins if known is None else [one + other for one, other in zip(known, bins, strict=True)]


def shrunk(phase: Bins | None, whole: Bins) -> Bins:
    """The counts of a phase, with so many of the whole that a phase of none is the whole."""
    part = PHASE_SAMPLES / max(sum(whole), 1.0)
    return [one + part * other for one, other in zip(phase or [0.0] * len(whole), whole, strict=True)]


def _null_of(expected: Expected | None, tolerance: float) -> Null | None:
    """None of a reference that has seen nothing of a feature."""
    if expected is None or not expected.samples:
        return None
    return Null([*expected.counts, *expected.besides], kappa0=expected.kappa0 or None, tolerance=tolerance)
