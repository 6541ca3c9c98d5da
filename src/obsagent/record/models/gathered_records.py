"""Predictions with ids, and kept rows, on their way into batches, which are put together ten times a second.

The call that predicts does no more than append: what it is in a batch is found out by the sender's thread, or, if there
are very many, by the thread that brings one too many.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.by_id import columns
from obsagent.by_id.batches import Predictions as Batch
from obsagent.by_id.batches import Rows
from obsagent.by_id.codec import ids_of
from obsagent.limits import (
    BATCH_INTERVAL_MS,
    FRAME_TARGET_BYTES,
    RECORD_NAMES_BYTES_MAX,
    RECORDS_PER_BATCH,
    TIME_MS_MAX,
)
from obsagent.record.models.columns import Dropped, Hashed
from obsagent.record.models.kept_rows import chosen, packed, random_id, row_of
from obsagent.record.models.predictions import items
from obsagent.record.models.record_values import column_of

if TYPE_CHECKING:
    from obsagent.record.models.feed import Feed
    from obsagent.record.models.given import Given
    from obsagent.record.models.predictions import Predictions
    from obsagent.record.records import RecordQueue

    Call = tuple[Predictions, int | Sequence[int]]
    """What was given, and when: monotonic milliseconds, or of each those since the epoch."""


class Keep(NamedTuple):
    """What decides if rows are kept: their ids, None if they have none, and whether their request has failed.

    `times_ms` are those since the epoch, None of now.
    """

    ids: Sequence[str] | None = None
    has_failed: bool = False
    times_ms: Sequence[int] | None = None


NOTHING_KNOWN = Keep()


class KeptRow(NamedTuple):
    """A row with its id, and when it was given: monotonic milliseconds, or those since the epoch."""

    id: str
    at_ms: int
    data: bytes


class GatheredRecords:
    """Thread-safe."""

    def __init__(self, queue: Callable[[], RecordQueue]) -> None:
        """`queue` gives that of the present session."""
        self._queue = queue
        self._lock = threading.Lock()
        self._calls: dict[Feed, list[Call]] = {}
        self._rows: dict[tuple[Feed, bool], list[KeptRow]] = {}
        self._row_bytes = 0
        self._sealed_ms = 0.0
        self.rows = 0
        """So many wait."""

    def begin_session(self) -> None:
        """What waits belongs to the session before; after a fork another thread may have held the lock."""
        self._lock = threading.Lock()
        self._calls, self._rows = {}, {}
        self.rows = self._row_bytes = 0

    def put(self, feed: Feed, made: Predictions, at_ms: int | Sequence[int]) -> None:
        """Takes in the predictions of one call."""
        with self._lock:
            calls = self._calls.get(feed)
            if calls is None:
                calls = self._calls[feed] = []
            calls.append((made, at_ms))
            self.rows += made.size
        if self.rows >= RECORDS_PER_BATCH:
            self.seal()

    def put_many(
        self, feed: Feed, made: Predictions, at_ms: int | Sequence[int], await_room: Callable[[], None]
    ) -> None:
        """Takes in the predictions of one call that are more than a batch holds, one batch after the other."""
        self._put(feed, [(made, at_ms)], is_stamped=not isinstance(at_ms, int), await_room=await_room)

    def keep(self, feed: Feed, given: Given, keep: Keep, at_ms: int = 0) -> None:
        """Takes in those of some rows that are to be kept; they are encoded at once, for they are few.

        `at_ms`: monotonic, of rows that do not say theirs.
        """
        rules, kept, lost = feed.rules, [], 0
        for row in chosen(rules.keep_rows, given.rows, keep.ids, has_failed=keep.has_failed):
            try:
                data = packed(row_of(given, row), rules)
            except Exception:  # of a value whose own methods raise; nothing of a request does
                data = None
            if data is None:
                lost += 1
            else:
                text = random_id() if keep.ids is None else keep.ids[row]
                kept.append(KeptRow(text, at_ms if keep.times_ms is None else keep.times_ms[row], data))
        if lost:
            self._queue().drop(lost)
        if not kept:
            return
        with self._lock:
            self._rows.setdefault((feed, keep.times_ms is not None), []).extend(kept)
            self._row_bytes += sum(len(each.data) for each in kept)
            self.rows += len(kept)
        if self.rows >= RECORDS_PER_BATCH or self._row_bytes >= FRAME_TARGET_BYTES:
            self.seal()

    def maybe_seal(self, now_ms: float) -> None:
        """As `seal`, ten times a second at most."""
        if self.rows and now_ms - self._sealed_ms >= BATCH_INTERVAL_MS:
            self._sealed_ms = now_ms
            self.seal()

    def seal(self) -> None:
        """What has come so far goes to the queue."""
        with self._lock:
            calls, self._calls = self._calls, {}
            rows, self._rows = self._rows, {}
            self.rows = self._row_bytes = 0
        queue = self._queue()
        for feed, of_calls in calls.items():
            now = [call for call in of_calls if isinstance(call[1], int)]
            then = [call for call in of_calls if not isinstance(call[1], int)]
            for part, is_stamped in ((now, False), (then, True)):
                self._put(feed, part, is_stamped=is_stamped)
        for (feed, is_stamped), of_feed in rows.items():
            for begin in range(0, len(of_feed), RECORDS_PER_BATCH):
                queue.put(_row_batch(feed, of_feed[begin : begin + RECORDS_PER_BATCH]), is_stamped=is_stamped)

    def _put(
        self, feed: Feed, calls: list[Call], *, is_stamped: bool, await_room: Callable[[], None] = lambda: None
    ) -> None:
        try:
            batches = list(_batches(feed, calls))
        except Exception:  # a value whose own methods raise costs these, and not whoever sends
            self._queue().drop(sum(made.size for made, _ in calls))
            return
        for batch in batches:
            await_room()
            self._queue().put(batch, is_stamped=is_stamped)


def _row_batch(feed: Feed, rows: list[KeptRow]) -> Rows:
    return Rows(
        *feed.identity,
        feed.slice,
        ids_of([each.id for each in rows]),
        columns.pack(columns.TIME, within_i64([each.at_ms for each in rows])),
        tuple(each.data for each in rows),
    )


def _batches(feed: Feed, calls: list[Call]) -> Iterator[Batch]:
    if isinstance(feed.value, Dropped):
        return  # nothing of what is predicted leaves the process
    ids: list[str] = []
    times: list[int] = []
    values: list[Any] = []
    scores: list[Any] = []
    for made, at_ms in calls:
        ids += made.ids  # type: ignore[arg-type]
        if made.is_one:
            times.append(at_ms if isinstance(at_ms, int) else at_ms[0])
            values.append(made.values)
            scores.append(made.scores)
        else:
            times += [at_ms] * made.size if isinstance(at_ms, int) else at_ms
            values += items(made.values, made)
            scores += items(made.scores, made) or [None] * made.size
    numbers = _numbers(scores if not isinstance(feed.score, Dropped) else [None] * len(scores))
    for begin in range(0, len(ids), RECORDS_PER_BATCH):
        part = slice(begin, begin + RECORDS_PER_BATCH)
        yield from _batch(feed, ids[part], times[part], values[part], numbers[part])


def _batch(feed: Feed, ids: list[str], times: list[int], values: list[Any], scores: list[float]) -> Iterator[Batch]:
    column = column_of(values, feed.rules.hash_key if isinstance(feed.value, Hashed) else b"")
    if column.values.names and sum(map(len, column.values.names)) > RECORD_NAMES_BYTES_MAX // 8 and len(ids) > 1:
        for half in (slice(0, len(ids) // 2), slice(len(ids) // 2, None)):
            yield from _batch(feed, ids[half], times[half], values[half], scores[half])
        return
    if column.is_known is not None:
        ids, times = list(compress(ids, column.is_known)), list(compress(times, column.is_known))
        scores = list(compress(scores, column.is_known))
    if not ids:
        return
    is_scored = not all(map(math.isnan, scores))
    yield Batch(
        *feed.identity,
        feed.slice,
        ids_of(ids),
        columns.pack(columns.TIME, within_i64(times)),
        column.values,
        columns.pack(columns.NUMBER, scores) if is_scored else b"",
    )


def within_i64(times_ms: list[int]) -> list[int]:
    """Times as they are, but for those that no agent takes: these are as late as it can be, or as early."""
    if not times_ms or 0 <= min(times_ms) <= max(times_ms) <= TIME_MS_MAX:
        return times_ms
    return [min(max(at_ms, 0), TIME_MS_MAX) for at_ms in times_ms]


def _numbers(scores: list[Any]) -> list[float]:
    """Of each prediction; NaN for what is none, and for one that is a list, as a ranking has it."""
    return scores if set(map(type, scores)) <= {float} else list(map(_score, scores))


def _score(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
