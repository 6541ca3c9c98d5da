"""Check a store: read all of it and say what is wrong.

    obsagent fsck                        the store of the agent's configuration
    obsagent fsck /var/lib/obsagent      another one
    obsagent fsck --repair               keep what is whole, declare the rest a gap

Every header, table, index, frame and row is read and checked, every record of the journal, and what lies about. What is
damaged is listed with its place in the file and the time of which something may be missing; all such gaps stand below,
as every answer that covers them says them. Nothing is changed, and an agent may be at work: an append that is under way
is not damage.

--repair needs the store to itself: it is refused while an agent runs. It cuts and sets aside what an agent's start
would, writes damaged segment files anew with what is whole of them, and keeps the old ones as NAME.corrupt.

Exit codes: 0 if all is sound, gaps that are recorded included; 1 if something is wrong; 2 wrong usage.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_arguments(parser: ArgumentParser) -> None:
    """Which store, whether to repair it, how to print."""
    parser.add_argument(
        "data", metavar="DIR", type=Path, nargs="?", help="the store (default: $OBSAGENT_DATA, else yours)"
    )
    parser.add_argument("--repair", action="store_true", help="keep what is whole and declare the rest a gap")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print (default: table)")


def run(args: Namespace) -> int:
    """Prints the report on stdout; 1 if anything is wrong."""
    from obsagent.clock import SystemClock
    from obsagent.config import load

    directory = args.data or load().data
    if args.repair:
        from obsagent.head.repair import repair

        report = repair(directory, SystemClock())
    else:
        from obsagent.head.verify import verify

        report = verify(directory, SystemClock())
    if args.format == "json":
        from obsagent.cli.sources import print_json

        print_json(report)
    else:
        from obsagent.cli.soundness import write_report

        write_report(report, sys.stdout)
    return 0 if report["sound"] else 1
