"""What a message becomes: an entry, a refusal, an answer; never an exception."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from obsagent._native.codec import BodyWriter
from obsagent.by_id.report import TruthReport
from obsagent.errors import StoreError
from obsagent.limits import EVENT_BYTES_MAX, EVENTS_PER_MESSAGE, HEARTBEAT_INTERVAL_MS
from obsagent.receive.ingest import Ingest
from obsagent.receive.sink import TakenEvents, TakenRecords
from obsagent.samples import Event, Exemplar, Kind, Series
from obsagent.wire import frame
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts

SESSION = bytes(16)
NOW_MS = 1_800_000_000_000
PEER = b"peer"


class FakeSink:
    """Applies what it is told to the one session, and remembers it."""

    def __init__(self) -> None:
        self.sessions: dict[bytes, Any] = {}
        self.entries: list[tuple[Any, ...]] = []
        self.reports: list[SessionCounts] = []
        self.refused: list[frame.RefusedLabel] = []
        self.exemplars: list[Exemplar] = []

    def session(self, name: bytes) -> Any:
        return self.sessions.get(name)

    def session_count(self) -> int:
        return len(self.sessions)

    def remembered_count(self) -> int:
        return len(self.sessions)

    def open_session(self, hello: frame.Hello) -> Any:
        known: set[int] = set()
        self.sessions[hello.session] = SimpleNamespace(
            name=hello.session,
            service=hello.service,
            worker=3,
            last_applied=0,
            last_event=0,
            acknowledged=0,
            acknowledged_event=0,
            acknowledged_records=(0, TruthReport()),
            last_record=0,
            report=TruthReport(),
            greeted_ms=0,
            told_ms=0,
            counts=SessionCounts(0, 0, 0, 0, 0),
            numbers=known,
            knows=known.__contains__,
            labels=lambda: {"service": hello.service, "host": hello.host, "worker": "3", "version": "v1"},
        )
        self.entries.append(("open", hello.service))
        return self.sessions[hello.session]

    def heard(self, name: bytes, monotonic_ms: int, skew_ms: int | None = None) -> None:
        if skew_ms is not None:
            self.sessions[name].greeted_ms = monotonic_ms

    def acknowledged(self, name: bytes, sequence: int, event: int, records: tuple[int, TruthReport]) -> None:
        if name in self.sessions:
            self.sessions[name].acknowledged = sequence
            self.sessions[name].acknowledged_event = event
            self.sessions[name].acknowledged_records = records

    def reported(self, name: bytes, counts: SessionCounts) -> None:
        self.reports.append(counts)

    def refused_labels(self, name: bytes, rows: list[frame.RefusedLabel]) -> None:
        assert name in self.sessions
        self.refused += rows

    def resolve(self, definition: SeriesDefinition, labels: dict[str, str]) -> Series | None:
        return None if definition.metric == "refused" else Series(7, definition.metric, definition.kind, labels)

    def write_definitions(self, name: bytes, mapped: Any) -> None:
        rows = list(mapped)
        self.sessions[name].numbers.update(row.number for row in rows)
        self.entries.append(("define", [(row.number, row.series and row.series.labels) for row in rows]))

    def _applied(self, header: frame.SamplesHeader, counts: SessionCounts) -> None:
        self.sessions[header.session].last_applied = header.sequence
        self.sessions[header.session].counts = counts

    def histogram_of(self, name: bytes, number: int) -> int | None:
        return 7 if number in self.sessions[name].numbers else None

    def write_frame(
        self, header: frame.SamplesHeader, counts: SessionCounts, body: Any, exemplars: Sequence[Exemplar] = ()
    ) -> None:
        self._applied(header, counts)
        self.entries.append(("frame", header.sequence, counts))
        self.exemplars += exemplars

    def write_refusal(self, header: frame.SamplesHeader, counts: SessionCounts, reason: str, window_ms: int) -> None:
        self._applied(header, counts)
        self.entries.append(("refusal", header.sequence, reason, header.samples, window_ms))

    def write_events(self, name: bytes, taken: TakenEvents) -> None:
        self.sessions[name].last_event = taken.sequence
        self.entries.append(("events", taken))

    def write_records(self, name: bytes, taken: TakenRecords) -> None:
        session = self.sessions[name]
        session.last_record = taken.sequence
        session.report = session.report._replace(matched=session.report.matched + len(taken.batch.ids))
        self.entries.append(("records", taken))

    def write_close(self, name: bytes, counts: SessionCounts, now_ms: int) -> None:
        del self.sessions[name]
        self.entries.append(("close", counts))

    def position(self) -> int:
        return len(self.entries)


class Desk:
    """An ingest with a fake sink and a turned-off clock; `say` sends, `replies` holds what came back."""

    def __init__(self) -> None:
        self.sink = FakeSink()
        self.replies: list[tuple[MessageKind, dict[str, Any]]] = []
        self.alive_ms = 50_000_000
        clock = SimpleNamespace(wall_ms=lambda: NOW_MS, monotonic_ms=lambda: self.alive_ms)
        self.ingest = Ingest(self.sink, clock, self._reply, {"latency": 7})  # type: ignore[arg-type]

    def _reply(self, identity: bytes, header: bytes) -> None:
        assert identity == PEER
        self.replies.append(frame.unpack(header))

    def say(self, kind: MessageKind, body: bytes = b"", **fields: Any) -> None:
        self.ingest.handle(PEER, [frame.pack(kind, s=SESSION, **fields), body])

    def hello(self) -> None:
        self.say(MessageKind.HELLO, service="fraud", host="h", pid=1, started=2, clock=NOW_MS, version="")

    def samples(
        self, sequence: int, *, observed: int, values: int = 2, at: int = NOW_MS, body: bytes = b"", **changes: Any
    ) -> None:
        writer = BodyWriter()
        if values:
            writer.put_run(0, [1.5] * values)
        counts = frame.counts_fields(SessionCounts(observed, 0, 0, 0, 0))
        fields = {"q": sequence, "f": 1, "a": at, "b": at, "n": values, **counts, **changes}
        self.say(MessageKind.SAMPLES, body or writer.take(), **fields)

    def events(self, sequence: int, *events: Event, kept: int = 1) -> None:
        self.say(MessageKind.EVENTS, q=sequence, f=kept, events=[frame.event_row(event) for event in events])

    @property
    def taken(self) -> list[TakenEvents]:
        return [entry[1] for entry in self.sink.entries if entry[0] == "events"]


DEPLOY = Event("deploy", NOW_MS - 5, {"version": "4"})
RELOAD = Event("reload", NOW_MS, {})
TAKEN_DEPLOY = Event("deploy", NOW_MS - 5, {"service": "fraud", "host": "h", "version": "4"})
TAKEN_RELOAD = Event("reload", NOW_MS, {"service": "fraud", "host": "h", "version": "v1"})


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.hello()
    return desk


def test_hello_opens_a_session_and_is_welcomed(desk: Desk) -> None:
    assert desk.sink.entries == [("open", "fraud")]
    kind, welcome = desk.replies[0]
    assert kind is MessageKind.WELCOME
    assert (welcome["applied"], welcome["worker"], welcome["scales"]) == (0, 3, {"latency": 7})
    assert welcome["caps"] == [2_000, 20_000]


def test_a_second_hello_resumes_the_session(desk: Desk) -> None:
    desk.samples(1, observed=2)
    desk.hello()
    assert [entry[0] for entry in desk.sink.entries] == ["open", "frame"]
    assert desk.replies[-1][1]["applied"] == 0  # it is applied, and not on disk yet
    desk.ingest.acknowledge(2)
    desk.hello()
    assert desk.replies[-1][1]["applied"] == 1


def test_definitions_are_written_once_with_the_session_labels(desk: Desk) -> None:
    rows = [
        frame.definition_row(SeriesDefinition(0, "latency", Kind.HISTOGRAM, {"endpoint": "/a"}, "s", "", 6, "sum")),
        frame.definition_row(SeriesDefinition(1, "refused", Kind.HISTOGRAM, {}, "s", "", 6, "sum")),
    ]
    desk.say(MessageKind.DEFINE, series=rows)
    desk.say(MessageKind.DEFINE, series=rows)
    labels = {"endpoint": "/a", "service": "fraud", "host": "h", "worker": "3", "version": "v1"}
    assert desk.sink.entries[1:] == [("define", [(0, labels), (1, None)])]


def test_a_batch_is_applied_once_and_acknowledged_when_synced(desk: Desk) -> None:
    desk.samples(1, observed=2)
    desk.samples(1, observed=2)
    desk.samples(2, observed=4)
    assert [entry[:2] for entry in desk.sink.entries[1:]] == [("frame", 1), ("frame", 2)]
    desk.ingest.acknowledge(1)
    assert len(desk.replies) == 1
    desk.ingest.acknowledge(3)
    kind, ack = desk.replies[-1]
    assert (kind, ack["q"], ack["goodbye"]) == (MessageKind.ACK, 2, False)


def test_what_a_client_gave_up_is_booked_with_the_next_batch(desk: Desk) -> None:
    desk.samples(5, observed=30, d=[0, 28, 0], f=5)
    assert desk.sink.entries[-1] == ("frame", 5, SessionCounts(30, 0, 28, 0, 0))


@pytest.mark.parametrize("shift", [-2 * 3_600_000 - 1, 10_001])
def test_a_batch_out_of_time_is_refused_and_its_sequence_consumed(desk: Desk, shift: int) -> None:
    desk.samples(1, observed=2, at=NOW_MS + shift)
    assert desk.sink.entries[-1] == ("refusal", 1, "time", 2, NOW_MS)
    desk.samples(2, observed=4)
    assert desk.sink.entries[-1][:2] == ("frame", 2)


@pytest.mark.parametrize("body", [b"\x01\x00\x01", b"\x01\x00\x07", b"\x09", b"\x01\x00\x01\x01" + bytes(8)])
def test_a_malformed_body_costs_that_batch(desk: Desk, body: bytes) -> None:
    desk.samples(1, observed=2, body=body)
    assert desk.sink.entries[-1][:3] == ("refusal", 1, "frame")
    assert desk.ingest.malformed == 1
    desk.samples(2, observed=4)
    assert desk.sink.entries[-1][:2] == ("frame", 2)


def test_a_batch_that_overtakes_another_is_sent_back(desk: Desk) -> None:
    desk.samples(1, observed=2)
    desk.samples(3, observed=6, f=2)
    assert desk.sink.entries[-1][:2] == ("frame", 1)
    assert desk.replies[-1][1]["code"] == "again"
    desk.samples(2, observed=4, f=2)
    desk.samples(3, observed=6, f=2)
    assert desk.sink.entries[-1][:2] == ("frame", 3)


def test_a_full_store_sends_the_batch_back_and_acknowledges_nothing(desk: Desk) -> None:
    def full(*_: object) -> None:
        raise StoreError("full")

    desk.sink.write_frame = full  # type: ignore[method-assign]
    desk.samples(1, observed=2)
    assert desk.replies[-1][1]["code"] == "again"
    desk.ingest.acknowledge(99)
    assert len(desk.replies) == 2


def test_counts_that_contradict_are_refused_and_nothing_is_applied(desk: Desk) -> None:
    desk.samples(1, observed=1)
    assert len(desk.sink.entries) == 1
    assert desk.replies[-1][1]["code"] == "frame"


def test_an_unknown_session_is_told_to_begin_again() -> None:
    desk = Desk()
    desk.samples(1, observed=2)
    assert desk.sink.entries == []
    assert (desk.replies[0][0], desk.replies[0][1]["code"]) == (MessageKind.ERROR, "session")


def test_heartbeat_and_goodbye_are_acknowledged(desk: Desk) -> None:
    counts = frame.counts_fields(SessionCounts(9, 1, 0, 2, 6))
    desk.say(MessageKind.HEARTBEAT, f=1, **counts)
    assert desk.sink.reports == [SessionCounts(9, 1, 0, 2, 6)]
    desk.say(MessageKind.GOODBYE, f=1, **counts)
    assert desk.sink.entries[-1] == ("close", SessionCounts(9, 1, 0, 2, 6))
    desk.ingest.acknowledge(99)
    assert [reply[1].get("goodbye") for reply in desk.replies[1:]] == [False, True]


def test_heartbeat_and_goodbye_tell_which_labels_were_refused(desk: Desk) -> None:
    counts = frame.counts_fields(SessionCounts(0, 0, 0, 0, 0))
    rows = [frame.RefusedLabel("hits", "user", "near-unique", count, ["u1"]) for count in (1, 2)]
    desk.say(MessageKind.HEARTBEAT, f=1, **counts, **frame.refused_labels_fields(rows[:1]))
    desk.say(MessageKind.HEARTBEAT, f=1, **counts, l=[["hits"]])
    assert (desk.replies[-1][1]["code"], desk.ingest.malformed) == ("frame", 1)
    desk.say(MessageKind.GOODBYE, f=1, **counts, **frame.refused_labels_fields(rows[1:]))
    assert desk.sink.refused == rows


def test_events_are_taken_once_with_the_sessions_labels_and_acknowledged_when_synced(desk: Desk) -> None:
    desk.events(1, DEPLOY, RELOAD)
    desk.events(1, DEPLOY, RELOAD)
    desk.events(2, RELOAD, RELOAD)
    assert desk.taken == [TakenEvents(2, 0, 0, [TAKEN_DEPLOY, TAKEN_RELOAD]), TakenEvents(3, 0, 0, [TAKEN_RELOAD])]
    desk.ingest.acknowledge(2)
    assert desk.replies[-1][1]["e"] == 2
    desk.ingest.acknowledge(3)
    assert desk.replies[-1][1]["e"] == 3
    desk.hello()
    assert desk.replies[-1][1]["events"] == 3


def test_events_that_a_client_gave_up_are_counted(desk: Desk) -> None:
    desk.events(4, RELOAD, kept=4)
    desk.events(8, RELOAD, kept=7)
    assert desk.replies[-1][1]["code"] == "again"
    desk.events(7, RELOAD, RELOAD, kept=7)
    assert [(taken.sequence, taken.dropped) for taken in desk.taken] == [(4, 3), (8, 2)]


def test_a_session_whose_past_is_not_known_gave_up_nothing(desk: Desk) -> None:
    desk.sink.sessions[SESSION].counts = None
    desk.events(4, RELOAD, kept=4)
    assert desk.taken == [TakenEvents(4, 0, 0, [TAKEN_RELOAD])]


@pytest.mark.parametrize("shift", [-2 * 3_600_000 - 1, 10_001])
def test_an_event_out_of_time_is_refused_and_its_sequence_consumed(desk: Desk, shift: int) -> None:
    desk.events(1, Event("deploy", NOW_MS + shift, {}), RELOAD)
    assert desk.taken == [TakenEvents(2, 0, 1, [TAKEN_RELOAD])]


@pytest.mark.parametrize(
    "events",
    [
        [],
        [["deploy", NOW_MS, {}]] * (EVENTS_PER_MESSAGE + 1),
        [["", NOW_MS, {}]],
        [["deploy", -1, {}]],
        [["deploy", NOW_MS, {"a": 1}]],
        [["deploy", NOW_MS]],
        [["deploy", NOW_MS, {f"label{number}": "x" * (EVENT_BYTES_MAX // 8) for number in range(8)}]],
        {"deploy": NOW_MS},
    ],
)
def test_malformed_events_cost_that_message(desk: Desk, events: Any) -> None:
    desk.say(MessageKind.EVENTS, q=1, f=1, events=events)
    assert desk.taken == []
    assert desk.ingest.malformed == 1
    desk.events(1, RELOAD)
    assert desk.taken == [TakenEvents(1, 0, 0, [TAKEN_RELOAD])]


@pytest.mark.parametrize("kind", sorted(frame.NOT_BUILT))
def test_a_kind_that_is_not_built_is_refused_clearly(desk: Desk, kind: MessageKind) -> None:
    desk.say(kind)
    assert desk.replies[-1][1]["code"] == "kind"
    assert "not built" in desk.replies[-1][1]["message"]
    assert desk.ingest.unsupported == 1


@pytest.mark.parametrize("parts", [[], [b""], [b"\xff" * 40], [msgpack.packb([1])], [msgpack.packb({"k": 4})]])
def test_garbage_is_counted_and_answered(desk: Desk, parts: list[bytes]) -> None:
    desk.ingest.handle(PEER, parts)
    assert desk.ingest.malformed == 1
    assert desk.replies[-1][0] is MessageKind.ERROR
    desk.samples(1, observed=2)
    assert desk.sink.entries[-1][:2] == ("frame", 1)


def test_a_batch_without_samples_brings_its_counts(desk: Desk) -> None:
    desk.samples(1, observed=5, values=0, r=5)
    assert desk.sink.entries[-1] == ("frame", 1, SessionCounts(5, 0, 0, 0, 5))


def test_whoever_has_been_told_nothing_for_a_while_hears_that_the_agent_is_there(desk: Desk) -> None:
    """While nothing can be synced, or while it defines many series: it is told what is on disk, and no more."""
    desk.samples(1, observed=2)
    desk.ingest.acknowledge(2)
    desk.samples(2, observed=4)
    told = len(desk.replies)
    desk.say(MessageKind.DEFINE, series=[])
    assert len(desk.replies) == told
    for _ in range(2):
        desk.alive_ms += HEARTBEAT_INTERVAL_MS
        desk.say(MessageKind.DEFINE, series=[])
        desk.say(MessageKind.DEFINE, series=[])
    assert [(kind, reply["q"]) for kind, reply in desk.replies[told:]] == [(MessageKind.ACK, 1)] * 2
    desk.ingest.acknowledge(3)
    assert desk.replies[-1][1]["q"] == 2


def test_a_message_that_nobody_could_foresee_costs_one_answer(desk: Desk) -> None:
    desk.ingest.failed(PEER, RuntimeError("a bug"))
    assert desk.replies[-1][1]["code"] == "internal"
    assert desk.ingest.refused == {"internal": 1}
    desk.samples(1, observed=2)
    assert desk.sink.entries[-1][:2] == ("frame", 1)


def test_a_session_too_many_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("SESSIONS_MAX", "SESSIONS_REMEMBERED"):
        with monkeypatch.context() as patch:
            patch.setattr(f"obsagent.receive.ingest.{limit}", 1)
            fields = {"service": "fraud", "host": "h", "pid": 1, "started": 2, "clock": NOW_MS, "version": ""}
            desk.ingest.handle(PEER, [frame.pack(MessageKind.HELLO, s=b"x" * 16, **fields)])
        assert desk.replies[-1][1]["code"] == "sessions"
        desk.hello()  # of a session that there is
        assert desk.replies[-1][0] is MessageKind.WELCOME
    assert desk.ingest.refused == {"sessions": 2}
    assert (desk.ingest.malformed, desk.ingest.unsupported) == (0, 0)
