"""Show what the agent has received, kept and lost.

The accounts balance, by service and in total:

    observed = stored + pending + dropped (ring, budget, expired) + rejected (value, frame, time)

pending is what clients have observed and not delivered yet; ring and budget are losses for want of room in
the client, expired what it kept for an hour in vain; value is what was no number, frame and time are batches
that the agent refused. With --data the store is read without an agent, and pending is what it last knew.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments, ask_status, print_json


def add_arguments(parser: ArgumentParser) -> None:
    """Where to ask, how to print."""
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Prints the status on stdout."""
    status = ask_status(args)
    if args.format == "json":
        print_json(status)
    else:
        from obsagent.cli.accounts import write_status

        write_status(status, sys.stdout)
    return 0
