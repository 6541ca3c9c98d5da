"""One scrape: a view, its families, a format.

What was scraped is on disk before it is sent: else an agent that is killed would come back with less than it has
shown, and Prometheus would take that for counters that began anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from obsagent.errors import StoreError
from obsagent.export import protobuf, text
from obsagent.export.collect import Collector
from obsagent.export.family import Family
from obsagent.export.negotiate import OPENMETRICS, PROTOBUF, TEXT, choose
from obsagent.head.view import View
from obsagent.limits import EXPORT_BYTES_MAX

logger = logging.getLogger(__name__)

ENCODERS: dict[str, Callable[[Family], bytes]] = {
    PROTOBUF: protobuf.delimited,
    OPENMETRICS: text.openmetrics,
    TEXT: text.classic,
}


class Exposition(NamedTuple):
    """What a scraper gets."""

    content_type: str
    body: bytes


class Exporter:
    """Answers scrapes, one at a time; any thread may ask."""

    def __init__(self, view: Callable[[], View], sync: Callable[[], object]) -> None:
        """`view` is taken for each scrape; `sync` makes what it holds durable, or raises `StoreError`."""
        self._view = view
        self._sync = sync
        self._collector = Collector()
        self._lock = threading.Lock()
        self.left_out: list[str] = []
        """What the last scrape could not export, a sentence each."""

    def scrape(self, accept: str) -> Exposition:
        """All metrics in the format that the `Accept` header asks for; raises `StoreError` if they cannot be read."""
        choice = choose(accept)
        with self._lock:
            families, left_out = self._collector.collect(self._view())
            body, too_much = encoded(families, ENCODERS[choice.media_type])
            self._tell([*left_out, *too_much])
            try:
                self._sync()
            except StoreError as error:  # the disk is in trouble, which is when somebody looks
                logger.debug("scraped samples are not on disk yet: %s", error)
        return Exposition(choice.content_type, body + (text.END if choice.media_type == OPENMETRICS else b""))

    def _tell(self, left_out: list[str]) -> None:
        for each in left_out:
            if each not in self.left_out:
                logger.warning("not exported: %s", each)
        self.left_out = left_out


def encoded(
    families: Iterable[Family], encode: Callable[[Family], bytes], bytes_max: int = EXPORT_BYTES_MAX
) -> tuple[bytes, list[str]]:
    """The families that fit, and a sentence about each that does not."""
    parts: list[bytes] = []
    size, left_out = 0, []
    for family in families:
        part = encode(family)
        if size + len(part) > bytes_max:
            left_out.append(f"{family.sample_name}: an answer of more than {bytes_max >> 20} MiB; use fewer labels")
            continue
        parts.append(part)
        size += len(part)
    return b"".join(parts), left_out
