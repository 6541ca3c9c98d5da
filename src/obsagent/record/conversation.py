"""One client's conversation with the agent: hello, welcome, defines, batches, events, acknowledgements.

A disconnect ends the conversation: the socket is closed (a DEALER would otherwise deliver old batches before
the new hello) and a new one begins with hello. Batches wait in the outbox, events in theirs, never inside libzmq.

An agent that does not know of what was acknowledged has another store, or has forgotten the session. The client then
begins a new session, to which all that came before belongs in no way: else that agent would take what it does not
know of for lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from obsagent.errors import AccessDenied, CorruptData, ProtocolError
from obsagent.limits import (
    EVENTS_PER_MESSAGE,
    HEARTBEAT_INTERVAL_MS,
    MISSED_HEARTBEATS_UNTIL_SUSPENDED,
    REFUSAL_CHARACTERS_MAX,
)
from obsagent.record.outbox import exact_ms
from obsagent.record.record_talk import RecordTalk
from obsagent.wire.exemplars import SentExemplar, exemplar_fields
from obsagent.wire.frame import (
    SESSION_BYTES,
    Header,
    MessageKind,
    SeriesDefinition,
    SessionCounts,
    Welcome,
    counts_fields,
    definition_row,
    event_row,
    pack,
    read_ack,
    read_welcome,
    refused_labels_fields,
)
from obsagent.wire.rules import read_rules

if TYPE_CHECKING:
    from obsagent._native.ring import Batch
    from obsagent.keys import ClientKey
    from obsagent.record.agent_clock import AgentClock
    from obsagent.record.events import EventQueue
    from obsagent.record.models.models import Models
    from obsagent.record.outbox import Outbox, QueuedBatch
    from obsagent.record.records import RecordQueue
    from obsagent.record.refusals import Refusals

DEFINITIONS_PER_MESSAGE = 200
SILENCE_LIMIT_MS = HEARTBEAT_INTERVAL_MS * MISSED_HEARTBEATS_UNTIL_SUSPENDED
WELCOME_LIMIT_MS = 5_000
REFUSED_PAUSE_MS = 5_000
BEGIN_AGAIN = ("session", "again")
"""Errors after which the client begins again with hello: it is not known, or a batch could not be taken."""
BEGIN_AGAIN_PAUSE_MS = 100
RECORD_BATCHES_FIRST, RECORD_BATCHES_AFTER = 2, 100
REFUSALS_INTERVAL_MS = 1_000
"""At most so often a heartbeat comes early, to tell what was refused since."""


def monotonic_ms() -> float:
    """Milliseconds on the clock that stamps batches."""
    return time.monotonic_ns() / 1e6


class Socket(Protocol):
    """A writer's connection to the agent, as `obsagent.wire.socket.ClientSocket` is one."""

    def send(self, header: bytes, body: bytes | None = None) -> bool:
        """Hands one message over; False if it would have to wait."""
        ...

    def poll(self, timeout_ms: int) -> bool:
        """Waits until something happens."""
        ...

    def disconnected(self) -> bool:
        """True once the peer has gone."""
        ...

    def receive(self) -> tuple[MessageKind, Header] | None:
        """The next message, or None if there is none; raises `AccessDenied`, `CorruptData` or `ProtocolError`."""
        ...

    def close(self) -> None:
        """Drops whatever is unsent."""
        ...


def open_socket(endpoint: str, key: ClientKey | None = None) -> Socket:
    """A socket of the real wire, which shows the key if there is one."""
    from obsagent.wire.socket import ClientSocket  # loads zmq

    return ClientSocket(endpoint) if key is None else ClientSocket(endpoint, key)


class Speaker(Protocol):
    """What a conversation needs to know of its client."""

    outbox: Outbox
    events: EventQueue
    records: RecordQueue
    clock: AgentClock
    models: Models | None

    @property
    def refused_labels(self) -> Refusals:
        """What the session has refused because of its labels."""
        ...

    @property
    def definitions(self) -> list[SeriesDefinition]:
        """Every series, by number; the list only grows."""
        ...

    def hello_fields(self) -> Header:
        """Session, service, host, pid, start time and version."""
        ...

    def counts(self) -> SessionCounts:
        """What has been counted so far."""
        ...

    def batch_counts(self, batch: Batch) -> SessionCounts:
        """What had been counted when the batch was sealed."""
        ...

    @property
    def base_counts(self) -> SessionCounts:
        """What the recorder had counted before the session began."""
        ...

    def clock_changed(self) -> None:
        """The agent's clock has another offset than was thought."""
        ...

    def welcomed(self, scales: Mapping[str, int], caps: tuple[int, int]) -> None:
        """Metric → the scale of its histograms that the agent asks for."""
        ...

    def refused(self, message: str) -> None:
        """The agent does not talk to this client; `message` says why."""
        ...


class Before(NamedTuple):
    """What belongs to sessions before this one: sequences up to here, and what had been counted then."""

    sequence: int = 0
    event: int = 0
    counts: SessionCounts = SessionCounts(0, 0, 0, 0, 0)


def _exemplars_of(entry: QueuedBatch, offset_ms: float, start_ms: int, end_ms: int) -> Header:
    """The exemplars of a batch, stamped like it: in its time, though a thread may have been slow to hold one."""
    return exemplar_fields(
        SentExemplar(each.series, each.value, min(max(int(each.at_ms + offset_ms), start_ms), end_ms), *each[3:])
        for each in entry.exemplars
    )


class Conversation:
    """Owns the socket; driven by the sender thread through `step`."""

    def __init__(
        self, endpoint: str, session: bytes, speaker: Speaker, connect: Callable[[str], Socket] = open_socket
    ) -> None:
        """Nothing happens before the first `step`; `connect` opens a socket to the endpoint."""
        self._connect = connect
        self._endpoint = endpoint
        self._session = session
        self._speaker = speaker
        self._socket: Socket | None = None
        self._welcomed = False
        self._takes_events = False
        self._records = RecordTalk(speaker.records)
        self._defined = 0
        self._asked = 0
        self._answered = 0
        self._opened_ms = 0.0
        self._heard_ms = 0.0
        self._heartbeat_ms = 0.0
        self._told_refusals = 0
        self._told_ms = float(-REFUSALS_INTERVAL_MS)
        self._pause_until_ms = 0.0
        self._again_pause_ms = BEGIN_AGAIN_PAUSE_MS
        self._before = Before()
        self._acknowledged_counts = Before().counts
        self.goodbye_answered = False

    @property
    def welcomed(self) -> bool:
        """True while the agent has answered the hello and the connection stands."""
        return self._welcomed

    @property
    def awaits_rules(self) -> bool:
        """True while the agent has been asked for the rules of a model, and has not answered."""
        return self._welcomed and self._answered < self._asked

    def poll(self, timeout_ms: int) -> None:
        """Waits until the agent says something, at most `timeout_ms`."""
        if self._socket is None:
            time.sleep(timeout_ms / 1e3)
        else:
            self._socket.poll(timeout_ms)

    def step(self) -> None:
        """Does whatever can be done now without waiting."""
        now = monotonic_ms()
        if self._socket is None:
            if now < self._pause_until_ms:
                return
            self._open(now)
        elif self._is_over(now):
            self.close()
            self._open(now)
        self._hear(now)
        if self._welcomed:
            self._speak(now)

    def _is_over(self, now: float) -> bool:
        assert self._socket is not None
        if self._socket.disconnected():
            return True
        if not self._welcomed:
            return now - self._opened_ms > WELCOME_LIMIT_MS
        return now - self._heard_ms > SILENCE_LIMIT_MS

    def _open(self, now: float) -> None:
        self._socket = self._connect(self._endpoint)
        self._opened_ms = self._heard_ms = now
        self._welcomed = False
        self._defined = self._asked = self._answered = 0
        self._told_refusals = 0
        self._speaker.outbox.rewind()
        self._speaker.events.rewind()
        self._records.open()
        fields = self._speaker.hello_fields()
        self._socket.send(pack(MessageKind.HELLO, s=self._session, clock=time.time_ns() // 1_000_000, **fields))

    def _hear(self, now: float) -> None:
        while self._socket is not None:
            try:
                message = self._socket.receive()
            except (AccessDenied, CorruptData, ProtocolError) as error:
                self._refuse(str(error), now)
                return
            if message is None:
                return
            self._heard_ms = now
            try:
                self._take(*message, now)
            except CorruptData as error:
                self._refuse(f"its answer is malformed: {error}", now)

    def _take(self, kind: MessageKind, fields: Header, now: float) -> None:
        if kind is MessageKind.WELCOME:
            self._take_welcome(read_welcome(fields), now)
        elif kind is MessageKind.ACK:
            ack = read_ack(fields)
            if self._speaker.clock.hear(ack.clock, now):
                self._speaker.clock_changed()
            self._acknowledge(ack.sequence, ack.event)
            self._records.acknowledged(ack.record, ack.report)
            self.goodbye_answered = self.goodbye_answered or ack.goodbye
        elif kind is MessageKind.RULES:
            self._take_rules(fields)
        elif kind is MessageKind.ERROR and fields.get("code") in BEGIN_AGAIN:
            self._pause_until_ms = now + self._again_pause_ms
            self._again_pause_ms = min(2 * self._again_pause_ms, REFUSED_PAUSE_MS)
            self.close()
        elif kind is MessageKind.ERROR:
            self._refuse(str(fields.get("message")), now)

    def _take_welcome(self, welcome: Welcome, now: float) -> None:
        if self._speaker.clock.welcome(welcome.clock, now):
            self._speaker.clock_changed()
        self._takes_events = welcome.events is not None
        if self._is_forgotten(welcome.applied, welcome.events or 0) or self._records.is_forgotten(welcome):
            self._begin_anew()
            return
        self._acknowledge(welcome.applied, welcome.events or 0)
        self._records.welcomed(welcome)
        self._speaker.welcomed(welcome.scales, welcome.caps)
        self._welcomed = True
        self._heartbeat_ms = now

    def _take_rules(self, fields: Header) -> None:
        body = fields.get("body")
        if not isinstance(body, bytes):
            raise CorruptData("the rules of a model are missing")
        model, version, rules = read_rules(fields, body)
        self._answered += 1
        if self._speaker.models is not None:
            self._speaker.models.take_rules(model, version, rules)

    def _acknowledge(self, sequence: int, event: int) -> None:
        batch = self._speaker.outbox.acknowledge(self._before.sequence + sequence)
        self._speaker.events.acknowledge(self._before.event + event)
        if batch is not None:
            self._acknowledged_counts = self._speaker.batch_counts(batch)
            self._again_pause_ms = BEGIN_AGAIN_PAUSE_MS

    def _is_forgotten(self, applied: int, event: int) -> bool:
        """True if the agent knows less than has been acknowledged."""
        if self._before.sequence + applied < self._speaker.outbox.acknowledged_sequence:
            return True
        return self._takes_events and self._before.event + event < self._speaker.events.acknowledged_sequence

    def _begin_anew(self) -> None:
        outbox, events = self._speaker.outbox, self._speaker.events
        self._before = Before(outbox.acknowledged_sequence, events.acknowledged_sequence, self._acknowledged_counts)
        self._records.begin_anew()
        self._session = os.urandom(SESSION_BYTES)
        self.close()

    def _of_session(self, counts: SessionCounts) -> SessionCounts:
        """The part of the counts that belongs to this session."""
        return SessionCounts(*map(int.__sub__, counts, self._before.counts))

    def _refuse(self, message: str, now: float) -> None:
        self._speaker.refused(message[:REFUSAL_CHARACTERS_MAX])
        self._pause_until_ms = now + REFUSED_PAUSE_MS
        self.close()

    def _speak(self, now: float) -> None:
        if not self._send_events() or not self._ask_for_rules() or not self._define():
            return
        if not self._send_records(RECORD_BATCHES_FIRST):
            return
        while entry := self._speaker.outbox.next_unsent():
            if not self._send_batch(entry):
                return
            self._speaker.outbox.mark_sent()
            self._heartbeat_ms = now
        self._send_records(RECORD_BATCHES_AFTER)
        if now - self._heartbeat_ms >= HEARTBEAT_INTERVAL_MS or self._has_refused_more(now):
            self._heartbeat_ms = now
            self._send_counts(MessageKind.HEARTBEAT)

    def _has_refused_more(self, now: float) -> bool:
        """Batches take the place of heartbeats, but say nothing of refused labels."""
        if self._speaker.refused_labels.version == self._told_refusals or now - self._told_ms < REFUSALS_INTERVAL_MS:
            return False
        self._told_ms = now
        return True

    def _send_events(self) -> bool:
        """Events go first: they need no definition, and are never many."""
        assert self._socket is not None
        events, offset_ms = self._speaker.events, self._speaker.clock.offset_ms
        while self._takes_events:
            sequence, unsent = events.unsent(EVENTS_PER_MESSAGE)
            if not unsent:
                break
            rows = [event_row(event.stamped(offset_ms)) for event in unsent]
            first, kept = sequence - self._before.event, events.first_kept - self._before.event
            header = pack(MessageKind.EVENTS, s=self._session, q=first, f=kept, events=rows)
            if not self._socket.send(header):
                return False
            events.mark_sent(sequence + len(unsent) - 1)
        return True

    def _send_records(self, batches: int) -> bool:
        """Some before the samples, and the others behind them, so that neither waits for all of the other."""
        assert self._socket is not None
        return self._records.send(self._socket.send, self._session, self._speaker.clock.offset_ms, batches)

    def _ask_for_rules(self) -> bool:
        """Of every model that this conversation has not asked for."""
        assert self._socket is not None
        models = self._speaker.models
        if models is None:
            return True
        while self._asked < len(models.names):
            model, version = models.names[self._asked]
            if not self._socket.send(pack(MessageKind.MODEL, s=self._session, model=model, version=version)):
                return False
            self._asked += 1
        return True

    def _define(self) -> bool:
        """Tells the agent every series that it has not heard of in this conversation, before any batch."""
        assert self._socket is not None
        while self._defined < len(self._speaker.definitions):
            part = self._speaker.definitions[self._defined : self._defined + DEFINITIONS_PER_MESSAGE]
            rows = [definition_row(definition) for definition in part]
            if not self._socket.send(pack(MessageKind.DEFINE, s=self._session, series=rows)):
                return False
            self._defined += len(part)
        return True

    def _send_batch(self, entry: QueuedBatch) -> bool:
        assert self._socket is not None
        batch, offset = entry.batch, self._speaker.clock.offset_ms
        start_ms, end_ms = int(exact_ms(batch.start_ns) + offset), int(exact_ms(batch.end_ns) + offset)
        header = pack(
            MessageKind.SAMPLES,
            s=self._session,
            q=entry.sequence - self._before.sequence,
            f=self._first_kept,
            a=start_ms,
            b=end_ms,
            n=batch.samples,
            **counts_fields(self._of_session(self._speaker.batch_counts(batch))),
            **(_exemplars_of(entry, offset, start_ms, end_ms) if entry.exemplars else {}),
            **({"h": entry.reach_ms} if entry.reach_ms else {}),
        )
        return self._socket.send(header, batch.body)

    @property
    def _first_kept(self) -> int:
        """The oldest sequence of this session that may still be sent."""
        return self._speaker.outbox.first_kept - self._before.sequence

    def _send_counts(self, kind: MessageKind) -> None:
        assert self._socket is not None
        told = self._speaker.refused_labels.version
        fields = {
            **counts_fields(self._of_session(self._speaker.counts())),
            **refused_labels_fields(self._speaker.refused_labels.rows()),
        }
        if self._socket.send(pack(kind, s=self._session, f=self._first_kept, **fields)):
            self._told_refusals = told

    def say_goodbye(self) -> None:
        """Ends the session; the agent answers with a last acknowledgement."""
        if self._welcomed and self._socket is not None:
            self._send_counts(MessageKind.GOODBYE)

    def close(self) -> None:
        """Closes the socket; the next `step` would open a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._welcomed = False
