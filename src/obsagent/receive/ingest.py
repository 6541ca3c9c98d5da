"""From a message to an entry in the journal: decode, check, admit, settle, write once.

Every decision is made here, before the entry is written, so that a replay of the journal decides nothing.
Belongs to the ingest thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from obsagent._native.codec import check_body
from obsagent.clock import Clock, window_start
from obsagent.errors import CorruptData, ProtocolError, StoreError, UnsupportedVersion
from obsagent.limits import (
    SAMPLE_FUTURE_LIMIT_MS,
    SAMPLE_PAST_LIMIT_MS,
    SERIES_PER_METRIC,
    SERIES_TOTAL,
    SESSIONS_MAX,
)
from obsagent.receive.acks import Ack, PendingAcks
from obsagent.receive.admit import Admission
from obsagent.receive.events import take_events
from obsagent.receive.settle import settle
from obsagent.receive.sink import LiveSession, Refusal, Sink
from obsagent.wire.frame import (
    Header,
    MessageKind,
    SamplesHeader,
    not_taken,
    pack,
    read_counts,
    read_definitions,
    read_events,
    read_hello,
    read_refused_labels,
    read_samples,
    session_of,
    unpack,
)

if TYPE_CHECKING:
    from obsagent.wire.socket import Parts

logger = logging.getLogger(__name__)

LOG_EVERY_MS = 10_000
Reply = Callable[[bytes, bytes], object]


class Ingest:
    """Handles the messages of all clients."""

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        reply: Reply,
        scales: Mapping[str, int],
        series_caps: tuple[int, int] = (SERIES_PER_METRIC, SERIES_TOTAL),
    ) -> None:
        """`reply(identity, header)` sends to a peer; `scales` are the histogram scales by metric.

        `series_caps` are the budgets of a metric and of all, which clients are told.
        """
        self._sink = sink
        self._clock = clock
        self._reply = reply
        self._scales = dict(scales)
        self._series_caps = list(series_caps)
        self._admission = Admission(sink)
        self._acks = PendingAcks()
        self._logged_ms = -LOG_EVERY_MS
        self.malformed = 0
        self.unsupported = 0
        self.messages = 0
        self._handlers: dict[MessageKind, Callable[[bytes, Header, Any], None]] = {
            MessageKind.HELLO: self._hello,
            MessageKind.DEFINE: self._define,
            MessageKind.SAMPLES: self._samples,
            MessageKind.EVENTS: self._events,
            MessageKind.HEARTBEAT: self._heartbeat,
            MessageKind.GOODBYE: self._goodbye,
        }

    def set_scales(self, scales: Mapping[str, int]) -> None:
        """Other histogram scales, for those who say hello from now on; may be called from any thread."""
        self._scales = dict(scales)

    def handle(self, identity: bytes, parts: Parts) -> None:
        """One message; never raises for what a peer sent."""
        self.messages += 1
        try:
            if not parts:
                raise CorruptData("a message without a header")
            kind, fields = unpack(parts[0])
            handler = self._handlers.get(kind)
            if handler is None:
                raise ProtocolError(not_taken(kind, "writers'"))
            handler(identity, fields, parts[1] if len(parts) > 1 else b"")
        except StoreError as error:
            self._complain(identity, "again", error)
        except UnsupportedVersion as error:
            self._complain(identity, "version", error)
        except CorruptData as error:
            self.malformed += 1
            self._complain(identity, "frame", error)
        except ProtocolError as error:
            self.unsupported += 1
            self._complain(identity, "kind", error)

    def _complain(self, identity: bytes, code: str, error: Exception) -> None:
        now = self._clock.monotonic_ms()
        if now - self._logged_ms >= LOG_EVERY_MS:
            self._logged_ms = now
            logger.warning("a message was refused: %s", error)
        self._reply(identity, pack(MessageKind.ERROR, code=code, message=str(error)))

    def _hello(self, identity: bytes, fields: Header, _body: Any) -> None:
        hello = read_hello(fields)
        now = self._clock.wall_ms()
        hello = hello._replace(started_ms=min(hello.started_ms, now))  # from the future it would never be forgotten
        session = self._sink.session(hello.session)
        if session is None:
            if self._sink.session_count() >= SESSIONS_MAX:
                raise ProtocolError(f"the agent holds {SESSIONS_MAX} sessions already")
            session = self._admission.open(hello)
        self._sink.heard(hello.session, self._clock.monotonic_ms(), hello.clock_ms - now)
        welcome = pack(
            MessageKind.WELCOME,
            s=hello.session,
            clock=self._clock.wall_ms(),
            applied=session.last_applied,
            events=session.last_event,
            worker=session.worker,
            scales=self._scales,
            caps=self._series_caps,
        )
        self._reply(identity, welcome)

    def _known(self, identity: bytes, fields: Header) -> LiveSession | None:
        """The session of a message; tells the peer to begin again with hello if it is not known."""
        name = session_of(fields)
        session = self._sink.session(name)
        if session is None:
            self._reply(identity, pack(MessageKind.ERROR, code="session", message="unknown session: say hello first"))
            return None
        self._sink.heard(name, self._clock.monotonic_ms())
        return session

    def _define(self, identity: bytes, fields: Header, _body: Any) -> None:
        session = self._known(identity, fields)
        if session is not None:
            self._admission.define(session, read_definitions(fields))

    def _samples(self, identity: bytes, fields: Header, body: Any) -> None:
        header = read_samples(fields, len(body))
        session = self._known(identity, fields)
        if session is None:
            return
        if header.sequence > session.last_applied:
            if header.sequence not in (session.last_applied + 1, header.first_kept):
                raise StoreError("a batch before this one was not taken")
            self._apply(session, header, body)
        self._acknowledge_later(identity, session)

    def _apply(self, session: LiveSession, header: SamplesHeader, body: Any) -> None:
        counts = settle(session.counts, header.counts, header.samples)
        if counts is None:
            raise CorruptData("the counts of the batch contradict those of the batches before it")
        refusal = self._refusal(header, body)
        if refusal is None:
            self._sink.write_frame(header, counts, body)
        else:
            self._sink.write_refusal(header, counts, refusal, window_start(self._clock.wall_ms()))

    def _refusal(self, header: SamplesHeader, body: Any) -> Refusal | None:
        now = self._clock.wall_ms()
        if header.start_ms < now - SAMPLE_PAST_LIMIT_MS or header.end_ms > now + SAMPLE_FUTURE_LIMIT_MS:
            return "time"
        try:
            if check_body(body) == header.samples:
                return None
            logger.warning(
                "session %s: the body does not hold the samples that its header counts", header.session.hex()
            )
        except CorruptData as error:
            logger.warning("session %s: batch %d refused: %s", header.session.hex(), header.sequence, error)
        self.malformed += 1
        return "frame"

    def _events(self, identity: bytes, fields: Header, _body: Any) -> None:
        header = read_events(fields)
        session = self._known(identity, fields)
        if session is None:
            return
        taken = take_events(session, header, self._clock.wall_ms())
        if taken is not None:
            self._sink.write_events(session.name, taken)
        self._acknowledge_later(identity, session)

    def _heartbeat(self, identity: bytes, fields: Header, _body: Any) -> None:
        counts, refused = read_counts(fields), read_refused_labels(fields)
        session = self._known(identity, fields)
        if session is not None:
            self._sink.reported(session.name, counts)
            self._sink.refused_labels(session.name, refused)
            self._acknowledge_later(identity, session)

    def _goodbye(self, identity: bytes, fields: Header, _body: Any) -> None:
        counts, refused = read_counts(fields), read_refused_labels(fields)
        session = self._known(identity, fields)
        if session is None:
            return
        settled = settle(session.counts, counts, 0)
        if settled is None:
            raise CorruptData("the counts of the goodbye contradict those of the batches before it")
        self._sink.refused_labels(session.name, refused)
        self._sink.write_close(session.name, settled, self._clock.wall_ms())
        self._acknowledge_later(identity, session, goodbye=True)

    def _acknowledge_later(self, identity: bytes, session: LiveSession, *, goodbye: bool = False) -> None:
        """Everything that the session has sent so far, once it is on disk."""
        position = self._sink.position()
        self._acks.add(Ack(identity, session.name, session.last_applied, position, goodbye, session.last_event))

    def acknowledge(self, synced: int) -> None:
        """Tells the clients what is on disk now that the journal is durable up to `synced`."""
        for ack in self._acks.due(synced):
            header = pack(
                MessageKind.ACK,
                s=ack.session,
                q=ack.sequence,
                e=ack.event,
                clock=self._clock.wall_ms(),
                goodbye=ack.goodbye,
            )
            self._reply(ack.identity, header)
