"""The words of the query language, each explained in a sentence or two, for help and for completion."""

from __future__ import annotations

from obsagent.answer.explanation import Word as Word
from obsagent.answer.outcome_words import OF_OUTCOMES, error_quantile

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
    "psi": Word(
        "how far a feature is from its reference",
        "Population stability index: Σ (p - q) ln(p / q) over the reference's bins, nulls and infinities among them. A "
        "bin that only one side has seen counts half an observation.",
        "psi model=fraud by feature since 7d top 10",
    ),
    "js_distance": Word(
        "the same, from 0 to 1",
        "Jensen-Shannon distance, base 2: 0 is the reference, 1 has nothing in common with it.",
        "js_distance model=fraud by feature since 1d where js_distance above 0.1",
    ),
    "kl": Word(
        "Kullback-Leibler divergence",
        "Of the reference from what is now, in nats; empty bins as of psi.",
        "kl model=fraud by feature since 1d",
    ),
    "hellinger": Word("Hellinger distance", "From the reference, from 0 to 1.", "hellinger model=fraud by feature"),
    "total_variation": Word(
        "the share that lies elsewhere",
        "Half the sum of the differences between the shares of the bins.",
        "total_variation model=fraud by feature",
    ),
    "linf": Word(
        "the largest change of a bin", "The largest difference of a bin's share.", "linf model=fraud by feature"
    ),
    "chi_squared": Word(
        "chi-squared statistic",
        "Pearson's, of the counts and the reference's (homogeneity). It grows with the samples.",
        "chi_squared model=fraud by feature since 1h",
    ),
    "cramers_v": Word(
        "chi-squared, whatever the samples", "Cramér's V, from 0 to 1.", "cramers_v model=fraud by feature since 1h"
    ),
    "ks": Word(
        "Kolmogorov-Smirnov distance",
        "Of numbers: the largest difference of the distribution functions at the reference's edges. The error bound "
        "says how much larger it may be between them.",
        "ks model=fraud by feature since 1d",
    ),
    "wasserstein": Word(
        "how far the numbers have moved",
        "Wasserstein distance (W1) of numbers, in their own unit, from counts and sums.",
        "wasserstein model=fraud feature=amount since 7d step 1d",
    ),
    "drift_severity": Word(
        "what matters first",
        "The feature's importance × its Jensen-Shannon distance as a multiple of what chance makes at so many samples.",
        "drift_severity model=fraud by feature since 1d top 10",
    ),
    "null_share": Word("share of nulls", "Nulls among the values.", "null_share model=fraud by feature since 1d"),
    "nan_share": Word("share of NaN", "NaN among the values.", "nan_share model=fraud by feature since 1d"),
    "infinite_share": Word("share of infinities", "Of both signs.", "infinite_share model=fraud by feature since 1d"),
    "wrong_type_share": Word(
        "share of values of the wrong type",
        "Text where the reference has numbers, for example.",
        "wrong_type_share model=fraud by feature since 1d",
    ),
    "unseen_share": Word(
        "share of unknown categories",
        "Categories that the reference does not know.",
        "unseen_share model=fraud by feature since 1d where unseen_share above 1%",
    ),
    "out_of_range_share": Word(
        "share of numbers out of range",
        "Numbers below or above all of the reference's.",
        "out_of_range_share model=fraud by feature since 1d",
    ),
    "missing_share": Word(
        "share of rows without the feature",
        "Rows that were given without it. A null is there; a feature that never came has no row.",
        "missing_share model=fraud by feature since 1d",
    ),
    "constant": Word("1 if there is one value only", "1 or 0.", "constant model=fraud by feature since 1d"),
    "distinct": Word("how many different values", "About, with its error.", "distinct model=fraud by feature since 1d"),
    **OF_OUTCOMES,
}
"""Metrics that are computed from others."""

DERIVED_FROM = {"error_rate": ("errors", "requests"), "missing_share": ("feature", "feature_rows")}
"""What they are computed from, if that is not `feature` alone."""


def sources_of(derived: str) -> tuple[str, ...]:
    """The metrics that a derived one is computed from; none for what the ledger alone knows."""
    return () if derived in OF_OUTCOMES else DERIVED_FROM.get(derived, ("feature",))


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

    return STATS["p50"] if looks_like_quantile(name) else error_quantile(name)
