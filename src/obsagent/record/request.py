"""One request of a model server: latency, queue delay, status, errors and how many are in flight."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from obsagent.samples import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from obsagent._native.ring import Counter, Gauge, Histogram
    from obsagent.record.instruments import CounterFamily, GaugeFamily, HistogramFamily
    from obsagent.record.registry import Registry

FIRST_ERROR_STATUS = 500


class RequestInstruments:
    """The built-in instruments of one client, bound by endpoint on first use."""

    def __init__(
        self,
        registry: Registry,
        duration_s: Callable[[], float] = time.perf_counter,
        arrival_s: Callable[[], float] = time.time,
    ) -> None:
        """Defines the built-ins. Durations are taken by one clock; `queued_at` is compared with the other."""
        self.duration_s = duration_s
        self.arrival_s = arrival_s
        define = registry.define
        self.latency: HistogramFamily[Histogram] = define(
            Kind.HISTOGRAM,
            "latency",
            "Time from start to end of a request",
            "seconds",
            ("endpoint",),
            sketch="tdigest",
            built_in=True,
        )
        self.queue_delay: HistogramFamily[Histogram] = define(
            Kind.HISTOGRAM,
            "queue_delay",
            "Time a request waited before it started",
            "seconds",
            ("endpoint",),
            sketch="tdigest",
            built_in=True,
        )
        self.requests: CounterFamily[Counter] = define(
            Kind.COUNTER, "requests", "Requests by status", "requests", ("endpoint", "status"), built_in=True
        )
        self.errors: CounterFamily[Counter] = define(
            Kind.COUNTER,
            "errors",
            "Requests that raised or ended with a status of 500 or more",
            "requests",
            ("endpoint",),
            built_in=True,
        )
        self.in_flight: GaugeFamily[Gauge] = define(
            Kind.GAUGE, "in_flight", "Requests being served now", "requests", ("endpoint",), built_in=True
        )
        self._endpoints: dict[str, EndpointInstruments] = {}

    def endpoint(self, name: str) -> EndpointInstruments:
        """The bound instruments of one endpoint."""
        bound = self._endpoints.get(name)
        if bound is None:
            bound = self._endpoints.setdefault(name, EndpointInstruments(self, name))
        return bound


class EndpointInstruments:
    """The built-ins of one endpoint."""

    __slots__ = (
        "_by_status",
        "_endpoint",
        "_requests",
        "arrival_s",
        "duration_s",
        "errors",
        "in_flight",
        "latency",
        "queue_delay",
    )

    def __init__(self, instruments: RequestInstruments, endpoint: str) -> None:
        """Binds everything that every request needs; `queue_delay` exists from the first `queued_at` on."""
        self.latency = instruments.latency.labels(endpoint=endpoint)
        self.queue_delay = instruments.queue_delay.labels(endpoint=endpoint)
        self.errors = instruments.errors.labels(endpoint=endpoint)
        self.in_flight = instruments.in_flight.labels(endpoint=endpoint)
        self.duration_s = instruments.duration_s
        self.arrival_s = instruments.arrival_s
        self._endpoint = endpoint
        self._requests = instruments.requests
        self._by_status: dict[int, Counter] = {}

    def ended(self, status: int) -> None:
        """Counts one finished request."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(endpoint=self._endpoint, status=status)
        counter.inc()
        if status >= FIRST_ERROR_STATUS:
            self.errors.inc()


class Request:
    """`with client.request("/score") as request:`, also `async with`.

    `request.status` is the HTTP status to count, 200 unless set; an exception counts as 500 unless a status
    of 500 or more was set.
    """

    __slots__ = ("_instruments", "_queued_at", "_started", "id", "status")

    def __init__(self, instruments: EndpointInstruments, request_id: str | None, queued_at: float | None) -> None:
        """`queued_at`: seconds since the epoch at which the request began to wait."""
        self._instruments = instruments
        self._queued_at = queued_at
        self._started = 0.0
        self.id = request_id
        self.status = 200

    def __enter__(self) -> Request:
        instruments = self._instruments
        if self._queued_at is not None:
            instruments.queue_delay.observe(max(instruments.arrival_s() - self._queued_at, 0.0))
        instruments.in_flight.inc()
        self._started = instruments.duration_s()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        instruments = self._instruments
        instruments.latency.observe(instruments.duration_s() - self._started)
        instruments.in_flight.dec()
        failed = error_type is not None and self.status < FIRST_ERROR_STATUS
        instruments.ended(FIRST_ERROR_STATUS if failed else self.status)

    async def __aenter__(self) -> Request:
        return self.__enter__()

    async def __aexit__(self, *exception: Any) -> None:
        self.__exit__(*exception)
