"""The series of models: `feature` (one of each column), `feature_rows` and `predictions`, by their labels.

A model may have 1,000 features and more, in several versions, variants and slices. So `feature` has a cap of its own,
five times as high as that of other metrics; the total is the same for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obsagent.errors import printable
from obsagent.limits import FEATURE_SERIES, LABEL_VALUE_BYTES_MAX
from obsagent.record.instruments import OVERFLOW_LABELS
from obsagent.record.refusals import LENGTH, PER_METRIC, TOTAL, Refusal, shortened
from obsagent.samples import Instrument, Kind

if TYPE_CHECKING:
    from obsagent.record.registry import Registry

Prepare = Callable[[int], None]

FEATURE = Instrument("feature", Kind.COLUMN, "Values of a model's features, predictions and scores")
ROWS = Instrument("feature_rows", Kind.COUNTER, "Rows of features given to a model", "rows")
PREDICTIONS = Instrument("predictions", Kind.COUNTER, "Predictions that a model made", "predictions")


class ModelSeries:
    """Bound series by metric and labels. Thread-safe."""

    def __init__(self, registry: Registry) -> None:
        """Series are made in the registry, within its total."""
        self._registry = registry
        self._lock = threading.Lock()
        self._bound: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}
        self._counts: dict[str, int] = {}

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def bind(self, instrument: Instrument, labels: dict[str, str], prepare: Prepare | None = None) -> Any:
        """The series with these labels, found or made; `prepare` gets its number before anything is recorded.

        Without room it is the series of the metric that has the one label `overflow="true"`.
        """
        with self._lock:
            key = instrument.name, tuple(sorted(labels.items()))
            bound = self._bound.get(key)
            if bound is not None:
                return bound
            refusal = self._refusal(instrument, labels)
            if refusal is None:
                bound = self._registry.add_series(instrument, labels, prepare)
            if bound is not None:
                self._counts[instrument.name] = self._counts.get(instrument.name, 0) + 1
                self._bound[key] = bound
                return bound
            overflow = self._overflow(instrument)
        refusal = refusal or Refusal("feature", labels.get("feature", ""), TOTAL)
        self._registry.refuse(instrument.name, refusal, _text(instrument.name, refusal))
        return overflow

    def _refusal(self, instrument: Instrument, labels: dict[str, str]) -> Refusal | None:
        for name, value in labels.items():
            if len(value.encode("utf-8", "replace")) > LABEL_VALUE_BYTES_MAX:
                return Refusal(name, value, LENGTH)
        if self._counts.get(instrument.name, 0) >= max(FEATURE_SERIES, self._registry.series_per_metric):
            return Refusal("feature", labels.get("feature", ""), PER_METRIC)
        return None

    def _overflow(self, instrument: Instrument) -> Any:
        key = instrument.name, tuple(OVERFLOW_LABELS.items())
        if key not in self._bound:
            self._bound[key] = self._registry.add_series(instrument, dict(OVERFLOW_LABELS), is_overflow=True)
        return self._bound[key]


def _text(metric: str, refusal: Refusal) -> str:
    shown = shortened(refusal.value)
    if refusal.reason == LENGTH:
        return f"{metric}: {printable(refusal.label)}={shown} is longer than {LABEL_VALUE_BYTES_MAX:,} bytes"
    limit = "as a metric of models may have" if refusal.reason == PER_METRIC else "as this process may have"
    return (
        f"{metric}: there are as many series {limit}; {shown} and what else is new goes to "
        f'{metric}{{overflow="true"}}. Slices multiply the features: give them few values'
    )
