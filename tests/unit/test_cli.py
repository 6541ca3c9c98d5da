"""The command line: dispatch, exit codes, what goes where."""

import io
import json
import os
import subprocess
import sys
import types
from importlib import import_module

import pytest

from obsagent import __version__, cli
from obsagent.cli import sources
from obsagent.demo import DemoOptions
from obsagent.errors import AgentUnreachable, ConfigError, UsageError

THERE_ARE = f"there are {', '.join(cli.COMMANDS)}"

EMPTY = {
    "query": "p99 latency",
    "metric": {"name": "latency", "kind": None, "unit": ""},
    "from": "2026-01-01T00:00:00.000Z",
    "to": "2026-01-01T00:05:00.000Z",
    "covered": None,
    "losses": {
        "dropped": {"ring": 0, "budget": 0, "expired": 0},
        "rejected": {"value": 0, "frame": 0, "time": 0},
        "pending": 0,
        "overflow_series": 0,
    },
    "series": [],
    "empty": "no `latency` in the last 5m",
}


@pytest.fixture
def asked(monkeypatch):
    """Answers every query with `EMPTY` and keeps the texts."""
    texts = []

    class FakeAgent:
        def __init__(self, endpoint, key=None):
            texts.append(endpoint)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def query(self, text, **options):
            texts.extend([text, options] if options else [text])
            return EMPTY

    monkeypatch.setattr("obsagent.ask.AgentClient", FakeAgent)
    return texts


def test_no_command_shows_the_overview_and_is_a_usage_error(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().out == cli.overview() + "\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help(words, capsys):
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"obsagent {__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_is_one_module_whose_docstring_is_its_help(name, capsys):
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: obsagent {name}")
    assert import_module(f"obsagent.cli.{name}").__doc__.splitlines()[0] in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quer"], "obsagent: there is no command `quer`; did you mean `query`?"),
        (
            ["xyzzy"],
            f"obsagent: there is no command `xyzzy`; {THERE_ARE}",
        ),
        (
            ["--verbose"],
            f"obsagent: there is no option `--verbose`; {THERE_ARE}",
        ),
        (
            ["logs"],
            f"obsagent: the command `logs` is not built yet; {THERE_ARE}",
        ),
        (
            ["export", "--data", "x"],
            f"obsagent: the command `export` is not built yet; {THERE_ARE}",
        ),
        (["query"], "obsagent query: expected a query, such as `p99 latency by endpoint since 15m`"),
    ],
)
def test_a_wrong_command_line_exits_with_2(words, message, capsys):
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.err == message + "\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["query", "x", "--format", "xml"],
        ["query", "x", "--agent"],
        ["query", "x", "--form", "json"],
        ["query", "x", "--agent", "ipc://a", "--data", "b"],
        ["status", "extra"],
    ],
)
def test_wrong_options_exit_with_2(words, capsys):
    assert cli.main(words) == 2
    assert f"obsagent {words[0]}: error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["p99", "latency", "by", "endpoint"],
        ["p99 latency by endpoint"],
        ["p99", "latency by", "endpoint"],
    ],
)
def test_the_words_of_a_query_are_joined_with_spaces(words, asked, capsys):
    assert cli.main(["query", *words]) == 0
    assert asked == [None, "p99 latency by endpoint"]


def test_options_may_stand_anywhere_among_the_words(asked, capsys):
    assert cli.main(["query", "p99", "--agent", "ipc://x", "latency", "--format", "json", "since", "1h"]) == 0
    assert asked == ["ipc://x", "p99 latency since 1h"]
    assert json.loads(capsys.readouterr().out) == EMPTY


def test_a_number_below_zero_is_no_option(asked, capsys):
    words = "last drift where last below -5ms --agent ipc://x"
    assert cli.main(["query", *words.split()]) == 0
    assert asked == ["ipc://x", "last drift where last below -5ms"]


def test_what_a_reader_chooses_goes_to_the_agent(asked, capsys):
    assert cli.main(["query", "p99", "latency", "--sketch", "tdigest", "--explain"]) == 0
    assert asked == [None, "p99 latency", {"sketch": "tdigest", "explain": True}]


@pytest.mark.parametrize(("series", "code"), [([], 0), ([{"labels": {}, "count": 1, "values": {}}], 3)])
def test_exit_match_says_whether_anything_fulfils_the_condition(series, code, monkeypatch, capsys):
    answer = {**EMPTY, "where": {"stat": "p99", "above": 0.5}, "series": series}
    monkeypatch.setattr("obsagent.cli.query.ask_query", lambda *_, **__: answer)
    words = ["query", "p99 latency where p99 above 500ms", "--format", "json"]
    assert cli.main([*words, "--exit-match"]) == code
    assert json.loads(capsys.readouterr().out) == answer
    assert cli.main(words) == 0


def test_exit_match_without_a_condition_is_a_usage_error(asked, capsys):
    assert cli.main(["query", "p99", "latency", "--exit-match"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "obsagent query: --exit-match needs a query with a `where`, such as `p99 latency where p99 above 500ms`\n",
    )


def test_what_csv_cannot_say_goes_to_stderr(monkeypatch, capsys):
    reads = {"segments": 1, "blocks": 1, "frames": 1, "bytes": 9, "raw_bytes": 0, "head_windows": 2, "ms": 0.5}
    answer = {**EMPTY, "explain": {"reads": reads, "promql": ["rate(x[5m])"], "notes": []}}
    monkeypatch.setattr("obsagent.cli.query.ask_query", lambda *_, **__: answer)
    assert cli.main(["query", "latency", "--format", "csv", "--explain"]) == 0
    out, err = capsys.readouterr()
    assert out == "samples\n"
    assert err == (
        "no `latency` in the last 5m\n"
        "read   1 segment, 1 block, 1 frame, 9 B, 2 windows in memory, in 0.500 ms\n"
        "PromQL rate(x[5m])\n"
    )


def test_the_help_of_a_query_is_a_screenful(capsys):
    cli.main(["query", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_a_gap_that_csv_cannot_say_goes_to_stderr(asked, capsys, monkeypatch):
    gap = {"from": "2026-01-01T00:01:00.000Z", "to": "2026-01-01T00:02:00.000Z", "reason": "a block is damaged"}
    monkeypatch.setitem(EMPTY, "gaps", [gap])
    assert cli.main(["query", "latency", "--format", "csv"]) == 0
    assert ": a block is damaged\n" in capsys.readouterr().err


def test_csv_goes_to_stdout_and_why_it_is_empty_to_stderr(asked, capsys):
    assert cli.main(["query", "latency", "--format", "csv"]) == 0
    assert capsys.readouterr() == ("samples\n", "no `latency` in the last 5m\n")


def test_a_table_of_an_empty_answer_says_why_on_stdout(asked, capsys):
    assert cli.main(["query", "latency"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("no `latency` in the last 5m\n")
    assert err == ""


@pytest.mark.parametrize(
    ("error", "code"), [(AgentUnreachable("nobody"), 1), (UsageError("word"), 2), (ConfigError("key"), 78)]
)
def test_exit_codes_live_on_the_exceptions(error, code, monkeypatch, capsys):
    def fail(*_):
        raise error

    monkeypatch.setattr(sources, "ask_query", fail)
    monkeypatch.setattr("obsagent.cli.query.ask_query", fail)
    assert cli.main(["query", "latency"]) == code
    assert capsys.readouterr().err == f"obsagent query: {error}\n"


def test_a_client_alone_says_what_the_agent_needs(tmp_path):
    (tmp_path / "store.json").write_text("{}")
    program = (
        "import sys; sys.modules['zstandard'] = None; from obsagent import cli\n"  # its import fails
        f"sys.exit(cli.main(['query', 'p99', 'latency', '--data', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    said = "obsagent query: needs zstandard: pip install 'obsagent[agent]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_another_missing_module_is_a_bug_and_shows_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "_dispatch", lambda _: import_module("obsagent.no_such_module"))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["status"])


def test_ctrl_c_is_not_a_traceback(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("obsagent.cli.query.ask_query", interrupt)
    assert cli.main(["query", "latency"]) == 130
    assert capsys.readouterr().err == ""


def test_a_query_that_is_not_utf_8_is_a_usage_error(capsys):
    assert cli.main(["query", "max", "latency", "endpoint=/\udcff"]) == 2
    assert capsys.readouterr().err == "obsagent query: the query is not valid UTF-8\n"


def test_an_output_that_knows_only_ascii_is_no_reason_to_fail(asked, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["query", "latency"]) == 0
    assert b"no data in this time ? nothing lost" in stream.buffer.getvalue()


def test_no_agent_is_one_clear_line(tmp_path):
    done = obsagent("query", "latency", "--agent", f"ipc://{tmp_path}/query.sock")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"obsagent query: no agent is listening at ipc://{tmp_path}/query.sock; start one with"
    )


def test_a_reader_that_has_seen_enough_is_no_error():
    """As with `| head`: stdout is a pipe that nobody reads any more."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = obsagent("--help", stdout=write_end)
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_overview_imports_no_command():
    code = (
        "import sys; from obsagent.cli import main; main(['--help']); "
        "print(sorted(name for name in sys.modules if name.startswith('obsagent.cli.') or name in ('argparse', 'zmq')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def obsagent(*words, stdout=subprocess.PIPE):
    command = [sys.executable, "-c", "import sys; from obsagent.cli import main; sys.exit(main())", *words]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=30)


def test_the_agent_runs_with_what_the_command_line_says_on_top_of_the_file(tmp_path, monkeypatch):
    ran = []
    process = types.SimpleNamespace(run=lambda config, _again: ran.append(config) or 0)
    monkeypatch.setitem(sys.modules, "obsagent.agent_process", process)
    monkeypatch.setattr("obsagent.agent_process", process, raising=False)
    file = tmp_path / "agent.toml"
    file.write_text('data = "/from/file"\nserve = "ipc:///from/file.sock"\n')
    assert cli.main(["agent", "--config", str(file), "--data", "/from/words", "--listen", "tcp://127.0.0.1:9"]) == 0
    (config,) = ran
    assert (str(config.data), config.listen, config.serve) == (
        "/from/words",
        "tcp://127.0.0.1:9",
        "ipc:///from/file.sock",
    )


def test_a_wrong_configuration_exits_with_78(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "obsagent.agent_process", types.SimpleNamespace(run=lambda config, _again: 0))
    file = tmp_path / "agent.toml"
    file.write_text("dota = 1\n")
    assert cli.main(["agent", "--config", str(file)]) == 78
    assert "unknown key dota; did you mean data?" in capsys.readouterr().err


def test_the_demo_runs_with_the_options_of_the_command_line(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr("obsagent.demo.run", lambda options: ran.append(options) or 7)
    words = ["--duration", "5", "--data", str(tmp_path), "--workers", "3", "--port", "8000", "--keep", "--seed", "9"]
    assert cli.main(["demo", *words]) == 7
    assert ran == [DemoOptions(duration_s=5.0, data=tmp_path, workers=3, port=8000, keep=True, seed=9)]
