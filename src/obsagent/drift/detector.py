"""What detectors on a stream of values have in common."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from obsagent.errors import DriftError


class Detector:
    """Takes one value after the other; `drift_detected` is the verdict on the latest. The one after it begins anew.

    Of a class, `SETTINGS` name what its instances are made with, `STATISTICS` what they have learnt, `BOUNDED` says
    that values are errors: 1 or True for one, 0 for none, or losses between the two.
    """

    SETTINGS: ClassVar[tuple[str, ...]] = ()
    STATISTICS: ClassVar[tuple[str, ...]] = ()
    BOUNDED: ClassVar[bool] = False

    drift_detected: bool

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all values."""
        self.drift_detected = False
        self._begin()

    def update(self, x: float) -> bool:
        """Takes the next value; the answer is `drift_detected`. Raises `DriftError`, and nothing has changed then."""
        value = float(x)
        if not math.isfinite(value):
            raise DriftError(f"{type(self).__name__} takes finite numbers, not {x!r}")
        if self.BOUNDED and not 0 <= value <= 1:
            raise DriftError(f"{type(self).__name__} takes errors, from 0 to 1, not {x!r}")
        if self.drift_detected:
            self.reset()
        self._take(value)
        return self.drift_detected

    def to_state(self) -> dict[str, Any]:
        """Settings and all that was learnt, as JSON and msgpack take it."""
        names = (*self.SETTINGS, "drift_detected", *self.STATISTICS)
        return {"detector": type(self).__name__, **{name.lstrip("_"): _plain(getattr(self, name)) for name in names}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` gave, going on where it was. Raises `DriftError` for anything else."""
        try:
            if state["detector"] != cls.__name__:
                raise ValueError(f"it is of a {state['detector']}")
            found = cls(**{name: state[name] for name in cls.SETTINGS})
            for name in ("drift_detected", *cls.STATISTICS):
                setattr(found, name, _whole(getattr(found, name), state[name.lstrip("_")]))
        except (KeyError, TypeError, ValueError) as error:
            raise DriftError(f"this is no state of a {cls.__name__}: {error}") from None
        return found

    def _begin(self) -> None:
        raise NotImplementedError

    def _take(self, x: float) -> None:
        raise NotImplementedError


class WarningDetector(Detector):
    """A detector that warns, `warning_detected`, before it is sure; a detection is no warning."""

    warning_detected: bool

    def reset(self) -> None:
        """Forgets all values."""
        self.warning_detected = False
        super().reset()


def _plain(value: Any) -> Any:
    """JSON knows no infinity."""
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _whole(now: Any, value: Any) -> Any:
    """The value of a state, as the statistic that it replaces is one. Raises `TypeError` or `ValueError`."""
    if isinstance(now, list):
        if not isinstance(value, list):
            raise TypeError(f"a list is expected, not {value!r}")
        return [_whole(0.0, each) if not isinstance(each, list) else _whole([], each) for each in value]
    return type(now)(value)
