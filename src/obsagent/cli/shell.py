"""Ask interactively: history, completion, help.

Enter a query, or a command that begins with a backslash; \\help lists them. What the agent has completes with Tab:
stats, metrics, labels and their values. A line that ends in \\ or in an open quote goes on in the next one.

Without a terminal the shell reads entries from standard input, one a line: lines that begin with # are passed over,
an error is reported with its line on standard error and the next entry is run, and the exit code is that of the
first entry that failed.

    echo 'p99 latency by endpoint' | obsagent shell --format csv
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from obsagent.cli.sources import add_source_arguments
from obsagent.cli.stored import Source, StoreSource
from obsagent.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    """Where to ask, how to print."""
    add_source_arguments(parser)
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table", help="(default: table)")
    parser.add_argument("--exemplars", action="store_true", help="add the slowest requests to every answer")


def run(args: Namespace) -> int:
    """Runs until the input ends."""
    from obsagent.shell.session import Session

    session = Session(CommandLine(args), args.format, exemplars=args.exemplars)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return session.run_lines(sys.stdin)
    from obsagent.shell.prompt import interact

    return interact(session, coloured=not os.environ.get("NO_COLOR"))


class CommandLine:
    """What the shell needs of the command line; implements `obsagent.shell.session.Surroundings`."""

    def __init__(self, args: Namespace) -> None:
        """The options say where to ask until the shell is told otherwise."""
        self._agent, self._data, self._key = args.agent, args.data, args.key

    def open(self, agent: str | None) -> Source:
        """A source: that of the options, or another agent."""
        if agent is None and self._data is not None:
            return StoreSource(self._data)
        from obsagent.ask import AgentClient

        return AgentClient(agent or self._agent, key=self._key)

    def name(self, agent: str | None) -> str:
        """What the source is called."""
        if agent is None and self._data is not None:
            return f"store {self._data}"
        from obsagent.endpoints import default_serve

        return str(agent or self._agent or default_serve())

    def show(self, answer: dict[str, Any], form: str) -> None:
        """Prints an answer as `obsagent query` does."""
        from obsagent.cli.printing import write

        write(answer, form)

    def command(self, words: list[str], agent: str | None) -> int:
        """Runs a command of obsagent on the source."""
        from obsagent.cli import main

        if any(word in ("--agent", "--data", "--key") for word in words):
            raise UsageError("a command inside the shell asks the shell's own source: see \\agent")
        if agent is None and self._data is not None:
            return main([*words, "--data", self._data])
        chosen = agent or self._agent
        shown = ["--key", self._key] if self._key else []
        return main([*words, *(["--agent", chosen] if chosen else []), *shown])
