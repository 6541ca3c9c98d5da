"""What a proxy and a caller tell in a request's headers; what makes no sense is as if it were not there."""

from __future__ import annotations

import re

from obsagent.limits import QUEUED_FUTURE_LIMIT_S, QUEUED_PAST_LIMIT_S, REQUEST_ID_BYTES_MAX

QUEUED_AT = re.compile(r"\s*(?:t=)?(\d{9,20}(?:\.\d{1,9})?)\s*", re.ASCII)
TRACE_PARENT = re.compile(r"\s*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?\s*")
REQUEST_ID = re.compile(rf"[A-Za-z0-9_.:/+=@~#-]{{1,{REQUEST_ID_BYTES_MAX}}}")
PLAUSIBLE_S = 1e11
"""No time in seconds is as large, and every time of this century in milliseconds is larger."""
PROXIES_MAX = 16
INVALID_VERSION = "ff"
FIRST_VERSION = "00"


def queued_at(text: str, now_s: float) -> float | None:
    """`X-Request-Start` in seconds since the epoch, None if it is no time within the last hour.

    nginx (`t=${msec}`) and Envoy (`t=%START_TIME(%s.%3f)%`) write seconds, Heroku milliseconds, Apache (`%t`)
    microseconds, with or without `t=`. Of several proxies the first has had the request first.
    """
    found = [QUEUED_AT.fullmatch(each) for each in text.split(",", PROXIES_MAX)]
    times = [_seconds(float(each[1])) for each in found if each is not None]
    if len(times) < len(found):
        return None
    return next((at_s for at_s in times if -QUEUED_FUTURE_LIMIT_S <= now_s - at_s <= QUEUED_PAST_LIMIT_S), None)


def _seconds(at: float) -> float:
    """A time in seconds, milli-, micro- or nanoseconds, in seconds."""
    while at > PLAUSIBLE_S:
        at /= 1e3
    return at


def trace_id(text: str) -> str | None:
    """The trace's id in a W3C `traceparent`, 32 hexadecimal digits; None if the header is malformed.

    Source: Trace Context level 1, section 3.2: a later version may have more fields, and all zeros are no id.
    """
    found = TRACE_PARENT.fullmatch(text)
    if found is None:
        return None
    version, trace, span, more = found.groups()
    if version == INVALID_VERSION or (version == FIRST_VERSION and more) or not (trace.strip("0") and span.strip("0")):
        return None
    return trace


def request_id(text: str) -> str | None:
    """`X-Request-ID`, None if it is longer than 128 bytes, or has other characters than ids are made of."""
    text = text.strip()
    return text if REQUEST_ID.fullmatch(text) else None


def body_bytes(text: str) -> int | None:
    """`Content-Length`, None if it is no number."""
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else None
