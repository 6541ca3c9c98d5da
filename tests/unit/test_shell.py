"""The shell without its terminal: entries, commands, exit codes, help, history, completion."""

import io
import stat
import subprocess
import sys

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from obsagent import cli
from obsagent.answer.language import parse
from obsagent.errors import AgentUnreachable, ObsagentError, UsageError
from obsagent.shell import commands
from obsagent.shell.commands import COMMANDS
from obsagent.shell.help import help_on, overview
from obsagent.shell.history import private_history
from obsagent.shell.lines import entries, is_open
from obsagent.shell.mistakes import under_prompt
from obsagent.shell.prompt import EntryCompleter, toolbar
from obsagent.shell.session import Session

METRIC = {
    "name": "latency",
    "kind": "histogram",
    "unit": "seconds",
    "help": "Time per request",
    "series": 1200,
    "labels": {"endpoint": {"values": ["/a", "/b"], "count": 2}},
}


class FakeSource:
    def __init__(self, agent, log):
        self.agent = agent
        self.log = log

    def query(self, text, **options):
        self.log.append((text, options) if options else text)
        if text == "dead":
            raise AgentUnreachable("nobody")
        if text == "stop":
            raise KeyboardInterrupt
        parse(text)
        return {"query": text}

    def catalogue(self):
        self.log.append("catalogue")
        if self.agent == "ipc://dead":
            raise AgentUnreachable("nobody")
        return {"metrics": [METRIC]}

    def close(self):
        self.log.append("close")


class FakeSurroundings:
    def __init__(self):
        self.log = []
        self.opened = []
        self.code = 0

    def open(self, agent):
        if agent == "nonsense":
            raise UsageError("endpoint 'nonsense': expected ipc://PATH or tcp://HOST:PORT")
        self.opened.append(agent)
        return FakeSource(agent, self.log)

    def name(self, agent):
        return agent or "mine"

    def show(self, answer, form):
        print(f"{form}: {answer['query']}")

    def command(self, words, agent):
        self.log.append((words, agent))
        return self.code


@pytest.fixture
def around():
    return FakeSurroundings()


@pytest.fixture
def session(around):
    return Session(around)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["p99 latency", "", "  ", "# why", "rate requests;"], [(1, "p99 latency"), (5, "rate requests")]),
        (["p99 latency \\", "  by endpoint"], [(1, "p99 latency    by endpoint")]),
        (['latency endpoint="a', 'b" by x'], [(1, 'latency endpoint="a\nb" by x')]),
        (["latency endpoint='a\\'", "x"], [(1, "latency endpoint='a\\'\nx")]),
        (["latency\\"], [(1, "latency")]),
        (["\\help\r\n", "\\q"], [(1, "\\help"), (2, "\\q")]),
        (["# it's \"open", "max latency"], [(2, "max latency")]),
    ],
)
def test_lines_become_entries(lines, found):
    assert list(entries(lines)) == found


@pytest.mark.parametrize(
    ("text", "open_"), [("a\\", True), ("a\\\\", False), ('"', True), ('"\'"', False), ("\\q", False)]
)
def test_what_goes_on_in_the_next_line(text, open_):
    assert is_open(text) is open_


def test_a_pipe_runs_every_entry_and_exits_with_the_first_failure(session, capsys):
    code = session.run_lines(
        ["max latency\n", "dead\n", "p99 latency sinse\n", "\\nosuch\n", "\\format csv\n", "min latency\n"]
    )
    out, err = capsys.readouterr()
    assert code == AgentUnreachable.exit_code
    assert out == "table: max latency\nthe format is csv\ncsv: min latency\n"
    assert [line for line in err.splitlines() if line.startswith("line")] == [
        "line 2: nobody",
        "line 3: `sinse` is not understood here: expected label=value, by, since, from, step, vs, where, top or "
        "bottom; did you mean `since`?",
        "line 4: there is no command `\\nosuch`; \\help shows what there is",
    ]


def test_nothing_wrong_is_exit_code_0_and_q_ends_it(session, around, capsys):
    assert session.run_lines(["max latency", "\\q", "min latency"]) == 0
    assert around.log == ["max latency", "close"]


def test_timing_goes_to_stderr(session, capsys):
    for entry in ("\\timing", "max latency", "\\timing off", "min latency"):
        session.run(entry)
    out, err = capsys.readouterr()
    assert out == "timing is on\ntable: max latency\ntiming is off\ntable: min latency\n"
    assert err.startswith("Time: ")
    assert err.count("Time") == 1


def test_exemplars_are_switched_on_for_one_query_or_for_all(session, around, capsys):
    for entry in ("max latency --exemplars", "\\exemplars on", "min latency --explain", "\\exemplars", "p50 latency"):
        session.run(entry)
    assert around.log == [
        ("max latency", {"exemplars": True}),
        ("min latency", {"explain": True, "exemplars": True}),
        "p50 latency",
    ]
    assert "exemplars are on\n" in capsys.readouterr().out
    with pytest.raises(UsageError):  # switches stand behind a query
        session.run("--exemplars")


def test_another_agent_is_asked_from_then_on(session, around, capsys):
    session.run("max latency")
    session.run("\\agent ipc://other")
    session.run("max latency")
    session.run("\\list metrics")
    session.run("\\agent")
    assert around.opened == [None, "ipc://other"]
    assert around.log == ["max latency", "close", "max latency", (["list", "metrics"], "ipc://other")]
    assert capsys.readouterr().out.endswith("asking ipc://other\n")


def test_a_malformed_endpoint_changes_nothing(session, around):
    with pytest.raises(UsageError, match="expected ipc://PATH"):
        session.run("\\agent nonsense")
    assert session.agent is None


def test_a_command_that_fails_counts(session, around):
    around.code = 1
    session.run("\\status --all")
    assert around.log == [(["status", "--all"], None)]
    assert session.exit_code == 1


def test_watch_asks_until_it_is_interrupted(session, around, monkeypatch, capsys):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands.time, "sleep", sleep)
    session.run("\\watch 2s max latency")
    assert slept == [2.0, 2.0]
    assert around.log == ["max latency", "max latency", "close"]
    assert capsys.readouterr().out.count("every 2s\ntable: max latency\n") == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("\\watch", "INTERVAL QUERY: expected a duration"),
        ("\\watch 2s", "expected a query behind the interval"),
        ("\\timing maybe", "expected `\\\\timing on` or"),
        ("\\exemplars maybe", "expected `\\\\exemplars on` or"),
        ("\\format xml", "`xml` is no format: expected table, json or csv"),
        ("\\stauts", "did you mean `status`"),
        ("\\help latncy", "nothing is known of `latncy`; did you mean `latency`"),
    ],
)
def test_wrong_commands(session, entry, message):
    with pytest.raises(UsageError, match=message):
        session.run(entry)


def test_help_knows_words_metrics_and_commands(session):
    assert help_on("under", session.catalogue).startswith("under: share of the values below a limit\n")
    assert help_on("p12.5", session.catalogue).startswith("p12.5: ")
    assert help_on("latency", session.catalogue) == (
        "latency: a histogram, in seconds, 1,200 series\n"
        "  Time per request\n"
        "  endpoint: /a, /b\n"
        "  for example: latency by endpoint"
    )
    assert help_on("\\watch", session.catalogue).startswith("\\watch INTERVAL QUERY")
    assert all(f"\\{name}" in overview() for name in COMMANDS)


def test_the_catalogue_is_kept_for_a_while_and_missing_when_nobody_answers(session, around):
    assert session.catalogue() == session.catalogue() == {"metrics": [METRIC]}
    assert around.log == ["catalogue", "close"]
    session.connect("ipc://dead")
    assert session.catalogue() == {}


@pytest.mark.parametrize(
    ("message", "entry", "shown"),
    [
        ("bad word\n    p99 x\n        ^", "p99 x", "            ^\nbad word"),
        ("bad word\n    p99 x\n        ^", "p99 y", None),
        ("nobody answers", "p99 x", None),
        ("bad\n    " + "x" * 90 + "\n    ^", "x" * 90, None),
    ],
)
def test_carets_stand_under_what_was_typed(message, entry, shown):
    assert under_prompt(message, entry, 8, 80) == (shown or message)


def test_history_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = private_history()
    assert path == tmp_path / "state" / "obsagent" / "history"
    path.chmod(0o644)
    assert private_history() == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_without_a_place_for_it_there_is_no_history(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert private_history() is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("p99 lat", [("latency", -3)]),
        ("latency endpoint=", [("/a", 0), ("/b", 0)]),
        ("\\ti", [("timing", -2)]),
        ("\\exemplars o", [("on", -1), ("off", -1)]),
        ("\\watch 2s max la", [("latency", -2)]),
        ("\\format t", [("table", -1)]),
    ],
)
def test_tab(session, text, found):
    completions = EntryCompleter(session).get_completions(Document(text), CompleteEvent())
    assert [(each.text, each.start_position) for each in completions] == found


def test_the_toolbar(session):
    assert toolbar(session) == " table · mine "
    session.timing, session.took_s = True, 0.0123
    assert toolbar(session) == " table · timing on · 12.3 ms · mine "


def test_a_pipe_needs_no_prompt_toolkit(tmp_path):
    program = (
        "import sys; sys.modules['prompt_toolkit'] = None; from obsagent import cli; sys.exit(cli.main(['shell']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="\\help under\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("under: ")


def test_the_command_reads_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("max latency\n\\status\n"))
    monkeypatch.setattr("obsagent.ask.AgentClient.query", lambda self, text: {"query": text, "at": self.endpoint})
    ran = []
    monkeypatch.setattr("obsagent.cli.main", lambda words: ran.append(words) or 0)
    assert cli._run("shell", ["--agent", "ipc://x", "--format", "json"]) == 0
    assert capsys.readouterr().out == '{\n  "query": "max latency",\n  "at": "ipc://x"\n}\n'
    assert ran == [["status", "--agent", "ipc://x"]]


def test_an_error_of_ours_is_not_hidden(session, around):
    around.open = lambda agent: (_ for _ in ()).throw(ObsagentError("broken"))
    with pytest.raises(ObsagentError, match="broken"):
        session.run("max latency")
