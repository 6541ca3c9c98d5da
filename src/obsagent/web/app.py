"""What the HTTP port answers.

GET  /metrics                                what the agent keeps, for Prometheus, in the format that `Accept` asks for
GET  /-/healthy                              200 while the agent runs
GET  /-/ready                                200 while it acknowledges what clients send, else 503 and why not
POST /-/reload                               reads keys, token and configuration again; 400 and why, if it is refused
GET  /api/v1/obsagent/query?query=…          the answer as `obsagent query --format json` prints it; 400 and where the
POST /api/v1/obsagent/query query=…          mistake is; the command's options are `explain=true`, `exemplars=true`,
                                             `sketch=tdigest`
GET  /api/v1/obsagent/drift?query=…          the reports of `obsagent drift` and `obsagent quality` as JSON; `query` is
GET  /api/v1/obsagent/quality?query=…        their filters, range and `top`: model=fraud since 7d; or is left out

Metrics and answers are compressed for whoever sends `Accept-Encoding: gzip`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from obsagent.errors import ConfigError, ObsagentError, ProtocolError, UsageError
from obsagent.limits import HTTP_BODY_BYTES_MAX, QUERY_BYTES_MAX
from obsagent.web.compression import compressed

logger = logging.getLogger(__name__)

Answer = Mapping[str, Any]
Ask = Callable[[Mapping[str, Any]], Answer]
T = TypeVar("T")
OPTIONS = ("explain", "exemplars")
TRUTH = {"true": True, "1": True, "false": False, "0": False}


class Agent(Protocol):
    """The agent behind the port. Everything here may take its time and is called in a thread."""

    def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and body."""
        ...

    def query(self, fields: Mapping[str, Any]) -> Answer:
        """The answer to `text`; raises `UsageError` for a mistake in it."""
        ...

    def drift(self, fields: Mapping[str, Any]) -> Answer:
        """What has drifted, of what the filters in `text` choose; raises `UsageError` for a mistake in them."""
        ...

    def quality(self, fields: Mapping[str, Any]) -> Answer:
        """What is wrong with the data of models, likewise."""
        ...

    def reload(self) -> Answer:
        """What was read again; raises `ObsagentError` if it is refused."""
        ...

    def is_alive(self) -> bool:
        """True while all of it runs."""
        ...

    def why_not_ready(self) -> list[str]:
        """Why nothing is acknowledged; empty while it is."""
        ...


class RunIn(Protocol):
    """Calls a function in a thread that serves one thing at a time."""

    def __call__(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Its result."""
        ...


class TooLarge(ProtocolError):
    """The body of a request is larger than may be."""


def make_app(agent: Agent, scrapes: RunIn, others: RunIn) -> Starlette:
    """The application; `scrapes` and `others` call in threads, so that neither waits for the other."""
    pages = _Pages(agent, scrapes, others)
    return Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/metrics", pages.metrics),
            Route("/-/healthy", pages.healthy),
            Route("/-/ready", pages.ready),
            Route("/-/reload", pages.reload, methods=["POST", "PUT"]),
            Route("/api/v1/obsagent/query", pages.query, methods=["GET", "POST"]),
            Route("/api/v1/obsagent/drift", pages.drift, methods=["GET", "POST"]),
            Route("/api/v1/obsagent/quality", pages.quality, methods=["GET", "POST"]),
        ],
        exception_handlers={Exception: _failed},
    )


class _Pages:
    def __init__(self, agent: Agent, scrapes: RunIn, others: RunIn) -> None:
        self._agent = agent
        self._scrapes = scrapes
        self._others = others

    async def overview(self, _: Request) -> Response:
        return PlainTextResponse(f"obsagent\n\n{str(__doc__).partition(chr(10) * 2)[2]}")

    async def metrics(self, request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept"))
        try:
            content_type, body, headers = await self._scrapes(self._scrape, accept, _encodings(request))
        except ObsagentError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return Response(body, headers={"Content-Type": content_type, **headers})

    def _scrape(self, accept: str, encodings: str) -> tuple[str, bytes, dict[str, str]]:
        content_type, body = self._agent.scrape(accept)
        return content_type, *compressed(body, encodings)

    async def healthy(self, _: Request) -> Response:
        is_alive = await self._others(self._agent.is_alive)
        return PlainTextResponse(
            "healthy\n" if is_alive else "a part of the agent has ended\n", 200 if is_alive else 503
        )

    async def ready(self, _: Request) -> Response:
        reasons = await self._others(self._agent.why_not_ready)
        return PlainTextResponse("\n".join([*reasons, ""]) if reasons else "ready\n", 503 if reasons else 200)

    async def reload(self, _: Request) -> Response:
        try:
            done = await self._others(self._agent.reload)
        except ObsagentError as error:
            logger.warning("the configuration is refused, and the old one goes on: %s", error)
            return _error(error)
        logger.info("reload, as somebody asked for over HTTP: %s", done)
        return JSONResponse(done)

    async def query(self, request: Request) -> Response:
        return await self._answer(request, self._agent.query, _fields)

    async def drift(self, request: Request) -> Response:
        return await self._answer(request, self._agent.drift, _filters)

    async def quality(self, request: Request) -> Response:
        return await self._answer(request, self._agent.quality, _filters)

    async def _answer(
        self, request: Request, ask: Ask, read: Callable[[Mapping[str, str]], dict[str, Any]]
    ) -> Response:
        """What is asked of the agent, by the fields that are read from the parameters; 400 for a mistake in them."""
        try:
            fields = read(await _parameters(request))
            answer, headers = await self._others(_packed, ask, fields, _encodings(request))
        except ObsagentError as error:
            return _error(error)
        return Response(answer, media_type="application/json", headers=headers)


def _packed(ask: Ask, fields: Mapping[str, Any], encodings: str) -> tuple[bytes, dict[str, str]]:
    answer = json.dumps(ask(fields), allow_nan=False, ensure_ascii=False)
    return compressed(answer.encode(), encodings)


def _encodings(request: Request) -> str:
    return ",".join(request.headers.getlist("accept-encoding"))


def _error(error: ObsagentError) -> Response:
    status = 413 if isinstance(error, TooLarge) else 503
    if status == 503 and isinstance(error, UsageError | ProtocolError | ConfigError):
        status = 400
    return JSONResponse({"error": str(error), "exit_code": error.exit_code}, status)


async def _failed(_: Request, error: Exception) -> Response:
    logger.error("a request failed", exc_info=error)
    return PlainTextResponse("the agent failed to answer this; its log has the traceback\n", 500)


async def _parameters(request: Request) -> dict[str, str]:
    """What the address says, and of a POST its body: a form, or an object of JSON."""
    given = {name: values[-1] for name, values in parse_qs(request.url.query, keep_blank_values=True).items()}
    if request.method != "POST":
        return given
    body = (await _body(request)).decode("utf-8", "replace")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return given | _json_fields(body)
    return given | {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > HTTP_BODY_BYTES_MAX:
            raise TooLarge(f"the body of a request may have {HTTP_BODY_BYTES_MAX} bytes")
    return body


def _json_fields(body: str) -> dict[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProtocolError('the body is no JSON object: expected {"query": "p99 latency"}')
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _fields(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a query message."""
    unknown = sorted(set(parameters) - {"query", "sketch", *OPTIONS})
    if unknown:
        raise UsageError(f"unknown parameter {unknown[0]!r}: there are query, {', '.join(OPTIONS)} and sketch")
    text = _text(parameters)
    if not text:
        raise UsageError("expected a query, such as ?query=p99+latency+by+endpoint+since+15m")
    fields: dict[str, Any] = {"text": text}
    if "sketch" in parameters:
        fields["sketch"] = parameters["sketch"]
    for option in OPTIONS:
        if option in parameters:
            if parameters[option] not in TRUTH:
                raise UsageError(f"{option}: expected true or false")
            fields[option] = TRUTH[parameters[option]]
    return fields


def _filters(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a drift or quality message."""
    unknown = sorted(set(parameters) - {"query"})
    if unknown:
        raise UsageError(f"unknown parameter {unknown[0]!r}: give filters as ?query=model=fraud+since+7d")
    return {"text": _text(parameters)}


def _text(parameters: Mapping[str, str]) -> str:
    text = parameters.get("query", "").strip()
    if len(text.encode("utf-8", "replace")) > QUERY_BYTES_MAX:
        raise UsageError(f"a query may have {QUERY_BYTES_MAX} bytes")
    return text
