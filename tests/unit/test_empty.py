"""What an empty answer says about why."""

from datetime import timedelta, timezone

import pytest

from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z
UTC = timezone(timedelta())


@pytest.fixture
def view():
    return FakeView()


@pytest.fixture
def latency(view):
    return view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", worker="0", endpoint="/score")


@pytest.fixture
def requests(view):
    return view.add_series("requests", Kind.COUNTER, "requests", service="fraud", worker="0")


def ask(view, text, zone=UTC):
    return answer(parse(text), view, NOW_MS, Options(zone=zone))


def empty(view, text):
    result = ask(view, text)
    assert result["series"] == []
    return result["empty"]


def test_an_answer_with_rows_has_no_excuse(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    assert "empty" not in ask(view, "latency")


def test_an_empty_store(view):
    result = ask(view, "p99 latency")
    assert result["empty"] == (
        "no `latency` in the last 5m: the store holds no metric yet; no client has sent a sample"
    )
    assert result["covered"] is None
    assert result["metric"] == {"name": "latency", "kind": None, "unit": ""}


def test_a_misspelled_metric(view, latency):
    view.observe(latency, NOW_MS - 90_000, 0.1)
    assert empty(view, "p99 latnecy by nothing") == (
        "no `latnecy` in the last 5m; did you mean `latency`? last sample 09:00:35, 1m30s ago"
    )


def test_an_unknown_metric_unlike_any_other(view, latency, requests):
    assert empty(view, "p99 xyzzy since 1h") == "no `xyzzy` in the last 1h, nor ever; there are latency and requests"


def test_a_metric_that_has_gone_silent(view, latency):
    view.observe(latency, NOW_MS - 3 * 86_400_000, 0.1)
    assert empty(view, "p99 latency endpoint=/score") == (
        "no `latency endpoint=/score` in the last 5m; last sample 2025-12-29 09:02:05, 3d ago"
    )


def test_the_last_sample_is_that_of_what_was_asked(view, latency):
    other = view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", endpoint="/batch")
    view.observe(latency, NOW_MS - 600_000, 0.1)
    view.observe(other, NOW_MS - 1_000, 0.1)
    assert empty(view, "p99 latency endpoint=/score") == (
        "no `latency endpoint=/score` in the last 5m; last sample 08:52:10, 9m55s ago"  # to the end of its window
    )
    view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", endpoint="/new")
    assert empty(view, "p99 latency endpoint=/new").endswith("; no sample of it is stored")


def test_a_metric_of_which_nothing_is_left(view, latency):
    assert empty(view, "p99 latency") == "no `latency` in the last 5m; no sample of it is stored"


def test_a_value_that_no_series_has(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", endpoint="/batch")
    assert empty(view, "p99 latency endpoint=/scroe") == (
        "no `latency` with endpoint=/scroe; endpoint has been /batch and /score; did you mean `/score`?"
    )
    assert empty(view, "p99 latency endpoint=/batch worker=0") == ("no `latency` with endpoint=/batch worker=0 at once")


def test_times_are_the_readers(view, latency):
    view.observe(latency, NOW_MS - 600_000, 0.1)
    said = ask(view, "p99 latency", timezone(timedelta(hours=5, minutes=30)))["empty"]
    assert said.endswith("last sample 14:22:05, 10m ago")


def test_that_nobody_is_connected_is_said(view, latency):
    view.observe(latency, NOW_MS - 600_000, 0.1)
    view.connect("fraud", live=0, last_ms=NOW_MS - 590_000)
    assert empty(view, "latency").endswith("; no client connected since 08:52:15, 9m50s ago")
    view.connect("fraud", live=1, last_ms=NOW_MS)
    assert "connected" not in empty(view, "latency")


def test_other_ranges_are_said_as_they_were_asked(view, latency):
    view.observe(latency, NOW_MS - 3 * 86_400_000, 0.1)
    assert empty(view, "latency today").startswith("no `latency` today; last sample 2025-12-29")
    assert empty(view, "latency from 08:00 to 09:00").startswith("no `latency` from 08:00 to 09:00;")
    view.add_event("deploy", NOW_MS - 5_000)
    assert empty(view, "latency since deploy").startswith("no `latency` since deploy;")


def test_rows_that_where_refused(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    assert empty(view, "p99 latency by endpoint where p99 above 500ms") == "the only row does not have p99 above 500ms"
    assert empty(view, "p99 latency step 1m where p99 above 0.5") == "none of the steps has p99 above 0.5"


@pytest.mark.parametrize(("limit", "hint"), [("5", "; 1 is the whole: did you mean `5%`?"), ("5%", ""), ("0.5", "")])
def test_a_share_is_at_most_1(view, requests, limit, hint):
    view.increment(requests, NOW_MS)
    said = empty(view, f"error_rate where error_rate above {limit}")
    assert said == f"the only row does not have error_rate above {limit}{hint}"


def test_a_ratio_without_its_divisor(view, requests):
    view.increment(requests, NOW_MS)
    assert empty(view, "requests / latency").startswith("no `latency` in the last 5m, nor ever")


def test_a_filter_that_excludes_everything(view, latency):
    view.observe(latency, NOW_MS, 0.1)
    assert empty(view, "latency endpoint not /score") == "no `latency` with endpoint!=/score; endpoint has been /score"
    assert (
        empty(view, "latency endpoint matches ^x") == "no `latency` with endpoint matches ^x; endpoint has been /score"
    )
