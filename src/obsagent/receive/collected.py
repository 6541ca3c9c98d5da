"""What collectors have read, on its way into the agent's own session."""

from __future__ import annotations

import threading
from dataclasses import replace

from obsagent.limits import COLLECTED_READINGS
from obsagent.readings import Reading
from obsagent.receive.own_session import OwnSession
from obsagent.samples import Event, Kind


class Collected:
    """Readings wait here until the ingest thread's next second. Any thread puts, the ingest thread stages."""

    def __init__(self, own: OwnSession) -> None:
        """Nothing waits."""
        self._own = own
        self._lock = threading.Lock()
        self._waiting: list[Reading] = []
        self._events: list[Event] = []
        self.dropped = 0

    def put(self, readings: list[Reading]) -> None:
        """Takes the readings of one round; what does not fit is counted in `dropped`."""
        with self._lock:
            room = COLLECTED_READINGS - len(self._waiting)
            self._waiting += readings[:room]
            self.dropped += max(len(readings) - room, 0)

    def put_event(self, event: Event) -> None:
        """Takes an event; of those that are few."""
        with self._lock:
            self._events.append(event)

    def stage(self) -> None:
        """Everything goes into the next frame of the own session; of a counter the last reading alone.

        If one before it began from nothing, it did too.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
            events, self._events = self._events, []
        for event in events:
            self._own.stage_event(event)
        totals: dict[tuple[str, tuple[tuple[str, str], ...]], Reading] = {}
        for reading in waiting:
            if reading.instrument.kind is Kind.COUNTER:
                key = reading.instrument.name, tuple(sorted(reading.labels.items()))
                before = totals.get(key)
                begun = before is not None and before.from_nothing
                totals[key] = replace(reading, from_nothing=True) if begun else reading
            else:
                self._own.stage(reading)
        for reading in totals.values():
            self._own.stage(reading)
