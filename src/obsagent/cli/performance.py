"""Show how good models are, by predictions with ids and their truths.

obsagent performance                                  every model and version, of the last 7 days
obsagent performance model=fraud since 1d             filters and ranges are those of `obsagent query`
obsagent performance model=fraud by country           a row for each country, of the metric that says most
obsagent performance model=fraud by country --metric recall      of the metric that you choose

Each metric stands between the ends of its 95 % interval; beside it is what it was estimated to be before truths came
(from scores, and what they meant in the reference), and what it was in the reference. `worse` and `better` say that the
intervals of now and of the reference do not touch. How many predictions have a truth, and until when nearly all, stands
above. Versions that predicted the same requests, as canaries and shadows do, are compared on the same truths.

Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 with --exit-match if a metric is worse than in the reference.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.reports import add_report_arguments, words_of
from obsagent.cli.sources import ask_report, print_json
from obsagent.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MATCHED = 3
WORSE = "worse"


def add_arguments(parser: ArgumentParser) -> None:
    """Which models, where to ask, how to print."""
    add_report_arguments(parser)
    parser.usage = "%(prog)s [options] [FILTER ...] [by LABEL,...] [RANGE]"
    parser.add_argument("--metric", metavar="NAME,...", help="of these metrics only")
    parser.add_argument(
        "--exit-match", action="store_true", help="exit with 3 if a metric is worse than in the reference"
    )


def run(args: Namespace) -> int:
    """Prints the report on stdout; if there is nothing to say, why."""
    report = ask_report(args, "performance", words_of(args))
    if args.metric is not None:
        _choose(report, [name for name in args.metric.split(",") if name])
    if args.format == "json":
        print_json(report)
    else:
        from obsagent.cli import performance_text

        if args.format == "csv":
            performance_text.write_csv(report, sys.stdout)
        else:
            performance_text.write(report, sys.stdout, every=args.metric is not None)
    is_worse = any(metric["verdict"] == WORSE for row in report["rows"] for metric in row["metrics"].values())
    return MATCHED if args.exit_match and is_worse else 0


def _choose(report: dict[str, Any], names: list[str]) -> None:
    """Leaves these metrics only; raises `UsageError` for one that no row has."""
    known = list(dict.fromkeys(name for row in report["rows"] for name in row["metrics"]))
    unknown = [name for name in names if name not in known]
    if known and (unknown or not names):
        from obsagent.answer.mistakes import did_you_mean, listing

        wrong = unknown[0] if unknown else ""
        raise UsageError(f"no metric `{wrong}` here: there are {listing(known, 12, 'and')}{did_you_mean(wrong, known)}")
    for row in report["rows"]:
        row["metrics"] = {name: row["metrics"][name] for name in names if name in row["metrics"]}
