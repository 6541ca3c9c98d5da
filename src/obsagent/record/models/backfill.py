"""What is of another time than now: `features(…, at=…)` and `predictions(…, at=…)`.

The rings know no time but the present. So rows and predictions with a time are gathered here, by the window that they
are of, and every tenth of a second made into batches of their own, which are queued beside those of the drain. For two
hours past windows are the agent's of ten seconds, as of all samples. What is older, but within the model's horizon, is
gathered by the hour: a *backfill*. What is older still, or lies ahead, is counted as rejected.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from obsagent.clock import window_start
from obsagent.errors import FeatureError
from obsagent.limits import (
    BACKFILL_COLUMNS,
    BACKFILL_VALUES,
    BACKFILL_WINDOW_MS,
    SAMPLE_FUTURE_LIMIT_MS,
    SAMPLE_PAST_LIMIT_MS,
)
from obsagent.record.models import frames
from obsagent.record.models.gathered import Gathered
from obsagent.record.models.predictions import Predictions

if TYPE_CHECKING:
    from obsagent._native.ring import Recorder
    from obsagent.record.agent_clock import AgentClock
    from obsagent.record.models.feed import Feed
    from obsagent.record.models.given import Given
    from obsagent.record.models.patience import Patience

MARGIN_MS = 60_000
"""What is about to be too old may be so when it arrives."""
Window = tuple[int, int]
"""When it begins (ms since the epoch), and how far back it may lie: 0 unless it is that of a backfill."""


class TimedBatch:
    """A batch of a time that was said, as the outbox keeps those of the drain; the counts come with its queueing."""

    observed = dropped_ring = rejected_value = 0

    def __init__(self, clock: AgentClock, gathered: Gathered) -> None:
        """`clock` is how milliseconds since the epoch become the monotonic ones of other batches."""
        self._clock = clock
        self._start_ms = gathered.first_ms
        self._end_ms = gathered.last_ms
        self.body = gathered.body()
        self.samples = gathered.samples
        self.reach_ms = gathered.reach_ms

    @property
    def start_ns(self) -> int:
        """Where it begins, monotonic."""
        return self._monotonic_ns(self._start_ms)

    @property
    def end_ns(self) -> int:
        """Of the latest row or prediction."""
        return self._monotonic_ns(self._end_ms)

    def _monotonic_ns(self, at_ms: int) -> int:
        return int((at_ms + 0.5 - self._clock.offset_ms) * 1e6)  # in the middle: it is rounded down again


class Backfill:
    """What waits for the sender's thread. Thread-safe; `samples` is what was ever put in."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Callable[[], AgentClock],
        wall_s: Callable[[], float] = time.time,
        patience: Patience | None = None,
    ) -> None:
        """`clock` is that of the present session; None has no patience."""
        self._recorder = recorder
        self._patience = patience
        self._clock = clock
        self._wall_s = wall_s
        self.begin_session()

    def begin_session(self) -> None:
        """Whatever waits belongs to the session before; after a fork another thread may have held the lock."""
        self._lock = threading.Lock()
        self._gathered: dict[tuple[Feed, Window], Gathered] = {}
        self._values = self._columns = 0
        self._waiting: deque[TimedBatch] = deque()
        self._made = 0
        self.is_urgent = False

    @property
    def samples(self) -> int:
        """Of this session."""
        with self._lock:
            return self._made + sum(gathered.samples for gathered in self._gathered.values())

    def record(self, feed: Feed, what: Given | Predictions, times_ms: Sequence[int], *, may_wait: bool = False) -> None:
        """Gathers rows or predictions; what is too old or too far ahead is counted as rejected samples.

        With `may_wait` what is too much for the queue waits for room, which the sender's thread must not.
        """
        of_window = self._windows(times_ms, feed.rules.horizon_ms)
        refused = of_window.pop(None, [])
        if refused:
            self._recorder.reject(samples_of(what.chosen(refused)))
        is_first = not self._values
        for window, indices in of_window.items():
            times = [times_ms[index] for index in indices]
            self._gather(feed, window or (0, 0), what.chosen(indices), min(times), max(times))
            if self._values > BACKFILL_VALUES or self._columns > BACKFILL_COLUMNS:
                self._make_batches()
                self._recorder.wake()
                if may_wait and self._patience is not None:
                    self.hurry()
                    self._patience.await_room(lambda: not self._waiting)
        if is_first:
            self._recorder.wake()

    def _windows(self, times_ms: Sequence[int], horizon_ms: int) -> dict[Window | None, Sequence[int]]:
        """Window → which of the times are in it; None for those of which nothing is taken."""
        now_ms = self._wall_s() * 1000
        if len(set(times_ms)) == 1:
            return {_window_of(times_ms[0], now_ms, horizon_ms): range(len(times_ms))}
        found: dict[Window | None, list[int]] = {}
        for index, at_ms in enumerate(times_ms):
            found.setdefault(_window_of(at_ms, now_ms, horizon_ms), []).append(index)
        return dict(found)

    def _gather(self, feed: Feed, window: Window, what: Given | Predictions, first_ms: int, last_ms: int) -> None:
        start_ms, reach_ms = window
        with self._lock:
            gathered = self._gathered.get((feed, window))
            if gathered is None:
                gathered = Gathered(feed, start_ms if reach_ms else first_ms, reach_ms)
                self._gathered[feed, window] = gathered
            before = len(gathered.columns)
            what.record(gathered)
            self._columns += len(gathered.columns) - before
            gathered.note_times(first_ms, last_ms)
            self._values += samples_of(what)

    def hurry(self) -> None:
        """Somebody waits for what was recorded so far."""
        self.is_urgent = True
        self._recorder.wake()

    def _make_batches(self) -> None:
        with self._lock:
            gathered, self._gathered = self._gathered, {}
            self._made += sum(each.samples for each in gathered.values())
            self._values = self._columns = 0
        for each in gathered.values():
            self._waiting.append(TimedBatch(self._clock(), each))

    def take(self) -> Iterator[TimedBatch]:
        """What has come since; of the sender's thread."""
        self.is_urgent = False
        self._make_batches()
        while self._waiting:
            yield self._waiting.popleft()


def samples_of(what: Given | Predictions) -> int:
    """How many samples it becomes: each value, and one of the counter for each row or prediction."""
    return what.samples + what.size if isinstance(what, Predictions) else what.values + what.rows


def _window_of(at_ms: int, now_ms: float, horizon_ms: int) -> Window | None:
    if not 0 <= at_ms <= now_ms + SAMPLE_FUTURE_LIMIT_MS:
        return None
    if at_ms >= now_ms - SAMPLE_PAST_LIMIT_MS + MARGIN_MS:
        return window_start(at_ms), 0
    if at_ms >= now_ms - horizon_ms + MARGIN_MS:
        return at_ms - at_ms % BACKFILL_WINDOW_MS, horizon_ms
    return None


def times_of(at: Any, count: int) -> list[int]:
    """When each row or prediction was, in ms since the epoch; raises `FeatureError` for what is no time."""
    if isinstance(at, (int, float)) or hasattr(at, "timestamp"):
        return [_milliseconds(at)] * count
    try:
        each: list[Any] = frames.items_of(at) if frames.is_series(at) else list(getattr(at, "tolist", lambda: at)())
    except TypeError:
        raise _no_time(at) from None
    if len(each) != count:
        raise FeatureError(f"{len(each)} times for {count} rows or predictions")
    if set(map(type, each)) == {float} and math.isfinite(sum(each)):
        return [int(seconds * 1000) for seconds in each]
    return [_milliseconds(one) for one in each]


def _milliseconds(at: Any) -> int:
    try:
        seconds = at.timestamp() if hasattr(at, "timestamp") else float(at)
    except (TypeError, ValueError):
        raise _no_time(at) from None
    if isinstance(at, str) or not math.isfinite(seconds):
        raise _no_time(at)
    return int(seconds * 1000)


def _no_time(at: object) -> FeatureError:
    return FeatureError(f"at= takes seconds since the epoch or a datetime, for all or of each, not {at!r:.100}")
