"""Ask for quantiles, rates and counts.

    obsagent query [STAT[,STAT...]] METRIC [label=value ...] [by label,...] [since DURATION]

    STAT      p0 ... p100 (p50, p99.9), mean, min, max, sum, count, rate, last
              default: p50,p99,count of a histogram, rate of a counter, last of a gauge
    label     service, host, worker, endpoint, status, ... ; values: a,b is a or b, 5xx is 500 to 599
    DURATION  500ms, 90s, 15m, 1h30m, 2d, 1w (default: 5m)

examples:

    obsagent query p99 latency by endpoint since 15m
    obsagent query p50,p99.9 latency service=fraud endpoint=/score
    obsagent query rate requests status=5xx by endpoint,status since 1h
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments, ask_query, print_json
from obsagent.errors import UsageError

FORMATS = ("table", "json", "csv")


def add_arguments(parser: ArgumentParser) -> None:
    """The words of the query, where to ask, how to print."""
    parser.usage = "%(prog)s [options] [STAT[,STAT...]] METRIC [label=value ...] [by label,...] [since DURATION]"
    parser.add_argument("words", nargs="*", metavar="WORD", help="the query; quoting it as a whole works too")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Prints the answer on stdout."""
    if not args.words:
        raise UsageError("expected a query, such as `p99 latency by endpoint since 15m`")
    text = " ".join(args.words)
    if any("\ud800" <= character <= "\udfff" for character in text):  # bytes of argv that are not UTF-8
        raise UsageError("the query is not valid UTF-8")
    answer = ask_query(args, text)
    if args.format == "json":
        print_json(answer)
    elif args.format == "csv":
        from obsagent.cli.answers import write_csv

        write_csv(answer, sys.stdout)
        if "empty" in answer:
            print(answer["empty"], file=sys.stderr)
    else:
        from obsagent.cli.answers import write_table

        write_table(answer, sys.stdout)
    return 0
