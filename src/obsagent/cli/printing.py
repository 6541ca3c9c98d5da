"""What `obsagent query` does with an answer, once or with `--watch` again and again: options, formats, exit codes."""

from __future__ import annotations

import sys

from obsagent.cli.sources import print_json
from obsagent.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from obsagent.cli.columns import Answer

MATCHED = 3
"""The exit code of `--exit-match` where something fulfils the query's `where`."""


def options(args: Namespace) -> dict[str, Any]:
    """What the command line chooses beside the query, as `obsagent.ask.AgentClient.query` takes it."""
    chosen: dict[str, Any] = {}
    if args.sketch is not None:
        chosen["sketch"] = args.sketch
    if args.explain:
        chosen["explain"] = True
    if args.exemplars:
        chosen["exemplars"] = True
    return chosen


def write(answer: Answer, output_format: str) -> None:
    """One answer on stdout, whatever has no place in the format on stderr."""
    if output_format == "json":
        print_json(answer)
    elif output_format == "csv":
        from obsagent.cli.answer_csv import write_csv

        write_csv(answer, sys.stdout)
        remark(answer)
    else:
        from obsagent.cli.answers import write_table

        write_table(answer, sys.stdout)


def remark(answer: Answer) -> None:
    """On stderr what CSV cannot say: why there is nothing, what is lost, and what was read."""
    if "empty" in answer:
        print(printable(answer["empty"]), file=sys.stderr)
    if "gaps" in answer or "gaps" in answer.get("vs", {}):
        from obsagent.cli.footer import gaps_text
        from obsagent.cli.times import Clock

        print(*gaps_text(answer, Clock(answer["query"])), sep="\n", file=sys.stderr)
    if "explain" in answer:
        from obsagent.cli.explained import explained

        print(*explained(answer["explain"], None), sep="\n", file=sys.stderr)


def exit_code(args: Namespace, answer: Answer) -> int:
    """0, or with `--exit-match` 3 if anything is left of the answer; raises `UsageError` without a `where`."""
    if not args.exit_match:
        return 0
    if "where" not in answer:
        raise UsageError("--exit-match needs a query with a `where`, such as `p99 latency where p99 above 500ms`")
    return MATCHED if answer["series"] else 0
