"""One source for many questions: an agent's conversation held open, or a store read again for each."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from obsagent.answer.expected import References
    from obsagent.head.store import ReadOnlyStore


class Source(Protocol):
    """Where answers come from; `obsagent.ask.AgentClient` is one. Each question raises `ObsagentError`s."""

    def query(
        self, text: str, sketch: str | None = None, explain: bool = False, exemplars: bool = False
    ) -> dict[str, Any]:
        """The answer to one query."""
        ...

    def drift(self, text: str) -> dict[str, Any]:
        """What has drifted."""
        ...

    def quality(self, text: str) -> dict[str, Any]:
        """What is wrong with the data."""
        ...

    def performance(self, text: str) -> dict[str, Any]:
        """How good models are."""
        ...

    def known(self, text: str, model: str | None = None) -> dict[str, Any]:
        """What is known by an id."""
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
        options = Options(sketch or LOGHIST, explain, exemplars=exemplars, references=self._references())
        return answer(query, self._open().view(), SystemClock().wall_ms(), options)

    def drift(self, text: str) -> dict[str, Any]:
        """What has drifted; what it was judged to be the agent has left in the store."""
        from obsagent.clock import SystemClock
        from obsagent.evaluate.drift_report import drift_report
        from obsagent.evaluate.state import State, read_state

        view, references = self._open().view(), self._references()
        state = read_state(Path(self._directory)) or State()
        return drift_report(text, view, references, state, state.settings_of, SystemClock().wall_ms())

    def quality(self, text: str) -> dict[str, Any]:
        """What is wrong with the data."""
        from obsagent.clock import SystemClock
        from obsagent.evaluate.quality_report import quality_report

        return quality_report(text, self._open().view(), self._references(), SystemClock().wall_ms())

    def performance(self, text: str) -> dict[str, Any]:
        """How good models are."""
        from obsagent.clock import SystemClock
        from obsagent.evaluate.performance_report import performance_report

        return performance_report(text, self._open().view(), self._references(), SystemClock().wall_ms())

    def _references(self) -> References:
        """The references that the agent has used."""
        from obsagent.evaluate.kept import kept_references

        return kept_references(Path(self._directory))

    def known(self, text: str, model: str | None = None) -> dict[str, Any]:
        """What is known by an id."""
        from obsagent.answer.known import known

        return known(text, model, self._open().records())

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
        from obsagent.head.store import Store

        return Store.open_read_only(Path(self._directory))


def open_source(args: Namespace, timeout_s: float = 5.0) -> Source:
    """The source that the command line names; an agent is given `timeout_s` seconds for each answer."""
    if args.data is not None:
        return StoreSource(args.data)
    from obsagent.ask import AgentClient

    return AgentClient(args.agent, timeout_s, args.key)
