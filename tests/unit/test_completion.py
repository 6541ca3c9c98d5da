"""What may come next in a query, at every place of the grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsagent.answer.completion import complete
from obsagent.answer.words import CLAUSES, DERIVED, OTHERS, STATS, explained

CATALOGUE = {
    "metrics": [
        {
            "name": "latency",
            "kind": "histogram",
            "unit": "seconds",
            "help": "Time per request",
            "labels": {
                "endpoint": {"values": ["/a", "/b c", "/d", "/e"], "count": 4},
                "service": {"values": ["fraud", "risk"], "count": 2},
            },
        },
        {
            "name": "requests",
            "kind": "counter",
            "unit": "",
            "help": "",
            "labels": {
                "service": {"values": ["fraud", "shop"], "count": 2},
                "status": {"values": ["200", "500", "503", "odd"], "count": 4},
            },
        },
        {"name": "errors", "kind": "counter", "unit": "", "help": "", "labels": {}},
    ],
    "events": [{"name": "deploy"}],
}


def at(text):
    """The candidates where `|` stands."""
    return complete(text.replace("|", ""), text.index("|"), CATALOGUE)


def names(text):
    return [candidate.text for candidate in at(text)]


METRICS = ["latency", "requests", "errors", "error_rate"]
REST = ["step", "vs", "where", "top", "bottom"]
RANGE = ["since", "from", "today", "yesterday"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", [*STATS, *METRICS]),
        ("p9|", ["p90", "p95", "p99", "p99.9"]),
        ("LAT|", ["latency"]),
        ("p50,|", [name for name in STATS if name != "p50"]),
        ("p50,p9|", ["p90", "p95", "p99", "p99.9"]),
        ("p99 |", METRICS),
        ("p12.34 err|", ["errors", "error_rate"]),
        ("under |", ["100ms", "250ms", "500ms", "1s"]),
        ("under 250ms lat|", ["latency"]),
        ("latency,|", ["requests", "errors", "error_rate"]),
        ("p99 latency |", ["by", *RANGE, *REST, "endpoint=", "service="]),
        ("p99 latency s|", ["since", "step", "service="]),
        ("sum errors / |", [*(name for name in STATS if name != "sum"), "latency", "requests", "error_rate"]),
        ("latency by |", ["endpoint", "service"]),
        ("latency by service,|", ["endpoint"]),
        ("latency by service |", [*RANGE, *REST, "endpoint=", "service="]),
        ("nosuch by |", ["endpoint", "service", "status"]),
        ("latency service=|", ["fraud", "risk"]),
        ("latency service=fraud,|", ["risk"]),
        ("latency service=f|", ["fraud"]),
        ("latency service!=|", ["fraud", "risk"]),
        ("latency service |", ["not", "matches"]),
        ("latency service not |", ["fraud", "risk"]),
        ("latency service matches |", []),
        ("latency service matches x |", ["by", *RANGE, *REST, "endpoint="]),
        ("latency endpoint=|", ["/a", '"/b c"', "/d", "/e"]),
        ('latency endpoint="/|', ['"/a"', '"/b c"', '"/d"', '"/e"']),
        ("latency endpoint='/b c|", ["'/b c'"]),
        ("latency,requests service=|", ["fraud", "risk", "shop"]),
        ("requests status=|", ["200", "500", "503", "odd", "2xx", "5xx"]),
        ("requests status=5|", ["500", "503", "5xx"]),
        ("latency service=fraud |", ["by", *RANGE, *REST, "endpoint="]),
        ("latency since |", ["5m", "15m", "1h", "6h", "1d", "7d", "deploy"]),
        ("latency since 1|", ["15m", "1h", "1d"]),
        ("latency since 1h |", ["by", *REST, "endpoint=", "service="]),
        ("latency from |", []),
        ("latency from 9:00 |", ["to"]),
        ("latency from 9:00 to 10:00 |", ["by", *REST, "endpoint=", "service="]),
        ("latency today b|", ["by", "bottom"]),
        ("latency step |", ["10s", "1m", "5m", "1h"]),
        ("latency vs |", ["1h", "1d", "1w", "endpoint=", "service="]),
        ("latency vs 1h |", ["ago"]),
        ("latency vs 1h ago wh|", ["where"]),
        ("latency vs service=|", ["fraud", "risk"]),
        ("p50,p99 latency where |", ["p50", "p99"]),
        ("latency where |", list(STATS)),
        ("latency where p99 |", ["above", "below"]),
        ("latency where p99 above |", []),
        ("latency where under 5ms |", ["above", "below"]),
        ("latency where p99 above 5ms t|", ["today", "top"]),
        ("latency top |", ["5", "10", "20"]),
        ("latency top 5 |", ["by", *RANGE, "step", "vs", "where", "bottom", "endpoint=", "service="]),
        ("latency| by endpoint", []),
    ],
)
def test_what_may_come_next(text, expected):
    assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "start"),
    [("p99 lat|", 4), ("p99 |", 4), ("latency service=fr|", 16), ("latency by service,e|", 19), ("p50,p|", 4)],
)
def test_candidates_replace_the_word_before_the_cursor(text, start):
    assert {candidate.start for candidate in at(text)} == {start}


def test_metrics_of_predictions_where_they_make_sense():
    outcomes = {"labels": {"country": {"values": ["DE", "FR"], "count": 2}}, "metrics": ["recall", "truths"]}
    models = [{"name": "fraud", "outcomes": outcomes}, {"name": "other", "outcomes": None}]

    def at_end(text):
        return [each.text for each in complete(text, len(text), {**CATALOGUE, "models": models})]

    assert at_end("rec") == ["recall"]
    assert at_end("mae") == []
    assert at_end("recall,tru") == ["truths"]
    assert at_end("recall by ") == ["country"]
    assert at_end("recall country=") == ["DE", "FR"]
    assert at_end("error_p99.9 by c") == ["country"]
    assert at_end("recall where ") == ["recall", "count"]
    assert names("recall|") == []


def test_candidates_are_described():
    described = {candidate.text: candidate.description for candidate in at("|")}
    assert described["latency"] == "histogram, seconds: Time per request"
    assert described["requests"] == "counter"
    assert described["rate"] == "per second"
    assert at("latency e|")[0].description == "/a, /b c, /d, …"


def test_without_a_catalogue_the_grammar_is_left():
    assert [candidate.text for candidate in complete("", 0, {})] == list(STATS)
    assert [candidate.text for candidate in complete("latency b", 9, {})] == ["by", "bottom"]
    assert complete("latency by ", 11, {}) == []


@given(st.text(alphabet="p9 ,='\"\\!/xlatencybyservice", max_size=40), st.integers(0, 40))
def test_nothing_that_is_typed_is_too_strange(text, cursor):
    cursor = min(cursor, len(text))
    for candidate in complete(text, cursor, CATALOGUE):
        assert 0 <= candidate.start <= cursor
        assert candidate.text


@pytest.mark.parametrize("words", [STATS, CLAUSES, OTHERS, DERIVED])
def test_every_word_is_explained_with_an_example(words):
    for name, word in words.items():
        assert explained(name) == word
        assert word.long.endswith(".")
        assert word.example


def test_any_quantile_is_explained_and_other_words_are_not():
    assert explained("p12.5") == STATS["p50"]
    assert explained("latency") is None
