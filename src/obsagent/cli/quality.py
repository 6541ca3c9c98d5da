"""Show what is wrong with the data that models are given.

obsagent quality                          every model, of the last day
obsagent quality model=fraud since 1h     filters and ranges are those of `obsagent query`

Findings come by severity: features that are missing, that are null, NaN, infinite or of another type more often than
in the reference, numbers out of its range, categories that it does not know, features that are constant or that it
does not have at all, models of which nothing comes any more. Within the time: features that have stopped, do not change
any more (stale) or come as another type, rows that repeat, and samples that were lost, which is not to be missing. Each
says since when, and with which query to look closer. Columns that the configuration drops are named below, not found.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 with --exit-match if there is any finding, or any of `--severity` or above.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.reports import add_report_arguments, words_of
from obsagent.cli.sources import ask_report, print_json

MATCHED = 3
SEVERITIES = ("high", "medium", "low")


def add_arguments(parser: ArgumentParser) -> None:
    """Which features, where to ask, how to print."""
    add_report_arguments(parser)
    parser.add_argument("--severity", choices=SEVERITIES, default="low", help="leave out what is below (default: low)")
    parser.add_argument("--exit-match", action="store_true", help="exit with 3 if anything is found")


def run(args: Namespace) -> int:
    """Prints the report on stdout; if there is nothing to look at, why."""
    report = ask_report(args, "quality", words_of(args))
    wanted = SEVERITIES[: SEVERITIES.index(args.severity) + 1]
    report["findings"] = [finding for finding in report["findings"] if finding["severity"] in wanted]
    if args.format == "json":
        print_json(report)
    else:
        from obsagent.cli import quality_text

        quality_text.write_csv(report, sys.stdout) if args.format == "csv" else quality_text.write(report, sys.stdout)
    return MATCHED if args.exit_match and report["findings"] else 0
