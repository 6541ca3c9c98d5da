"""Answers compressed for whoever takes gzip, in the thread that makes them.

Starlette's middleware would do it in the event loop, where a page of metrics of 20 MB holds up every other request.
"""

from __future__ import annotations

import gzip

from obsagent.limits import HTTP_GZIP_BYTES_MIN, HTTP_GZIP_LEVEL

GZIP = "gzip"
HEADERS = {"Content-Encoding": GZIP}
VARY = {"Vary": "Accept, Accept-Encoding"}


def takes_gzip(accept_encoding: str) -> bool:
    """True if the header names gzip, or all of it does (`*`), with a weight above 0."""
    weights = dict(map(_weight, accept_encoding.lower().split(",")))
    return weights.get(GZIP, weights.get("*", 0.0)) > 0


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (each.strip() for each in part.split(";"))
    given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(given)
    except ValueError:
        return name, 0.0


def compressed(body: bytes, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers that go with it; as it is where that is not wanted, or where it is short."""
    if len(body) < HTTP_GZIP_BYTES_MIN or not takes_gzip(accept_encoding):
        return body, dict(VARY)
    return gzip.compress(body, HTTP_GZIP_LEVEL, mtime=0), VARY | HEADERS
