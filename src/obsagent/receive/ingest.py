"""From a message to an entry in the journal: decode, check, admit, settle, write once.

Every decision is made here, before the entry is written, so that a replay of the journal decides nothing.
Belongs to the ingest thread.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent._native.codec import check_body
from obsagent.clock import Clock, ClockSteps, window_start
from obsagent.errors import CorruptData, ProtocolError, StoreError, TooManySessions, UnsupportedVersion
from obsagent.limits import (
    BACKFILL_WINDOW_MS,
    HEARTBEAT_INTERVAL_MS,
    SAMPLE_PAST_LIMIT_MS,
    SERIES_PER_METRIC,
    SERIES_TOTAL,
    SESSIONS_MAX,
    SESSIONS_REMEMBERED,
)
from obsagent.receive.acks import Ack, PendingAcks
from obsagent.receive.admit import Admission
from obsagent.receive.complaints import Complaints
from obsagent.receive.events import is_timely, take_events
from obsagent.receive.exemplars import ExemplarAdmission
from obsagent.receive.records import HorizonOf, default_horizon, is_new, latest_ms, read_batch, take
from obsagent.receive.rules import Reply, RulesDesk, RulesFor, no_rules
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
from obsagent.wire.records import RECORD_KINDS, read_records
from obsagent.wire.rules import read_model

if TYPE_CHECKING:
    from obsagent.wire.socket import Parts

logger = logging.getLogger(__name__)

CODES = (
    (StoreError, "again"),
    (UnsupportedVersion, "version"),
    (CorruptData, "frame"),
    (TooManySessions, "sessions"),
    (ProtocolError, "kind"),
)
"""What a refused message is answered with, by the first class that fits its error."""


class Step(NamedTuple):
    """The agent's clock was set: by how much, and when on the clock that was set and on the monotonic one (ms)."""

    by_ms: int
    wall_ms: int
    monotonic_ms: int


class Ingest:
    """Handles the messages of all clients."""

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        reply: Reply,
        scales: Mapping[str, int],
        series_caps: tuple[int, int] = (SERIES_PER_METRIC, SERIES_TOTAL),
        rules_for: RulesFor = no_rules,
        horizon_of: HorizonOf = default_horizon,
    ) -> None:
        """`reply(identity, header)` sends to a peer; `scales` are the histogram scales by metric.

        `series_caps` are the budgets of a metric and of all, which clients are told. `rules_for` knows what is wanted
        of a model and version, `horizon_of` how far back (ms) what a model was given and has predicted may lie.
        """
        self._sink = sink
        self._clock = clock
        self._reply = reply
        self._scales = dict(scales)
        self._series_caps = list(series_caps)
        self._horizon_of = horizon_of
        self._complaints = Complaints(logger, clock)
        self._admission = Admission(sink, self._complaints)
        self.exemplars = ExemplarAdmission(sink, self._complaints)
        self._acks = PendingAcks()
        self.rules = RulesDesk(rules_for, reply, self._complaints)
        self._steps = ClockSteps(clock)
        self.step: Step | None = None
        self.steps = Counter({"forward": 0, "back": 0})
        self.refused: Counter[str] = Counter()
        self.messages = 0
        self._handlers: dict[MessageKind, Callable[[bytes, Header, Any], None]] = {
            MessageKind.HELLO: self._hello,
            MessageKind.DEFINE: self._define,
            MessageKind.SAMPLES: self._samples,
            MessageKind.EVENTS: self._events,
            **{kind: partial(self._records, kind) for kind in RECORD_KINDS},
            MessageKind.MODEL: self._model,
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
        except (StoreError, CorruptData, ProtocolError) as error:
            self._refuse(identity, error)

    def _refuse(self, identity: bytes, error: Exception) -> None:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        self.refused[code] += 1
        self._complaints.say(logging.WARNING, "a message was refused: %s", error)
        self._reply(identity, pack(MessageKind.ERROR, code=code, message=str(error)))

    def failed(self, identity: bytes, error: Exception) -> None:
        """Handling a message has failed in a way that nobody has thought of; its sender tries again later."""
        self.refused["internal"] += 1
        self._complaints.say(logging.ERROR, "a message could not be handled: %r", error, exc_info=error)
        self._reply(identity, pack(MessageKind.ERROR, code="internal", message="the agent failed to handle this"))

    @property
    def malformed(self) -> int:
        """Messages that are not what they should be, the bodies of batches included."""
        return self.refused["frame"] + self.refused["body"]

    @property
    def unsupported(self) -> int:
        """Messages of a kind or version that this agent does not take."""
        return self.refused["kind"] + self.refused["version"]

    def heed_clock(self) -> None:
        """Notices if the agent's clock was set; to be called once a second, too."""
        by_ms = self._steps.look()
        if not by_ms:
            return
        self.step = Step(by_ms, self._clock.wall_ms(), self._clock.monotonic_ms())
        self.steps["forward" if by_ms > 0 else "back"] += 1
        logger.warning("the clock was set %s by %.3f s", "forward" if by_ms > 0 else "back", abs(by_ms) / 1000)

    def _hello(self, identity: bytes, fields: Header, _body: Any) -> None:
        hello = read_hello(fields)
        self.heed_clock()
        now = self._clock.wall_ms()
        hello = hello._replace(started_ms=min(hello.started_ms, now))  # from the future it would never be forgotten
        session = self._sink.session(hello.session)
        if session is None:
            self._require_room()
            session = self._admission.open(hello)
        session.told_ms = self._clock.monotonic_ms()
        self._sink.heard(hello.session, session.told_ms, hello.clock_ms - now)
        welcome = pack(
            MessageKind.WELCOME,
            s=hello.session,
            clock=self._clock.wall_ms(),
            applied=session.acknowledged,
            events=session.acknowledged_event,
            records=session.acknowledged_records[0],
            t=list(session.acknowledged_records[1]),
            worker=session.worker,
            scales=self._scales,
            caps=self._series_caps,
        )
        self._reply(identity, welcome)

    def _require_room(self) -> None:
        if self._sink.session_count() >= SESSIONS_MAX:
            raise TooManySessions(f"the agent holds {SESSIONS_MAX} sessions already")
        if self._sink.remembered_count() >= SESSIONS_REMEMBERED:
            raise TooManySessions(f"{SESSIONS_REMEMBERED} sessions came within two hours: no more are taken for now")

    def _known(self, identity: bytes, fields: Header) -> LiveSession | None:
        """The session of a message; tells the peer to begin again with hello if it is not known.

        A session that has been told nothing for a while, since it defines many series or nothing can be synced, is told
        what it knows already: else it would take the agent for dead, and begin again from the start.
        """
        name = session_of(fields)
        session = self._sink.session(name)
        if session is None:
            self.refused["session"] += 1
            self._reply(identity, pack(MessageKind.ERROR, code="session", message="unknown session: say hello first"))
            return None
        now = self._clock.monotonic_ms()
        self._sink.heard(name, now)
        if now - session.told_ms >= HEARTBEAT_INTERVAL_MS:
            known = Ack(identity, name, session.acknowledged, 0, False, session.acknowledged_event)
            self._tell(known._replace(records=session.acknowledged_records), session)
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
            self._apply(session, header, fields, body)
        self._acknowledge_later(identity, session)

    def _apply(self, session: LiveSession, header: SamplesHeader, fields: Header, body: Any) -> None:
        counts = settle(session.counts, header.counts, header.samples)
        if counts is None:
            raise CorruptData("the counts of the batch contradict those of the batches before it")
        past_ms = SAMPLE_PAST_LIMIT_MS if not header.reach_ms else self._reach_of(header, body)
        refusal = self._refusal(session, header, body, past_ms)
        if refusal is not None:
            self._sink.write_refusal(header, counts, refusal, window_start(self._clock.wall_ms()))
        elif header.reach_ms:
            self._sink.write_backfill(header, counts, body, past_ms)
        else:
            self._sink.write_frame(header, counts, body, self.exemplars.take(header, fields))

    def _reach_of(self, header: SamplesHeader, body: Any) -> int:
        """How far back (ms) a backfill may lie: what is of models as far as theirs allow, all else as ever."""
        if _wrong_in(header, body) is not None:
            return header.reach_ms + BACKFILL_WINDOW_MS  # it is refused for that
        models = self._sink.models_in(header.session, body)
        if not models:
            return SAMPLE_PAST_LIMIT_MS
        return min(header.reach_ms, *map(self._horizon_of, models)) + BACKFILL_WINDOW_MS

    def _refusal(self, session: LiveSession, header: SamplesHeader, body: Any, past_ms: int) -> Refusal | None:
        if not self._are_timely(session, header.start_ms, header.end_ms, past_ms=past_ms):
            return "time"
        wrong = _wrong_in(header, body)
        if wrong is None:
            return None
        self.refused["body"] += 1
        line = "session %s: batch %d refused: %s"
        self._complaints.say(logging.WARNING, line, header.session.hex(), header.sequence, wrong)
        return "frame"

    def _are_timely(self, session: LiveSession, *stamps_ms: int, past_ms: int = SAMPLE_PAST_LIMIT_MS) -> bool:
        """Whether all stamps are of a time that is accepted.

        Raises `StoreError` if they are not because the agent's clock was set after the session had asked for it: it is
        to ask again, and to stamp what it has anew.
        """
        self.heed_clock()
        now = self._clock.wall_ms()
        if all(is_timely(stamp_ms, now, past_ms) for stamp_ms in stamps_ms):
            return True
        if self.step is not None and session.greeted_ms <= self.step.monotonic_ms:
            raise StoreError("the agent's clock was set: say hello again, and stamp what you have by the new time")
        return False

    def _events(self, identity: bytes, fields: Header, _body: Any) -> None:
        header = read_events(fields)
        session = self._known(identity, fields)
        if session is None:
            return
        self._are_timely(session, *(event.at_ms for event in header.events))
        taken = take_events(session, header, self._clock.wall_ms())
        if taken is not None:
            self._sink.write_events(session.name, taken)
        self._acknowledge_later(identity, session)

    def _records(self, kind: MessageKind, identity: bytes, fields: Header, body: Any) -> None:
        header = read_records(fields, len(body))
        session = self._known(identity, fields)
        if session is None:
            return
        if is_new(session, header):
            batch = read_batch(kind, header, body)
            now_ms = self._clock.wall_ms()
            if latest_ms(batch) > now_ms:
                self._are_timely(session, latest_ms(batch))
            self._sink.write_records(session.name, take(session, header, batch, now_ms, self._horizon_of(batch.model)))
        self._acknowledge_later(identity, session)

    def _model(self, identity: bytes, fields: Header, _body: Any) -> None:
        asked = read_model(fields)
        if self._known(identity, fields) is not None:
            self.rules.tell(identity, asked)

    def tell_changed_rules(self) -> None:
        """To be called once a second: sessions are told which rules of their models have changed."""
        self.rules.tell_changes(lambda name: self._sink.session(name) is not None)

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
        self.rules.forget(session.name)
        self._acknowledge_later(identity, session, goodbye=True)

    def _acknowledge_later(self, identity: bytes, session: LiveSession, *, goodbye: bool = False) -> None:
        """Everything that the session has sent so far, once it is on disk."""
        position = self._sink.position()
        records = session.last_record, session.report
        self._acks.add(
            Ack(identity, session.name, session.last_applied, position, goodbye, session.last_event, records)
        )

    def acknowledge(self, synced: int) -> None:
        """Tells the clients what is on disk now that the journal is durable up to `synced`."""
        for ack in self._acks.due(synced):
            self._sink.acknowledged(ack.session, ack.sequence, ack.event, ack.records)
            self._tell(ack, self._sink.session(ack.session))

    def _tell(self, ack: Ack, session: LiveSession | None) -> None:
        if session is not None:
            session.told_ms = self._clock.monotonic_ms()
        header = pack(
            MessageKind.ACK,
            s=ack.session,
            q=ack.sequence,
            e=ack.event,
            r=ack.records[0],
            t=list(ack.records[1]),
            clock=self._clock.wall_ms(),
            goodbye=ack.goodbye,
        )
        self._reply(ack.identity, header)


def _wrong_in(header: SamplesHeader, body: Any) -> str | None:
    """What is wrong with the body of a batch; None if nothing is."""
    try:
        if check_body(body) == header.samples:
            return None
    except CorruptData as error:
        return str(error)
    return "the body does not hold the samples that its header counts"
