"""The accounts: what was observed, and what became of it, by service and window.

    observed = stored + pending + dropped{ring, budget, expired} + rejected{value, frame, time}

A session reports its own counters cumulatively (`SessionAccounts`); what they grew by since its last
frame is booked into the window and service of the frame at hand. `pending` is never counted but derived:
it is what the client has observed and nobody has accounted for yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple

from obsagent.limits import COUNT_MAX


class SessionAccounts(NamedTuple):
    """One session's own counters since it began: samples, cumulative."""

    observed: int = 0
    dropped_ring: int = 0
    dropped_budget: int = 0
    dropped_expired: int = 0
    rejected_value: int = 0


@dataclass(slots=True)
class Accounts:
    """Samples by what became of them."""

    observed: int = 0
    stored: int = 0
    dropped_ring: int = 0
    dropped_budget: int = 0
    dropped_expired: int = 0
    rejected_value: int = 0
    rejected_frame: int = 0
    rejected_time: int = 0

    @property
    def pending(self) -> int:
        """Samples observed of which nothing further is known yet; never negative."""
        return max(0, self.observed - self.stored - self.dropped - self.rejected)

    @property
    def dropped(self) -> int:
        """Samples given up, whatever the reason."""
        return self.dropped_ring + self.dropped_budget + self.dropped_expired

    @property
    def rejected(self) -> int:
        """Samples refused, whatever the reason."""
        return self.rejected_value + self.rejected_frame + self.rejected_time

    def add(self, other: Accounts) -> None:
        """Count another account's samples in."""
        self.observed += other.observed
        self.stored += other.stored
        self.dropped_ring += other.dropped_ring
        self.dropped_budget += other.dropped_budget
        self.dropped_expired += other.dropped_expired
        self.rejected_value += other.rejected_value
        self.rejected_frame += other.rejected_frame
        self.rejected_time += other.rejected_time

    def book(self, before: SessionAccounts, now: SessionAccounts) -> None:
        """Count in what a session's counters grew by; a counter that fell counts nothing."""
        self.observed += max(0, now.observed - before.observed)
        self.dropped_ring += max(0, now.dropped_ring - before.dropped_ring)
        self.dropped_budget += max(0, now.dropped_budget - before.dropped_budget)
        self.dropped_expired += max(0, now.dropped_expired - before.dropped_expired)
        self.rejected_value += max(0, now.rejected_value - before.rejected_value)

    def to_row(self) -> list[int]:
        """The counters in the order of the fields, as the formats store them: 64 bits are all they have room for.

        Only clients that lie about what they have observed come near, and they must not keep anyone from storing.
        """
        return [min(count, COUNT_MAX) for count in _counters_of(self)]

    @classmethod
    def from_row(cls, row: Iterable[int]) -> Accounts:
        """The opposite of `to_row`."""
        return cls(*row)

    def as_dict(self) -> dict[str, Any]:
        """As it is shown: `observed stored pending dropped{reason} rejected{reason}`."""
        return {
            "observed": self.observed,
            "stored": self.stored,
            "pending": self.pending,
            "dropped": {
                "ring": self.dropped_ring,
                "budget": self.dropped_budget,
                "expired": self.dropped_expired,
            },
            "rejected": {
                "value": self.rejected_value,
                "frame": self.rejected_frame,
                "time": self.rejected_time,
            },
        }


_COUNTERS = [each.name for each in fields(Accounts)]
_counters_of = attrgetter(*_COUNTERS)
COUNTER_COUNT = len(_COUNTERS)


def highest(one: SessionAccounts, other: SessionAccounts) -> SessionAccounts:
    """Counter by counter the larger value: counters of a session only grow."""
    return SessionAccounts(*map(max, one, other))


class AccountBook:
    """Accounts by (start of the window in ms, service)."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[tuple[int, str], Accounts] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, window_ms: int, service: str) -> Accounts:
        """The account of a window and service, begun if it is the first entry."""
        key = window_ms, service
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = Accounts()
        return page

    def items(self) -> Iterator[tuple[int, str, Accounts]]:
        """Every account with its window and service, by window."""
        for (window_ms, service), page in sorted(self._pages.items(), key=lambda item: item[0]):
            yield window_ms, service, page

    def merged(self, other: AccountBook) -> AccountBook:
        """A new book with the entries of both."""
        merged = AccountBook()
        for book in (self, other):
            for window_ms, service, page in book.items():
                merged.page(window_ms, service).add(page)
        return merged
