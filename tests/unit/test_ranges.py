"""From the words of a range to milliseconds."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.ranges import Span, resolve
from unit.fake_view import FakeView

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


NOW_MS = ms("2026-01-31T10:30:00+01:00")


@pytest.fixture
def view():
    view = FakeView()
    view.add_event("deploy", NOW_MS - 3_600_000, version="3", service="fraud")
    view.add_event("deploy", NOW_MS - 600_000, version="4", service="risk")
    view.add_event("rollback", NOW_MS - 60_000, service="fraud")
    return view


def resolved(view, words):
    return resolve(parse(f"latency {words}"), view, NOW_MS, BERLIN)


@pytest.mark.parametrize(
    ("words", "begin", "end"),
    [
        ("", "2026-01-31T10:25+01:00", None),
        ("since 1h30m", "2026-01-31T09:00+01:00", None),
        ("today", "2026-01-31T00:00+01:00", None),
        ("yesterday", "2026-01-30T00:00+01:00", "2026-01-31T00:00+01:00"),
        ("since 11:00", "2026-01-30T11:00+01:00", None),
        ("from 22:00 to 02:00", "2026-01-30T22:00+01:00", "2026-01-31T02:00+01:00"),
        ("from 2026-01-01 to 2026-01-02", "2026-01-01T00:00+01:00", "2026-01-02T00:00+01:00"),
        ("from 10:00 to 11:00", "2026-01-31T10:00+01:00", None),
        ("since deploy", "2026-01-31T10:20+01:00", None),
        ("since deploy service=fraud", "2026-01-31T09:30+01:00", None),
        ("since deploy version=3 endpoint=/score", "2026-01-31T09:30+01:00", None),
        ("since deploy version not 4", "2026-01-31T09:30+01:00", None),
    ],
)
def test_ranges(view, words, begin, end):
    assert resolved(view, words) == Span(ms(begin), ms(end) if end else NOW_MS)


@pytest.mark.parametrize(
    ("words", "summary", "place"),
    [
        ("since 2026-02-01", "this time has not come yet", "since 2026-02-01"),
        ("from 2026-01-02 to 2026-01-01", "this time ends before it begins", "from 2026-01-02 to 2026-01-01"),
        ("since deploy version=5", "no event `deploy` fits version=5", "since deploy"),
        (
            "since deply",
            "no event `deply` is stored: there are deploy and rollback; did you mean `deploy`?",
            "since deply",
        ),
    ],
)
def test_ranges_that_cannot_be(view, words, summary, place):
    with pytest.raises(QueryError) as caught:
        resolved(view, words)
    assert caught.value.summary == summary
    assert caught.value.text[caught.value.start : caught.value.end] == place


def test_an_event_of_a_store_without_any():
    with pytest.raises(QueryError, match=r'no event is stored yet; `obs.event\("deploy"\)` records one'):
        resolved(FakeView(), "since deploy")


def test_a_span_earlier_keeps_its_length_and_stays_after_the_epoch():
    assert Span(100_000, 160_000).earlier(60_000) == Span(40_000, 100_000)
    assert Span(10_000, 70_000).earlier(60_000) == Span(0, 10_000)
