"""What all counts have in common: metrics by name, merging, bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from obsagent.errors import PerformanceError
from obsagent.performance import stored
from obsagent.performance.measured import Measured

CONFIDENCE = 0.95


class Counts(ABC):
    """Additive counts: those of two sets of rows, merged, are those of all rows, in any order.

    Whole numbers merge exactly, sums of floats within rounding.
    """

    KIND: ClassVar[str]

    @property
    @abstractmethod
    def _measures(self) -> Mapping[str, Callable[[Any, float], Measured]]:
        """The metrics by name."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Adds what the other has counted. Raises `PerformanceError` where the two do not fit."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """The fields, as `FORMAT.md` has them."""

    @classmethod
    @abstractmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        """The counts of such fields. Raises `PerformanceError`, `KeyError`, `TypeError` or `ValueError`."""

    def measure(self, name: str, confidence: float = CONFIDENCE) -> Measured:
        """One metric. Raises `PerformanceError` for a name that there is not."""
        if name not in self._measures:
            raise PerformanceError(f"no {self.KIND} metric is called {name!r}; there are {', '.join(self._measures)}")
        return self._measures[name](self, confidence)

    def measures(self, confidence: float = CONFIDENCE) -> dict[str, Measured]:
        """All metrics by name."""
        return {name: measure(self, confidence) for name, measure in self._measures.items()}

    def to_bytes(self) -> bytes:
        """All of it: `FORMAT.md`."""
        return stored.encode(self.KIND, self._state())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` gave. Raises `CorruptData` for anything else."""
        state = stored.decode(cls.KIND, data)
        try:
            return cls._from_state(state)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise stored.refused(error) from None
