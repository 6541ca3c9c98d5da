"""The events of a store: the latest of each name, whole in memory, and how many there were.

An event belongs to no window and to none of the samples' accounts. It is counted by service in its own:
`stored` (kept at first, however old it is by now), `dropped` (given up by the client), `rejected` (out of time).

What is kept is bounded: the latest 1,000 of a name and 10,000 in all, by their order in the journal, so that it
is a function of the entries, live and in replay alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from obsagent.limits import COUNT_MAX, EVENTS_PER_NAME, EVENTS_TOTAL
from obsagent.samples import Event


class EventTotals(NamedTuple):
    """Events of one service since the store began, by what became of them."""

    stored: int = 0
    dropped: int = 0
    rejected: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As it is shown."""
        return {"stored": self.stored, "dropped": self.dropped, "rejected": {"time": self.rejected}}


class EventLog:
    """Events in the order in which they were taken. Not thread-safe."""

    def __init__(self, events: Iterable[Event] = (), totals: Mapping[str, Iterable[int]] | None = None) -> None:
        """Begins with what a checkpoint holds, which then counts as written."""
        self._kept: dict[int, Event] = {}
        self._of_name: dict[str, deque[int]] = {}
        self._next = 0
        for event in events:
            self._add(event)
        self._written = self._written_before = self._next
        self.totals = {service: EventTotals(*row) for service, row in (totals or {}).items()}

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, service: str, events: Iterable[Event], dropped: int, rejected: int) -> None:
        """Keeps and counts what an entry brought."""
        before, known = self._next, self.totals.get(service, EventTotals())
        for event in events:
            self._add(event)
        self.totals[service] = EventTotals(
            known.stored + self._next - before, known.dropped + dropped, known.rejected + rejected
        )

    def _add(self, event: Event) -> None:
        of_name = self._of_name.setdefault(event.name, deque())
        of_name.append(self._next)
        self._kept[self._next] = event
        self._next += 1
        if len(of_name) > EVENTS_PER_NAME:
            self._forget_oldest(event.name)
        elif len(self._kept) > EVENTS_TOTAL:
            self._forget_oldest(next(iter(self._kept.values())).name)

    def _forget_oldest(self, name: str) -> None:
        of_name = self._of_name[name]
        del self._kept[of_name.popleft()]
        if not of_name:
            del self._of_name[name]

    def kept(self) -> list[Event]:
        """All events, as they were taken."""
        return list(self._kept.values())

    def named(self, name: str | None) -> list[Event]:
        """The events of this name, or all (None), oldest first."""
        found = self.kept() if name is None else [self._kept[number] for number in self._of_name.get(name, ())]
        return sorted(found, key=lambda event: event.at_ms)

    def take_new(self) -> list[Event]:
        """The events taken since the last call; they then count as written."""
        new = [event for number, event in self._kept.items() if number >= self._written]
        self._written_before, self._written = self._written, self._next
        return new

    def return_new(self) -> None:
        """What the last `take_new` gave could not be written: it belongs in the next checkpoint again."""
        self._written = self._written_before

    def rows(self) -> dict[str, list[int]]:
        """The totals as the formats store them, which have room for 64 bits."""
        return {service: [min(count, COUNT_MAX) for count in totals] for service, totals in self.totals.items()}
