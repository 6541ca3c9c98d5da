"""Asks a running agent: queries and its status, over its readers' endpoint; changes one, over its control endpoint."""

from __future__ import annotations

from obsagent.endpoints import IPC_PREFIX, check_endpoint, default_control, default_key, default_serve
from obsagent.errors import AccessDenied, AgentUnreachable, ConfigError, ObsagentError, ProtocolError, UsageError

TYPE_CHECKING = False  # typing would be loaded for annotations alone
if TYPE_CHECKING:
    from typing import Any, Self

    from obsagent.wire.socket import RequestSocket
    from obsagent.wire.zmtp import UnixDealer

TIMEOUT_S = 5.0
CONTROL_TIMEOUT_S = 60.0


class _Asking:
    """One conversation, begun with the first question. Not thread-safe; `with` closes it."""

    def __init__(self, endpoint: str, timeout_s: float, key: str | None, option: str) -> None:
        self.endpoint = check_endpoint(endpoint)
        self.timeout_s = timeout_s
        self._key = key or default_key()
        self._option = option
        self._requests: UnixDealer | RequestSocket | None = None

    def close(self) -> None:
        """Ends the conversation, if one began."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, kind_name: str, **fields: Any) -> dict[str, Any]:
        from obsagent.wire.header import MessageKind

        try:
            kind, header = self._open().request(MessageKind[kind_name], self.timeout_s, **fields)
        except BaseException as error:
            self.close()  # a late answer must not be taken for that of the next question
            if isinstance(error, (OSError, AgentUnreachable)):
                raise self._unreachable(error) from None
            raise
        if kind is MessageKind.ANSWER:
            return _decode(header)
        if kind is MessageKind.ERROR:
            raise _reported(header)
        raise ProtocolError(f"the agent at {self.endpoint} answered with a {kind.name.lower()} message")

    def _open(self) -> UnixDealer | RequestSocket:
        if self._requests is None:
            self._requests = self._begin()
        return self._requests

    def _begin(self) -> UnixDealer | RequestSocket:
        if self.endpoint.startswith(IPC_PREFIX):
            from obsagent.wire.zmtp import UnixDealer

            return UnixDealer(self.endpoint[len(IPC_PREFIX) :], self.timeout_s)
        from obsagent.wire.socket import RequestSocket  # loads zmq

        if self._key is None:
            return RequestSocket(self.endpoint)
        from obsagent.keys import read_client_key

        return RequestSocket(self.endpoint, read_client_key(self._key))

    def _unreachable(self, error: Exception) -> ObsagentError:
        if isinstance(error, PermissionError):
            return AccessDenied(
                f"this user may not ask the agent at {self.endpoint}: its socket is for the agent's user, and for a "
                "group if the agent's configuration names one (socket_group)"
            )
        if isinstance(error, (TimeoutError, AgentUnreachable)):
            what = f"no agent answered at {self.endpoint} within {self.timeout_s:g} s"
        elif isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            what = f"no agent is listening at {self.endpoint}"
        elif isinstance(error, ConnectionError):
            what = f"the agent at {self.endpoint} ended before it answered"
        else:
            what = f"the agent at {self.endpoint} cannot be asked: {error}"
        return AgentUnreachable(
            f"{what}; start one with `obsagent agent{self._option}`, or read a store without an agent: `--data DIR`"
        )


class AgentClient(_Asking):
    """A reader of one agent. Not thread-safe; `with` closes it.

    Every question raises `AgentUnreachable` if nobody answers within `timeout_s` seconds, `AccessDenied` if the agent
    lets in neither this user nor the key, `ConfigError` for a file that is no key, and the error that the agent
    reports (`UsageError` for a query that it cannot understand). After an error the next question begins a new
    conversation.
    """

    def __init__(self, endpoint: str | None = None, timeout_s: float = TIMEOUT_S, key: str | None = None) -> None:
        """`endpoint` defaults to `OBSAGENT_AGENT`, then to the user's own agent; nothing is sent yet.

        `key` is the file of the key that is shown over tcp; it defaults to `OBSAGENT_KEY`.
        """
        chosen = endpoint or default_serve()
        super().__init__(chosen, timeout_s, key, "" if chosen == default_serve() else f" --serve {chosen}")

    def query(
        self, text: str, sketch: str | None = None, explain: bool = False, exemplars: bool = False
    ) -> dict[str, Any]:
        """The answer to one query, as documented in `obsagent.answer.execute`.

        `sketch` (`loghist`, `tdigest`) chooses what answers quantiles; `explain` adds what was read; `exemplars` the
        largest observations that have an id.
        """
        fields = _asked(text)
        if sketch is not None:
            fields["sketch"] = sketch
        if explain:
            fields["explain"] = True
        if exemplars:
            fields["exemplars"] = True
        return self._ask("QUERY", **fields)

    def drift(self, text: str) -> dict[str, Any]:
        """What has drifted, as documented in `obsagent.evaluate.drift_report`; `text` has filters, range and `top`."""
        return self._ask("DRIFT", **_asked(text))

    def quality(self, text: str) -> dict[str, Any]:
        """What is wrong with the data, as documented in `obsagent.evaluate.quality_report`; `text` as of `drift`."""
        return self._ask("QUALITY", **_asked(text))

    def performance(self, text: str) -> dict[str, Any]:
        """How good models are, as `obsagent.evaluate.performance_report` documents it; `text` has filters and range."""
        return self._ask("PERFORMANCE", **_asked(text))

    def known(self, text: str, model: str | None = None) -> dict[str, Any]:
        """What is known by an id, as documented in `obsagent.answer.known`; of one model or of all."""
        return self._ask("KNOWN", id=text, **({} if model is None else {"model": model}))

    def status(self) -> dict[str, Any]:
        """The agent's accounts and state."""
        return self._ask("STATUS")

    def catalogue(self, service: str | None = None) -> dict[str, Any]:
        """Everything that can be asked about, as documented in `obsagent.answer.catalogue`; `service` restricts it."""
        return self._ask("CATALOGUE", **({} if service is None else {"service": service}))


class ControlClient(_Asking):
    """Changes one agent. Not thread-safe; `with` closes it. Raises like `AgentClient`."""

    def __init__(
        self, endpoint: str | None = None, timeout_s: float = CONTROL_TIMEOUT_S, key: str | None = None
    ) -> None:
        """`endpoint` defaults to `OBSAGENT_CONTROL`, then to the user's own agent; nothing is sent yet."""
        chosen = endpoint or default_control()
        super().__init__(chosen, timeout_s, key, "" if chosen == default_control() else f" --control {chosen}")

    def reload(self) -> dict[str, Any]:
        """Has the agent read its keys and its configuration again; what it did, as `obsagent.control` describes it."""
        return self._ask("RELOAD")

    def checkpoint(self) -> dict[str, Any]:
        """Has the agent move everything from memory into a segment."""
        return self._ask("CHECKPOINT")

    def forget(self, ids: list[str], model: str = "") -> dict[str, Any]:
        """Has the agent forget what is known by ids, of one model or of all; how many of what there were."""
        return self._ask("FORGET", ids=ids, model=model)


def _asked(text: str) -> dict[str, Any]:
    """The fields of a question in words, whose times are this machine's."""
    from obsagent.zone import local_offset, local_zone_name

    return {"text": text, "zone": local_zone_name(), "offset": local_offset()}


def _decode(header: dict[str, Any]) -> dict[str, Any]:
    import json

    try:
        answer = json.loads(header["body"])
    except (KeyError, TypeError, ValueError, RecursionError):
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
