"""What the headers of the messages hold, pure: bytes in, bytes out, no socket.

A message is a msgpack map (the header, `obsagent.wire.header`) followed by at most one binary part (the body).
FORMAT.md beside this file is the specification; a test holds the two together.
"""

from __future__ import annotations

import reprlib
from typing import Any, NamedTuple

from obsagent.by_id.report import TruthReport
from obsagent.errors import CorruptData
from obsagent.limits import (
    BACKFILL_WINDOW_MS,
    BODY_BYTES_MAX,
    COUNT_MAX,
    EVENT_BYTES_MAX,
    EVENT_NAME_BYTES_MAX,
    EVENTS_PER_MESSAGE,
    HELP_BYTES_MAX,
    LABEL_NAME_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX,
    LABELS_MAX,
    METRIC_NAME_BYTES_MAX,
    REFUSED_LABEL_EXAMPLE_BYTES_MAX,
    REFUSED_LABEL_EXAMPLES,
    REFUSED_LABELS_PER_MESSAGE,
    SCALE_MAX,
    SCALE_MIN,
    SERIES_NUMBER_MAX,
    TIME_MS_MAX,
)
from obsagent.samples import ACROSS, SKETCHES, Event, Kind

# Whoever reads the fields of a message has read its header first: here is both.
from obsagent.wire.header import MAJOR as MAJOR
from obsagent.wire.header import MINOR as MINOR
from obsagent.wire.header import NOT_BUILT as NOT_BUILT
from obsagent.wire.header import WRITE_KINDS as WRITE_KINDS
from obsagent.wire.header import Header as Header
from obsagent.wire.header import MessageKind as MessageKind
from obsagent.wire.header import not_taken as not_taken
from obsagent.wire.header import pack as pack
from obsagent.wire.header import unpack as unpack

SESSION_BYTES = 16
DEFINITION_FIELDS_MIN = 8


class SeriesDefinition(NamedTuple):
    """One row of a define message: what a session's series number stands for."""

    number: int
    metric: str
    kind: Kind
    labels: dict[str, str]
    unit: str
    help: str
    scale: int
    across: str
    sketch: str = "loghist"


class SessionCounts(NamedTuple):
    """What a client has counted since its session began (samples, cumulative)."""

    observed: int
    dropped_ring: int
    dropped_budget: int
    dropped_expired: int
    rejected_value: int


class RefusedLabel(NamedTuple):
    """What a client did not make series for, because of one label of one metric: how often, and some values."""

    metric: str
    label: str
    reason: str
    refused: int
    examples: list[str]


class SamplesHeader(NamedTuple):
    """A checked header of a samples message."""

    session: bytes
    sequence: int
    first_kept: int
    start_ms: int
    end_ms: int
    samples: int
    counts: SessionCounts
    reach_ms: int = 0
    """Of a backfill, how far back it may lie; 0 of any other batch."""


class EventsHeader(NamedTuple):
    """A checked events message; `sequence` is that of its first event, and the others follow it."""

    session: bytes
    sequence: int
    first_kept: int
    events: list[Event]

    @property
    def last_sequence(self) -> int:
        """The sequence of its last event."""
        return self.sequence + len(self.events) - 1


class Hello(NamedTuple):
    """A checked hello."""

    session: bytes
    service: str
    host: str
    pid: int
    started_ms: int
    clock_ms: int
    version: str
    pid_namespace: int = 0


class Welcome(NamedTuple):
    """A checked welcome; `events` and `records` are None from an agent that takes none of these."""

    clock: int
    applied: int
    scales: dict[str, int]
    caps: tuple[int, int]
    """How many series the agent takes of a metric, and in all; 0 if it does not say."""
    events: int | None
    records: int | None = None
    report: TruthReport = TruthReport()


class AckHeader(NamedTuple):
    """A checked ack."""

    clock: int
    sequence: int
    event: int
    goodbye: bool
    record: int = 0
    report: TruthReport = TruthReport()


def _shown(value: Any) -> str:
    """The beginning of a value of the peer's: whole it may be of any size, and nested deeper than `repr` goes."""
    return reprlib.repr(value)


def _integer(fields: Header, key: str, low: int = 0, high: int = COUNT_MAX) -> int:
    value = fields.get(key)
    if type(value) is not int or not low <= value <= high:
        raise CorruptData(f"field {key!r} must be an integer from {low} to {high}")
    return value


def _text(fields: Header, key: str, bytes_max: int, *, empty: bool = True) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or len(value.encode("utf-8", "surrogatepass")) > bytes_max:
        raise CorruptData(f"field {key!r} must be text of at most {bytes_max} bytes")
    if not empty and not value:
        raise CorruptData(f"field {key!r} must not be empty")
    return value


def session_of(fields: Header) -> bytes:
    """The session that a message belongs to (16 bytes); raises `CorruptData`."""
    value = fields.get("s")
    if not isinstance(value, bytes) or len(value) != SESSION_BYTES:
        raise CorruptData(f"field 's' must be {SESSION_BYTES} bytes")
    return value


def read_hello(fields: Header) -> Hello:
    """Checks a hello; raises `CorruptData`."""
    return Hello(
        session=session_of(fields),
        service=_text(fields, "service", LABEL_VALUE_BYTES_MAX, empty=False),
        host=_text(fields, "host", LABEL_VALUE_BYTES_MAX, empty=False),
        pid=_integer(fields, "pid"),
        started_ms=_integer(fields, "started"),
        clock_ms=_integer(fields, "clock"),
        version=_text(fields, "version", LABEL_VALUE_BYTES_MAX),
        pid_namespace=_integer(fields, "pidns") if "pidns" in fields else 0,
    )


def read_welcome(fields: Header) -> Welcome:
    """Checks a welcome; raises `CorruptData`."""
    scales = fields.get("scales", {})
    if not isinstance(scales, dict):
        raise CorruptData("field 'scales' must be a map")
    for metric, scale in scales.items():
        _text({"metric": metric}, "metric", METRIC_NAME_BYTES_MAX)
        _integer({"scale": scale}, "scale", SCALE_MIN, SCALE_MAX)
    caps = fields.get("caps", [0, 0])
    if not isinstance(caps, list) or len(caps) != 2:
        raise CorruptData("field 'caps' must be two counts")
    per_metric, total = (_integer({"caps": cap}, "caps") for cap in caps)
    events = None if fields.get("events") is None else _integer(fields, "events")
    clock_ms, applied = _integer(fields, "clock", 0, TIME_MS_MAX), _integer(fields, "applied")
    records = None if fields.get("records") is None else _integer(fields, "records")
    return Welcome(clock_ms, applied, scales, (per_metric, total), events, records, read_report(fields))


def read_ack(fields: Header) -> AckHeader:
    """Checks an ack; raises `CorruptData`."""
    event = _integer(fields, "e") if "e" in fields else 0
    clock = _integer(fields, "clock", 0, TIME_MS_MAX)
    record = _integer(fields, "r") if "r" in fields else 0
    goodbye = fields.get("goodbye") is True
    return AckHeader(clock, _integer(fields, "q"), event, goodbye, record, read_report(fields))


def read_report(fields: Header) -> TruthReport:
    """What became of the session's truths, as a welcome or an ack says it; raises `CorruptData`."""
    counts = fields.get("t", [0] * len(TruthReport._fields))
    if not isinstance(counts, list) or len(counts) < len(TruthReport._fields):
        raise CorruptData(f"field 't' must be {len(TruthReport._fields)} counts")
    return TruthReport(*(_integer({"t": count}, "t") for count in counts[: len(TruthReport._fields)]))


def counts_fields(counts: SessionCounts) -> Header:
    """The fields that carry a session's counts in samples, heartbeat and goodbye messages."""
    return {
        "o": counts.observed,
        "d": [counts.dropped_ring, counts.dropped_budget, counts.dropped_expired],
        "r": counts.rejected_value,
    }


def read_counts(fields: Header) -> SessionCounts:
    """Checks the counts of a message; raises `CorruptData`."""
    dropped = fields.get("d")
    if not isinstance(dropped, list) or len(dropped) != 3:
        raise CorruptData("field 'd' must be three counts")
    if any(type(count) is not int or not 0 <= count <= COUNT_MAX for count in dropped):
        raise CorruptData("field 'd' must be three counts")
    return SessionCounts(_integer(fields, "o"), dropped[0], dropped[1], dropped[2], _integer(fields, "r"))


def read_samples(fields: Header, body_bytes: int) -> SamplesHeader:
    """Checks the header of a samples message; raises `CorruptData`."""
    header = SamplesHeader(
        session=session_of(fields),
        sequence=_integer(fields, "q", 1),
        first_kept=_integer(fields, "f", 1),
        start_ms=_integer(fields, "a"),
        end_ms=_integer(fields, "b"),
        samples=_integer(fields, "n"),
        counts=read_counts(fields),
        reach_ms=_integer(fields, "h", 1, TIME_MS_MAX) if "h" in fields else 0,
    )
    if header.end_ms < header.start_ms:
        raise CorruptData("a batch must not end before it starts")
    if header.reach_ms and not _is_whole_hour(header):
        raise CorruptData("a backfill must begin with an hour, and end in it")
    if body_bytes > BODY_BYTES_MAX:
        raise CorruptData(f"a body of {body_bytes} bytes; at most {BODY_BYTES_MAX} are allowed")
    return header


def _is_whole_hour(header: SamplesHeader) -> bool:
    """True for a batch as backfills are: of one hour, from its beginning."""
    return header.start_ms % BACKFILL_WINDOW_MS == 0 and header.end_ms - header.start_ms < BACKFILL_WINDOW_MS


def definition_row(definition: SeriesDefinition) -> list[Any]:
    """A definition as it stands in a define message."""
    return [
        definition.number,
        definition.metric,
        int(definition.kind),
        definition.labels,
        definition.unit,
        definition.help,
        definition.scale,
        definition.across,
        definition.sketch,
    ]


def read_definitions(fields: Header) -> list[SeriesDefinition]:
    """Checks the rows of a define message; raises `CorruptData`."""
    rows = fields.get("series")
    if not isinstance(rows, list):
        raise CorruptData("field 'series' must be a list")
    return [_read_definition(row) for row in rows]


def _read_definition(row: Any) -> SeriesDefinition:
    if not isinstance(row, list) or len(row) < DEFINITION_FIELDS_MIN:
        raise CorruptData(f"a series definition has {DEFINITION_FIELDS_MIN} fields or more")
    number, metric, kind, labels, unit, help_text, scale, across = row[:DEFINITION_FIELDS_MIN]
    sketch = row[DEFINITION_FIELDS_MIN] if len(row) > DEFINITION_FIELDS_MIN else "loghist"
    named = {"number": number, "metric": metric, "unit": unit, "help": help_text, "scale": scale}
    _integer(named, "number", 0, SERIES_NUMBER_MAX)
    _text(named, "metric", METRIC_NAME_BYTES_MAX, empty=False)
    _text(named, "unit", METRIC_NAME_BYTES_MAX)
    _text(named, "help", HELP_BYTES_MAX)
    _integer(named, "scale", SCALE_MIN, SCALE_MAX)
    if type(kind) is not int or kind not in Kind.__members__.values():
        raise CorruptData(f"unknown kind of instrument {_shown(kind)}")
    if across not in ACROSS:
        raise CorruptData(f"unknown combination across workers {_shown(across)}")
    if sketch not in SKETCHES or (sketch != "loghist" and kind != Kind.HISTOGRAM):
        raise CorruptData(f"unknown sketch {_shown(sketch)} of a {Kind(kind).word}")
    return SeriesDefinition(number, metric, Kind(kind), _labels(labels), unit, help_text, scale, across, sketch)


def _labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict) or len(labels) > LABELS_MAX:
        raise CorruptData(f"labels must be a map of at most {LABELS_MAX} entries")
    for name, value in labels.items():
        _text({"label name": name}, "label name", LABEL_NAME_BYTES_MAX, empty=False)
        _text({"label value": value}, "label value", LABEL_VALUE_BYTES_MAX)
    return labels


def event_row(event: Event) -> list[Any]:
    """An event as it stands in an events message."""
    return [event.name, event.at_ms, event.labels]


def event_bytes(event: Event) -> int:
    """What an event weighs against `EVENT_BYTES_MAX`: the bytes of its name and labels."""
    words = (event.name, *event.labels, *event.labels.values())
    return sum(len(word.encode("utf-8", "surrogatepass")) for word in words)


def read_events(fields: Header) -> EventsHeader:
    """Checks an events message; raises `CorruptData`."""
    rows = fields.get("events")
    if not isinstance(rows, list) or not 1 <= len(rows) <= EVENTS_PER_MESSAGE:
        raise CorruptData(f"field 'events' must be a list of 1 to {EVENTS_PER_MESSAGE} events")
    events = [_read_event(row) for row in rows]
    first = _integer(fields, "q", 1, COUNT_MAX - EVENTS_PER_MESSAGE)
    return EventsHeader(session_of(fields), first, _integer(fields, "f", 1, first), events)


def _read_event(row: Any) -> Event:
    if not isinstance(row, list) or len(row) != 3:
        raise CorruptData("an event has three fields")
    named = {"name": row[0], "time": row[1]}
    name = _text(named, "name", EVENT_NAME_BYTES_MAX, empty=False)
    event = Event(name, _integer(named, "time"), _labels(row[2]))
    if event_bytes(event) > EVENT_BYTES_MAX:
        raise CorruptData(f"an event of {event_bytes(event)} bytes; at most {EVENT_BYTES_MAX} are allowed")
    return event


def refused_labels_fields(rows: list[RefusedLabel]) -> Header:
    """The field that tells in heartbeat and goodbye messages what a client refused; none if it is nothing."""
    return {"l": [list(row) for row in rows]} if rows else {}


def read_refused_labels(fields: Header) -> list[RefusedLabel]:
    """Checks what a client says that it refused, [] if it says nothing; raises `CorruptData`."""
    rows = fields.get("l", [])
    if not isinstance(rows, list) or len(rows) > REFUSED_LABELS_PER_MESSAGE:
        raise CorruptData(f"field 'l' must be a list of at most {REFUSED_LABELS_PER_MESSAGE} refused labels")
    return [_read_refused_label(row) for row in rows]


def _read_refused_label(row: Any) -> RefusedLabel:
    if not isinstance(row, list) or len(row) < len(RefusedLabel._fields):
        raise CorruptData(f"a refused label has {len(RefusedLabel._fields)} fields or more")
    metric, label, reason, refused, examples = row[: len(RefusedLabel._fields)]
    named = {"metric": metric, "label": label, "reason": reason, "refused": refused}
    _text(named, "metric", METRIC_NAME_BYTES_MAX, empty=False)
    _text(named, "label", LABEL_NAME_BYTES_MAX, empty=False)
    _text(named, "reason", LABEL_NAME_BYTES_MAX, empty=False)
    _integer(named, "refused", 1)
    if not isinstance(examples, list) or len(examples) > REFUSED_LABEL_EXAMPLES:
        raise CorruptData(f"a refused label has at most {REFUSED_LABEL_EXAMPLES} examples")
    for example in examples:
        _text({"example": example}, "example", REFUSED_LABEL_EXAMPLE_BYTES_MAX)
    return RefusedLabel(metric, label, reason, refused, examples)
