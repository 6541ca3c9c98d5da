"""`obsagent query --watch`: the same question again and again, over one conversation."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from time import localtime, monotonic, sleep, strftime

from obsagent.answer.durations import format_duration, parse_duration
from obsagent.cli.printing import exit_code, options, remark
from obsagent.cli.screen import Screen
from obsagent.cli.stored import open_source
from obsagent.cli.table import Style
from obsagent.errors import AgentUnreachable, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import TextIO

    from obsagent.cli.columns import Answer

INTERVAL_MS_MIN = 100


def watch(args: Namespace, text: str) -> int:
    """Asks at the interval of `args.watch` until Ctrl-C (0), or with `--exit-match` until the first match (3).

    An agent that is away is reported on stderr, once, and asked again at the next turn.
    """
    interval_s = _interval_ms(args.watch) / 1000
    show, screen = _output(args, text, sys.stdout)
    reported = ""
    try:
        with closing(open_source(args)) as source:
            while True:
                due = monotonic() + interval_s
                try:
                    answer = source.query(text, **options(args))
                except AgentUnreachable as error:
                    if str(error) != reported:
                        reported = str(error)
                        screen.leave()
                        print(f"obsagent query: {error}", file=sys.stderr, flush=True)
                else:
                    reported = ""
                    code = exit_code(args, answer)
                    show(answer)
                    sys.stdout.flush()
                    if code:
                        return code
                sleep(max(0.0, due - monotonic()))
    except KeyboardInterrupt:
        screen.end()
        return 0


def _interval_ms(text: str) -> int:
    try:
        interval_ms = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--watch {text}: {error}") from None
    if interval_ms < INTERVAL_MS_MIN:
        raise UsageError(f"--watch {text}: expected {format_duration(INTERVAL_MS_MIN)} or more")
    return interval_ms


def _output(args: Namespace, text: str, stream: TextIO) -> tuple[Callable[[Answer], None], Screen]:
    """What shows an answer in the asked format, and the screen that it may draw on."""
    screen = Screen(stream)
    if args.format == "json":
        return lambda answer: print(json.dumps(answer, ensure_ascii=False, allow_nan=False), file=stream), screen
    if args.format == "csv":
        return _csv_output(stream), screen
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return _screen_output(stream, screen, f"{text} · every {args.watch}"), screen
    return _table_output(stream), screen


def _csv_output(stream: TextIO) -> Callable[[Answer], None]:
    from obsagent.cli.answer_csv import CsvWriter

    writer = CsvWriter(stream, timed=True)

    def show(answer: Answer) -> None:
        writer.write(answer)
        remark(answer)

    return show


def _screen_output(stream: TextIO, screen: Screen, title: str) -> Callable[[Answer], None]:
    from obsagent.cli.answers import table_lines

    def show(answer: Answer) -> None:
        style = Style(stream)  # the terminal may have another size by now
        now = strftime("%H:%M:%S", localtime())
        screen.draw([style.dim(f"{title} · {now}"), "", *table_lines(answer, style)])

    return show


def _table_output(stream: TextIO) -> Callable[[Answer], None]:
    from obsagent.cli.answers import write_table

    shown = 0

    def show(answer: Answer) -> None:
        nonlocal shown
        if shown:
            print(file=stream)
        shown += 1
        write_table(answer, stream)

    return show
