"""How a model is judged, in the units of those who judge; `[models.NAME.drift]` says it for each model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from obsagent.answer.durations import format_duration
from obsagent.drift_config import HOUR_OF_WEEK, REFERENCE, ROLLING, DriftConfig
from obsagent.evaluate.levels import DAY_MS, LEVELS, Level

__all__ = ["HOUR_OF_WEEK", "REFERENCE", "ROLLING", "Settings", "settings_of"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Of one model. `days`: at most one false alarm in so many, on average, for each version and variant.

    `alpha` is the share that may be wrong of the features that stand out in a window; `tolerance` the divergence
    (nats) up to which a change is none; `against` what a window is compared with: the reference, the time `past_ms`
    before it, or the same hour of the weeks in that time.
    """

    alpha: float = 0.05
    days: float = 30.0
    tolerance: float = 0.0
    against: str = REFERENCE
    past_ms: int = 7 * DAY_MS

    def run_length(self, level: Level) -> float:
        """The mean number of windows of a level between false alarms: the levels share the rate."""
        return max(2.0, len(LEVELS) * level.windows_in(self.days))

    @property
    def rate(self) -> str:
        """The rate in words."""
        if self.days < 1:
            return f"at most one false alarm in {format_duration(round(self.days * DAY_MS))}"
        days = f"{self.days:,.3g}"
        return f"at most one false alarm in {days} day{'' if days == '1' else 's'}"


class Model(Protocol):
    """What is configured of a model: `obsagent.models_config.ModelConfig`."""

    @property
    def drift(self) -> DriftConfig:
        """How it is judged."""
        ...


def settings_of(models: Callable[[], Mapping[str, Model]]) -> Callable[[str], Settings]:
    """How each model is judged, by what is configured at the time."""

    def of(model: str) -> Settings:
        known = models().get(model)
        return _settings(known.drift) if known else Settings()

    return of


def _settings(config: DriftConfig) -> Settings:
    days = config.false_alarms / DAY_MS
    return Settings(config.alpha, days, config.tolerance, config.against, config.past)
