"""Where a reading command gets its answers: a running agent, or a store on disk."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

REPORT_TIMEOUT_S = 60.0
"""A report on a thousand features of a week takes its time."""


def add_source_arguments(parser: ArgumentParser) -> None:
    """`--agent ENDPOINT` or `--data DIR`."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--agent",
        metavar="ENDPOINT",
        help="the agent's readers' endpoint, ipc://PATH or tcp://HOST:PORT (default: $OBSAGENT_AGENT, else yours)",
    )
    parser.add_argument("--key", metavar="FILE", help="the key to show over tcp (default: $OBSAGENT_KEY)")
    source.add_argument("--data", metavar="DIR", help="read this store directly, without an agent")


def ask_query(args: Namespace, text: str, **options: Any) -> dict[str, Any]:
    """The answer to one query from the source that the command line names.

    `options` are those of `obsagent.ask.AgentClient.query`.
    """
    if args.data is None:
        from obsagent.ask import AgentClient

        with AgentClient(args.agent, key=args.key) as agent:
            return agent.query(text, **options)
    from obsagent.cli.stored import StoreSource

    return StoreSource(args.data).query(text, **options)


def ask_report(args: Namespace, name: str, text: str) -> dict[str, Any]:
    """A report (`drift`, `quality`, `performance`) on what `text` chooses, from the source that was named."""
    from contextlib import closing

    from obsagent.cli.stored import open_source

    with closing(open_source(args, REPORT_TIMEOUT_S)) as source:
        ask = {"drift": source.drift, "quality": source.quality, "performance": source.performance}
        return ask[name](text)


def ask_status(args: Namespace) -> dict[str, Any]:
    """The status of the source that the command line names."""
    from contextlib import closing

    from obsagent.cli.stored import open_source

    with closing(open_source(args)) as source:
        return source.status()


def ask_known(args: Namespace, text: str, model: str | None) -> dict[str, Any]:
    """What is known by an id, from the source that the command line names."""
    from contextlib import closing

    from obsagent.cli.stored import open_source

    with closing(open_source(args)) as source:
        return source.known(text, model)


def ask_catalogue(args: Namespace, service: str | None = None) -> dict[str, Any]:
    """What there is to ask about, of all services or of one, from the source that the command line names."""
    from contextlib import closing

    from obsagent.cli.stored import open_source

    with closing(open_source(args)) as source:
        return source.catalogue(service)


def print_json(value: Any) -> None:
    """One indented JSON document on stdout."""
    import json

    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
