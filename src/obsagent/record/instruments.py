"""Instruments with labels: `labels(...)` binds a series once, which is then used many times.

An instrument without labels is its own bound series; the bound classes live in the compiled core.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from obsagent.errors import InstrumentError
from obsagent.limits import LABEL_VALUE_BYTES_MAX

if TYPE_CHECKING:
    from obsagent.samples import Instrument

    Bind = Callable[[Instrument, dict[str, str]], Any]

BoundT = TypeVar("BoundT")

OVERFLOW_LABELS = {"overflow": "true"}


class LabelledInstrument(Generic[BoundT]):
    """An instrument with label names; `labels(name=value, ...)` gives the bound series."""

    __slots__ = ("_bind", "_children", "_instrument", "_names", "_reject", "_warned")

    def __init__(self, instrument: Instrument, bind: Bind, reject: Callable[[], None]) -> None:
        """`bind` makes a bound series; `reject` counts a sample that has no series to go to."""
        self._instrument = instrument
        self._bind = bind
        self._reject = reject
        self._names = frozenset(instrument.label_names)
        self._children: dict[tuple[str, ...], BoundT] = {}
        self._warned = False

    def __repr__(self) -> str:
        names = ", ".join(self._instrument.label_names)
        return f"<{self._instrument.kind.word} {self._instrument.name}{{{names}}}>"

    def labels(self, **values: object) -> BoundT:
        """The series with these label values; the same values give the same object.

        Values are turned into text. Raises `InstrumentError` for missing or unknown label names.
        """
        try:
            key = tuple(str(values[name]) for name in self._instrument.label_names)
        except KeyError:
            raise self._wrong_names(values) from None
        if len(values) != len(key):
            raise self._wrong_names(values)
        child = self._children.get(key)
        if child is None:
            child = self._children.setdefault(key, self._bind(self._instrument, self._checked(key)))
        return child

    def _checked(self, key: tuple[str, ...]) -> dict[str, str]:
        for name, value in zip(self._instrument.label_names, key, strict=True):
            if len(value.encode("utf-8", "replace")) > LABEL_VALUE_BYTES_MAX:
                raise InstrumentError(
                    f"{self._instrument.name}: the value of label {name!r} is longer than {LABEL_VALUE_BYTES_MAX} bytes"
                )
        return dict(zip(self._instrument.label_names, key, strict=True))

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

    def observe(self, _value: object) -> None:
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
