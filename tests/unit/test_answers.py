"""How an answer looks: as a table with its footer at every width, and as CSV."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from answer_cases import BEGIN, CASES, LATENCY, answer, compared, compared_answer, iso, points, row
from answer_goldens import DIRECTORY, ZONE, Terminal, csv_of, golden, printed

from obsagent.cli.answers import write_table
from obsagent.cli.table import columns_of
from obsagent.cli.times import Clock


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The golden files show times of a place east of Greenwich."""
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_the_golden_one(name: str) -> None:
    assert golden(CASES[name]) == (DIRECTORY / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in DIRECTORY.iterdir()} == set(CASES)


UNBREAKABLE = {"explained"}  # PromQL is there to be copied


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
@pytest.mark.parametrize("name", set(CASES) - UNBREAKABLE)
def test_no_line_is_wider_than_the_terminal(name: str, columns: int) -> None:
    assert max(map(columns_of, printed(CASES[name], columns).splitlines())) <= columns


@pytest.mark.parametrize("name", set(CASES) - UNBREAKABLE)
def test_every_number_is_shown_however_narrow_the_terminal(name: str) -> None:
    """Numbers move into further blocks; none is cut."""
    numbers = {word for word in printed(CASES[name], None).split() if word[0].isdigit() and len(word) < 8}
    assert numbers <= set(printed(CASES[name], 60).split()) | {"42", "41"}


def test_a_pipe_has_neither_colour_nor_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "\x1b" not in printed(CASES["explained"], None)
    assert max(map(len, printed(CASES["wide"], None).splitlines())) > 150


def test_a_terminal_has_a_bold_header_and_a_dim_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    write_table(CASES["explained"], stream)
    header, _, empty, footer, between, *explained = stream.getvalue().splitlines()
    assert header.startswith("\x1b[1m")
    assert (empty, between) == ("", "")
    assert all(line.startswith("\x1b[2m") and line.endswith("\x1b[0m") for line in [footer, *explained])


def test_a_stream_without_blocks_gets_no_sparkline_and_other_marks() -> None:
    class Ascii(Terminal):
        encoding = "ascii"

    shown = {}
    for name in ("steps", "steps_by_label", "compared"):
        stream = Ascii()
        write_table(CASES[name], stream)
        shown[name] = stream.getvalue()
    assert not any(block in "".join(shown.values()) for block in "▁▂▃▄▅▆▇█▲▼")
    assert shown["steps"].startswith("\x1b[1mtime")
    assert "* beyond the error bounds" in shown["compared"]


def test_the_widest_bound_is_the_one_that_is_shown() -> None:
    wider = row({"endpoint": "/b"}, 1, {"p99": 0.1}, error_bound={"p99": {"relative": 0.0217}})
    assert "±2.2 %" in printed(answer("p99 latency", row({"endpoint": "/a"}, 1, {"p99": 0.1}), wider), None)


def test_another_day_is_shown_with_its_date() -> None:
    found = answer("max latency", row({}, 1, {"max": 1.0}))
    found["covered"]["from"] = "2025-01-31T12:00:00.000Z"
    assert "2025-01-31 13:00:00 – 2026-01-31 14:07:10" in printed(found, None)


def test_the_hour_that_comes_twice_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
    assert Clock("max latency").starts(twice) == ["2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100"]


@pytest.mark.parametrize(
    ("query", "utc"),
    [
        ("p99 latency since 13:02Z", True),
        ("p99 latency from 2026-01-31T13:02Z to 13:07Z by endpoint", True),
        ("p99 latency since 13:02", False),
        ("p99 latency name=13:02Z", False),
        ("p99 latency since Z", False),
        ("p99 latency since", False),
    ],
)
def test_times_are_local_unless_those_of_the_query_are_not(query: str, utc: bool) -> None:
    assert Clock(query).at("2026-01-31T13:02:10.000Z").hour == (13 if utc else 14)


def test_days_are_shown_as_days() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=1)
    assert Clock("").starts([iso(begin), iso(begin + timedelta(days=1))]) == ["2026-01-01", "2026-01-02"]


@pytest.mark.parametrize(
    ("now", "then", "shown"),
    [
        (0.002, 0.001, "×2.0"),
        (0.12, 0.001, "×120"),
        (0.00199, 0.001, "+99 %"),
        (0.00101, 0.001, "+1.0 %"),
        (0.0010001, 0.001, "+0.01 %"),
        (0.001000001, 0.001, "±0 %"),
        (0.001, 0.001, "±0 %"),
        (0.00025, 0.001, "-75 %"),
        (0.003, 0.0, "+3 ms"),
        (-0.002, -0.001, "-100 %"),
        (0.001, None, "new"),
        (None, 0.001, "gone"),
    ],
)
def test_a_change_is_shown_by_its_size(now: float | None, then: float | None, shown: str) -> None:
    found = compared({}, {"p99": now}, {"p99": then})
    if now is not None and then is not None and then < 0:
        found["change"]["p99"]["relative"] = (now - then) / abs(then)
    line = printed(compared_answer("p99 latency vs 1h ago", found), None).splitlines()[1]
    assert line.endswith(f"  {shown}")


@pytest.mark.parametrize(
    ("now", "then", "shown"), [(0.981, 0.999, "-1.8 points"), (0.03, 0.01, "×3.0"), (0.9, 0.9000001, "±0 %")]
)
def test_shares_change_by_points(now: float, then: float, shown: str) -> None:
    found = compared_answer("under 250ms latency vs 1h ago", compared({}, {"under 250ms": now}, {"under 250ms": then}))
    assert printed(found, None).splitlines()[1].endswith(shown)


def test_marks_stand_below_each_other() -> None:
    lines = printed(CASES["compared"], 120).splitlines()
    assert lines[1].index("▲") == lines[2].index("▼")
    assert "▲" not in "".join(lines[3:6])


def test_a_peak_stays_visible_in_a_sparkline_that_is_squeezed() -> None:
    steps = points([1] * 400, 10)
    for point in steps:
        point["values"]["p99"] = 0.001
    steps[123]["values"]["p99"] = 0.5
    found = answer(
        "p99 latency step 10s",
        row({}, 400, {"p99": 0.5}, points=steps),
        step_ms=10_000,
        to=iso(BEGIN + timedelta(hours=2)),
    )
    line = printed(found, 80).splitlines()[0]
    assert line.count("█") == 1
    assert len(line) <= 80


def test_csv_has_every_digit_and_empty_fields_for_null() -> None:
    found = answer(
        "p99,mean latency by endpoint",
        row({"endpoint": "/a,b"}, 2, {"p99": 0.1 + 0.2, "mean": None}),
        row({"endpoint": "/c", "overflow": "true"}, 1, {"p99": 1e-9, "mean": 2.5}),
    )
    assert csv_of(found) == (
        'endpoint,overflow,samples,p99,mean\n"/a,b",,2,0.30000000000000004,\n/c,true,1,1e-09,2.5\n'
    )


def test_a_label_that_is_called_like_another_column_is_told_apart() -> None:
    found = answer("p99 latency by samples", row({"samples": "many", "a": "b"}, 2, {"p99": 0.1}))
    assert csv_of(found).splitlines()[0] == "samples_label,a,samples,p99"


def test_rows_that_share_what_they_are_compared_with_count_it_once() -> None:
    rows = [compared({"version": name}, {"p99": 0.002}, {"p99": 0.001}) for name in ("3", "4")]
    assert "2,000 samples vs 1,000 ·" in printed(compared_answer("", *rows, what="version=3"), None)
    assert "2,000 samples vs 2,000 ·" in printed(compared_answer("", *rows, what="1h ago"), None)


def test_a_comparison_with_nothing_has_no_marks_to_explain() -> None:
    assert "error bounds" not in printed(compared_answer("", compared({}, {"p99": 0.002}, None)), None)


@pytest.mark.parametrize("name", CASES)
def test_csv_is_rectangular(name: str) -> None:
    header, *rows = csv.reader(io.StringIO(csv_of(CASES[name])))
    assert {len(cells) for cells in rows} <= {len(header)}
    assert len(set(header)) == len(header)
    expected = [len(found.get("points", [1])) for found in CASES[name]["series"]]
    assert len(rows) == sum(expected)


def test_the_metric_of_a_single_one_is_not_repeated() -> None:
    assert "latency" not in printed(answer("p99 latency by endpoint", row({"endpoint": "/a"}, 1, {"p99": 1.0})), None)
    assert LATENCY["name"] in csv_of(CASES["several_metrics"])
