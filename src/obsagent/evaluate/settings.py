"""How a model is judged: what the configuration says under `[models.NAME.drift]`, and what holds where it is silent."""

from __future__ import annotations

from dataclasses import dataclass

from obsagent.evaluate.levels import DAY_MS, LEVELS, Level

REFERENCE = "reference"
ROLLING = "rolling"
HOUR_OF_WEEK = "hour-of-week"
AGAINST = (REFERENCE, ROLLING, HOUR_OF_WEEK)


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
        days = f"{self.days:,.3g}"
        return f"at most one false alarm in {days} day{'' if days == '1' else 's'}"
