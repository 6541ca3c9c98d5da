"""A store in a few lines: windows in memory, behind the interface that answers are made from."""

from typing import NamedTuple

from obsagent._native.codec import BodyWriter, SeriesMap, Window
from obsagent.clock import window_start
from obsagent.limits import WINDOW_MS
from obsagent.samples import Event, Kind, Series


class FakeReads(NamedTuple):
    segments: int = 0
    blocks: int = 0
    frames: int = 0
    bytes: int = 0
    raw_bytes: int = 0
    head_windows: int = 0


class FakeCoverage(NamedTuple):
    first_ms: int | None
    last_ms: int | None
    to_ms: int
    reads: FakeReads = FakeReads()


class FakeClients(NamedTuple):
    live: int
    last_ms: int | None


class FakeGap(NamedTuple):
    from_ms: int
    to_ms: int
    reason: str


class FakeView:
    """Implements `obsagent.answer.view.View`; the rest fills it."""

    def __init__(self):
        self.overflowed = {}
        self.ledger = None
        self._series = {}
        self._windows = {}
        self._accounts = {}
        self._last_ms = {}
        self._events = []
        self._clients = {}
        self._gaps = []

    # --- filling

    def add_series(self, metric, kind, unit="", across="sum", scale=6, sketch="loghist", created_ms=0, **labels):
        series = Series(len(self._series), metric, kind, labels, unit, "", scale, across, sketch, created_ms)
        return self._series.setdefault(series.key, series)

    def _window(self, series, at_ms):
        last_ms = self._last_ms.get(series.metric, at_ms)
        self._last_ms[series.metric] = max(at_ms, last_ms)
        return self._windows.setdefault(window_start(at_ms), Window())

    def observe(self, series, at_ms, *values):
        for value in values:
            window = self._window(series, at_ms)
            window.add_value(series.id, Kind.HISTOGRAM, value, scale=series.scale, digest=series.keeps_digest)

    def increment(self, series, at_ms, amount=1.0, increments=1):
        self._window(series, at_ms).add_counter(series.id, increments, amount)

    def give(self, series, at_ms, numbers=(), categories=(), **others):
        """Values of a feature: `edges` or `names` of its reference, `nulls`, `wrong_types`."""
        body, known = BodyWriter(), SeriesMap()
        body.put_column(series.id, numbers, categories, **others)
        known.set(series.id, series.id, Kind.COLUMN)
        self._window(series, at_ms).apply(body.take(), known, at_ms)

    def set_gauge(self, series, at_ms, value):
        self._window(series, at_ms).add_value(series.id, Kind.GAUGE, value, time_ms=at_ms)

    def account(self, at_ms, service, observed=0, stored=0, dropped=(0, 0, 0), rejected=(0, 0, 0)):
        entry = {
            "observed": observed,
            "stored": stored,
            "dropped": dict(zip(("ring", "budget", "expired"), dropped, strict=True)),
            "rejected": dict(zip(("value", "frame", "time"), rejected, strict=True)),
        }
        self._accounts[window_start(at_ms), service] = entry

    def add_event(self, name, at_ms, **labels):
        self._events.append(Event(name, at_ms, labels))

    def lose(self, from_ms, to_ms, reason="a block is damaged"):
        self._gaps.append(FakeGap(from_ms, to_ms, reason))

    def connect(self, service, live=1, last_ms=None):
        self._clients[service] = FakeClients(live, last_ms)

    # --- View

    def series(self):
        return list(self._series.values())

    def window_ms_from(self, from_ms):
        return WINDOW_MS

    def collect(self, from_ms, to_ms, groups, step_ms=0):
        starts = [start for start in self._windows if window_start(from_ms) <= start < to_ms]
        for start in starts:
            self._windows[start].collect(groups, start)
        if not starts:
            return FakeCoverage(None, None, to_ms)
        return FakeCoverage(min(starts), max(starts) + WINDOW_MS, to_ms, FakeReads(head_windows=len(starts)))

    def starts(self, from_ms, to_ms, step_ms):
        starts = {start - start % step_ms for start in self._windows}
        return sorted(start for start in starts if from_ms <= start < to_ms)

    def last_samples(self, series_ids, from_ms):
        found = {}
        for start, window in sorted(self._windows.items()):
            if start >= window_start(from_ms):
                found |= {each: (start, start + WINDOW_MS) for each in series_ids if each in window}
        return found

    def events(self, name=None):
        return sorted((event for event in self._events if name in (None, event.name)), key=lambda event: event.at_ms)

    def accounts(self, from_ms, to_ms):
        inside = {key: entry for key, entry in self._accounts.items() if window_start(from_ms) <= key[0] < to_ms}
        assert len({service for _, service in inside}) == len(inside), "the fake keeps one account a service"
        return {service: entry for (_, service), entry in inside.items()}

    def gaps(self, from_ms, to_ms):
        return [gap for gap in self._gaps if gap.from_ms < to_ms and gap.to_ms > window_start(from_ms)]

    def metric_last_ms(self, metric):
        return self._last_ms.get(metric)

    def clients_by_service(self):
        return dict(self._clients)

    def clients(self):
        heard = [clients.last_ms for clients in self._clients.values() if clients.last_ms is not None]
        return FakeClients(sum(clients.live for clients in self._clients.values()), max(heard, default=None))
