"""The accounts as metrics, so that they can be watched, graphed and alerted on like anything else.

    obsagent_samples_observed {service}             counter    samples observed, as far as the store knows
    obsagent_samples          {service, outcome}    counter    stored, dropped_ring, …, rejected_time
    obsagent_samples_pending  {service}             gauge      observed and not delivered, by the last heartbeats

Over all time, restarts and crashes included, the sums of the counters are the accounts of `obsagent status`: what was
counted before is read from the store when the agent begins, and each frame brings what is missing to the totals. So
observed equals the sum over the outcomes at any moment, and with pending the observed of the status.

The agent's own samples are counted too, this frame's included, since what it adds to the accounts is known before it
is written. Belongs to the ingest thread.
"""

from __future__ import annotations

from collections import Counter

from obsagent.receive.own_session import OwnSession
from obsagent.receive.sink import Sink
from obsagent.selfmetrics import SAMPLES, SAMPLES_OBSERVED, SAMPLES_PENDING, SERVICE, SelfMetric

OBSERVED = "observed"
STORED = "stored"
GROWING = (OBSERVED, STORED)
"""What of the agent's own account grows with every frame, whose samples these two are themselves."""


class OwnAccounts:
    """Brings the counters of all accounts up to date with every frame of the agent's own session."""

    def __init__(self, sink: Sink, own: OwnSession) -> None:
        """Goes on from what the store has counted already."""
        self._sink = sink
        self._own = own
        for metric in (SAMPLES_OBSERVED, SAMPLES):
            for labels, total in sink.counted(metric.name):
                own.resume(metric, total, labels)

    def record(self) -> None:
        """Stages the samples of the next frame; to be called last before it is written."""
        for service, samples in self._sink.pending().items():
            self._own.record(SAMPLES_PENDING, samples, {"service": service})
        accounts = self._sink.totals()
        own = Counter(accounts.pop(SERVICE, {}))
        for service, counts in accounts.items():
            for outcome, total in counts.items():
                self._count(service, outcome, total)
        self._record_own(own)

    def _record_own(self, totals: Counter[str]) -> None:
        """The agent's own account as it will be with the next frame, these counters being samples of it."""
        totals["dropped_budget"] += self._own.unbooked.dropped_budget
        for outcome, total in totals.items():
            if outcome not in GROWING:
                self._count(SERVICE, outcome, total)
        self._count(SERVICE, STORED, totals[STORED] + self._own.staged_count + len(GROWING))
        self._count(SERVICE, OBSERVED, totals[OBSERVED] + self._own.unbooked.observed + 1)

    def _count(self, service: str, outcome: str, total: int) -> None:
        if total:
            metric, labels = _named(service, outcome)
            self._own.count(metric, total, labels)


def _named(service: str, outcome: str) -> tuple[SelfMetric, dict[str, str]]:
    if outcome == OBSERVED:
        return SAMPLES_OBSERVED, {"service": service}
    return SAMPLES, {"service": service, "outcome": outcome}
