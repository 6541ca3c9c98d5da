"""Calls a webhook: one POST of JSON with the standard library; TLS is verified, and nobody is sent elsewhere."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from typing import IO, Any

from obsagent.errors import printable
from obsagent.retrain.outcome import Outcome

LATER = frozenset({408, 425, 429})
"""Refusals that do not last, as all from 500 on."""


class _Stays(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET, or carry the evidence to somebody else."""

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], *_: Any, **__: Any) -> None:
        """Nowhere."""


def call_webhook(url: str, evidence: bytes, timeout_s: float, *, key: str = "") -> Outcome:
    """One attempt. `key` is the same for the same episode, so that whoever is called can tell one from two."""
    headers = {"Content-Type": "application/json", "User-Agent": "obsagent"} | ({"Idempotency-Key": key} if key else {})
    request = urllib.request.Request(url, evidence, headers, method="POST")
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    try:
        with urllib.request.build_opener(secure, _Stays).open(request, timeout=timeout_s) as response:
            return Outcome(True, f"answered {response.status}", response.status)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Outcome(False, _says(error, timeout_s), may_try_again=True)


def _refused(error: urllib.error.HTTPError) -> Outcome:
    code = error.code
    if 300 <= code < 400:
        place = printable(error.headers.get("Location", "nowhere"))[:200]
        return Outcome(False, f"redirects to {place}; give that address, if it is the right one", code)
    again = code in LATER or code >= 500
    return Outcome(False, f"answered {code} {printable(error.reason)[:80]}".rstrip(), code, may_try_again=again)


def _says(error: BaseException, timeout_s: float) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"did not answer within {timeout_s:g}s"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {reason.verify_message}"
    if isinstance(reason, ssl.SSLError):
        return f"cannot be reached by TLS: {reason.reason or reason}"
    if isinstance(reason, socket.gaierror):
        return f"has a name that cannot be resolved: {reason.strerror}"
    if isinstance(reason, ConnectionRefusedError):
        return "is not there: nobody listens"
    return f"gave no answer: {printable(str(reason)) or type(reason).__name__}"
