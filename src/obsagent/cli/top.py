"""Watch every service live: rate, quantiles, errors, queues.

One row for each service and version, refreshed once a second; `e` shows the endpoints. Keys: q quit, s or > and <
change the column that is sorted by, r reverses, / filters, space pauses, h helps.

Without a terminal, or with --once, one table is printed and that is all.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from obsagent.cli.sources import add_source_arguments
from obsagent.errors import UsageError

ANSWER_TIMEOUT_S = 2.0


def add_arguments(parser: ArgumentParser) -> None:
    """Where to ask, how often, over which time."""
    add_source_arguments(parser)
    parser.add_argument(
        "--since", default="1m", metavar="DURATION", help="the time that rates and quantiles are of (1m)"
    )
    parser.add_argument("--interval", default="1s", metavar="DURATION", help="between two refreshes (default: 1s)")
    parser.add_argument("--by-endpoint", action="store_true", help="begin with one row for each endpoint")
    parser.add_argument("--once", action="store_true", help="print one table and exit")


def run(args: Namespace) -> int:
    """Shows the table until a key, Ctrl-C or SIGTERM ends it."""
    interval_s = _duration_ms(args.interval, "--interval") / 1000
    _duration_ms(args.since, "--since")
    if args.once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return print_once(args)
    try:
        return watch(args, interval_s)
    except KeyboardInterrupt:
        return 0


def print_once(args: Namespace) -> int:
    """One table on stdout, its headline above it."""
    from obsagent.cli.live.control import Control
    from obsagent.cli.live.readings import read
    from obsagent.cli.live.screen import headline, table
    from obsagent.cli.stored import open_source
    from obsagent.cli.table import Style

    source = open_source(args)
    try:
        snapshot = read(source, args.since, by_endpoint=args.by_endpoint)
    finally:
        source.close()
    style = Style(sys.stdout)
    print(headline(snapshot))
    if snapshot.trouble:
        print(snapshot.trouble, file=sys.stderr)
    if snapshot.rows:
        header, *lines = table(snapshot.rows, Control(by_endpoint=args.by_endpoint), {}, style.width)
        print("", style.bold(header), *lines, sep="\n")
    return 0


def watch(args: Namespace, interval_s: float) -> int:
    """The live table."""
    from obsagent.cli.live.control import Control
    from obsagent.cli.live.screen import frame, sortable
    from obsagent.cli.live.terminal import Terminal
    from obsagent.cli.live.watcher import Watcher
    from obsagent.cli.stored import open_source

    control = Control(by_endpoint=args.by_endpoint)
    source = open_source(args, ANSWER_TIMEOUT_S)
    coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    with Terminal() as terminal, Watcher(source, args.since, interval_s, terminal.wake) as watcher:
        shown = watcher.latest
        while not control.ended:
            watcher.group(by_endpoint=control.by_endpoint)
            shown = shown if control.paused else watcher.latest
            terminal.draw(frame(shown, control, watcher.history, terminal.size(), coloured=coloured))
            for key in terminal.pressed():
                control.press(key, sortable(shown.rows, control))
    return 0


def _duration_ms(text: str, option: str) -> int:
    from obsagent.answer.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
