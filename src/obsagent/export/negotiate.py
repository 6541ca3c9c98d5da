"""Which format a scraper gets, by the `Accept` header of its request (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from typing import NamedTuple

PROTOBUF = "application/vnd.google.protobuf"
OPENMETRICS = "application/openmetrics-text"
TEXT = "text/plain"

OPENMETRICS_VERSIONS = ("1.0.0", "0.0.1")
MESSAGE = "io.prometheus.client.MetricFamily"
RANGES_MAX = 32
"""So many media ranges of a header are looked at."""


class Choice(NamedTuple):
    """A format by its media type, and the `Content-Type` of what is sent."""

    media_type: str
    content_type: str


CLASSIC = Choice(TEXT, f"{TEXT}; version=0.0.4; charset=utf-8")
NATIVE = Choice(PROTOBUF, f"{PROTOBUF}; proto={MESSAGE}; encoding=delimited")


class Range(NamedTuple):
    """One media range of the header."""

    media_type: str
    parameters: dict[str, str]
    quality: float


def choose(accept: str) -> Choice:
    """The format that is wanted most, of several the one named first; classic text if nothing else is wanted."""
    best, best_quality = CLASSIC, 0.0
    for each in ranges(accept):
        choice = _offer(each)
        if choice is not None and each.quality > best_quality:
            best, best_quality = choice, each.quality
    return best


def ranges(accept: str) -> list[Range]:
    """The media ranges of a header; one whose quality is no number from 0 to 1 is not wanted."""
    found = []
    for part in accept.split(",")[:RANGES_MAX]:
        media_type, *rest = (word.strip() for word in part.split(";"))
        parameters = {}
        for word in rest:
            name, _, value = word.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        found.append(Range(media_type.lower(), parameters, _quality(parameters.pop("q", "1"))))
    return found


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0


def _offer(wanted: Range) -> Choice | None:
    """What fits a media range; None if nothing does."""
    parameters = wanted.parameters
    if wanted.media_type == PROTOBUF:
        fits = parameters.get("proto", MESSAGE) == MESSAGE and parameters.get("encoding", "delimited") == "delimited"
        return NATIVE if fits else None
    if wanted.media_type == OPENMETRICS:
        version = parameters.get("version", OPENMETRICS_VERSIONS[0])
        if version not in OPENMETRICS_VERSIONS:
            return None
        return Choice(OPENMETRICS, f"{OPENMETRICS}; version={version}; charset=utf-8")
    if wanted.media_type in (TEXT, "text/*", "*/*"):
        return CLASSIC if parameters.get("version", "0.0.4") == "0.0.4" else None
    return None
