"""What must hold for any text that is asked as a query; shared by the fuzzer and by the replay of its corpus."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from fuzz.query_words import ERRORS
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.options import Options
from obsagent.answer.query import Query
from obsagent.cli.answer_csv import write_csv
from obsagent.cli.answers import table_lines
from obsagent.cli.table import Style
from obsagent.errors import UsageError
from obsagent.samples import Kind
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250  # 2026-01-01T09:02:05.250Z
WIDTHS = (None, 20, 80, 200)
PARSE_S_MAX = 0.05
ZONES: tuple[tzinfo | None, ...] = (None, UTC, ZoneInfo("America/St_Johns"))


def small_view() -> FakeView:
    """A little of everything: each kind of instrument, labels, an event, losses, numbers that are not finite."""
    view = FakeView()
    for number, endpoint in enumerate(("/score", "/rank")):
        labels = {"service": "fraud", "endpoint": endpoint, "version": str(number)}
        latency = view.add_series("latency", Kind.HISTOGRAM, "seconds", **labels)
        view.observe(latency, NOW_MS - 3_000, 0.0, 0.25, 1e-9, 1e9, float("nan"), float("inf"))
        view.observe(latency, NOW_MS - 3_600_000, -0.5, 0.125)
        requests = view.add_series("requests", Kind.COUNTER, "requests", status=f"{2 + 3 * number}00", **labels)
        view.increment(requests, NOW_MS - 3_000, 7.0, 7)
        for worker in ("0", "1"):
            depth = view.add_series("depth", Kind.GAUGE, "", "mean", worker=worker, host="a", **labels)
            view.set_gauge(depth, NOW_MS - 2_000, -4.5)
    errors = view.add_series("errors", Kind.COUNTER, "requests", service="fraud", endpoint="/rank", version="1")
    view.increment(errors, NOW_MS - 3_000)
    view.observe(view.add_series("step", Kind.HISTOGRAM, "bytes", step="build"), NOW_MS - 3_000, 4096.0)
    view.add_event("deploy", NOW_MS - 60_000, service="fraud", version="1")
    view.account(NOW_MS - 3_000, "fraud", observed=30, stored=20, dropped=(1, 2, 3))
    view.connect("fraud", 0, NOW_MS - 1_000)
    return view


VIEW = small_view()


def check(text: str) -> None:
    """Any text parses or is refused with a place inside it, at once; what parses is answered, or refused likewise."""
    query = _parsed(text)
    if query is None:
        return
    zone = ZONES[len(text) % len(ZONES)]
    try:
        result = answer(query, VIEW, NOW_MS, Options(zone=zone, explain=True))
    except QueryError as error:
        check_error(error, text)
    except UsageError as error:
        _check_lines([str(error)])
    else:
        _check_shown(result, WIDTHS[len(text) % len(WIDTHS)])


def check_bytes(data: bytes) -> None:
    """Checks the text that the bytes are, if they are one."""
    try:
        text = data.decode("utf-8", ERRORS)
    except UnicodeDecodeError:
        return
    check(text)


def _parsed(text: str) -> Query | None:
    """The query, read within its time; a machine that is busy with something else gets three attempts."""
    for _ in range(3):
        began_s = time.thread_time()
        try:
            query = parse(text)
        except QueryError as error:
            check_error(error, text)
            query = None
        took_s = time.thread_time() - began_s
        if took_s < PARSE_S_MAX:
            return query
    raise AssertionError(f"took {took_s:.3f} s")


def check_error(error: QueryError, text: str) -> None:
    """The place lies in the text, or one place behind it; the message is lines of text."""
    assert text.startswith(error.text), error.text
    assert 0 <= error.start <= error.end <= len(text) + 1, (error.start, error.end)
    lines = str(error).split("\n")
    assert len(lines) == (3 if text.strip() else 1), lines
    _check_lines(lines)


def _check_lines(lines: list[str]) -> None:
    """A terminal shows them, and obeys nothing in them."""
    for line in lines:
        assert line.isprintable(), line


def _check_shown(result: dict, width: int | None) -> None:
    """An answer has a form as JSON, as a table of lines that a terminal only shows, and as CSV."""
    json.loads(json.dumps(result, allow_nan=False))
    style = Style(io.StringIO())
    style.width = width
    _check_lines(table_lines(result, style))
    write_csv(result, io.StringIO())


def _load_lazily() -> None:
    """Imports what only some queries need, so that none of them is charged for it."""
    check("p99 latency endpoint matches a step 10s vs 1h ago")
    check("p99 latency sinse 5m")


_load_lazily()
