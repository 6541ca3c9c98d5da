"""What turned out to be true: `model.truths(ids, values)` waits until the agent has it on disk, and loses nothing.

Calls of one client take turns, so that each can be told what became of its own truths.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from obsagent.by_id import columns
from obsagent.by_id.batches import Truths
from obsagent.by_id.codec import ids_of
from obsagent.by_id.report import TruthReport
from obsagent.errors import FeatureError, PendingTruths
from obsagent.limits import RECORD_NAMES_BYTES_MAX, RECORDS_PER_BATCH
from obsagent.record.models.backfill import times_of
from obsagent.record.models.gathered_records import within_i64
from obsagent.record.models.predictions import checked_ids, column_items
from obsagent.record.models.record_values import column_of
from obsagent.wire.rules import VALUE

if TYPE_CHECKING:
    from obsagent.record.models.model import Model
    from obsagent.record.models.models import Models
    from obsagent.record.models.patience import WaitFor
    from obsagent.record.records import RecordQueue


class TruthDesk:
    """Hands the truths of one client to its queue, and waits for their acknowledgement. Thread-safe."""

    def __init__(self, queue: Callable[[], RecordQueue], wait_for: WaitFor, monotonic_ms: Callable[[], float]) -> None:
        """`queue` gives that of the present session; `monotonic_ms` is the clock of what is known just now."""
        self._queue = queue
        self._wait_for = wait_for
        self._monotonic_ms = monotonic_ms
        self._turn = threading.Lock()
        self.on_truths: Callable[[Model, list[str], list[Any], Sequence[int] | None], object] | None = None
        """Is told of the truths that are given: model, ids, values, and when (ms), None for now."""

    def after_fork(self) -> None:
        """In the child: another thread may have had its turn."""
        self._turn = threading.Lock()

    def tell(self, models: Models, model: Model, ids: Any, values: Any, at: Any, timeout_s: float) -> TruthReport:
        """As `Model.truths`."""
        deadline = time.monotonic() + timeout_s
        given, texts = column_items("values", values), checked_ids(ids)
        if len(texts) != len(given):
            raise FeatureError(f"{len(texts)} ids for {len(given)} truths")
        times = [int(self._monotonic_ms())] * len(given) if at is None else times_of(at, len(given))
        if self.on_truths is not None:
            self.on_truths(model, texts, given, None if at is None else times)
        if not given:
            return TruthReport()
        batches = list(_batches(model.name, texts, given, times, self._hash_key(models, model, deadline)))
        rejected = len(given) - sum(len(batch.ids) for batch in batches)
        if not self._turn.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise PendingTruths("other truths of this process are still waiting for the agent; none of these was sent")
        try:
            report = self._deliver(batches, deadline, is_stamped=at is not None)
        finally:
            self._turn.release()
        return report._replace(rejected=report.rejected + rejected)

    def _hash_key(self, models: Models, model: Model, deadline: float) -> bytes:
        """That of the model's rules if predicted values are hashed: truths are classes of the same names then."""
        if model.rules is None:
            models.learn()
            models.wait_for_rules(model, max(deadline - time.monotonic(), 0.0))
        rules = model.rules
        if rules is None:
            raise PendingTruths(f"the agent has not answered in time: none of the truths of {model.name} was sent")
        if VALUE in rules.drop:
            raise FeatureError(f"the agent's configuration drops {VALUE} of {model.name}: so its truths stay here too")
        return rules.hash_key if VALUE in rules.hash else b""

    def _deliver(self, batches: Sequence[Truths], deadline: float, *, is_stamped: bool) -> TruthReport:
        queue = self._queue()
        self._await(queue, lambda: not queue.truths_waiting, deadline, len(batches))  # of a call that gave up
        before, last = queue.report, 0
        for number, batch in enumerate(batches):
            while (put := queue.put_truths(batch, is_stamped=is_stamped)) is None:
                self._await(queue, lambda: queue.has_room_for_truths, deadline, len(batches) - number)
            last = put
        self._await(queue, lambda: queue.acknowledged_sequence >= last, deadline, len(batches))
        return queue.report.minus(before)

    def _await(self, queue: RecordQueue, holds: Callable[[], bool], deadline: float, batches: int) -> None:
        if self._wait_for(lambda: holds() or queue.is_refused, max(deadline - time.monotonic(), 0.0)) and holds():
            return
        queue.withdraw_truths()
        if queue.is_refused:
            raise PendingTruths("this agent is older than its client and takes no truths: upgrade it")
        raise PendingTruths(
            "the agent has not acknowledged the truths in time. Give them again later: what it has taken by then "
            "counts as duplicate, and nothing twice"
        )


def _batches(model: str, ids: list[str], values: list[Any], times: Sequence[int], hash_key: bytes) -> Iterator[Truths]:
    for begin in range(0, len(ids), RECORDS_PER_BATCH):
        part = slice(begin, begin + RECORDS_PER_BATCH)
        yield from _batch(model, ids[part], values[part], times[part], hash_key)


def _batch(model: str, ids: list[str], values: list[Any], times: Sequence[int], hash_key: bytes) -> Iterator[Truths]:
    column = column_of(values, hash_key)
    if column.values.names and sum(map(len, column.values.names)) > RECORD_NAMES_BYTES_MAX // 8 and len(ids) > 1:
        for half in (slice(0, len(ids) // 2), slice(len(ids) // 2, None)):
            yield from _batch(model, ids[half], values[half], times[half], hash_key)
        return
    if column.is_known is not None:
        ids, times = list(compress(ids, column.is_known)), list(compress(times, column.is_known))
    if ids:
        yield Truths(model, ids_of(ids), columns.pack(columns.TIME, within_i64(list(times))), column.values)
