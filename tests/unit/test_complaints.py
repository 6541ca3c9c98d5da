"""Whoever sends bad messages without end fills no log."""

from __future__ import annotations

import logging

import pytest
from set_clock import SetClock

from obsagent.receive.complaints import LINES_PER_PERIOD, PERIOD_MS, Complaints


def test_each_kind_of_line_has_its_room_and_what_is_kept_back_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clock = SetClock()
    complaints = Complaints(logging.getLogger("test"), clock)
    for number in range(1_000):
        complaints.say(logging.WARNING, "bad batch %d", number)
    complaints.say(logging.WARNING, "bad kind")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [*(f"bad batch {number}" for number in range(LINES_PER_PERIOD)), "bad kind"]
    clock.pass_ms(PERIOD_MS)
    complaints.say(logging.WARNING, "bad batch %d", 1)
    last = [record.getMessage() for record in caplog.records][-2:]
    assert last == [f"{1_000 - LINES_PER_PERIOD} lines like those before are not in this log", "bad batch 1"]
    clock.pass_ms(PERIOD_MS)
    complaints.say(logging.WARNING, "bad batch %d", 2)
    assert caplog.records[-1].getMessage() == "bad batch 2"
