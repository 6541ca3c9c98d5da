"""What readers ask: one request, one answer.

query  {text, …}     ──►  answer, its body the JSON of obsagent.answer.execute
catalogue {service}  ──►  answer, its body the JSON of obsagent.answer.catalogue
status               ──►  answer, its body the JSON of the agent's accounts and state
known {id, model}    ──►  answer, its body the JSON of obsagent.answer.known; made elsewhere
drift, quality, performance {text, …}  ──►  answer, its body the JSON of a report; made elsewhere
anything else        ──►  error {message, exit_code}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import Any

from obsagent.answer.catalogue import catalogue
from obsagent.answer.execute import answer
from obsagent.answer.expected import NO_REFERENCES, References
from obsagent.answer.language import parse
from obsagent.answer.options import LOGHIST, Options
from obsagent.answer.view import View
from obsagent.answer.zones import zone_of
from obsagent.errors import ProtocolError
from obsagent.wire.requests import RequestServer, Serve, Socket


class QueryServer(RequestServer):
    """Serves queries and the status on one socket, in the thread that calls `run`. It changes nothing."""

    def __init__(
        self,
        socket: Socket,
        view: Callable[[], View],
        status: Callable[[], Mapping[str, Any]],
        now_ms: Callable[[], int],
        references: References = NO_REFERENCES,
        reports: Mapping[str, Serve] | None = None,
    ) -> None:
        """`view` and `status` are called for each request; "since" counts back from `now_ms()`.

        `reports` has what serves other kinds of request.
        """
        serves = {"query": self._query, "status": lambda _: status(), "catalogue": self._catalogue}
        super().__init__(socket, "readers'", {**serves, **(reports or {})})
        self._view = view
        self._now_ms = now_ms
        self._references = references

    def _query(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return answer_fields(fields, self._view(), self._now_ms(), self._references)

    def _catalogue(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        service = fields.get("service")
        return catalogue(self._view(), service if isinstance(service, str) else None)


def answer_fields(
    fields: Mapping[str, Any], view: View, now_ms: int, references: References = NO_REFERENCES
) -> Mapping[str, Any]:
    """The answer to a query message as of `now_ms`; raises `UsageError`, `ProtocolError`."""
    return answer(parse(text_of(fields)), view, now_ms, _options(fields, references))


def text_of(fields: Mapping[str, Any]) -> str:
    """The words of a query message; raises `ProtocolError`."""
    text = fields.get("text")
    if not isinstance(text, str):
        raise ProtocolError("a query message needs the field `text`")
    return text


def zone_asked(fields: Mapping[str, Any]) -> tzinfo | None:
    """The zone of who asks; raises `ProtocolError`."""
    return _options(fields, NO_REFERENCES).zone


def _options(fields: Mapping[str, Any], references: References) -> Options:
    """What a query message says beside the query; what it does not say has a default."""
    sketch = fields.get("sketch", LOGHIST)
    explains, exemplars = fields.get("explain", False), fields.get("exemplars", False)
    names = [fields[name] for name in ("zone", "offset") if name in fields]
    are_flags = isinstance(explains, bool) and isinstance(exemplars, bool)
    if not are_flags or not all(isinstance(text, str) for text in (sketch, *names)):
        raise ProtocolError(
            "the fields `sketch`, `zone` and `offset` of a query message are text, `explain` and `exemplars` are true "
            "or false"
        )
    return Options(sketch, explains, _zone(names), exemplars, references)


def _zone(names: Sequence[str]) -> tzinfo | None:
    """The first zone that is known here; without any, this machine's."""
    for name in names[:-1]:
        with suppress(ProtocolError):
            return zone_of(name)
    return zone_of(names[-1]) if names else None
