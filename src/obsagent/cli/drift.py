"""Show which features of a model have drifted from its reference.

obsagent drift                                   every model, of the last day
obsagent drift model=fraud since 7d              filters and ranges are those of `obsagent query`
obsagent drift model=fraud by country top 10     a row for each country; the ten most severe
obsagent drift model=fraud feature=amount        one feature, with all of its histogram

Features come by severity: their importance times how much further from the reference they are than chance alone
takes them. The model's prediction and score are features too. An alarm is not a threshold: the evidence of every
10 seconds, hour and day is added up, so that false ones come at most as often as the configuration allows; it says
since when. How the histograms have changed stands below, the reference's beside what came.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 with --exit-match if an alarm of what was asked for goes on.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.reports import add_report_arguments, words_of
from obsagent.cli.sources import ask_report, print_json

MATCHED = 3


def add_arguments(parser: ArgumentParser) -> None:
    """Which features, where to ask, how to print."""
    add_report_arguments(parser)
    parser.add_argument("--exit-match", action="store_true", help="exit with 3 if a feature's alarm goes on")


def run(args: Namespace) -> int:
    """Prints the report on stdout; if there is nothing to say, why."""
    report = ask_report(args, "drift", words_of(args))
    if args.format == "json":
        print_json(report)
    else:
        from obsagent.cli import drift_text

        drift_text.write_csv(report, sys.stdout) if args.format == "csv" else drift_text.write(report, sys.stdout)
    going_on = any(feature["alarm"] for feature in report["features"])
    return MATCHED if args.exit_match and going_on else 0
