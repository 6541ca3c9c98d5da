"""What a collector is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from obsagent.readings import Reading


class Collector(Protocol):
    """Reads one kind of thing, again and again, in a thread of its own; it may block, and it may raise.

    What can be read is read: something that cannot raises `Unreadable` after the rest has been yielded.
    """

    @property
    def name(self) -> str:
        """How the configuration and the status call it."""
        ...

    @property
    def interval_s(self) -> float:
        """From the beginning of one round to that of the next; rounds of one interval begin together."""
        ...

    def collect(self) -> Iterable[Reading]:
        """One round."""
        ...

    def close(self) -> None:
        """No round follows; called in the collector's thread."""
        ...


class Unreadable(Exception):
    """Something cannot be read at the moment; the message says what, why, and what can be done."""
