"""The client's Python thread: it takes sealed batches from the native drain and talks to the agent.

It waits in one of two places: inside the native recorder (without the GIL) while nothing is unacknowledged,
at the socket while something is. It never touches a sample.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from obsagent.limits import BATCH_INTERVAL_MS, GAUGE_INTERVAL_MS
from obsagent.record.conversation import Conversation, Speaker, monotonic_ms

if TYPE_CHECKING:
    from obsagent._native.ring import Recorder

ACK_WAIT_MS = 5
IDLE_WAIT_MS = 500
UNWELCOME_WAIT_MS = 20
GOODBYE_WAIT_MS = 200


class Counted:
    """A batch of the drain with counts that include what was queued beside it before."""

    __slots__ = ("_batch", "observed")

    def __init__(self, batch: Any, backfilled: int) -> None:
        """`backfilled`: samples."""
        self._batch = batch
        self.observed = batch.observed + backfilled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)


class Sender:
    """Runs one conversation in a thread of its own until `stop`."""

    def __init__(
        self,
        recorder: Recorder,
        speaker: Speaker,
        conversation: Conversation,
        before_sampling: Callable[[], object] = int,
    ) -> None:
        """Does nothing before `start`; `before_sampling` is called once a second, before the gauges' functions are."""
        self._before_sampling = before_sampling
        self._recorder = recorder
        self._speaker = speaker
        self._conversation = conversation
        self._stopping = False
        self._settled = threading.Condition()
        self._functions_ms = 0.0
        self._last: Any = None
        self._backfilled = 0
        self._backfill_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="obsagent-sender", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wait_for(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until something holds that the agent's answers change; False after `timeout_s`."""
        with self._settled:
            return self._settled.wait_for(holds, timeout_s)

    def wait_settled(self, samples: int, last_event: int, last_record: int, timeout_s: float) -> bool:
        """Waits until so many samples, and the events and records up to sequences, are acknowledged or given up.

        False after `timeout_s`.
        """
        outbox, events, records = self._speaker.outbox, self._speaker.events, self._speaker.records
        return self.wait_for(
            lambda: (
                outbox.settled_samples >= samples
                and events.first_kept > last_event
                and records.first_kept > last_record
            ),
            timeout_s,
        )

    def stop(self, timeout_s: float) -> None:
        """Says goodbye and ends the thread."""
        self._stopping = True
        self._recorder.wake()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            self._wait()
            self._collect()
            self._conversation.step()
            with self._settled:
                self._settled.notify_all()
        self._part()

    def _wait(self) -> None:
        speaker = self._speaker
        is_answered = not (speaker.outbox.waiting or speaker.events.waiting or speaker.records.waiting)
        if not is_answered or self._conversation.awaits_rules:
            self._conversation.poll(ACK_WAIT_MS)
            return
        batch = self._recorder.take(IDLE_WAIT_MS if self._conversation.welcomed else UNWELCOME_WAIT_MS)
        if batch is not None:
            self._queue(batch, int(monotonic_ms()))

    def _collect(self) -> None:
        now = monotonic_ms()
        if now - self._functions_ms >= GAUGE_INTERVAL_MS:
            self._functions_ms = now
            self._before_sampling()
            self._recorder.sample_functions()
        while (batch := self._recorder.take(0)) is not None:
            self._queue(batch, int(now))
        if self._is_backfill_due(now):
            self._backfill_ms = now
            self._queue_backfilled(int(now))
        if self._speaker.models is not None:
            self._speaker.models.gathered_records.maybe_seal(now)
        self._speaker.outbox.expire(int(now))

    def _queue(self, batch: Any, now_ms: int) -> None:
        """A batch of the drain, whose counts know nothing of what was queued beside them."""
        self._last = batch
        self._put(Counted(batch, self._backfilled) if self._backfilled else batch, now_ms)

    def _put(self, batch: Any, now_ms: int) -> None:
        self._speaker.outbox.put(batch, now_ms)

    def _is_backfill_due(self, now: float) -> bool:
        """What is of another time waits a little, so that a batch becomes of it and not of each call."""
        models = self._speaker.models
        is_urgent = self._stopping or (models is not None and models.has_urgent_backfill)
        return is_urgent or now - self._backfill_ms >= BATCH_INTERVAL_MS

    def _queue_backfilled(self, now_ms: int) -> None:
        """Batches of another time than now: their counts are those of the last batch before them, and their own."""
        models = self._speaker.models
        if models is None or models.backfill is None:
            return
        for batch in models.backfill.take():
            self._backfilled += batch.samples
            before = self._last or self._speaker.base_counts
            batch.observed = before.observed + self._backfilled
            batch.dropped_ring, batch.rejected_value = before.dropped_ring, before.rejected_value
            self._put(batch, now_ms)

    def _part(self) -> None:
        self._collect()  # what was sealed between the last round and the stop
        self._conversation.step()
        self._speaker.outbox.give_up_unsent()
        self._speaker.events.give_up_unsent()
        self._speaker.records.give_up_unsent()
        self._conversation.say_goodbye()
        deadline = monotonic_ms() + GOODBYE_WAIT_MS
        while self._conversation.welcomed and not self._conversation.goodbye_answered and monotonic_ms() < deadline:
            self._conversation.poll(ACK_WAIT_MS)
            self._conversation.step()
        self._conversation.close()
