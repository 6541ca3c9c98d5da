"""Show what is known of one request, by its id.

    obsagent show 7f3b0f5e                       of every model
    obsagent show 7f3b0f5e --model fraud         of one
    obsagent show 7f3b0f5e --data DIR            from a store, without an agent

That is what models predicted (by version, variant and slice, with the score), what turned out to be true, and the row
of features, if it was kept (`keep_rows` of a model). Predictions and truths are known for the model's `horizon`.

Exit codes: 0 ok, 1 failed, or nothing is known; 2 wrong usage.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments, ask_known, print_json
from obsagent.errors import ObsagentError, printable


def add_arguments(parser: ArgumentParser) -> None:
    """Which request, where to ask, how to print."""
    parser.add_argument("id", metavar="ID", help="the request's id")
    parser.add_argument("--model", metavar="NAME", help="of this model only")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Prints what is known on stdout; raises `ObsagentError` if that is nothing."""
    known = ask_known(args, args.id, args.model)
    if not (known["predictions"] or known["truths"] or known["rows"]):
        of = f" by model {printable(args.model)}" if args.model else ""
        raise ObsagentError(
            f"nothing is known of {printable(args.id)}{of}: no prediction, truth or row came with that id, it is older "
            "than the model's horizon, or it was forgotten"
        )
    if args.format == "json":
        print_json(known)
    else:
        from obsagent.cli.known_text import write_known

        write_known(known, sys.stdout)
    return 0
