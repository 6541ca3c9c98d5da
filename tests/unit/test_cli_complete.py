"""What the shells' scripts are told at each Tab."""

import pytest

from obsagent import cli
from obsagent.cli import complete
from obsagent.cli.complete import Choice, WantsFiles, choices
from obsagent.cli.shell_words import Line, cut_for_bash, split_line
from obsagent.errors import AgentUnreachable

CATALOGUE = {
    "services": [{"name": "fraud"}],
    "metrics": [
        {
            "name": "latency",
            "kind": "histogram",
            "unit": "seconds",
            "help": "",
            "labels": {"endpoint": {"values": ["/a", "/b c"], "count": 2}},
        }
    ],
    "events": [],
}


@pytest.fixture
def asked(monkeypatch):
    """Answers with the catalogue, and keeps whom was asked and how patiently."""
    endpoints = []

    class FakeAgent:
        def __init__(self, endpoint, timeout_s, key=None):
            endpoints.append((endpoint, timeout_s))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def catalogue(self):
            return CATALOGUE

    monkeypatch.setattr("obsagent.ask.AgentClient", FakeAgent)
    return endpoints


def texts(words, partial=""):
    return [choice.text for choice in choices(words, partial)]


def test_commands_with_what_they_do(asked):
    assert choices([], "st") == [Choice("status", cli.COMMANDS["status"])]
    assert texts([]) == list(cli.COMMANDS)
    assert texts(["nosuch"]) == []
    assert asked == []


def test_options_and_their_choices(asked):
    options = ["--help", "--agent", "--data", "--key", "--format", "--sketch", "--explain", "--exit-match", "--watch"]
    options += ["--exemplars"]
    assert set(texts(["query"], "--")) == set(options)
    assert texts(["query", "latency", "--sketch"]) == ["loghist", "tdigest"]
    assert texts(["query", "latency", "--format"]) == ["table", "json", "csv"]
    assert texts(["query", "--agent"]) == []
    assert texts(["completion"]) == ["bash", "zsh", "fish"]


@pytest.mark.parametrize("words", [["query", "p99", "--data"], ["agent", "--config"]])
def test_files_are_left_to_the_shell(words):
    with pytest.raises(WantsFiles):
        choices(words, "")


@pytest.mark.parametrize(
    ("words", "partial", "found"),
    [
        (["p99"], "la", ["latency"]),
        (["p99", "latency"], "end", ["endpoint="]),
        (["latency"], "endpoint=", ["endpoint=/a", 'endpoint="/b c"']),
        (["latency"], "endpoint=/a,", ['endpoint=/a,"/b c"']),
        (["latency", "by"], "", ["endpoint"]),
        (["latency"], "endpoint=/b", ['endpoint="/b c"']),
        (["latency"], 'endpoint="/b', ['endpoint="/b c"']),
        ([], "p99 latency b", ["p99 latency by", "p99 latency bottom"]),
        (["--agent", "ipc://x", "p99"], "la", ["latency"]),
    ],
)
def test_queries(asked, words, partial, found):
    assert texts(["query", *words], partial) == found


def test_the_agent_that_the_line_names_is_asked_and_not_for_long(asked):
    texts(["query", "--agent", "ipc://x", "p99"], "la")
    assert asked == [("ipc://x", complete.AGENT_TIMEOUT_S)]
    assert complete.AGENT_TIMEOUT_S <= 0.2


def test_a_store_is_not_read_for_it(asked):
    assert texts(["query", "--data", "x", "latency"], "si") == ["since"]
    assert asked == []


def test_without_an_agent_there_is_the_grammar(monkeypatch, capsys):
    def dead(*_):
        raise AgentUnreachable("nobody")

    monkeypatch.setattr("obsagent.ask.AgentClient.catalogue", dead)
    assert cli.main(["complete", "fish", "obsagent", "query", "latency", "si"]) == 0
    assert capsys.readouterr() == ("since\tfrom then until now\n", "")


def test_lists(asked):
    assert texts(["list"], "se") == ["service=fraud", "services"]
    assert texts(["list", "values"]) == ["endpoint"]
    assert texts(["list", "metrics"]) == ["service=fraud"]


@pytest.mark.parametrize(
    ("line", "split"),
    [
        ("obsagent ", Line(["obsagent"], "", "")),
        ("obsagent query p9", Line(["obsagent", "query"], "p9", "")),
        ('a "b c" d', Line(["a", "b c"], "d", "")),
        ('a "b c', Line(["a"], "b c", '"')),
        ("a 'b\\ c", Line(["a"], "b\\ c", "'")),
        ("a b\\ c", Line(["a"], "b c", "")),
        ('a "" x', Line(["a", ""], "x", "")),
        ("a b\\", Line(["a"], "b", "")),
    ],
)
def test_lines_are_split_as_the_shell_does(line, split):
    assert split_line(line) == split


def test_bash_replaces_what_follows_the_last_break():
    line = Line([], "endpoint=/", "")
    assert cut_for_bash(["endpoint=/a", 'endpoint="/b c"'], line) == ["/a", '\\"/b\\ c\\"']
    assert cut_for_bash(['p99 endpoint="/b c"'], line._replace(quote="'")) == ['p99 endpoint="/b c"']


def test_bash_gets_no_descriptions(asked, capsys):
    assert cli.main(["complete", "bash", "18", "obsagent query lat and more"]) == 0
    assert capsys.readouterr().out == "latency\n"
    assert cli.main(["complete", "bash", "22", "obsagent query --data "]) == 3


def test_zsh_and_fish_show_the_word_as_it_was_typed(asked, capsys):
    assert cli.main(["complete", "fish", "obsagent", "query", "latency", 'endpoint=\\"/b']) == 0
    assert capsys.readouterr().out == 'endpoint="/b c"\t\n'
    assert cli.main(["complete", "zsh", "obsagent", "query", "'latency en"]) == 0
    assert capsys.readouterr().out == "latency endpoint=\t/a, /b c\n"


@pytest.mark.parametrize("words", [[], ["bash"], ["tcsh", "1", "x"], ["bash", "x", "obsagent "]])
def test_nonsense_is_answered_with_nothing(words, capsys):
    assert cli.main(["complete", *words]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_printed(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert f"obsagent complete {shell}" in capsys.readouterr().out
