"""Who is let in at the HTTP port.

Where there is a token every request shows it. Without one the port is on this machine, and what stands between it and a
web page that a browser of this machine has open is what the browser says of itself: the name in `Host` (a page whose
own name was made to mean 127.0.0.1 asks under that name) and `Origin` (a page that posts to another server).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from obsagent.limits import HTTP_HEADER_BYTES_MAX

GetToken = Callable[[], "bytes | None"]


class Guard:
    """ASGI middleware: refuses, or passes on."""

    def __init__(self, app: ASGIApp, token: GetToken, host: str | None) -> None:
        """`host` is the address that is listened at if only this machine can reach it, else None."""
        self._app = app
        self._token = token
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        refused = self._refusal(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if _head_bytes(scope) > HTTP_HEADER_BYTES_MAX:  # h11 counts only what has come without its end
            return PlainTextResponse(f"the head of a request may have {HTTP_HEADER_BYTES_MAX} bytes\n", 431)
        headers = Headers(scope=scope)
        if self._host is not None and not self._is_local(headers.get("host")):
            return PlainTextResponse("this Host is not mine: ask for 127.0.0.1 or localhost\n", 403)
        origin = headers.get("origin")
        if self._host is not None and origin is not None and not self._is_local(urlsplit(origin).netloc or origin):
            return PlainTextResponse("requests of other web pages are refused\n", 403)
        token = self._token()
        if token is not None and not _shows(headers.get("authorization", ""), token):
            says = {"WWW-Authenticate": 'Bearer realm="obsagent"'}
            return PlainTextResponse("a token is needed: Authorization: Bearer TOKEN\n", 401, says)
        return None

    def _is_local(self, netloc: str | None) -> bool:
        """True for a name of this machine, with or without a port; HTTP/1.0 names none, and no browser speaks it."""
        return netloc is None or is_local_host(netloc, self._host or "")


def _head_bytes(scope: Scope) -> int:
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) for name, value in scope["headers"])


def is_local_host(netloc: str, own: str) -> bool:
    """True if HOST[:PORT] is `localhost`, a loopback address or `own`."""
    try:
        name = urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return False
    if name in ("localhost", own):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _shows(authorization: str, token: bytes) -> bool:
    scheme, _, shown = authorization.partition(" ")
    given = shown.strip().encode("latin-1", "replace")
    return hmac.compare_digest(given, token) and scheme.lower() == "bearer"
