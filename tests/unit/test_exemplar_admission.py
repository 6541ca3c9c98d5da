"""What the agent takes of the exemplars of a batch; whatever they are, the batch itself is taken."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from test_ingest import NOW_MS, Desk, desk

from obsagent.limits import EXEMPLAR_ID_BYTES_MAX, EXEMPLARS_PER_MESSAGE
from obsagent.receive.exemplars import ExemplarAdmission
from obsagent.samples import Exemplar, Kind
from obsagent.wire import frame
from obsagent.wire.exemplars import SentExemplar, exemplar_fields, read_exemplars
from obsagent.wire.frame import MessageKind, SeriesDefinition

__all__ = ["desk"]

GOOD: list[Any] = [0, 1.5, NOW_MS, b"trace", b"request"]
WINDOW = NOW_MS - NOW_MS % 10_000


def sent(desk: Desk, rows: Any) -> list[Exemplar]:
    """What is stored of a batch with these rows."""
    definition = SeriesDefinition(0, "latency", Kind.HISTOGRAM, {}, "seconds", "", 6, "sum")
    desk.say(MessageKind.DEFINE, series=[frame.definition_row(definition)])
    desk.samples(1, observed=2, x=rows)
    assert desk.sink.entries[-1][:2] == ("frame", 1)  # whatever its exemplars are
    return desk.sink.exemplars


def test_good_ones_are_stored_in_the_window_of_their_batch(desk: Desk) -> None:
    without_trace = [0, 0.0, NOW_MS, b"", "ä".encode() * (EXEMPLAR_ID_BYTES_MAX // 2), "a later field"]
    assert sent(desk, [GOOD, without_trace]) == [
        Exemplar(7, WINDOW, 1.5, NOW_MS, "trace", "request"),
        Exemplar(7, WINDOW, 0.0, NOW_MS, "", "ä" * (EXEMPLAR_ID_BYTES_MAX // 2)),
    ]
    assert not desk.ingest.exemplars.refused


BAD = {
    "not a row": ("form", None),
    "too short": ("form", GOOD[:4]),
    "number negative": ("form", [-1, *GOOD[1:]]),
    "number true": ("form", [True, *GOOD[1:]]),
    "series unknown": ("series", [5, *GOOD[1:]]),
    "value nan": ("value", [0, float("nan"), *GOOD[2:]]),
    "value infinite": ("value", [0, float("inf"), *GOOD[2:]]),
    "value an integer": ("value", [0, 1, *GOOD[2:]]),
    "value text": ("value", [0, "1.5", *GOOD[2:]]),
    "time before the batch": ("time", [0, 1.5, NOW_MS - 1, b"t", b""]),
    "time behind the batch": ("time", [0, 1.5, NOW_MS + 1, b"t", b""]),
    "time a float": ("time", [0, 1.5, float(NOW_MS), b"t", b""]),
    "ids empty": ("id", [0, 1.5, NOW_MS, b"", b""]),
    "id too long": ("id", [0, 1.5, NOW_MS, b"x" * (EXEMPLAR_ID_BYTES_MAX + 1), b""]),
    "id not UTF-8": ("id", [0, 1.5, NOW_MS, b"t", b"\xff"]),
    "id a surrogate": ("id", [0, 1.5, NOW_MS, b"\xed\xa0\x80", b""]),
    "id text": ("id", [0, 1.5, NOW_MS, "trace", b""]),
    "id nested": ("id", [0, 1.5, NOW_MS, [[b"t"]], b""]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_costs_itself(desk: Desk, name: str) -> None:
    reason, row = BAD[name]
    assert sent(desk, [GOOD, row, GOOD]) == 2 * [Exemplar(7, WINDOW, 1.5, NOW_MS, "trace", "request")]
    assert desk.ingest.exemplars.refused == {reason: 1}
    assert desk.ingest.malformed == 0


@pytest.mark.threat("H6")
def test_no_exemplars_whatever_they_are_spoil_a_batch(desk: Desk) -> None:
    row = [0, 1.5, NOW_MS, b"x" * EXEMPLAR_ID_BYTES_MAX, b"x" * EXEMPLAR_ID_BYTES_MAX]
    assert len(sent(desk, [row] * (EXEMPLARS_PER_MESSAGE + 40))) == EXEMPLARS_PER_MESSAGE
    assert desk.ingest.exemplars.refused == {"count": 40}
    for sequence, rows in enumerate(({}, "x", 1, [], [[]], [[[]] * 5]), 2):
        desk.samples(sequence, observed=2 * sequence, x=rows)
        assert ("frame", sequence) == desk.sink.entries[-1][:2]
    assert len(desk.sink.exemplars) == EXEMPLARS_PER_MESSAGE
    assert desk.ingest.exemplars.refused == {"count": 40, "form": 5}


def test_a_batch_that_is_refused_takes_its_exemplars_along(desk: Desk) -> None:
    desk.samples(1, observed=2, body=b"\x02", x=[GOOD])
    assert desk.sink.entries[-1][0] == "refusal"
    assert not desk.sink.exemplars
    assert not desk.ingest.exemplars.refused


def test_what_a_client_writes_is_read() -> None:
    exemplars = [SentExemplar(3, 0.25, NOW_MS, "trace", ""), SentExemplar(0, 9.0, NOW_MS + 5, "", "ä")]
    fields = exemplar_fields(exemplars)
    again = msgpack.unpackb(msgpack.packb(fields))
    assert read_exemplars(again, NOW_MS, NOW_MS + 5) == (exemplars, {})
    assert exemplar_fields([]) == {}
    assert ExemplarAdmission(None, None).take(None, {}) == ()  # type: ignore[arg-type]


def test_as_many_as_a_client_sends_fit_a_header() -> None:
    longest = SentExemplar(2**31 - 1, 0.1, 2**62, "x" * EXEMPLAR_ID_BYTES_MAX, "x" * EXEMPLAR_ID_BYTES_MAX)
    header = frame.pack(MessageKind.SAMPLES, **exemplar_fields([longest] * EXEMPLARS_PER_MESSAGE))
    assert frame.unpack(header)[0] is MessageKind.SAMPLES
