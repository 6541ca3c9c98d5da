"""Instruments with labels: `labels(...)` binds a series once, which is then used many times.

An instrument without labels is its own bound series; the bound classes live in the compiled core.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from obsagent.errors import InstrumentError

if TYPE_CHECKING:
    from obsagent.record.metric_series import Key, MetricSeries
    from obsagent.samples import Instrument

    Bind = Callable[[Instrument, MetricSeries, Key | None], Any]

BoundT = TypeVar("BoundT")

OVERFLOW_LABELS = {"overflow": "true"}


class LabelledInstrument(Generic[BoundT]):
    """An instrument with label names; `labels(name=value, ...)` gives the bound series."""

    __slots__ = ("_bind", "_instrument", "_names", "_recent", "_reject", "_series", "_warned")

    def __init__(self, instrument: Instrument, series: MetricSeries, bind: Bind, reject: Callable[[], None]) -> None:
        """`bind` finds or makes a bound series; `reject` counts a sample that has no series to go to."""
        self._instrument = instrument
        self._series = series
        self._recent: dict[Key, BoundT] = series.recent
        self._bind = bind
        self._reject = reject
        self._names = frozenset(instrument.label_names)
        self._warned = False

    def __repr__(self) -> str:
        names = ", ".join(self._instrument.label_names)
        return f"<{self._instrument.kind.word} {self._instrument.name}{{{names}}}>"

    def labels(self, **values: object) -> BoundT:
        """The series with these label values; the same values give the same object.

        Values are turned into text. Values that would make too many series, or are too long, get the series
        `{overflow="true"}`, which is said once in the log. Raises `InstrumentError` for missing or unknown label names.
        """
        try:
            key = tuple(str(values[name]) for name in self._instrument.label_names)
        except KeyError:
            raise self._wrong_names(values) from None
        if len(values) != len(key):
            raise self._wrong_names(values)
        child = self._recent.get(key)
        if child is None:
            child = self._bind(self._instrument, self._series, key)
        return child

    def before_turn(self, forget: Callable[[], object]) -> None:
        """`forget` lets go of the bound series that a cache over this one keeps, so that it is seen which are used."""
        self._series.before_turn = forget

    @property
    def overflow(self) -> BoundT | None:
        """The series of all label values that are refused, if any was."""
        overflow: BoundT | None = self._series.overflow
        return overflow

    def overflowing(self) -> BoundT:
        """The series of all label values that are refused, made if there is none."""
        overflow: BoundT = self._bind(self._instrument, self._series, None)
        return overflow

    def _wrong_names(self, values: dict[str, object]) -> InstrumentError:
        expected = ", ".join(self._instrument.label_names)
        given = ", ".join(values) or "none"
        return InstrumentError(f"{self._instrument.name} has the labels {expected}; .labels() was given {given}")

    def _unbound(self, verb: str) -> None:
        """A sample without label values has no series: counted as rejected, said once, never raised."""
        self._reject()
        if not self._warned:
            self._warned = True
            names = ", ".join(f"{name}=…" for name in self._instrument.label_names)
            warnings.warn(
                f"{self._instrument.name}.{verb}() without labels is rejected: bind it with .labels({names})",
                RuntimeWarning,
                stacklevel=3,
            )


class HistogramFamily(LabelledInstrument[BoundT]):
    """A histogram with labels."""

    __slots__ = ()

    def observe(self, _value: object, exemplar: object = None) -> None:
        """Rejected: bind the labels first."""
        self._unbound("observe")

    def observe_many(self, _values: object) -> None:
        """Rejected: bind the labels first."""
        self._unbound("observe_many")


class CounterFamily(LabelledInstrument[BoundT]):
    """A counter with labels."""

    __slots__ = ()

    def inc(self, _amount: object = 1.0) -> None:
        """Rejected: bind the labels first."""
        self._unbound("inc")


class GaugeFamily(LabelledInstrument[BoundT]):
    """A gauge with labels."""

    __slots__ = ()

    def set(self, _value: object) -> None:
        """Rejected: bind the labels first."""
        self._unbound("set")

    def inc(self, _amount: object = 1.0) -> None:
        """Rejected: bind the labels first."""
        self._unbound("inc")

    def dec(self, _amount: object = 1.0) -> None:
        """Rejected: bind the labels first."""
        self._unbound("dec")
