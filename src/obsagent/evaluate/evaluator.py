"""Judges every window that has come to its end, and every hour and day.

What is due is found in the view: of each stream the windows behind the last one that was judged. So it does not matter
how long nobody has looked, or whether the time is now or that of a replay. What comes for a window after it was judged
counts in its hour and in its day.

A stream that fails does not keep the others from being judged, and none takes more than its share of the time: what is
left over is judged at the next look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from obsagent.answer.expected import References
from obsagent.evaluate.baselines import Baselines
from obsagent.evaluate.counts import Bins, Stream, View, collect, expects, streams_of
from obsagent.evaluate.family import Alarm, ChartKey, Evidence, Family
from obsagent.evaluate.gathering import Budget, Gathering, Read
from obsagent.evaluate.levels import LEVELS, WINDOW, Level
from obsagent.evaluate.progress import Progress, progress_of
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import Counted, Judged, State
from obsagent.limits import DRIFT_LOOK_S, DRIFT_SAMPLES_MIN, TIER_RETENTION_MS

logger = logging.getLogger(__name__)

FORGET_MS = 30 * 86_400_000
"""Charts of features that have not come for so long are forgotten."""
IDLE_LOOK_MAX_MS = 60_000


@dataclass(frozen=True, slots=True)
class Told:
    """One e-value, to be stored: `log_e` natural, at the time of the window that it is of."""

    judged: Judged
    key: ChartKey
    level: Level
    to_ms: int
    log_e: float


@dataclass(slots=True)
class Look:
    """What one look has found."""

    told: list[Told] = field(default_factory=list)
    raised: list[tuple[Judged, Alarm]] = field(default_factory=list)
    windows: int = 0
    troubles: dict[Judged, str] = field(default_factory=dict)
    is_behind: bool = False
    """True if the time did not do for all that is due."""
    progress: list[Progress] = field(default_factory=list)


@dataclass(slots=True)
class _Watched:
    """What is known of a stream in this process."""

    baselines: Baselines
    newest_ms: int = 0
    """End of the newest window with a sample."""
    grown_at_ms: int = 0
    """When, on the monotonic clock, that was found."""
    quiet_until_ms: int = 0
    """Until when, on the monotonic clock, nobody looks again."""
    behind_ms: int = 0
    """How much lies behind the first window that the last look had no time for."""
    begun: dict[str, Gathering] = field(default_factory=dict)
    """Windows that were not read to their end, by level."""

    def gathering(self, level: Level, from_ms: int) -> Gathering:
        """The counts of a window, as far as they have been read."""
        begun = self.begun.get(level.name)
        if begun is None or begun.from_ms != from_ms:
            begun = self.begun[level.name] = Gathering(from_ms, from_ms + level.window_ms)
        return begun


class Evaluator:
    """Judges streams and keeps their state. One thread after the other may look."""

    def __init__(
        self,
        state: State,
        references: References,
        settings: Callable[[str], Settings],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        counts_again: bool = True,
    ) -> None:
        """`settings` says how a model is judged. Without `counts_again` alarms up to the first look's now are known.

        They are those that a lost state had counted.
        """
        self.state = state
        self.references = references
        self._settings = settings
        self._monotonic = monotonic
        self._counted_up_to_ms = 0 if counts_again else -1
        self._watched: dict[Judged, _Watched] = {}
        self._streams: tuple[int, dict[Judged, Stream]] = (-1, {})
        self._turn = 0

    def look(self, view: View, now_ms: int, budget_s: float = DRIFT_LOOK_S) -> Look:
        """Judges what is due, as of `now_ms` on the wall clock; the state is then another, if there were windows."""
        if self._counted_up_to_ms < 0:
            self._counted_up_to_ms = now_ms
        found = Look()
        streams = self._streams_of(view)
        end = self._monotonic() + budget_s
        for left, (judged, stream) in zip(range(len(streams), 0, -1), self._turned(streams), strict=True):
            until = self._monotonic() + max(0.0, end - self._monotonic()) / left
            try:
                self._judge(view, stream, now_ms, until, found)
            except Exception as error:  # whatever it is: the other streams are judged, and this one is tried again
                logger.debug("%s cannot be judged", judged, exc_info=True)
                found.troubles[judged] = f"{type(error).__name__}: {error}"
        found.progress = [self._progress(stream, found) for _, stream in sorted(streams.items())]
        return found

    def _progress(self, stream: Stream, found: Look) -> Progress:
        watched = self._watched[stream.judged]
        families = self.state.families(stream.judged)
        trouble = found.troubles.get(stream.judged, "")
        return progress_of(stream, families, watched.newest_ms, watched.behind_ms, trouble)

    def _streams_of(self, view: View) -> dict[Judged, Stream]:
        series = list(view.series())
        if self._streams[0] != len(series):
            self._streams = len(series), streams_of(series)
        return self._streams[1]

    def _turned(self, streams: dict[Judged, Stream]) -> list[tuple[Judged, Stream]]:
        """In another order every time, so that the first one does not always come first."""
        every = sorted(streams.items())
        self._turn += 1
        turn = self._turn % len(every) if every else 0
        return every[turn:] + every[:turn]

    def forget_references(self) -> None:
        """References or settings are others now: what was made of them is made anew."""
        self._watched = {judged: _Watched(Baselines(self.references)) for judged in self._watched}

    def _judge(self, view: View, stream: Stream, now_ms: int, until: float, found: Look) -> None:
        watched = self._watched.setdefault(stream.judged, _Watched(Baselines(self.references)))
        settings = self._settings(stream.judged.model)
        watched.baselines.take(settings)
        self.state.settings[stream.judged.model] = settings
        families = self.state.families(stream.judged)
        budget = Budget(self._monotonic, until)
        watched.behind_ms = 0
        self._look_for_news(view, stream, watched, now_ms)
        for level in LEVELS:
            family = families[level.name]
            for from_ms in self._due(view, family, watched, now_ms):
                is_over = budget.is_over and found.windows
                if is_over or not self._judge_window(view, stream, family, from_ms, budget, found):
                    found.is_behind = True
                    watched.behind_ms = max(level.window_ms, watched.newest_ms - from_ms)
                    return

    def _look_for_news(self, view: View, stream: Stream, watched: _Watched, now_ms: int) -> None:
        """Looks for the newest sample; seldom where nothing has come for long."""
        now = int(self._monotonic() * 1000)
        if now < watched.quiet_until_ms:
            return
        newest_ms = _newest_ms(view, stream, [watched.newest_ms] if watched.newest_ms else _probes(now_ms))
        if newest_ms > watched.newest_ms or not watched.grown_at_ms:
            watched.newest_ms, watched.grown_at_ms = max(newest_ms, watched.newest_ms), now
        else:
            watched.quiet_until_ms = now + min(IDLE_LOOK_MAX_MS, (now - watched.grown_at_ms) // 10)

    def _due(self, view: View, family: Family, watched: _Watched, now_ms: int) -> Sequence[int]:
        """The windows of a level that have ended and that nothing more is expected for, of which anything is stored."""
        level, newest_ms = family.level, watched.newest_ms
        if not newest_ms:
            return ()
        if not family.next_ms:
            family.next_ms = _up(max(0, min(newest_ms, now_ms) - level.again_ms), level.window_ms)
        first_ms = family.next_ms
        if level is WINDOW:  # windows that are older have been rolled up
            first_ms = max(first_ms, _up(now_ms - TIER_RETENTION_MS[0] + level.again_ms, level.window_ms))
        idle_ms = int(self._monotonic() * 1000) - watched.grown_at_ms
        complete_ms = newest_ms if idle_ms > level.idle_ms else newest_ms - level.window_ms
        to_ms = min(now_ms - level.delay_ms - level.window_ms + 1, complete_ms)
        return view.starts(first_ms, to_ms, level.window_ms) if first_ms < to_ms else ()

    def _judge_window(
        self, view: View, stream: Stream, family: Family, from_ms: int, budget: Budget, found: Look
    ) -> bool:
        """One window; False if the time did not do to read it. Else, whatever comes of it, it is over with."""
        level, watched = family.level, self._watched[stream.judged]
        family.next_ms = from_ms + level.window_ms
        expected_of = expects(self.references)
        gathering = watched.gathering(level, from_ms)
        read: Read = lambda begin_ms, end_ms: collect(view, stream, begin_ms, end_ms, expected_of)  # noqa: E731
        is_read = gathering.go_on(read, budget)
        counts = {key: bins for key, bins in gathering.counts.items() if sum(bins) >= DRIFT_SAMPLES_MIN}
        if not is_read or not watched.baselines.prepare(level, counts, read, from_ms, budget):
            family.next_ms = from_ms
            return False
        del watched.begun[level.name]
        evidence = dict(_evidence(watched.baselines, level, counts))
        if evidence:
            self._take(stream.judged, family, from_ms, evidence, found)
        return True

    def _take(
        self, judged: Judged, family: Family, from_ms: int, evidence: dict[ChartKey, Evidence], found: Look
    ) -> None:
        """The evidence of one window."""
        level, to_ms, settings = family.level, from_ms + family.level.window_ms, self._settings(judged.model)
        found.windows += 1
        run_length = settings.run_length(level)
        raised, ended = family.judge(evidence, from_ms, to_ms, alpha=settings.alpha, run_length=run_length)
        family.forget(to_ms - FORGET_MS)
        self.state.has_ended(judged, ended)
        found.told += [Told(judged, key, level, to_ms, each.log_e) for key, each in evidence.items()]
        for alarm in raised:
            self._raise(judged, alarm, found)

    def _raise(self, judged: Judged, alarm: Alarm, found: Look) -> None:
        """An alarm counts once, at the first level that raises it."""
        families = self.state.families(judged)
        others = [family for name, family in families.items() if name != alarm.level]
        if any(alarm.key in family.alarms for family in others) or alarm.raised_ms <= self._counted_up_to_ms:
            return
        self.state.totals[Counted(judged, alarm.feature, alarm.slice, alarm.level)] += 1
        found.raised.append((judged, alarm))


def _up(at_ms: int, step_ms: int) -> int:
    return -(-at_ms // step_ms) * step_ms


def _probes(now_ms: int) -> list[int]:
    """Since when the newest sample of a stream is looked for that nobody has looked at yet: few are old."""
    return [*(max(0, now_ms - level.again_ms) for level in LEVELS), 0]


def _newest_ms(view: View, stream: Stream, since: Iterable[int]) -> int:
    """End of the newest window with a sample since the first of these times that there is any after; 0 if none is."""
    series = [each.id for each in stream.series]
    for from_ms in since:
        seen = view.last_samples(series, from_ms)
        if seen:
            return max(end_ms for _, end_ms in seen.values())
    return 0


def _evidence(baselines: Baselines, level: Level, counts: dict[ChartKey, Bins]) -> Iterator[tuple[ChartKey, Evidence]]:
    """Of what has enough samples: fewer say next to nothing; their hour and their day will."""
    for key, bins in counts.items():
        null = baselines.null(level, key)
        if null is not None:
            yield key, Evidence(null.log_e_value(bins), int(sum(bins)))
