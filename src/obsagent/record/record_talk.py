"""The part of a conversation that is about records: what is sent of the queue, and what the agent says became of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from obsagent.by_id.report import TruthReport
from obsagent.wire.frame import MessageKind, pack

if TYPE_CHECKING:
    from obsagent.record.records import RecordQueue
    from obsagent.wire.frame import Welcome


class RecordTalk:
    """Of one client. What was acknowledged in sessions before this one is not counted in this one's sequences."""

    def __init__(self, queue: RecordQueue) -> None:
        """Nothing was said so far."""
        self._queue = queue
        self._before = 0
        self._told = TruthReport()
        self._has_warned = False

    def open(self) -> None:
        """A new conversation begins."""
        self._queue.rewind()

    def is_forgotten(self, welcome: Welcome) -> bool:
        """True if the agent knows less than has been acknowledged."""
        return welcome.records is not None and self._before + welcome.records < self._queue.acknowledged_sequence

    def begin_anew(self) -> None:
        """A new session: its sequences, and what is said of its truths, begin at what was acknowledged."""
        self._before = self._queue.acknowledged_sequence
        self._told = TruthReport()

    def welcomed(self, welcome: Welcome) -> None:
        """The agent has said how far it has come, or that it takes no records."""
        if welcome.records is None:
            self._queue.refuse()
        else:
            self._queue.accept()
            self.acknowledged(welcome.records, welcome.report)

    def acknowledged(self, sequence: int, report: TruthReport) -> None:
        """All up to a sequence is on disk; `report` is of all the session's truths up to there."""
        self._queue.acknowledge(self._before + sequence, report.minus(self._told))
        self._told = report

    def send(self, send: Callable[[bytes, bytes], bool], session: bytes, offset_ms: float, batches: int) -> bool:
        """Sends at most so many batches; False if the socket takes no more now."""
        if self._queue.is_refused:
            self._warn()
            return True
        for _ in range(batches):
            entry = self._queue.next_unsent()
            if entry is None:
                return True
            first, kept = entry.sequence - self._before, self._queue.first_kept - self._before
            header = pack(MessageKind(entry.kind), s=session, q=first, f=kept, n=entry.rows)
            if not send(header, entry.body(offset_ms)):
                return False
            self._queue.mark_sent(entry)
        return True

    def _warn(self) -> None:
        if self._queue.dropped and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                "this agent is older than its client and keeps nothing by the ids of requests: predictions wait for no "
                "truths, which is counted as dropped_records; upgrade it",
                RuntimeWarning,
                stacklevel=2,
            )
