"""The grammar: what parses into what, and a golden text for every error message."""

import ast
import inspect
import os
from datetime import UTC, date, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsagent.answer import cursor, durations, expression, instants, language, patterns, tokens, values
from obsagent.answer.instants import Instant
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError, listing, underline
from obsagent.answer.query import Between, Day, Filter, Limit, Name, Query, Since, SinceEvent, Term, Versus
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


def fixed_words_of_messages() -> set[str]:
    """What stands between the placeholders of every message that the grammar's modules can raise."""
    found = set()
    for module in (cursor, durations, expression, instants, language, patterns, tokens, values):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and _name(node.func) in (
                "error",
                "QueryError",
                "ValueError",
                "_refuse_twice",
            ):
                texts = [
                    each for argument in node.args for each in ast.walk(argument) if isinstance(each, ast.Constant)
                ]
                found |= {each.value.strip() for each in texts if isinstance(each.value, str)}
    return {words for words in found if len(words) > 3}


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", "") or getattr(function, "id", "")


def test_golden_file_covers_every_message():
    golden = GOLDEN.read_text()
    missing = {words for words in fixed_words_of_messages() if words not in golden}
    raised_by_plan = {"` does not fit: this is"}
    tested_below = {"the query is longer than", "bytes", "longer than", "characters"}
    assert missing == raised_by_plan | tested_below


def metrics_of(query):
    return [term.metric.text for term in query.terms]


def stats_of(query):
    return [stat.name for stat in query.terms[0].stats]


@pytest.mark.parametrize("end", [0, 1, 2, 3])
def test_defaults(end):
    query = parse("latency" + " " * end)
    assert query == Query(query.text, (Term(Name("latency", 0, 7)),))
    assert query.range.when == Since(300_000)
    assert not query.has_range


def test_everything_at_once_in_any_order():
    text = (
        "p50,p99.9 step_duration service=fraud,risk by endpoint,status top 3 status=5xx,404 vs 1h ago step 1m "
        "where p99 above 250ms since 1h30m"
    )
    query = parse(text)
    assert query.text == text
    assert stats_of(query) == ["p50", "p99.9"]
    assert metrics_of(query) == ["step_duration"]
    assert [str(each) for each in query.filters] == ["service=fraud,risk", "status=404,5xx"]
    assert [label.text for label in query.by] == ["endpoint", "status"]
    assert query.range.when == Since(5_400_000)
    assert query.step_ms == 60_000
    assert query.versus == Versus(3_600_000, None, "1h ago")
    assert (str(query.where), query.where.value.number) == ("p99 above 250ms", 0.25)
    assert query.limit == Limit(3, is_top=True)


def test_commas_and_equals_may_have_spaces_around_them():
    spaced = parse("p50 , p99 latency status = 500 , 503 by endpoint , status")
    assert stats_of(spaced) == ["p50", "p99"]
    assert spaced.filters[0].values == ("500", "503")
    assert [label.text for label in spaced.by] == ["endpoint", "status"]


@pytest.mark.parametrize(
    ("text", "stats", "metrics"),
    [
        ("latency,queue_delay", [], ["latency", "queue_delay"]),
        ("p99 latency,queue_delay by endpoint", ["p99"], ["latency", "queue_delay"]),
        ("p99,under 250ms latency", ["p99", "under 250ms"], ["latency"]),
        ("over 1.5s,mean latency since 1h", ["over 1.5s", "mean"], ["latency"]),
        ("last count", ["last"], ["count"]),
        ("p99 under", ["p99"], ["under"]),
        ("mean gen_ai.request.model", ["mean"], ["gen_ai.request.model"]),
        ("p99 vllm:ttft today", ["p99"], ["vllm:ttft"]),
        ('"p99" by host', [], ["p99"]),
        ('p99 "two words"', ["p99"], ["two words"]),
        ("stddev,age latency", ["stddev", "age"], ["latency"]),
        ("p99 step", ["p99"], ["step"]),
        ("step by service", [], ["step"]),
        ("step status=500", [], ["step"]),
        ("step", [], ["step"]),
        ("step,top", [], ["step", "top"]),
        ("p50 stpe", ["p50"], ["stpe"]),
        ("p50,p99 bye since 1h", ["p50", "p99"], ["bye"]),
        ("last from since 1h", ["last"], ["from"]),
        ("latency service=a", [], ["latency"]),
        ("latency by service", [], ["latency"]),
        ("latency since 1h", [], ["latency"]),
        ("latency endpoint not /a", [], ["latency"]),
        ("error_rate where error_rate above 5%", [], ["error_rate"]),
    ],
)
def test_what_is_a_stat_and_what_a_metric(text, stats, metrics):
    query = parse(text)
    assert (stats_of(query), metrics_of(query), query.is_ratio) == (stats, metrics, False)


@pytest.mark.parametrize(
    ("text", "stats", "metrics"),
    [
        ("sum cache_hits / sum requests by version", ["sum", "sum"], ["cache_hits", "requests"]),
        ("errors / requests", [None, None], ["errors", "requests"]),
        ("p99 latency / p50 latency", ["p99", "p50"], ["latency", "latency"]),
        ("step / top since 1h", [None, None], ["step", "top"]),
    ],
)
def test_ratios(text, stats, metrics):
    query = parse(text)
    assert query.is_ratio
    assert [term.stats[0].name if term.stats else None for term in query.terms] == stats
    assert metrics_of(query) == metrics


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("since 1h30m", Since(5_400_000)),
        ("since deploy", SinceEvent("deploy")),
        ("since model-rollout", SinceEvent("model-rollout")),
        ("today", Day(0)),
        ("yesterday", Day(1)),
        ("since 9:05", Between(Instant("9:05", None, time(9, 5)))),
        ("since 2026-01-31", Between(Instant("2026-01-31", date(2026, 1, 31), time()))),
        (
            "from 2026-01-31T14:05Z to now",
            Between(Instant("2026-01-31T14:05Z", date(2026, 1, 31), time(14, 5, tzinfo=UTC)), Instant("now")),
        ),
        (
            "from 22:00 to 02:00:30",
            Between(Instant("22:00", None, time(22)), Instant("02:00:30", None, time(2, 0, 30))),
        ),
        ('since "2026-01-31 14:05"', Between(Instant("2026-01-31 14:05", date(2026, 1, 31), time(14, 5)))),
    ],
)
def test_ranges(text, when):
    assert parse(f"latency {text} by endpoint").range.when == when


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("status!=200,404", "status!=200,404"),
        ("status not 5xx", "status!=5xx"),
        ("status not 200 status not 404", "status!=200 status!=404"),
        ("endpoint matches ^/score", "endpoint matches ^/score"),
        ('endpoint =~ "^/(a|b)$"', "endpoint matches ^/(a|b)$"),
        ('"by"=x', "by=x"),
        ("endpoint=/", "endpoint=/"),
        ("endpoint not /", "endpoint!=/"),
    ],
)
def test_filters(text, shown):
    assert " ".join(map(str, parse(f"latency {text}").filters)) == shown


def test_quoted_labels_may_be_called_anything():
    query = parse('latency by "by","a b" "since"=x')
    assert [label.text for label in query.by] == ["by", "a b"]
    assert query.filters[0].label == "since"


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("by step", ["step"]),
        ("by step since 5m", ["step"]),
        ("by step,top step 1m", ["step", "top"]),
        ("by top step=x", ["top"]),
        ("by where where p99 above 1", ["where"]),
    ],
)
def test_labels_called_like_a_clause_need_no_quotes_where_none_could_begin(text, labels):
    assert [label.text for label in parse(f"p99 latency {text}").by] == labels


def test_versus_another_filter():
    versus = parse("p99 latency variant=canary vs variant=live by endpoint").versus
    assert (str(versus.filter), versus.text, versus.earlier_ms) == ("variant=live", "variant=live", 0)


@pytest.mark.parametrize(
    ("words", "operators"),
    [
        ("p99 latency where p99 above 500ms", "p99 latency where p99>500ms"),
        ("p99 latency where p99 below 0.5", "p99 latency where p99 < 0.5"),
        ("latency status not 200", "latency status != 200"),
        ("latency endpoint matches a", "latency endpoint=~a"),
    ],
)
def test_written_operators_say_the_same_as_words(words, operators):
    def without_places(query):
        where = query.where and (query.where.stat.name, query.where.is_above, query.where.value)
        return where, [(each.label, each.operator, each.values) for each in query.filters]

    assert without_places(parse(words)) == without_places(parse(operators))


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
        value for value in ("500", "599", "404", "5000", "5xx", "50", "400", "", "5 0") if filtered.lists(value)
    ]
    assert accepted == ["500", "599", "404"]
    assert Filter("status", ("5xx",)).lists("5xx")


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
    (stat,) = parse(f"{text} latency").terms[0].stats
    assert (stat.name, stat.q) == (name, q)


def test_a_place_far_into_a_long_query_is_still_shown():
    text = "p99 latency " + " ".join(f"label{index}=value" for index in range(30)) + " sinse 5m"
    with pytest.raises(QueryError) as caught:
        parse(text)
    _, line, carets = str(caught.value).splitlines()
    assert max(len(line), len(carets)) < 80
    assert line[carets.index("^") : carets.rindex("^") + 1] == "sinse"
    assert line.strip().startswith("…")


def test_a_query_beyond_the_limit_is_refused():
    with pytest.raises(QueryError, match="longer than 16,384 bytes"):
        parse("latency endpoint=" + "x" * 16_400)


def test_an_expression_beyond_the_limit_is_refused():
    with pytest.raises(QueryError, match="longer than 1,000 characters"):
        parse("latency endpoint matches " + "x" * 1_001)


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
    "!=", "=", ",", '"', "5m", "1h30m", "where", "/", "é", "under", "250ms", "over", "2GB", "from", "to", "9:00",
    "today", "2026-01-31", "deploy", "step", "vs", "ago", "above", "below", ">", "top", "bottom", "5", "not",
    "matches", "=~", "[", "age", "'x'",
]
# fmt: on


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_parses_or_is_a_usage_error_that_points_into_it(text):
    mistake = None
    try:
        assert parse(text).text == text
    except QueryError as error:
        mistake = error
    assert mistake is None or 0 <= mistake.start <= mistake.end <= len(text) + 1
