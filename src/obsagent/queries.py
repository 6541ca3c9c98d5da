"""Asking from Python: `obsagent.query`, its form for coroutines, and `obsagent.status`.

The same sources, the same answers and the same errors as the command line's.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any

from obsagent.ask import TIMEOUT_S, AgentClient
from obsagent.cli import AGENT_PACKAGES
from obsagent.errors import UsageError
from obsagent.results import Result

Directory = str | PathLike[str]


def query(
    text: str,
    *,
    agent: str | None = None,
    data: Directory | None = None,
    sketch: str | None = None,
    exemplars: bool = False,
    timeout: float = TIMEOUT_S,
    key: Directory | None = None,
) -> Result:
    """The answer to a query, such as `query("p99 latency by endpoint since 1h")`.

    Asks the agent at the endpoint `agent` (default: `OBSAGENT_AGENT`, else yours), or reads the store in the
    directory `data`, which needs no agent. `sketch="tdigest"` answers quantiles from t-digests where series keep one.
    `exemplars=True` adds to each row of a histogram its largest observations that have an id: the slowest requests.
    `key` is the file of the key that is shown to an agent over tcp (default: `OBSAGENT_KEY`).

    Raises `UsageError` for a query that is wrong, `AgentUnreachable` if no agent answers within `timeout` seconds,
    `AccessDenied` if it does not let you in, `ConfigError` for a file that is no key, `StoreError` if there is no
    store, `ModuleNotFoundError` if a store is to be read without `obsagent[agent]`.
    """
    _check_text(text)
    _check_source(agent, data)
    options: dict[str, Any] = {} if sketch is None else {"sketch": sketch}
    if exemplars:
        options["exemplars"] = True
    if data is None:
        with AgentClient(agent, timeout, _path(key)) as client:
            return Result(client.query(text, **options))
    from obsagent.cli.sources import ask_query

    with _agent_extra():
        return Result(ask_query(Namespace(agent=None, data=fspath(data)), text, **options))


async def query_async(
    text: str,
    *,
    agent: str | None = None,
    data: Directory | None = None,
    sketch: str | None = None,
    exemplars: bool = False,
    timeout: float = TIMEOUT_S,
    key: Directory | None = None,
) -> Result:
    """`query` for coroutines: asks in a thread of the loop's executor, so that the loop goes on meanwhile.

    If the task is cancelled the thread ends by itself, after `timeout` seconds at the latest.
    """
    import asyncio

    return await asyncio.to_thread(
        query, text, agent=agent, data=data, sketch=sketch, exemplars=exemplars, timeout=timeout, key=key
    )


def status(
    *,
    agent: str | None = None,
    data: Directory | None = None,
    timeout: float = TIMEOUT_S,
    key: Directory | None = None,
) -> dict[str, Any]:
    """The accounts and the state of an agent, or of a store, as `obsagent status --format json` prints them.

    Raises like `query`.
    """
    _check_source(agent, data)
    if data is None:
        with AgentClient(agent, timeout, _path(key)) as client:
            return client.status()
    from obsagent.cli.sources import ask_status

    with _agent_extra():
        return ask_status(Namespace(agent=None, data=fspath(data)))


def _path(path: Directory | None) -> str | None:
    return None if path is None else fspath(path)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("the query is not valid UTF-8") from None


def _check_source(agent: str | None, data: Directory | None) -> None:
    if agent is not None and data is not None:
        raise UsageError("ask an agent or read a store: `agent` and `data` exclude each other")


@contextmanager
def _agent_extra() -> Iterator[None]:
    """Says what to install where a client alone is asked to read a store."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in AGENT_PACKAGES:
            raise
        raise ModuleNotFoundError(
            f"{error.name} is not installed; it comes with `pip install 'obsagent[agent]'`", name=error.name
        ) from None
