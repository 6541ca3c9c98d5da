"""How far everything is judged, for whoever looks after the agent: made after every look, so that nobody waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from obsagent.evaluate.counts import Stream
from obsagent.evaluate.family import Family
from obsagent.evaluate.state import Judged


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one version of a model. Times are ms since the epoch; 0: nothing yet."""

    judged: Judged
    features: int
    slices: int
    charts: int
    charts_left_out: int
    """Charts of slices that there is no room for."""
    alarms: int
    """That go on, at any level; a feature and slice counts once."""
    until_ms: Mapping[str, int]
    """Level → up to where it has been judged."""
    newest_ms: int
    """End of the newest window with a sample."""
    behind_ms: int = 0
    """How much lies behind the first window that the look had no time for; 0 if it had."""
    trouble: str = ""

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.judged.model,
            "version": self.judged.version,
            "variant": self.judged.variant,
            "features": self.features,
            "slices": self.slices,
            "charts": self.charts,
            "charts_left_out": self.charts_left_out,
            "alarms": self.alarms,
            "until_ms": dict(self.until_ms),
            "newest_ms": self.newest_ms,
            "behind_ms": self.behind_ms,
            "trouble": self.trouble,
        }


def progress_of(
    stream: Stream, families: Mapping[str, Family], newest_ms: int, behind_ms: int, trouble: str
) -> Progress:
    """What is known of one version after a look."""
    return Progress(
        stream.judged,
        stream.feature_count,
        len(stream.slices),
        max((len(family.charts) for family in families.values()), default=0),
        stream.charts_left_out,
        len({key for family in families.values() for key in family.alarms}),
        {name: family.next_ms for name, family in families.items() if family.next_ms},
        newest_ms,
        behind_ms,
        trouble,
    )
