"""What a collector has read of something that is no client: a disk, a process, a page of another server."""

from __future__ import annotations

from dataclasses import dataclass, field

from obsagent.samples import Instrument


@dataclass(frozen=True, slots=True)
class Reading:
    """One value. Of a counter it is the total, as its source counts it: it may begin again from nothing.

    With `begins_at` a counter is counted from there at its first reading too, and not from that reading. One that is
    known to have begun `from_nothing` since the reading before says so; else that is seen where it falls.

    `at_ms` is when it was (of a gauge), since the epoch; 0 is now. `labels` name the `service` that it belongs to:
    "host" for the machine itself. `host` is added.
    """

    instrument: Instrument
    value: float
    labels: dict[str, str] = field(default_factory=dict)
    begins_at: float | None = None
    from_nothing: bool = False
    at_ms: int = 0
