"""`obsagent query --watch`: in pipes in every format, on a terminal in place, with an agent that goes and comes."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from answer_cases import CASES, answer, row
from answering_agent import answering_in_turn

from obsagent import cli
from obsagent.cli.screen import Screen
from obsagent.errors import AgentUnreachable

LIMIT_S = 20.0
QUESTION = ("query", "p99", "latency", "by", "endpoint")
WHERE = {"where": {"stat": "p99", "above": 0.5}}


class Enough(Exception):
    """Ends a watch that would go on."""


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list:
    """What each question is answered with; Ctrl-C follows the last one. Nobody sleeps."""
    given: list = []

    def query(*_: object, **__: object) -> dict:
        if not given:
            raise KeyboardInterrupt
        turn = given.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn

    monkeypatch.setattr("obsagent.ask.AgentClient.query", query)
    monkeypatch.setattr("obsagent.cli.watch.sleep", lambda _: None)
    return given


def test_answers_in_a_pipe_are_separated_by_an_empty_line(turns: list, capsys: pytest.CaptureFixture[str]) -> None:
    turns += [CASES["one_value"], CASES["one_value"]]
    assert cli.main([*QUESTION, "--watch", "2s"]) == 0
    first, second = capsys.readouterr().out.split("\n\n   max\n")
    assert second.startswith("500 ms\n\n1 sample")
    assert first.startswith("   max\n500 ms")


def test_json_is_one_document_a_line(turns: list, capsys: pytest.CaptureFixture[str]) -> None:
    turns += [CASES["labels"], CASES["empty"]]
    assert cli.main([*QUESTION, "--watch", "2s", "--format", "json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [CASES["labels"], CASES["empty"]]


def test_csv_has_one_header_and_the_time_of_each_answer(turns: list, capsys: pytest.CaptureFixture[str]) -> None:
    later = {**CASES["labels"], "to": "2026-01-31T13:07:12.000Z"}
    turns += [CASES["empty"], CASES["labels"], later, CASES["empty"]]
    assert cli.main([*QUESTION, "--watch", "2s", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    header, *rows = csv.reader(io.StringIO(out))
    assert header[:3] == ["time", "endpoint", "samples"]
    assert [cells[:2] for cells in rows] == [
        ["2026-01-31T13:07:10.000Z", "/score"],
        ["2026-01-31T13:07:10.000Z", ""],
        ["2026-01-31T13:07:12.000Z", "/score"],
        ["2026-01-31T13:07:12.000Z", ""],
    ]
    assert err == f"{CASES['empty']['empty']}\n" * 2


def test_csv_of_steps_tells_the_two_times_apart(turns: list, capsys: pytest.CaptureFixture[str]) -> None:
    turns += [CASES["steps"]]
    assert cli.main([*QUESTION, "--watch", "2s", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("asked,time,samples,p99\n2026-01-31T13:07:10.000Z,2026-01-31T13:02:00")


def test_exit_match_ends_it_at_the_first_match(turns: list, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {**CASES["empty"], **WHERE}
    turns += [nothing, nothing, answer("p99 latency", row({}, 1, {"p99": 0.7}), **WHERE), Enough()]
    assert cli.main([*QUESTION, "--watch", "2s", "--exit-match"]) == 3
    assert "where p99 above 500 ms" in capsys.readouterr().out


def test_an_agent_that_is_away_is_reported_once_and_asked_again(
    turns: list, capsys: pytest.CaptureFixture[str]
) -> None:
    away = AgentUnreachable("no agent is listening")
    turns += [away, away, CASES["one_value"], away, CASES["one_value"]]
    assert cli.main([*QUESTION, "--watch", "2s"]) == 0
    out, err = capsys.readouterr()
    assert out.count("500 ms") == 2
    assert err == "obsagent query: no agent is listening\n" * 2


@pytest.mark.parametrize(
    ("interval", "message"),
    [
        ("2", "--watch 2: expected a duration such as 90s, 15m or 1h30m"),
        ("soon", "--watch soon: expected a duration"),
        ("10ms", "--watch 10ms: expected 100ms or more"),
    ],
)
def test_a_wrong_interval_is_a_usage_error(
    interval: str, message: str, turns: list, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*QUESTION, "--watch", interval]) == 2
    assert capsys.readouterr().err.startswith(f"obsagent query: {message}")


def test_the_questions_keep_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that an answer takes is no part of the interval, unless it is longer."""
    now, slept = [100.0], []
    took = iter([0.5, 3.0])

    def query(*_: object, **__: object) -> dict:
        seconds = next(took, None)
        if seconds is None:
            raise KeyboardInterrupt
        now[0] += seconds
        return CASES["one_value"]

    monkeypatch.setattr("obsagent.ask.AgentClient.query", query)
    monkeypatch.setattr("obsagent.cli.watch.monotonic", lambda: now[0])
    monkeypatch.setattr("obsagent.cli.watch.sleep", slept.append)
    assert cli.main([*QUESTION, "--watch", "2s"]) == 0
    assert slept == [1.5, 0.0]


class Glass:
    """What a terminal shows of the few sequences that are used here."""

    SEQUENCE = re.compile(r"\x1b\[(\??\d*)([A-Za-z])")

    def __init__(self) -> None:
        self.lines = [""]
        self.row = self.column = 0

    def show(self, text: str) -> Glass:
        position = 0
        while position < len(text):
            sequence = self.SEQUENCE.match(text, position)
            if sequence:
                self._obey(sequence[1], sequence[2])
                position = sequence.end()
            else:
                self._put(text[position])
                position += 1
        return self

    def _put(self, character: str) -> None:
        if character == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        elif character == "\r":
            self.column = 0
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _obey(self, number: str, name: str) -> None:
        if name == "F":
            self.row, self.column = max(0, self.row - int(number)), 0
        elif name == "H":
            self.row = self.column = 0
        elif name == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif name == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        else:
            assert (number, name) in {("?7", "l"), ("?7", "h"), ("1", "m"), ("2", "m"), ("0", "m")}


class Tty(io.StringIO):
    """A terminal of 24 rows, at least."""

    rows, columns = 24, 80

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    stream = Tty()
    monkeypatch.setattr(Screen, "_terminal_size", lambda _: os.terminal_size((stream.columns, stream.rows)))
    return stream


def test_a_screen_is_drawn_over_the_last_one(tty: Tty) -> None:
    screen = Screen(tty)
    for lines in (["first", "long line", "third"], ["second", "short"], ["last", "x", "y", "z"]):
        screen.draw(lines)
        assert Glass().show("above\n" + tty.getvalue()).lines == ["above", *lines, ""]


def test_what_was_left_stands(tty: Tty) -> None:
    screen = Screen(tty)
    screen.draw(["first"])
    screen.leave()
    screen.draw(["second"])
    assert Glass().show(tty.getvalue()).lines == ["first", "second", ""]


def test_more_lines_than_there_is_room_for_are_counted(tty: Tty) -> None:
    tty.rows = 4
    Screen(tty).draw(["a", "b", "c", "d", "e"])
    assert Glass().show(tty.getvalue()).lines == ["a", "b", "… 3 more lines", ""]


def test_another_size_of_the_terminal_begins_at_its_top(tty: Tty) -> None:
    screen = Screen(tty)
    screen.draw(["first", "screen"])
    tty.columns = 40
    screen.draw(["second"])
    assert Glass().show(tty.getvalue()).lines == ["second", ""]


CONTROLLED = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from obsagent.cli import main
sys.exit(main())
"""
"""The command, with its terminal as the one that Ctrl-C comes from."""


@contextmanager
def on_a_terminal(*words: str, columns: int = 80, **environment: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A command on a terminal of its own: the terminal's other end, and the process."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")},
        "TERM": "xterm-256color",
        **environment,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLED, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield ours, process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, ended: re.Pattern[str]) -> str:
    """What comes out of a terminal, up to a match, or to its end."""
    text, deadline = b"", time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and not ended.search(text.decode(errors="replace")):
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                chunk = os.read(terminal, 65_536)
            except OSError:  # the process has ended
                break
            text += chunk
    return text.decode()


END = re.compile("(?!)")


def test_on_a_terminal_the_answer_is_redrawn_in_place_until_ctrl_c(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/query.sock"
    with (
        answering_in_turn(endpoint, [CASES["labels"], CASES["one_value"]]) as asked,
        on_a_terminal(*QUESTION, "--watch", "100ms", "--agent", endpoint) as (terminal, process),
    ):
        text = read_until(terminal, re.compile(r"(1 sample.*){3}", re.DOTALL))
        os.write(terminal, b"\x03")
        text += read_until(terminal, END)
        assert process.wait(LIMIT_S) == 0
    assert len(asked) >= 4
    lines = Glass().show(text.replace("^C", "")).lines
    assert re.fullmatch(r"p99 latency by endpoint · every 100ms · \d\d:\d\d:\d\d", lines[0])
    assert [line.split(" · ")[0] for line in lines[1:] if line] == ["   max", "500 ms", "1 sample"]


def test_an_agent_that_goes_and_comes_back_is_watched_on(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/query.sock"
    command = [sys.executable, "-m", "obsagent", *QUESTION, "--watch", "100ms", "--agent", endpoint]
    with answering_in_turn(endpoint, [CASES["one_value"]]):
        watching = subprocess.Popen(
            [*command, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert json.loads(watching.stdout.readline()) == CASES["one_value"]
    assert re.match(
        rf"obsagent query: (no agent is listening at|the agent at) {re.escape(endpoint)}", watching.stderr.readline()
    )
    with answering_in_turn(endpoint, [CASES["labels"]]):
        for line in watching.stdout:
            if json.loads(line) == CASES["labels"]:
                break
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=LIMIT_S)
    assert watching.returncode == 0


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], coloured: bool, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/query.sock"
    with (
        answering_in_turn(endpoint, [CASES["compared"]]),
        on_a_terminal(*QUESTION, "--agent", endpoint, **environment) as (terminal, process),
    ):
        text = read_until(terminal, END)
        assert process.wait(LIMIT_S) == 0
    assert ("\x1b" in text) == coloured
    assert "▲▼ beyond the error bounds" in text


def test_a_terminal_gets_lines_that_fit_it(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/query.sock"
    with (
        answering_in_turn(endpoint, [CASES["wide"]]),
        on_a_terminal(*QUESTION, "--agent", endpoint, columns=90, NO_COLOR="1") as (terminal, _),
    ):
        lines = read_until(terminal, END).splitlines()
    assert 80 < max(map(len, lines)) <= 90
