"""The grammar: what parses into what, and a golden text for every error message."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.answer.language import Filter, parse
from obsagent.answer.mistakes import QueryError, listing, underline
from obsagent.errors import UsageError

GOLDEN = Path(__file__).parent.parent / "golden" / "query_errors.txt"
PROMPT = "? "


def golden_queries() -> list[str]:
    return [line[len(PROMPT) :] for line in GOLDEN.read_text().splitlines() if line.startswith(PROMPT)]


def error_of(query: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(query)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_every_error_message_is_the_golden_one():
    # OBSAGENT_WRITE_GOLDEN=1 rewrites the answers below the `? query` lines; read the difference.
    text = "\n\n".join(f"{PROMPT}{query}\n{error_of(query)}" for query in golden_queries()) + "\n"
    if os.environ.get("OBSAGENT_WRITE_GOLDEN"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_golden_file_covers_every_raise():
    """Each message of the parser occurs in the golden file: its fixed words at least."""
    golden = GOLDEN.read_text()
    for words in (
        "is asked twice",
        "several metrics in one query are not built yet",
        "is not built yet",
        "is not a quantile",
        "is not a stat",
        "expected the name of a metric after the stats",
        "expected a stat or the name of a metric",
        "is not understood here",
        "is not the name of a label",
        "is filtered twice",
        "expected a value",
        "`by` is given twice",
        "expected the name of a label after `by`",
        "expected the name of a label after the comma",
        "is named twice after `by`",
        "`since` is given twice",
        "expected a duration such as",
        "expected a duration above zero",
        "this quote is never closed",
    ):
        assert words in golden


@pytest.mark.parametrize("end", [0, 1, 2, 3])
def test_defaults(end):
    query = parse("latency" + " " * end)
    assert (query.metric, query.stats, query.filters, query.by) == ("latency", (), (), ())
    assert (query.since, query.since_ms) == ("5m", 300_000)


def test_everything_at_once_in_any_order():
    text = "p50,p99.9 step_duration service=fraud,risk by endpoint,status status=5xx,404 since 1h30m"
    query = parse(text)
    assert query.text == text
    assert [stat.name for stat in query.stats] == ["p50", "p99.9"]
    assert query.metric == "step_duration"
    assert [str(each) for each in query.filters] == ["service=fraud,risk", "status=404,5xx"]
    assert [label.name for label in query.by] == ["endpoint", "status"]
    assert query.since_ms == 5_400_000


def test_commas_and_equals_may_have_spaces_around_them():
    spaced = parse("p50 , p99 latency status = 500 , 503 by endpoint , status")
    assert [stat.name for stat in spaced.stats] == ["p50", "p99"]
    assert spaced.filters[0].values == ("500", "503")
    assert [label.name for label in spaced.by] == ["endpoint", "status"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("latency endpoint=/a?x=1&y!=2", "/a?x=1&y!=2"),
        ('latency endpoint="/a b,c"', "/a b,c"),
        ("latency endpoint='it\\'s'", "it's"),
        ('latency endpoint="back\\\\slash"', "back\\slash"),
        ('latency endpoint=""', ""),
        ("latency endpoint=/v1/models/{id}:predict", "/v1/models/{id}:predict"),
        ("latency endpoint=größe", "größe"),
        ("latency endpoint=since", "since"),
        ('latency endpoint="5xx"', "5xx"),
    ],
)
def test_values(text, value):
    assert parse(text).filters[0].values == (value,)
    assert parse(text).filters[0].classes == ()


def test_status_class_accepts_three_digits_only():
    (filtered,) = parse("requests status=5xx,404").filters
    accepted = [
        value for value in ("500", "599", "404", "5000", "5xx", "50", "400", "", "5 0") if filtered.accepts(value)
    ]
    assert accepted == ["500", "599", "404"]
    assert Filter("status", ("5xx",)).accepts("5xx")


def test_a_metric_may_be_called_like_a_stat_if_a_stat_comes_first():
    query = parse("last count")
    assert query.metric == "count"
    assert query.stats[0].name == "last"


@pytest.mark.parametrize("text", ["p99 step", "step by service", "step status=500", "step", "last from since 1h"])
def test_a_metric_may_be_called_like_a_word_of_the_full_language(text):
    assert parse(text).metric in ("step", "from")


def test_a_metric_before_a_filter_or_a_clause_is_no_stat():
    assert parse("latency service=a").metric == "latency"
    assert parse("latency by service").metric == "latency"
    assert parse("latency since 1h").metric == "latency"


@pytest.mark.parametrize(
    ("text", "name", "q"),
    [
        ("p99.9", "p99.9", 0.999),
        ("p99.90", "p99.9", 0.999),
        ("p050", "p50", 0.5),
        ("p0", "p0", 0.0),
        ("p100", "p100", 1.0),
    ],
)
def test_quantiles_are_the_nearest_double(text, name, q):
    (stat,) = parse(f"{text} latency").stats
    assert (stat.name, stat.q) == (name, q)


@pytest.mark.parametrize(
    "words", ["p99.9 latency endpoint=/score by host,worker since 1h30m", "rate requests status=5xx"]
)
def test_the_words_need_no_quotes_in_a_shell(words):
    safe = set("abcdefghijklmnopqrstuvwxyz0123456789.,=/ ")
    assert set(words) <= safe
    parse(words)


def test_a_place_far_into_a_long_query_is_still_shown():
    text = "p99 latency " + " ".join(f"label{index}=value" for index in range(40)) + " sinse 5m"
    with pytest.raises(QueryError) as caught:
        parse(text)
    _, line, carets = str(caught.value).splitlines()
    assert max(len(line), len(carets)) < 80
    assert line[carets.index("^") : carets.rindex("^") + 1] == "sinse"
    assert line.strip().startswith("…")


def test_a_query_beyond_the_limit_is_refused():
    with pytest.raises(QueryError, match="longer than 16,384 bytes"):
        parse("latency endpoint=" + "x" * 16_400)


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in underline("a\x1b[31mb", 0, 1)
    assert len(underline("a\tb", 2, 3).splitlines()[0]) == len("    a b")


def test_listing_reads_as_a_sentence():
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"], last="and") == "a, b and c"
    assert listing("abcdefghij", limit=3) == "a, b, c and 7 more"


# fmt: off
WORDS = [
    "p99", "p50,", "p101", "rate", "latency", "by", "since", "status=5xx", 'endpoint="/a', "endpoint=", "a=b,c",
    "!=", "=", ",", '"', "5m", "1h30m", "where", "/", "é",
]
# fmt: on


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text(max_size=40))
def test_any_text_parses_or_is_a_usage_error_that_points_into_it(text):
    mistake = None
    try:
        assert parse(text).text == text
    except QueryError as error:
        mistake = error
    assert mistake is None or 0 <= mistake.start <= mistake.end <= len(text) + 1
