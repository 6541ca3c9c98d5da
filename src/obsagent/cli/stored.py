"""One source for many questions: an agent's conversation held open, or a store read again for each."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from obsagent.head.store import ReadOnlyStore


class Source(Protocol):
    """Where answers come from; `obsagent.ask.AgentClient` is one. Each question raises `ObsagentError`s."""

    def query(
        self, text: str, sketch: str | None = None, explain: bool = False, exemplars: bool = False
    ) -> dict[str, Any]:
        """The answer to one query."""
        ...

    def status(self) -> dict[str, Any]:
        """Accounts and state."""
        ...

    def catalogue(self, service: str | None = None) -> dict[str, Any]:
        """What there is to ask about."""
        ...

    def close(self) -> None:
        """Ends the conversation."""
        ...


class StoreSource:
    """A store without an agent, as it is on disk at each question."""

    def __init__(self, directory: str) -> None:
        """Nothing is read yet."""
        self._directory = directory

    def query(
        self, text: str, sketch: str | None = None, explain: bool = False, exemplars: bool = False
    ) -> dict[str, Any]:
        """The answer to one query; a mistake in it is found before the store is read."""
        from obsagent.answer.execute import answer
        from obsagent.answer.language import parse
        from obsagent.answer.options import LOGHIST, Options
        from obsagent.clock import SystemClock

        query = parse(text)
        options = Options(sketch or LOGHIST, explain, exemplars=exemplars)
        return answer(query, self._open().view(), SystemClock().wall_ms(), options)

    def status(self) -> dict[str, Any]:
        """The store's accounts and state."""
        return self._open().status()

    def catalogue(self, service: str | None = None) -> dict[str, Any]:
        """What the store has, as documented in `obsagent.answer.catalogue`."""
        from obsagent.answer.catalogue import catalogue

        return catalogue(self._open().view(), service)

    def close(self) -> None:
        """Nothing is held open."""

    def _open(self) -> ReadOnlyStore:
        """The store as it is now; raises `StoreError` if there is none."""
        from pathlib import Path

        from obsagent.head.store import Store

        return Store.open_read_only(Path(self._directory))


def open_source(args: Namespace, timeout_s: float = 5.0) -> Source:
    """The source that the command line names; an agent is given `timeout_s` seconds for each answer."""
    if args.data is not None:
        return StoreSource(args.data)
    from obsagent.ask import AgentClient

    return AgentClient(args.agent, timeout_s, args.key)
