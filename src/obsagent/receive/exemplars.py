"""Which exemplars of a batch are taken, and how many are refused: for what they are, or for what series they name."""

from __future__ import annotations

import logging
from collections import Counter

from obsagent.clock import window_start
from obsagent.receive.complaints import Complaints
from obsagent.receive.sink import Sink
from obsagent.samples import Exemplar
from obsagent.wire.exemplars import FIELD, read_exemplars
from obsagent.wire.frame import Header, SamplesHeader


class ExemplarAdmission:
    """Belongs to the ingest thread; `refused` counts by reason: `form value time id count series`."""

    def __init__(self, sink: Sink, complaints: Complaints) -> None:
        """`sink` knows the series; `complaints` are told of what is refused."""
        self._sink = sink
        self._complaints = complaints
        self.refused: Counter[str] = Counter()

    def take(self, header: SamplesHeader, fields: Header) -> tuple[Exemplar, ...]:
        """Those of a batch that is taken, as they are stored: in the window of the batch."""
        if FIELD not in fields:
            return ()
        sent, refused = read_exemplars(fields, header.start_ms, header.end_ms)
        window_ms = window_start(header.start_ms)
        taken = []
        for each in sent:
            series_id = self._sink.histogram_of(header.session, each.number)
            if series_id is None:
                refused["series"] += 1
            else:
                taken.append(Exemplar(series_id, window_ms, each.value, each.time_ms, each.trace_id, each.request_id))
        if refused:
            self._complain(header, refused)
        return tuple(taken)

    def _complain(self, header: SamplesHeader, refused: Counter[str]) -> None:
        self.refused += refused
        reasons = ", ".join(f"{count} for their {reason}" for reason, count in sorted(refused.items()))
        line = "session %s: batch %d is taken, but not all of its exemplars: %s"
        self._complaints.say(logging.WARNING, line, header.session.hex(), header.sequence, reasons)
