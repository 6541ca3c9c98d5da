"""What the same feature was before: its counts over the time before a window, brought forward as time goes on."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from obsagent.drift import Null
from obsagent.evaluate.counts import Bins
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.gathering import HOUR_MS, Budget, Gathering, Read, add_up
from obsagent.limits import WINDOW_MS

PARTS = 8
"""Of so many parts the oldest falls away as a whole: of the past there is up to an eighth more than was asked for."""
WEEK_MS = 7 * 24 * HOUR_MS
PHASE_SAMPLES = 1_000
"""So many samples of the whole are added to those of an hour of the week, which may be few."""
REFRESH_FIRST_MS = 60_000


@dataclass(slots=True)
class Taken:
    """The counts that are taken for the past of windows that begin between two times, and what was made of them."""

    from_ms: int = 0
    until_ms: int = 0
    holds_ms: int = 0
    counts: dict[ChartKey, Bins] = field(default_factory=dict)
    nulls: dict[ChartKey, Null | None] = field(default_factory=dict)

    def holds(self, at_ms: int) -> bool:
        """True of a time for which it need not be taken again."""
        return self.from_ms <= at_ms < self.until_ms


class Past:
    """The past of one level. Every sample of it is read once, and nothing that comes for it later.

    What is compared with it is seldom taken anew, once there is much of it: after a minute, two, four, up to an hour.
    """

    def __init__(self, past_ms: int, *, is_hour_of_week: bool = False) -> None:
        """`is_hour_of_week`: it is the same hour of the weeks before."""
        self._past_ms = past_ms
        self._is_hour_of_week = is_hour_of_week
        self._parts: list[Gathering] = []
        self._phases: list[Gathering] = []
        self.taken = Taken()

    def advance(self, read: Read, at_ms: int, budget: Budget) -> bool:
        """Makes it that of a window that begins then; False if the time did not do, and it is to be called again."""
        if self.taken.holds(at_ms):
            return True
        if not self._read_to(read, at_ms, budget):
            return False
        if self._is_hour_of_week and not self._read_phases(read, at_ms - at_ms % HOUR_MS, budget):
            return False
        self._take(at_ms)
        return True

    def _read_to(self, read: Read, at_ms: int, budget: Budget) -> bool:
        """Reads on from where it was read to; anew where that is of another time."""
        begin_ms = max(0, at_ms - self._past_ms)
        if self._parts and not begin_ms <= self._parts[-1].read_to_ms <= at_ms:
            self._parts = []
        width_ms = max(WINDOW_MS, self._past_ms // PARTS)
        while self._read_to_ms(begin_ms) < at_ms:
            if not self._parts or self._parts[-1].read_to_ms - self._parts[-1].from_ms >= width_ms:
                from_ms = self._read_to_ms(begin_ms)
                self._close()
                self._parts.append(Gathering(from_ms, from_ms))
            last = self._parts[-1]
            last.to_ms = min(at_ms, last.from_ms + width_ms)
            if not last.go_on(read, budget) or (budget.is_over and last.to_ms < at_ms):
                return False
        self._parts = [part for part in self._parts if part.to_ms > begin_ms]
        return True

    def _close(self) -> None:
        """Nothing more comes to the last part: it is kept in a quarter of the room."""
        for last in self._parts[-1:]:
            last.counts = {key: array("d", bins) for key, bins in last.counts.items()}

    def _read_to_ms(self, begin_ms: int) -> int:
        return self._parts[-1].read_to_ms if self._parts else begin_ms

    def _read_phases(self, read: Read, hour_ms: int, budget: Budget) -> bool:
        backs = range(WEEK_MS, self._past_ms + 1, WEEK_MS)
        begins = [hour_ms - back_ms for back_ms in backs if back_ms <= hour_ms]
        if [phase.from_ms for phase in self._phases] != begins:
            self._phases = [Gathering(begin_ms, begin_ms + HOUR_MS) for begin_ms in begins]
        for phase in self._phases:
            if phase.read_to_ms < phase.to_ms and (not phase.go_on(read, budget) or budget.is_over):
                return all(each.read_to_ms >= each.to_ms for each in self._phases)
        return True

    def _take(self, at_ms: int) -> None:
        before = self.taken
        holds_ms = min(HOUR_MS, 2 * before.holds_ms) if before.holds_ms else REFRESH_FIRST_MS
        until_ms = at_ms - at_ms % WINDOW_MS + holds_ms
        if self._is_hour_of_week:
            until_ms = min(until_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
        self.taken = Taken(at_ms, until_ms, holds_ms, self._counts())

    def _counts(self) -> dict[ChartKey, Bins]:
        whole: dict[ChartKey, Bins] = {}
        for part in self._parts:
            add_up(whole, part.counts)
        if not self._is_hour_of_week:
            return whole
        phase: dict[ChartKey, Bins] = {}
        for each in self._phases:
            add_up(phase, each.counts)
        return {key: shrunk(phase.get(key), bins) for key, bins in whole.items()}


def shrunk(phase: Bins | None, whole: Bins) -> Bins:
    """The counts of a phase, with so many of the whole that a phase of none is the whole."""
    part = PHASE_SAMPLES / max(sum(whole), 1.0)
    return [one + part * other for one, other in zip(phase or [0.0] * len(whole), whole, strict=True)]
