"""Predictions of another time than now: `predictions(…, at=…)`.

The rings know no time but the present. So such predictions are made into batches of their own here, one for each
window, with the time that they are of, and queued beside those of the drain. The agent takes them for two hours past,
as it does all samples; what is older, or lies ahead, is counted as rejected.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from obsagent._native.codec import BodyWriter
from obsagent.clock import window_start
from obsagent.errors import FeatureError
from obsagent.limits import CATEGORY_BYTES_MAX, SAMPLE_FUTURE_LIMIT_MS, SAMPLE_PAST_LIMIT_MS
from obsagent.record.models import frames
from obsagent.record.models.columns import Dropped, Hashed, category_text, hashed
from obsagent.wire.rules import SCORE, VALUE, ColumnRule

if TYPE_CHECKING:
    from obsagent._native.ring import Recorder
    from obsagent.record.agent_clock import AgentClock
    from obsagent.record.models.feed import Feed
    from obsagent.record.models.predictions import Predictions

MARGIN_MS = 60_000
"""What is about to be too old may be so when it arrives."""
EMPTY_BODY = b"\x01"


class TimedBatch:
    """A batch of a time that was said, as the outbox keeps those of the drain; the counts come with its queueing."""

    observed = dropped_ring = rejected_value = 0

    def __init__(self, clock: AgentClock, start_ms: int, end_ms: int, body: bytes, samples: int) -> None:
        """Milliseconds since the epoch; `clock` is how they become the monotonic ones of other batches."""
        self._clock = clock
        self._start_ms = start_ms
        self._end_ms = end_ms
        self.body = body
        self.samples = samples

    @property
    def start_ns(self) -> int:
        """Of the earliest prediction, monotonic."""
        return self._monotonic_ns(self._start_ms)

    @property
    def end_ns(self) -> int:
        """Of the latest one."""
        return self._monotonic_ns(self._end_ms)

    def _monotonic_ns(self, at_ms: int) -> int:
        return int((at_ms + 0.5 - self._clock.offset_ms) * 1e6)  # in the middle: it is rounded down again

    def body_without_columns(self) -> tuple[bytes, int]:
        """Nothing is left for an agent that knows no columns."""
        return EMPTY_BODY, self.samples


class Backfill:
    """Batches that wait for the sender's thread. Thread-safe; `samples` is what was ever put in."""

    def __init__(
        self, recorder: Recorder, clock: Callable[[], AgentClock], wall_s: Callable[[], float] = time.time
    ) -> None:
        """`clock` is that of the present session."""
        self._recorder = recorder
        self._clock = clock
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._waiting: deque[TimedBatch] = deque()
        self.samples = 0

    def begin_session(self) -> None:
        """Whatever waits belongs to the session before; after a fork another thread may have held the lock."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self.samples = 0

    def record(self, feed: Feed, made: Predictions, times_ms: Sequence[int]) -> None:
        """Makes batches of predictions, and of what is too old or too far ahead rejected samples."""
        now_ms = self._wall_s() * 1000
        low, high = now_ms - SAMPLE_PAST_LIMIT_MS + MARGIN_MS, now_ms + SAMPLE_FUTURE_LIMIT_MS
        of_window: dict[int, list[int]] = {}
        for index, at_ms in enumerate(times_ms):
            if low <= at_ms <= high:
                of_window.setdefault(window_start(at_ms), []).append(index)
        taken = sum(map(len, of_window.values()))
        if taken < made.size:
            self._recorder.reject((made.size - taken) * (made.samples // made.size + 1))
        values, scores = items(made.values, made), items(made.scores, made)
        for indices in of_window.values():
            times = [times_ms[index] for index in indices]
            body, samples = _body(feed, [values[i] for i in indices], [scores[i] for i in indices] if scores else [])
            self._put(TimedBatch(self._clock(), min(times), max(times), body, samples))
        self._recorder.wake()

    def _put(self, batch: TimedBatch) -> None:
        with self._lock:
            self.samples += batch.samples
            self._waiting.append(batch)

    def take(self) -> Iterator[TimedBatch]:
        """What has come since; of the sender's thread."""
        while self._waiting:
            yield self._waiting.popleft()


def times_of(at: Any, count: int) -> list[int]:
    """When each prediction was made, in milliseconds since the epoch; raises `FeatureError` for what is no time."""
    if isinstance(at, (int, float)) or hasattr(at, "timestamp"):
        return [_milliseconds(at)] * count
    try:
        each = frames.items_of(at) if frames.is_series(at) else at.tolist() if hasattr(at, "tolist") else list(at)
    except TypeError:
        raise _no_time(at) from None
    if len(each) != count:
        raise FeatureError(f"{len(each)} times for {count} predictions")
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


def items(column: Any, made: Predictions) -> list[Any]:
    """The values of a column of predictions, one by one."""
    if column is None:
        return []
    if made.is_one:
        return [column]
    if isinstance(column, (list, tuple)):
        return list(column)
    found: list[Any] = frames.items_of(column) if frames.is_series(column) else column.tolist()
    return found


def _body(feed: Feed, values: list[Any], scores: list[Any]) -> tuple[bytes, int]:
    """A body of these, and how many samples it holds."""
    writer = BodyWriter()
    writer.put_counter(feed.predicted.series, len(values), float(len(values)))
    samples = len(values)
    for name, column, given in ((VALUE, feed.value, values), (SCORE, feed.score if scores else None, scores)):
        if given and column is not None and not isinstance(column, Dropped):
            _put_column(writer, feed, name, column, given)
            samples += len(given)
    return writer.take(), samples


def _put_column(writer: BodyWriter, feed: Feed, name: str, column: Any, given: list[Any]) -> None:
    rule = feed.rules.outputs.get(name) or ColumnRule("")
    key = feed.rules.hash_key if isinstance(column, Hashed) else b""
    numbers: list[float] = []
    categories: list[str] = []
    nulls = wrong_types = 0
    for value in given:
        kind, found = _told_apart(value, rule.kind, key)
        if kind == "number":
            numbers.append(found)
        elif kind == "category":
            categories.append(found)
        elif kind == "null":
            nulls += 1
        else:
            wrong_types += 1
    writer.put_column(
        column.series,
        numbers,
        categories,
        edges=rule.edges if rule.edges and not key else None,
        names=[hashed(each, key) if key else each for each in rule.categories] or None,
        nulls=nulls,
        wrong_types=wrong_types,
    )


def _told_apart(value: Any, expected: str, key: bytes) -> tuple[str, Any]:
    """What a value is in a column, as `obsagent._native.ring.Column` has it."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return "null", None
    if key:
        return ("null", None) if value != value else ("category", hashed(value, key))
    if isinstance(value, str):
        if expected == "number" or len(value.encode("utf-8", "replace")) > CATEGORY_BYTES_MAX:
            return "wrong type", None
        return "category", value.encode("utf-8", "replace").decode()
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return "wrong type", None
    if expected != "category":
        return "number", number
    return ("null", None) if number != number else ("category", category_text(value))
