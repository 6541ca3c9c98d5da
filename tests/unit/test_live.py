"""The parts of `obsagent top`: what it reads, what keys do, how it looks at every width."""

import threading

import pytest

from obsagent import cli
from obsagent.cli.live import screen
from obsagent.cli.live.control import Control
from obsagent.cli.live.readings import Row, Snapshot, read
from obsagent.cli.live.screen import chosen, frame, headline, sortable, table, trend
from obsagent.cli.live.terminal import keys_of
from obsagent.cli.live.watcher import Watcher
from obsagent.cli.table import columns_of
from obsagent.errors import AgentUnreachable, UsageError

STATUS = {
    "agent": {"health": "ok", "uptime_ms": 11_520_000, "resident_bytes": 34_000_000},
    "directory": "/data",
    "sessions": [
        {"service": "fraud", "state": "live"},
        {"service": "fraud", "state": "closed"},
        {"service": "obsagent", "state": "live"},
    ],
    "accounts": {
        "total": {
            "dropped": {"ring": 1200, "budget": 0, "expired": 0},
            "rejected": {"value": 3, "frame": 0, "time": 0},
        }
    },
}
ANSWERS = {
    "rate requests": [
        ({"service": "fraud", "version": "4"}, {"rate": 200.0}),
        ({"service": "risk", "version": ""}, {"rate": 50.0}),
        ({"service": "obsagent", "version": ""}, {"rate": 1.0}),
    ],
    "p50,p99 latency": [({"service": "fraud", "version": "4"}, {"p50": 0.002, "p99": 0.25})],
    "error_rate": [
        ({"service": "fraud", "version": "4"}, {"error_rate": 0.025}),
        ({"service": "risk", "version": ""}, {"error_rate": 0.0}),
    ],
    "last in_flight": [
        ({"service": "fraud"}, {"last": 3.0}),
        ({"service": "nobody", "version": "1"}, {"last": 3.0}),
    ],
}


class FakeSource:
    def __init__(self, answers=ANSWERS, services=("fraud", "risk", "idle")):
        self.answers = answers
        self.services = services
        self.asked = []
        self.closed = False

    def status(self):
        return STATUS

    def catalogue(self, service=None):
        labels = {"service": {}, "version": {}, "endpoint": {}}
        metrics = [{"name": text.split()[-1], "labels": labels} for text in self.answers]
        return {"services": [{"name": name, "sessions": 1} for name in self.services], "metrics": metrics}

    def query(self, text):
        self.asked.append(text)
        answer = self.answers[text.split(" by ")[0]]
        if isinstance(answer, Exception):
            raise answer
        return {"series": [{"labels": labels, "values": values} for labels, values in answer]}

    def close(self):
        self.closed = True


@pytest.fixture
def rows():
    return read(FakeSource(), "1m", by_endpoint=False).rows


def test_answers_are_joined_into_rows_by_their_labels(rows):
    by_key = {row.key: row.values for row in rows}
    assert by_key == {
        ("fraud", "4", ""): {"rate": 200.0, "p50": 0.002, "p99": 0.25, "errors": 0.025},
        ("risk", "", ""): {"rate": 50.0, "errors": 0.0},
        ("idle", "", ""): {},
    }


def test_what_processes_take_belongs_to_the_only_row_of_their_service():
    taken = [
        ({"service": "fraud", "version": ""}, {"last": 0.5}),  # its requests say version 4
        ({"service": "idle", "version": "7"}, {"last": 0.25}),
        ({"service": "triton", "version": ""}, {"last": 1.5}),  # no client
        ({"service": "host", "version": ""}, {"last": 0.75}),
    ]
    rows = read(FakeSource({**ANSWERS, "last cpu_utilization": taken}), "1m", by_endpoint=False).rows
    shares = {row.service: row.values.get("cpu") for row in rows}
    assert shares == {"fraud": 0.5, "risk": None, "idle": 0.25, "triton": 1.5}


@pytest.mark.parametrize(
    ("by_endpoint", "by"), [(False, "by service,version since 5m"), (True, "by service,version,endpoint since 5m")]
)
def test_rows_are_grouped_by_labels_that_exist(by_endpoint, by):
    source = FakeSource()
    read(source, "5m", by_endpoint=by_endpoint)
    assert source.asked[0] == f"rate requests {by}"


def test_a_question_that_has_no_answer_is_a_trouble_and_costs_its_columns_only():
    error = UsageError("`latency` is a histogram in a and a counter in b: choose\n    caret")
    snapshot = read(FakeSource({**ANSWERS, "p50,p99 latency": error}), "1m", by_endpoint=False)
    assert snapshot.trouble == "`latency` is a histogram in a and a counter in b: choose"
    assert snapshot.rows[0].values == {"rate": 200.0, "errors": 0.025}


def test_the_table_marks_its_order_and_leaves_unknown_values_out(rows):
    assert table(rows, Control(), {}, None) == [
        "service   version   rate ▼    p50      p99   errors   in flight   queue p99",
        "fraud     4          200/s   2 ms   250 ms   2.50 %           –           –",
        "risk                  50/s      –        –      0 %           –           –",
        "idle                     –      –        –        –           –           –",
    ]


@pytest.mark.parametrize(
    ("sort", "ascending", "services"),
    [
        ("rate", False, ["fraud", "risk", "idle"]),
        ("rate", True, ["risk", "fraud", "idle"]),
        ("service", False, ["fraud", "idle", "risk"]),
        ("service", True, ["risk", "idle", "fraud"]),
        ("p99", True, ["fraud", "idle", "risk"]),
    ],
)
def test_order(rows, sort, ascending, services):
    assert [row.service for row in chosen(rows, Control(sort=sort, ascending=ascending))] == services


def test_keys_choose_the_column_and_its_order(rows):
    control = Control()
    columns = sortable(rows, control)
    assert columns == ["service", "version", "rate", "p50", "p99", "errors", "in_flight", "queue_p99"]
    for key, sort in [("s", "p50"), ("right", "p99"), ("<", "p50"), ("left", "rate"), ("left", "version")]:
        control.press(key, columns)
        assert control.sort == sort
    for _ in columns:
        control.press(">", columns)
    assert control.sort == "version"
    control.press("r", columns)
    assert control.ascending


def test_a_filter_is_typed_kept_and_dropped(rows):
    control = Control()
    for key in ["/", "q", "backspace", "R", "i", "enter"]:
        control.press(key, [])
    assert (control.filter, control.typing, control.ended) == ("Ri", False, False)
    assert [row.service for row in chosen(rows, control)] == ["risk"]
    control.press("escape", [])
    assert control.filter == ""


def test_the_other_keys():
    control = Control()
    for key in ["e", " ", "h", "x"]:
        control.press(key, [])
    assert (control.by_endpoint, control.paused, control.help, control.ended) == (True, True, True, False)
    control.press("q", [])
    assert control.ended


def test_what_a_terminal_sends_becomes_keys():
    sent = b"s\x1b[C\x1bOD\x1b[5~\x1b\r\x7f\x00\xc3\xa4\xff"
    assert keys_of(sent) == ["s", "right", "left", "escape", "enter", "backspace", "ä"]


def test_the_headline():
    assert headline(Snapshot(status=STATUS)) == "agent ok · up 3h12m · 34 MB · 1 session · lost 1,200 ring, 3 value"
    store = {key: value for key, value in STATUS.items() if key != "agent"}
    assert headline(Snapshot(status=store)).startswith("store /data, no agent · ")
    assert headline(Snapshot()) == "no answer yet"


def wide_rows():
    values = {column.key: 0.123456 for column in screen.COLUMNS}
    return [Row("fraud", "2026.11.25", f"/score/a/rather/long/endpoint/{index}", values) for index in range(50)]


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 10, 24, 60])
@pytest.mark.parametrize("help_shown", [False, True])
def test_a_frame_fits_every_size(width, height, help_shown):
    snapshot = Snapshot(1.0, tuple(wide_rows()), STATUS, "trouble " * 30)
    control = Control(by_endpoint=True, help=help_shown, filter="f" * 300 if width == 20 else "")
    lines = frame(snapshot, control, {}, (width, height), coloured=False)
    assert len(lines) == height
    assert max(map(columns_of, lines)) <= width


def test_columns_give_way_before_names_are_cut():
    (header, line, *_) = table(wide_rows(), Control(by_endpoint=True), {}, 100)
    assert "/score/a/rather/long/endpoint/0" in line
    assert "errors" in header
    assert "gpu" not in header


def test_a_trend_is_shown_where_there_is_room(rows):
    history = {("fraud", "4", ""): [0.0, 100.0, 200.0]}
    header, line, *_ = table(rows, Control(), history, 100)
    assert header.endswith("   trend")
    assert line.endswith("   ▁▅█")
    assert "trend" not in table(rows, Control(), history, 80)[0]


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [([], 5, ""), ([0, 0], 5, "▁▁"), ([1, 2, 4, 8], 5, "▂▃▅█"), ([9, 9, 1, 2], 2, "▅█")],
)
def test_sparklines_begin_at_zero(values, width, line):
    assert trend(values, width) == line


def test_more_rows_than_lines_are_counted():
    lines = frame(Snapshot(1.0, tuple(wide_rows()), STATUS), Control(), {}, (120, 10), coloured=False)
    assert lines[-2] == "… and 45 more rows"


def test_after_a_failure_the_last_rows_stay_and_the_trouble_is_said():
    source = FakeSource()
    changes = []
    watcher = Watcher(source, "1m", 1.0, lambda: changes.append(1))
    watcher.refresh()
    rows = watcher.latest.rows
    source.status = lambda: (_ for _ in ()).throw(AgentUnreachable("no agent is listening at x; start one"))
    watcher.refresh()
    assert watcher.latest.rows == rows
    assert watcher.latest.trouble == "trying again: no agent is listening at x"
    assert list(watcher.history["fraud", "4", ""]) == [200.0]


def test_the_watcher_refreshes_at_once_for_other_groups_and_closes_its_source():
    source = FakeSource()
    changed = threading.Event()
    watcher = Watcher(source, "1m", 1000.0, changed.set)
    with watcher:
        assert changed.wait(5)
        changed.clear()
        watcher.group(by_endpoint=True)
        assert changed.wait(5)
    watcher._thread.join(5)
    assert source.asked[-1].startswith("last in_flight by service,version,endpoint")
    assert source.closed


def test_without_a_terminal_one_table_is_printed(monkeypatch, capsys):
    monkeypatch.setattr("obsagent.cli.stored.open_source", lambda *_: FakeSource())
    assert cli.main(["top"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("agent ok")
    assert out[3].startswith("fraud     4")


@pytest.mark.parametrize("words", [["--since", "soon"], ["--interval", "0s"]])
def test_wrong_durations_are_usage_errors(words, capsys):
    assert cli.main(["top", *words]) == 2
    assert capsys.readouterr().err.startswith(f"obsagent top: {words[0]}: expected a duration")
