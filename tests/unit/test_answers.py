"""How an answer looks: as a table with its footer, and as CSV."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from obsagent.cli.answers import footer, write_csv, write_table


def iso(at):
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def row(labels, count, values, bound=0.0054, **more):
    bounds = {stat: {"relative": bound} if stat.startswith("p") else 0 for stat in values}
    return {"labels": labels, "count": count, "error_bound": bounds, "values": values, **more}


def answer_of(*rows, kind="histogram", unit="seconds", covered=True, **more):
    today = datetime.now().astimezone().replace(hour=14, minute=2, second=10, microsecond=0)
    span = {"from": iso(today), "to": iso(today + timedelta(minutes=5))}
    return {
        "query": "p99 latency",
        "metric": {"name": "latency", "kind": kind, "unit": unit},
        **span,
        "covered": span if covered else None,
        "losses": {
            "dropped": {"ring": 0, "budget": 0, "expired": 0},
            "rejected": {"value": 0, "frame": 0, "time": 0},
            "pending": 0,
            "overflow_series": 0,
        },
        "series": list(rows),
        **more,
    }


def table(answer):
    stream = io.StringIO()
    write_table(answer, stream)
    return stream.getvalue().splitlines()


def test_a_table_with_labels():
    lines = table(
        answer_of(
            row({"endpoint": "/score"}, 24310, {"p50": 0.00123, "p99": 0.0084}),
            row({"endpoint": ""}, 7, {"p50": 1.5, "p99": None}),
        )
    )
    assert lines == [
        "endpoint       p50       p99   samples",
        "/score     1.23 ms   8.40 ms    24,310",
        "(none)      1.50 s         –         7",
        "",
        "24,317 samples · ±0.54 % · 14:02:10–14:07:10 · nothing lost",
    ]


def test_a_table_without_labels_says_the_samples_once():
    lines = table(answer_of(row({}, 1, {"max": 0.5})))
    assert lines == ["   max", "500 ms", "", "1 sample · 14:02:10–14:07:10 · nothing lost"]


def test_a_count_that_was_asked_is_not_repeated_as_samples():
    lines = table(answer_of(row({"endpoint": "/a"}, 5, {"count": 5})))
    assert lines[0] == "endpoint   count"


def test_rates_of_a_counter_show_the_samples_behind_them():
    lines = table(answer_of(row({"status": "500"}, 12, {"rate": 0.04}), kind="counter", unit="requests"))
    assert lines[:2] == ["status       rate   samples", "500      0.0400/s        12"]


def test_an_overflow_row_keeps_its_mark():
    lines = table(
        answer_of(row({"endpoint": "", "overflow": "true"}, 3, {"p99": 0.1}), row({"endpoint": "/a"}, 2, {"p99": 0.1}))
    )
    assert lines[0].split() == ["endpoint", "overflow", "p99", "samples"]
    assert lines[1].split()[:2] == ["(none)", "true"]


def test_every_loss_is_in_the_footer():
    answer = answer_of(row({}, 10, {"p99": 0.1}, not_finite={"nan": 2, "positive_infinity": 1}))
    answer["losses"] = {
        "dropped": {"ring": 1200, "budget": 0, "expired": 3},
        "rejected": {"value": 0, "frame": 4, "time": 0},
        "pending": 50,
        "overflow_series": 7,
    }
    assert footer(answer) == (
        "10 samples · 3 NaN or infinite · ±0.54 % · 14:02:10–14:07:10 · "
        "1,200 dropped (ring), 3 dropped (expired), 4 rejected (frame) · 50 pending · 7 series over budget"
    )


def test_the_widest_bound_is_the_one_that_is_shown():
    answer = answer_of(row({}, 1, {"p99": 0.1}), row({}, 1, {"p99": 0.1}, bound=0.0217))
    assert "±2.2 %" in footer(answer)


def test_another_day_is_shown_with_its_date():
    answer = answer_of(row({}, 1, {"max": 1.0}))
    answer["covered"]["from"] = "2025-01-31T12:00:00.000Z"
    shown = datetime(2025, 1, 31, 12, tzinfo=UTC).astimezone()
    assert f"{shown:%Y-%m-%d %H:%M:%S} – " in footer(answer)


def test_an_empty_answer_explains_itself():
    lines = table(answer_of(covered=False, empty="no `latnecy` in the last 5m; did you mean `latency`?"))
    assert lines == ["no `latnecy` in the last 5m; did you mean `latency`?", "no data in this time · nothing lost"]


def csv_of(answer):
    stream = io.StringIO()
    write_csv(answer, stream)
    return stream.getvalue()


def test_csv_has_base_units_and_empty_fields_for_null():
    answer = answer_of(
        row({"endpoint": "/a,b"}, 2, {"p99": 0.0123, "mean": None}),
        row({"endpoint": "/c", "overflow": "true"}, 1, {"p99": 1e-9, "mean": 2.5}),
    )
    assert csv_of(answer) == ('endpoint,overflow,samples,p99,mean\n"/a,b",,2,0.0123,\n/c,true,1,1e-09,2.5\n')


@pytest.mark.parametrize("width", [20, 60, 80])
def test_a_terminal_gets_lines_that_fit(width, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    write_table(answer_of(row({"endpoint": "/very/long/path" * 9}, 2, {"p99": 0.1})), stream)
    header, line = stream.getvalue().splitlines()[:2]
    assert max(len(header), len(line)) <= max(width, 8 + len("   100 ms   samples"))
