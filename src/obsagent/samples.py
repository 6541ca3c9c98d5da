"""What a sample is about: the kind of its instrument, the instrument and the series.

An *instrument* is a named thing that is measured; a *series* is one instrument with one set of label
values; a *sample* is one measured value of a series. An *event* belongs to none of these: it is a moment with a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Kind(IntEnum):
    """Kinds of instrument; the numbers are part of the wire and segment formats."""

    HISTOGRAM = 1
    COUNTER = 2
    GAUGE = 3
    COLUMN = 4

    @property
    def word(self) -> str:
        """The kind in lower case, as it is shown to people."""
        return self.name.lower()


ACROSS = ("sum", "max", "min", "mean", "last")
"""How the values that several workers hold of one gauge combine."""

MACHINE = "host"
"""The service that series of the machine itself belong to: they have no worker."""

SHARED_OUT = frozenset({"gpu_memory_bytes"})
"""Metrics of which the machine has what no other service has. Of all others it has the whole: what its processes take
is in it already.
"""

OF_MODELS = frozenset({"feature", "feature_rows", "predictions"})
"""What is counted of models: what they were given, and what they have predicted."""

SKETCHES = ("loghist", "tdigest")
"""What a histogram keeps of its samples: a loghist always, with "tdigest" a t-digest beside it."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A named measurement: what `Client.histogram`, `.counter` and `.gauge` define."""

    name: str
    kind: Kind
    help: str = ""
    unit: str = ""
    label_names: tuple[str, ...] = ()
    scale: int = 6
    across: str = "sum"
    sketch: str = "loghist"

    @property
    def keeps_digest(self) -> bool:
        """True if a t-digest is kept beside the histogram."""
        return self.sketch == "tdigest"


@dataclass(frozen=True, slots=True)
class Event:
    """A moment that a service named, such as a deploy; `at_ms` is since the epoch, UTC."""

    name: str
    at_ms: int
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation of a histogram, the largest of a window, with what finds it again: of a request, the slowest.

    `window_ms` is the window's start and `time_ms` when it was observed, both since the epoch, UTC; `value` is in the
    unit of the metric. An id that is not known is empty.
    """

    series_id: int
    window_ms: int
    value: float
    time_ms: int
    trace_id: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A series as the store knows it: a metric with all its labels (service, host and worker included)."""

    id: int
    metric: str
    kind: Kind
    labels: dict[str, str] = field(default_factory=dict)
    unit: str = ""
    help: str = ""
    scale: int = 6
    across: str = "sum"
    sketch: str = "loghist"
    created_ms: int = field(default=0, compare=False)
    """When the store made it, before its first sample; 0 if that is not known."""

    @property
    def keeps_digest(self) -> bool:
        """True if a t-digest is kept beside the histogram."""
        return self.sketch == "tdigest"

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Identity: the metric's name and its labels in a fixed order."""
        return self.metric, tuple(sorted(self.labels.items()))
