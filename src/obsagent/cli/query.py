"""Ask for quantiles, rates and counts.

    obsagent query EXPR [FILTER ...] [by LABEL,...] [RANGE] [step DURATION] [vs DURATION ago | vs FILTER]
                   [where STAT above|below VALUE] [top COUNT | bottom COUNT]

    EXPR      [STAT,...] METRIC,...   or   [STAT] METRIC / [STAT] METRIC
    STAT      p0 ... p100 (p50, p99.9), mean, min, max, sum, count, rate, stddev, last, age,
              under VALUE, over VALUE (the share of the samples up to, or above, that value)
              default: p50,p99,count of a histogram, rate of a counter, last of a gauge
    FILTER    label=value, label!=value, label not value, label matches REGEX
              several values: a,b is a or b; 5xx is 500 to 599
    RANGE     since DURATION | since TIME | since EVENT (as in: since deploy) | from TIME to TIME | today | yesterday
              default: since 5m
    DURATION  500ms, 90s, 15m, 1h30m, 2d, 1w
    TIME      14:05, 2026-01-31, 2026-01-31T14:05:30; local, with a Z at the end UTC
    VALUE     a number, with its unit if it has one: 0.5, 250ms, 2GB, 5%

examples:

    obsagent query p99 latency by endpoint since 15m
    obsagent query p50,p99.9 latency service=fraud endpoint=/score since 3h step 5m
    obsagent query p99 latency by endpoint since 15m vs 1h ago
    obsagent query error_rate by version since 30m where error_rate above 1%
    obsagent query sum cache_hits / sum requests by version since 1d
    obsagent query rate requests status=5xx by endpoint,status since 1h top 5
    obsagent query under 250ms latency service=fraud since 7d

A shell leaves all of these words alone. What it does not goes between single quotes, the query as a whole or a part
of it: the operators !=, =~, > and <, a REGEX with * ? $ ( or |, and values with spaces, in double quotes inside:

    obsagent query 'rate requests endpoint=~"^/score( v2)?$" since 1h'

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 with --exit-match if anything fulfils the query's `where`. A step of
a deployment can wait for that, or stop at it:

    obsagent query p99 latency version=5 since deploy where p99 above 300ms --exit-match

--watch asks again until Ctrl-C, or with --exit-match until the first match. A terminal is redrawn; in a pipe an empty
line separates answers, JSON is one document a line, CSV has one header and the time in front. CSV has base units, and
UTC; `vs` adds to p99 the columns p99_vs and p99_change (the difference), --exemplars the four of the slowest request.
"""

from __future__ import annotations

import re

from obsagent.cli.printing import exit_code, options, write
from obsagent.cli.sources import add_source_arguments, ask_query
from obsagent.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

FORMATS = ("table", "json", "csv")
SKETCHES = ("loghist", "tdigest")


def add_arguments(parser: ArgumentParser) -> None:
    """The words of the query, where to ask, how to print."""
    parser.usage = "%(prog)s [options] EXPR [FILTER ...] [by LABEL,...] [RANGE] [step DURATION] ..."
    parser._negative_number_matcher = re.compile(r"-[0-9.]")  # -5ms is no option: `where last below -5ms`
    parser.add_argument("words", nargs="*", metavar="WORD", help="the query; quoting it as a whole works too")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="how to print (default: table)")
    parser.add_argument("--sketch", choices=SKETCHES, help="what answers quantiles (default: loghist)")
    parser.add_argument("--explain", action="store_true", help="add what was read, and PromQL that asks the same")
    parser.add_argument("--exemplars", action="store_true", help="add the slowest requests, with their ids")
    parser.add_argument("--watch", metavar="DURATION", help="ask again at this interval, such as 2s, until Ctrl-C")
    parser.add_argument("--exit-match", action="store_true", help="exit with 3 if the query's `where` is fulfilled")


def run(args: Namespace) -> int:
    """Prints the answer, or one after the other, on stdout."""
    if not args.words:
        raise UsageError("expected a query, such as `p99 latency by endpoint since 15m`")
    text = " ".join(args.words)
    if any("\ud800" <= character <= "\udfff" for character in text):  # bytes of argv that are not UTF-8
        raise UsageError("the query is not valid UTF-8")
    if args.watch is not None:
        from obsagent.cli.watch import watch

        return watch(args, text)
    answer = ask_query(args, text, **options(args))
    code = exit_code(args, answer)
    write(answer, args.format)
    return code
