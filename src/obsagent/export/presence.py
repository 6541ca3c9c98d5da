"""Which series are still there: what nobody can feed any more leaves the exporter, and stays in the store.

A series with a worker belongs to the sessions of its service, host and worker. It is there while it had a sample in
the last two hours, or while one of them is open that was there at its last sample: a counter of errors stays as long
as its process, however seldom it counts, and the series of a version that was replaced leave. One without a worker (of
a collector, or what overflowed) is there as long as anything of its service is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from obsagent.head.view import View
from obsagent.limits import EXPORT_KEEP_MS
from obsagent.samples import Kind, Series

Slot = tuple[str, str, str]


class Presence:
    """Remembers when each series last changed. Belongs to one thread at a time."""

    def __init__(self) -> None:
        """Nothing is known before the first look."""
        self._samples: dict[int, int] = {}
        self._last_ms: dict[int, int] = {}
        self._horizon_ms: int | None = None

    def present(self, view: View, samples: Mapping[int, int], every: Iterable[Series]) -> set[int]:
        """The ids of the series that are there; `samples` is how many each has had."""
        totals = [series for series in every if series.kind is not Kind.GAUGE and samples.get(series.id)]
        self._look(view, samples, totals)
        opened, services = _open_sessions(view)
        services |= {_service(series) for series in totals if self._is_recent(series.id, view.now_ms)}
        return {series.id for series in totals if self._is_present(series, view.now_ms, opened, services)}

    def _look(self, view: View, samples: Mapping[int, int], totals: list[Series]) -> None:
        """Whatever has more samples than at the last look has changed by now."""
        if self._horizon_ms is None:
            self._horizon_ms = view.now_ms - EXPORT_KEEP_MS
            found = view.last_samples([series.id for series in totals], self._horizon_ms)
            self._last_ms = {series_id: end_ms for series_id, (_, end_ms) in found.items()}
        else:
            changed = (each.id for each in totals if samples[each.id] != self._samples.get(each.id))
            self._last_ms.update(dict.fromkeys(changed, view.now_ms))
        self._samples = dict(samples)

    def _is_recent(self, series_id: int, now_ms: int) -> bool:
        return now_ms - self._last(series_id) < EXPORT_KEEP_MS

    def _last(self, series_id: int) -> int:
        """When it last changed; of what had not for two hours at the first look, then."""
        return self._last_ms.get(series_id, self._horizon_ms or 0)

    def _is_present(self, series: Series, now_ms: int, opened: Mapping[Slot, int], services: set[str]) -> bool:
        if self._is_recent(series.id, now_ms):
            return True
        if "worker" not in series.labels:
            return _service(series) in services
        began_ms = opened.get(_slot(series))
        return began_ms is not None and began_ms <= self._last(series.id)


def _open_sessions(view: View) -> tuple[dict[Slot, int], set[str]]:
    """When the oldest open session of each slot began, and the services that have any."""
    began: dict[Slot, int] = {}
    services = set()
    for session in view.sessions:
        if session.state != "closed":
            slot = session.service, session.host, str(session.worker)
            began[slot] = min(session.started_ms, began.get(slot, session.started_ms))
            services.add(session.service)
    return began, services


def _service(series: Series) -> str:
    return series.labels.get("service", "")


def _slot(series: Series) -> Slot:
    labels = series.labels
    return _service(series), labels.get("host", ""), labels["worker"]
