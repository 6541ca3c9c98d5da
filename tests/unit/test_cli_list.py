"""`obsagent list`: what is chosen, and how it looks in each format."""

import io
import json

import pytest

from obsagent import cli
from obsagent.cli.list import understood
from obsagent.cli.listing import ago, entries_of, names, write_csv, write_overview, write_table
from obsagent.errors import UsageError

NOW_S = 1_767_258_125.25
NOW_MS = 1_767_258_125_250

CATALOGUE = {
    "services": [
        {"name": "fraud", "versions": ["4", "5"], "hosts": ["a"], "sessions": 2, "last_ms": NOW_MS - 12_000},
        {"name": "risk", "versions": [], "hosts": ["a"], "sessions": 0, "last_ms": None},
    ],
    "metrics": [
        {
            "name": "latency",
            "kind": "histogram",
            "unit": "seconds",
            "help": "",
            "series": 1200,
            "labels": {
                "endpoint": {"values": ["/a", "/b", "/c", "/d", "/e"], "count": 1200},
                "service": {"values": ["fraud", "risk"], "count": 2},
            },
            "services": ["fraud", "risk"],
            "last_ms": NOW_MS,
        },
        {
            "name": "hits",
            "kind": "counter",
            "unit": "",
            "help": "",
            "series": 1,
            "labels": {"service": {"values": ["fraud"], "count": 1}},
            "services": ["fraud"],
            "last_ms": NOW_MS - 90_000,
        },
    ],
    "models": [],
    "references": [],
    "features": [],
    "events": [],
}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)


@pytest.fixture
def asked(monkeypatch):
    services = []
    monkeypatch.setattr(
        "obsagent.ask.AgentClient.catalogue", lambda self, service=None: services.append(service) or CATALOGUE
    )
    return services


def shown(write, *arguments):
    stream = io.StringIO()
    write(*arguments, stream)
    return stream.getvalue()


def test_the_overview_shows_what_there_is_and_nothing_else():
    assert shown(write_overview, CATALOGUE) == (
        "services\n"
        "  name    versions   hosts   sessions   last seen\n"
        "  fraud   4, 5       a              2     12s ago\n"
        "  risk               a              0           –\n"
        "\n"
        "metrics\n"
        "  name      kind        unit      series   services      labels              last seen\n"
        "  latency   histogram   seconds    1,200   fraud, risk   endpoint, service         now\n"
        "  hits      counter                    1   fraud         service             1m30s ago\n"
        "\n"
        "labels\n"
        "  name       values   such as                 metrics\n"
        "  endpoint    1,200   /a, /b, /c and 2 more   latency\n"
        "  service         2   fraud, risk             latency, hits\n"
        "\n"
        "versions\n"
        "  version   service\n"
        "  4         fraud\n"
        "  5         fraud\n"
    )


def test_an_empty_store_says_so():
    empty = {kind: [] for kind in CATALOGUE}
    assert shown(write_overview, empty) == "nothing yet: no client has connected\n"


def test_values_of_a_label_with_their_metrics():
    assert entries_of(CATALOGUE, "values", "service") == [
        {"name": "fraud", "metrics": ["latency", "hits"]},
        {"name": "risk", "metrics": ["latency"]},
    ]
    assert entries_of(CATALOGUE, "values", "nowhere") == []


def test_models_with_what_they_are_given():
    fraud = {"name": "fraud", "versions": ["3", "4"], "variants": ["live"], "services": ["shop"], "features": 1_000}
    assert shown(write_table, "models", [fraud | {"task": "two classes"}, fraud | {"name": "churn", "task": ""}]) == (
        "name    versions   variants   services   features   predicts\n"
        "fraud   3, 4       live       shop          1,000   two classes\n"
        "churn   3, 4       live       shop          1,000   –\n"
    )
    reference = {"name": "1a2b3c4d", "models": ["fraud"], "features": 12}
    assert shown(write_table, "references", [reference]) == (
        "name       models   features\n1a2b3c4d   fraud          12\n"
    )
    assert shown(write_csv, "features", [{"name": "age", "models": ["fraud"], "references": ["a", "b"]}]) == (
        "name,models,references\nage,fraud,a b\n"
    )


def test_events_with_how_many_there_were():
    deploys = {"name": "deploy", "services": ["fraud", "risk"], "count": 12, "last_ms": NOW_MS - 5000}
    assert shown(write_table, "events", [deploys]) == (
        "name     services      count   last seen\ndeploy   fraud, risk      12      5s ago\n"
    )


def test_csv_has_numbers_as_they_are():
    assert shown(write_csv, "metrics", CATALOGUE["metrics"]).splitlines() == [
        "name,kind,unit,series,services,labels,last_ms",
        f"latency,histogram,seconds,1200,fraud risk,endpoint service,{NOW_MS}",
        f"hits,counter,,1,fraud,service,{NOW_MS - 90_000}",
    ]


@pytest.mark.parametrize(("count", "text"), [(1, "a"), (4, "a, b, c, d"), (5, "a, b, c and 2 more")])
def test_names_are_cut(count, text):
    assert names("abcdefg"[:count]) == text


def test_a_clock_that_is_behind_does_not_see_the_future():
    assert (ago(NOW_MS + 5_000), ago(NOW_MS - 999), ago(NOW_MS - 1_000), ago(None)) == ("now", "now", "1s ago", "–")


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ([], ("everything", None, None)),
        (["service=fraud"], ("everything", None, "fraud")),
        (["metrics", "service=fraud"], ("metrics", None, "fraud")),
        (["values", "endpoint"], ("values", "endpoint", None)),
    ],
)
def test_words(words, result):
    assert understood(words) == result


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["metric"], "cannot list `metric`: .*; did you mean `metrics`"),
        (["values"], "expected the name of a label"),
        (["metrics", "latency"], "`latency` is not understood after `metrics`"),
        (["service=a", "service=b"], "one service=NAME at most"),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(UsageError, match=message):
        understood(words)


def test_the_command_asks_for_the_service_and_prints_json(asked, capsys):
    assert cli.main(["list", "metrics", "service=fraud", "--format", "json", "--agent", "tcp://127.0.0.1:1"]) == 0
    assert json.loads(capsys.readouterr().out) == CATALOGUE["metrics"]
    assert asked == ["fraud"]


def test_the_whole_catalogue_as_json(asked, capsys):
    assert cli.main(["list", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == CATALOGUE


def test_nothing_of_a_kind_is_said_on_stderr(asked, capsys):
    assert cli.main(["list", "models"]) == 0
    assert capsys.readouterr() == ("", "no models\n")
    assert cli.main(["list", "values", "color", "service=x"]) == 0
    assert capsys.readouterr() == ("", "no values of the label `color` of the service `x`\n")


def test_csv_of_everything_is_no_table(asked, capsys):
    assert cli.main(["list", "--format", "csv"]) == 2
    assert "CSV needs one kind of thing" in capsys.readouterr().err
