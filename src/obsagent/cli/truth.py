"""Bring in what turned out to be true, from a file.

    obsagent truth import FILE --model NAME --id COL --value COL [--at COL]

FILE is CSV (also gzipped), Parquet, .npy or .npz, with a row for each request: its id, what was the case (a number, or
a class), and, with --at, when that became known: seconds since the epoch, or a date and time (2026-01-31T13:00:00Z;
without a zone it is this machine's time). It is sent to the agent as `model.truths(...)` sends it: any process that may
write to the agent can do it, at any time. Truths may come before their predictions, and again. Each part of the file is
on the agent's disk before the next is sent; if it stops half-way, import the file again: what is there counts as
duplicate.

What is said at the end: matched met a prediction, unmatched wait for one, corrected say another thing than before,
duplicate the same; rejected have no id, no value, no time, or are further back than the model's horizon.

Exit codes: 0 if all of the file is on the agent's disk; 1 if it cannot be read, or the agent does not take it; 2 wrong
usage.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from obsagent.cli.sources import print_json
from obsagent.errors import UsageError
from obsagent.limits import TRUTHS_TIMEOUT_S


def add_arguments(parser: ArgumentParser) -> None:
    """Which file and columns, where to send it, how to print."""
    parser.add_argument("action", choices=("import",), metavar="import", help="what to do")
    parser.add_argument("file", metavar="FILE", type=Path, help="the data")
    parser.add_argument("--model", metavar="NAME", required=True, help="the model's name, as `obs.model(NAME)` has it")
    parser.add_argument("--id", metavar="COL", required=True, help="the column with the requests' ids")
    parser.add_argument("--value", metavar="COL", required=True, help="the column with what was the case")
    parser.add_argument("--at", metavar="COL", help="the column with when it became known (default: now)")
    parser.add_argument(
        "--missing", metavar="TEXT", action="append", default=[], help="a word for a missing value in a CSV file"
    )
    parser.add_argument("--names", metavar="COL,...", help="the columns of a file that does not name them")
    parser.add_argument("--delimiter", metavar="CHAR", help="what parts a CSV file's cells (default: as it seems)")
    parser.add_argument("--encoding", metavar="NAME", help="a CSV file's (default: utf-8)")
    parser.add_argument(
        "--endpoint",
        metavar="ENDPOINT",
        help="the agent's writers' endpoint, ipc://PATH or tcp://HOST:PORT (default: $OBSAGENT_ENDPOINT, else yours)",
    )
    parser.add_argument("--key", metavar="FILE", help="the key to show over tcp (default: $OBSAGENT_KEY)")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=TRUTHS_TIMEOUT_S,
        help=f"how long to wait for the agent, for each part (default: {TRUTHS_TIMEOUT_S:g})",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Imports it; what became of it goes to stdout."""
    from obsagent.cli.references.fitting import delimiter_of, listed
    from obsagent.cli.truth_import import import_truths
    from obsagent.reference.source import open_source

    if args.timeout <= 0:
        raise UsageError("--timeout: expected seconds, more than 0")
    source = open_source(
        args.file,
        delimiter=delimiter_of(args.delimiter),
        encoding=args.encoding or "utf-8-sig",
        names=None if args.names is None else listed([args.names], []),
        missing=args.missing,
    )
    done = import_truths(args, source)
    if args.format == "json":
        print_json(done)
    else:
        told = ", ".join(f"{done[name]:,} {name}" for name in ("matched", "unmatched", "corrected", "duplicate"))
        print(f"{args.file}: {done['rows']:,} truths of {args.model}: {told}, {done['rejected']:,} rejected")
    sys.stdout.flush()
    return 0
