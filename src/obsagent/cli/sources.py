"""Where a reading command gets its answers: a running agent, or a store on disk."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

    from obsagent.ask import AgentClient


def add_source_arguments(parser: ArgumentParser) -> None:
    """`--agent ENDPOINT` or `--data DIR`."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--agent",
        metavar="ENDPOINT",
        help="the agent's readers' endpoint, ipc://PATH or tcp://HOST:PORT (default: $OBSAGENT_AGENT, else yours)",
    )
    source.add_argument("--data", metavar="DIR", help="read this store directly; no agent is needed, one may run")


class Source:
    """What the command line names, for one query after the other: a conversation with an agent, or a store.

    A store is read anew for each query. `with` ends the conversation.
    """

    def __init__(self, args: Namespace) -> None:
        """Nothing is asked yet."""
        self._endpoint, self._directory = args.agent, args.data
        self._agent: AgentClient | None = None

    def query(self, text: str, **options: Any) -> dict[str, Any]:
        """The answer to one query; `options` are those of `obsagent.ask.AgentClient.query`."""
        if self._directory is not None:
            return _answer(self._directory, text, **options)
        if self._agent is None:
            from obsagent.ask import AgentClient

            self._agent = AgentClient(self._endpoint)
        return self._agent.query(text, **options)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None:
            self._agent.close()


def ask_query(args: Namespace, text: str, **options: Any) -> dict[str, Any]:
    """The answer to one query from the source that the command line names; `options` as those of `Source.query`."""
    with Source(args) as source:
        return source.query(text, **options)


def _answer(directory: str, text: str, **options: Any) -> dict[str, Any]:
    from obsagent.answer.execute import answer
    from obsagent.answer.language import parse
    from obsagent.clock import SystemClock

    query = parse(text)  # before the store is read: a typing error should not cost a recovery
    return answer(query, open_store(directory).view(), SystemClock().wall_ms())


def ask_status(args: Namespace) -> dict[str, Any]:
    """The status of the source that the command line names."""
    if args.data is None:
        from obsagent.ask import AgentClient

        with AgentClient(args.agent) as agent:
            return agent.status()
    status: dict[str, Any] = open_store(args.data).status()
    return status


def ask_catalogue(args: Namespace, service: str | None = None) -> dict[str, Any]:
    """What there is to ask about, of all services or of one, from the source that the command line names."""
    from obsagent.cli.stored import open_source

    source = open_source(args)
    try:
        return source.catalogue(service)
    finally:
        source.close()


def open_store(directory: str) -> Any:
    """The store in `directory`, read-only; raises `StoreError` if there is none."""
    from pathlib import Path

    from obsagent.head.store import Store

    return Store.open_read_only(Path(directory))


def print_json(value: Any) -> None:
    """One indented JSON document on stdout."""
    import json

    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
