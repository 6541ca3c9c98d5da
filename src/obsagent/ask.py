"""Asks a running agent: queries and its status, over its readers' endpoint."""

from __future__ import annotations

import json
from typing import Any, Protocol

from obsagent.endpoints import IPC_PREFIX, check_endpoint, default_serve
from obsagent.errors import AgentUnreachable, ConfigError, ObsagentError, ProtocolError, UsageError

TIMEOUT_S = 5.0


class Requests(Protocol):
    """A conversation with an agent, as `obsagent.wire.socket.RequestSocket` holds it."""

    def request(self, kind: Any, timeout_s: float, **fields: Any) -> tuple[Any, dict[str, Any]]:
        """Sends one request and waits for its answer: its kind and its fields, the body under `body`."""
        ...

    def close(self) -> None:
        """Ends the conversation."""
        ...


class AgentClient:
    """A reader of one agent. Not thread-safe; `with` closes it.

    Every question raises `AgentUnreachable` if nobody answers within `timeout_s` seconds, and the error that
    the agent reports (`UsageError` for a query that it cannot understand).
    """

    def __init__(self, endpoint: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        """`endpoint` defaults to `OBSAGENT_AGENT`, then to the user's own agent; nothing is sent yet."""
        self.endpoint = check_endpoint(endpoint or default_serve())
        self.timeout_s = timeout_s
        self._requests: Requests | None = None

    def query(self, text: str, sketch: str | None = None) -> dict[str, Any]:
        """The answer to one query, as documented in `obsagent.answer.execute`.

        `sketch` (`loghist`, `tdigest`) chooses what answers quantiles.
        """
        return self._ask("QUERY", text=text, **({} if sketch is None else {"sketch": sketch}))

    def status(self) -> dict[str, Any]:
        """The agent's accounts and state."""
        return self._ask("STATUS")

    def catalogue(self, service: str | None = None) -> dict[str, Any]:
        """Everything that can be asked about, as documented in `obsagent.answer.catalogue`; `service` restricts it."""
        return self._ask("CATALOGUE", **({} if service is None else {"service": service}))

    def close(self) -> None:
        """Ends the conversation, if one began."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    def __enter__(self) -> AgentClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, kind_name: str, **fields: Any) -> dict[str, Any]:
        if self._requests is None:
            self._check_listener()
        from obsagent.wire.frame import MessageKind

        kind = MessageKind[kind_name]
        try:
            answer_kind, header = self._open().request(kind, self.timeout_s, **fields)
        except AgentUnreachable:
            self.close()  # a late answer must not be taken for that of the next question
            raise self._unreachable(f"answered at {self.endpoint} within {self.timeout_s:g} s") from None
        if answer_kind is MessageKind.ANSWER:
            return _decode(header)
        if answer_kind is MessageKind.ERROR:
            raise _reported(header)
        raise ProtocolError(f"the agent at {self.endpoint} answered with a {answer_kind.name.lower()} message")

    def _check_listener(self) -> None:
        """Where nobody listens there is no need to wait for an answer: ZeroMQ would, a plain connect is refused."""
        if not self.endpoint.startswith(IPC_PREFIX):
            return
        import socket

        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(self.timeout_s)
            try:
                probe.connect(self.endpoint[len(IPC_PREFIX) :])
            except (FileNotFoundError, ConnectionRefusedError):
                raise self._unreachable(f"is listening at {self.endpoint}") from None
            except OSError:
                return  # whatever it is, the conversation will show it

    def _unreachable(self, what: str) -> AgentUnreachable:
        option = "" if self.endpoint == default_serve() else f" --serve {self.endpoint}"
        return AgentUnreachable(
            f"no agent {what}; start one with `obsagent agent{option}`, or read a store without an agent: `--data DIR`"
        )

    def _open(self) -> Requests:
        if self._requests is None:
            from obsagent.wire.socket import RequestSocket  # loads zmq

            self._requests = RequestSocket(self.endpoint)
        return self._requests


def _decode(header: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = json.loads(header["body"])
    except (KeyError, TypeError, ValueError):
        answer = None
    if not isinstance(answer, dict):
        raise ProtocolError("the agent's answer is not a JSON object")
    return answer


def _reported(header: dict[str, Any]) -> ObsagentError:
    """The error that the agent found, with its exit code."""
    message, code = str(header.get("message", "the agent gave no reason")), header.get("exit_code")
    for known in (UsageError, ConfigError):
        if code == known.exit_code:
            return known(message)
    return ObsagentError(message)
