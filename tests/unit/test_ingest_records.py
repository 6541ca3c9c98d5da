"""Messages of records: taken once, acknowledged when they are on disk, refused for their time one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import by_id_lab as lab
import pytest
from test_ingest import NOW_MS, Desk

from obsagent.by_id.batches import Forgotten, Values
from obsagent.by_id.codec import decode, encode, kind_of
from obsagent.limits import HORIZON_MS
from obsagent.wire.frame import MessageKind


def records_of(desk: Desk, batch: Any, sequence: int, first_kept: int = 1, **more: Any) -> None:
    fields = {"q": sequence, "f": first_kept, "n": len(batch.ids), **more}
    desk.say(MessageKind(kind_of(batch)), body=encode(batch), **fields)


def test_records_are_taken_once_and_acknowledged() -> None:
    desk = Desk()
    desk.hello()
    for _ in range(2):
        records_of(desk, lab.predictions(["a", "b"], at_ms=NOW_MS), 1)
    records_of(desk, lab.truths(["a"], at_ms=NOW_MS), 3)
    assert [entry[1][:3] for entry in desk.sink.entries if entry[0] == "records"] == [(2, 0, 2), (3, 0, 1)]
    desk.ingest.acknowledge(desk.sink.position())
    assert (desk.replies[-1][1]["r"], desk.replies[-1][1]["t"]) == (3, [3, 0, 0, 0, 0])
    desk.hello()
    assert (desk.replies[-1][1]["records"], desk.replies[-1][1]["t"]) == (3, [3, 0, 0, 0, 0])


def test_a_gap_of_records_is_taken_only_if_the_client_has_given_up() -> None:
    desk = Desk()
    desk.hello()
    records_of(desk, lab.truths(["a"]), 5)
    assert desk.replies[-1][1]["code"] == "again"
    records_of(desk, lab.truths(["a"]), 5, first_kept=5)
    assert desk.sink.entries[-1][1][:3] == (5, 4, 1)


@pytest.mark.parametrize("at_ms", [NOW_MS - HORIZON_MS - 1, NOW_MS + 10_001])
def test_records_out_of_the_horizon_use_up_their_sequence_and_are_not_in_the_batch(at_ms: int) -> None:
    desk = Desk()
    desk.hello()
    batch = lab.predictions(["a", "é", "c"], lab.classes("x", "y", "z"), [0.1, 0.2, 0.3])
    batch = replace(batch, at_ms=lab.times(at_ms, NOW_MS, at_ms))
    records_of(desk, batch, 1)
    taken = desk.sink.entries[-1][1]
    assert taken[:3] == (3, 0, 3)
    expected = lab.predictions(["é"], scores=[0.2], at_ms=NOW_MS)
    assert taken.batch == replace(expected, values=Values(b"\x01\x00", ("x", "y", "z")))


def test_records_that_are_all_out_of_the_horizon_leave_an_empty_batch() -> None:
    desk = Desk()
    desk.hello()
    records_of(desk, lab.rows(["a"], [{"x": 1}]), 1)
    assert len(desk.sink.entries[-1][1].batch.rows) == 1
    records_of(desk, lab.truths(["a"], at_ms=5), 2)
    assert len(desk.sink.entries[-1][1].batch.ids) == 0
    assert decode(encode(desk.sink.entries[-1][1].batch)) == desk.sink.entries[-1][1].batch


def test_records_that_are_not_what_their_header_says_are_refused() -> None:
    desk = Desk()
    desk.hello()
    batch = lab.truths(["a", "b"])
    for kind, body, fields in (
        (MessageKind.PREDICTIONS, encode(batch), {}),
        (MessageKind.TRUTHS, encode(batch), {"n": 3}),
        (MessageKind.TRUTHS, encode(batch)[:-1], {}),
        (MessageKind.TRUTHS, b"", {}),
        (MessageKind.TRUTHS, encode(Forgotten("", batch.ids)), {}),
    ):
        desk.say(kind, body=body, **{"q": 1, "f": 1, "n": 2, **fields})
        assert desk.replies[-1][1]["code"] == "frame"
    records_of(desk, batch, 1)
    records_of(desk, lab.truths(["b", "c"]), 2)
    assert desk.replies[-1][1]["code"] == "frame"
    assert len([entry for entry in desk.sink.entries if entry[0] == "records"]) == 1


def test_records_of_an_unknown_session_are_told_to_say_hello() -> None:
    desk = Desk()
    records_of(desk, lab.truths(["a"]), 1)
    assert desk.replies[-1][1]["code"] == "session"
