"""The words of the query language, each explained in a sentence or two, for help and for completion."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """What a word says, in short and in full, and a query that shows it."""

    short: str
    long: str
    example: str


STATS = {
    "p50": Word(
        "the median",
        "Half of the values lie at or below it. p0 to p100, decimals allowed: the value of rank ceil(q·n), within "
        "the error bound that every answer states. Not for counters.",
        "p50,p99.9 latency by endpoint",
    ),
    "p90": Word("9 of 10 values lie at or below it", "A quantile, see p50.", "p90 latency"),
    "p95": Word("95 of 100 values lie at or below it", "A quantile, see p50.", "p95 latency"),
    "p99": Word("99 of 100 values lie at or below it", "A quantile, see p50.", "p99 latency by endpoint since 15m"),
    "p99.9": Word("999 of 1,000 values lie at or below it", "A quantile, see p50.", "p99.9 latency"),
    "mean": Word("sum / count", "The sum of the values divided by their count.", "mean latency by service"),
    "min": Word("the smallest value", "The smallest value; exact.", "min queue_delay"),
    "max": Word("the largest value", "The largest value; exact.", "max latency by endpoint"),
    "sum": Word("the sum", "The sum of a histogram's values or of a counter's increments.", "sum requests by status"),
    "count": Word(
        "how many samples", "Observations of a histogram, increments of a counter, samples of a gauge.", "count latency"
    ),
    "rate": Word("per second", "Observations or increments per second of the covered time.", "rate requests by status"),
    "stddev": Word("standard deviation", "How widely the values spread around their mean.", "stddev latency"),
    "last": Word("the latest value", "A gauge's latest value, combined across its workers.", "last queue_depth"),
    "age": Word(
        "how long ago the last sample was",
        "The time since the last sample, in seconds: which services have fallen silent.",
        "age requests by service where age above 1m",
    ),
    "under": Word(
        "share of the values below a limit",
        "The share of the values that are at most VALUE; a limit takes units.",
        "under 250ms latency since 7d",
    ),
    "over": Word("share of the values above a limit", "The share of the values above VALUE.", "over 1s latency"),
}
"""Stats; a quantile has many names."""

CLAUSES = {
    "by": Word(
        "one row for each value of labels", "Groups by one label or several.", "p99 latency by endpoint,version"
    ),
    "since": Word(
        "from then until now",
        "How far back to look: a duration, a time or the name of an event. Without it: 5m.",
        "p99 latency since 1h30m",
    ),
    "from": Word("between two times", "From a time to another; local, or UTC with a Z.", "latency from 9:00 to 9:30"),
    "to": Word("the end of the time", "Ends what `from` began.", "latency from 9:00 to 9:30"),
    "today": Word("since midnight", "From midnight, local time, until now.", "sum requests today"),
    "yesterday": Word("the whole day before", "From midnight to midnight, local time.", "sum requests yesterday"),
    "step": Word("one answer for each step of time", "Cuts the time into steps.", "p99 latency since 3h step 5m"),
    "vs": Word(
        "compared with earlier, or with others",
        "Shows the same for an earlier time or for another filter, the change, and whether it is beyond the error "
        "bounds.",
        "p99 latency since 15m vs 1d ago",
    ),
    "where": Word(
        "only rows beyond a limit",
        "Keeps the rows, or with `step` the steps, whose stat is above or below a value.",
        "p99 latency by endpoint where p99 above 500ms",
    ),
    "top": Word("the largest rows", "The COUNT rows with the largest first stat.", "p99 latency by endpoint top 5"),
    "bottom": Word(
        "the smallest rows", "The COUNT rows with the smallest first stat.", "rate requests by host bottom 3"
    ),
}
"""Words that begin a clause, in the order of the grammar."""

OTHERS = {
    "=": Word("one of the values", "label=value,value: 5xx is 500 to 599.", "rate requests status=5xx,429"),
    "!=": Word("none of the values", "Needs quotes in a shell; `not` does not.", "rate requests status not 200"),
    "not": Word("none of the values", "label not value,value: the opposite of `=`.", "rate requests status not 200"),
    "matches": Word(
        "a regular expression",
        "The expression is found anywhere in the value; ^ and $ tie it to the ends.",
        "latency endpoint matches ^/v[12]/",
    ),
    "ago": Word("that much earlier", "Ends `vs DURATION ago`.", "p99 latency vs 1h ago"),
    "above": Word("more than a value", "In `where`.", "age requests by host where age above 1m"),
    "below": Word("less than a value", "In `where`.", "rate requests by service where rate below 1"),
    "/": Word("a ratio", "Divides one metric by another, both over the whole time.", "sum cache_hits / sum requests"),
}
"""What stands inside clauses."""

DERIVED = {
    "error_rate": Word("errors / requests", "Errors as a share of the requests.", "error_rate by service since 30m"),
}
"""Metrics that are computed from others."""

GRAMMAR = """\
[STAT,...] METRIC,... | [STAT] METRIC / [STAT] METRIC
    [LABEL=VALUE,... | LABEL not VALUE,... | LABEL matches REGEX] ... [by LABEL,...]
    [since DURATION|TIME|EVENT | from TIME to TIME | today | yesterday] [step DURATION]
    [vs DURATION ago | vs FILTER] [where STAT above|below VALUE] [top|bottom COUNT]"""


def explained(name: str) -> Word | None:
    """What a word says; any quantile is explained as one."""
    for words in (STATS, CLAUSES, OTHERS, DERIVED):
        if name in words:
            return words[name]
    from obsagent.answer.stats import looks_like_quantile

    return STATS["p50"] if looks_like_quantile(name) else None
