"""What is lost with damaged and missing parts of the journal: of which times.

Such a part says nothing of itself. What is around it does: entries are in the order in which they were taken, and a
batch is taken only if it ends between two hours before and ten seconds after the agent's time. So every batch says
between which times it was taken; what is lost was taken after what lies before it and before what lies behind it.
Backfills are older and say nothing of that; how far back they may lie the store knows (its *reach*), so what is lost
may reach back as far.

The checkpoint says the rest. Of the entries between its *low* and its *high* only those for windows from *cutoff* on
are needed; what lies behind *high* was taken after the checkpoint was written.

A damaged part may have held the definition of a series, or opened a session. Then the batches behind it that need it
cannot be applied, up to the next file, whose preamble says everything again: the gap reaches as far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from obsagent.clock import window_start
from obsagent.head.entries import Entry, Events, Frame, Records, Refused, SessionClose
from obsagent.limits import SAMPLE_FUTURE_LIMIT_MS, SAMPLE_PAST_LIMIT_MS, WINDOW_MS
from obsagent.segment.catalog import Checkpoint
from obsagent.segment.gaps import whole_windows
from obsagent.segment.tables import Gap

DAMAGED = "the journal is damaged"
MISSING = "a part of the journal is missing"
FOREVER_MS = (1 << 63) - 1
LOSSES_MAX = 50
"""So many are told apart; more of them are added to the last."""


@dataclass(slots=True)
class Loss:
    """A part of the journal that is lost: the windows that its own samples may be in, and those that it took along.

    It was taken before `taken_by_ms` and, as far as no checkpoint holds it, after `heard_ms`. While it is `open`,
    batches behind it may need what it defined.
    """

    reason: str
    from_ms: int = FOREVER_MS
    heard_ms: int = FOREVER_MS
    taken_by_ms: int = 0
    open: bool = True
    along_from_ms: int = FOREVER_MS
    along_to_ms: int = 0

    def add(self, other: Loss) -> None:
        """Take in a later one."""
        self.from_ms = min(self.from_ms, other.from_ms)
        self.heard_ms = min(self.heard_ms, other.heard_ms)
        self.taken_by_ms = max(self.taken_by_ms, other.taken_by_ms)
        self.open = self.open or other.open
        self.along_from_ms = min(self.along_from_ms, other.along_from_ms)
        self.along_to_ms = max(self.along_to_ms, other.along_to_ms)

    def gap(self, past_ms: int) -> Gap:
        """Both together; its own samples were at most `past_ms` old when they were taken."""
        own_ms = self.from_ms
        if self.heard_ms < FOREVER_MS:
            own_ms = min(own_ms, self.heard_ms - past_ms - WINDOW_MS)
        from_ms, to_ms = min(own_ms, self.along_from_ms), self.along_to_ms
        if own_ms < FOREVER_MS:
            to_ms = max(to_ms, self.taken_by_ms + SAMPLE_FUTURE_LIMIT_MS)
        return whole_windows(from_ms, to_ms, self.reason) if from_ms < to_ms else Gap(0, 0, self.reason)


class Losses:
    """Collects, while the journal is replayed in its order, what of it is lost."""

    def __init__(self, checkpoint: Checkpoint, now_ms: int) -> None:
        """`now_ms` is the time at which it is replayed: nothing was taken later."""
        self._mark = checkpoint.mark
        self._written_ms = checkpoint.written_ms
        self._now_ms = now_ms
        self._heard_ms = checkpoint.written_ms
        self._losses: list[Loss] = []
        self.lost_definitions = False
        """True if something is lost that may have defined a series."""

    def begin_file(self, *, preamble_is_whole: bool) -> None:
        """The next file begins, whose preamble says what everything before it has defined."""
        if preamble_is_whole:
            for loss in self._losses:
                loss.open = False
        else:
            self.lost_definitions = True
            self._append(Loss(DAMAGED))

    def missing(self, begin: int, end: int | None) -> None:
        """The entries from one position to another are in no file; without an end, all from there on."""
        self._add(Loss(MISSING, open=False), begin, end)

    def ended(self, position: int) -> bool:
        """The last file ends there; true if the checkpoint says that there has been more that is needed."""
        is_short = self._mark.low < self._mark.high and position < self._mark.high
        if is_short:
            self.missing(max(position, self._mark.low), self._mark.high)
        return is_short

    def damaged(self, begin: int, end: int) -> None:
        """The bytes of the entries from one position to another are damaged."""
        self.lost_definitions = True
        self._add(Loss(DAMAGED), begin, end)

    def _add(self, loss: Loss, begin: int, end: int | None) -> None:
        low, high, cutoff_ms = self._mark
        loss.taken_by_ms = self._now_ms
        if begin < high and (end is None or end > low):
            loss.from_ms = cutoff_ms
        if end is None or end > high:
            loss.heard_ms = self._heard_ms
        else:
            loss.taken_by_ms = self._written_ms
        self._append(loss)

    def _append(self, loss: Loss) -> None:
        if len(self._losses) < LOSSES_MAX:
            self._losses.append(loss)
        else:
            self._losses[-1].add(loss)

    def failed(self, entry: Entry, position: int, end: int) -> None:
        """A whole entry could not be applied."""
        if isinstance(entry, Events | Records):
            return
        if _at(entry) is None:
            self.damaged(position, end)
            return
        window = self._window_of(entry, position)
        if window is not None:
            self._append(Loss(DAMAGED, open=False, along_from_ms=window, along_to_ms=window + WINDOW_MS))

    def passed(self, entry: Entry, position: int) -> None:
        """An entry comes next: what it says of the times at which it and its neighbours were taken."""
        taken = _taken(entry)
        if taken is not None:
            self._heard_ms = max(self._heard_ms, taken[0])
            for loss in self._losses:
                loss.taken_by_ms = min(loss.taken_by_ms, taken[1])
        window = self._window_of(entry, position)
        if window is not None:
            for loss in self._losses:
                if loss.open:
                    loss.along_from_ms = min(loss.along_from_ms, window)
                    loss.along_to_ms = max(loss.along_to_ms, window + WINDOW_MS)

    def _window_of(self, entry: Entry, position: int) -> int | None:
        """The window into which an entry brings something; None if it brings nothing."""
        at_ms = _at(entry)
        if at_ms is None or position < self._mark.low:
            return None
        start_ms = window_start(at_ms)
        return None if position < self._mark.high and start_ms < self._mark.cutoff_ms else start_ms

    def gaps(self, reach_ms: int = 0) -> Iterator[Gap]:
        """The times of which something may be lost; `reach_ms` is how far back backfills may lie."""
        past_ms = max(reach_ms, SAMPLE_PAST_LIMIT_MS)
        return (loss.gap(past_ms) for loss in self._losses)


def _at(entry: Entry) -> int | None:
    """A time (ms) in the window that an entry is about."""
    match entry:
        case Frame():
            return entry.start_ms
        case Refused():
            return entry.window_ms
        case SessionClose():
            return entry.at_ms
    return None


def _taken(entry: Entry) -> tuple[int, int] | None:
    """Between which times (ms) an entry was taken; None if it does not say."""
    match entry:
        case Frame(is_backfill=False):
            return entry.end_ms - SAMPLE_FUTURE_LIMIT_MS, entry.end_ms + SAMPLE_PAST_LIMIT_MS
        case Refused():
            return entry.window_ms, entry.window_ms + WINDOW_MS
        case SessionClose():
            return entry.at_ms, entry.at_ms
    return None
