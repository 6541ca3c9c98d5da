"""One request of a model server: latency, queue delay, status, errors and how many are in flight."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from obsagent.record.exemplars import TRACING, loaded_modules
from obsagent.samples import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from obsagent._native.ring import Counter, Gauge, Histogram
    from obsagent.record.exemplars import ExemplarSlots
    from obsagent.record.instruments import BoundT, CounterFamily, GaugeFamily, HistogramFamily, LabelledInstrument
    from obsagent.record.registry import Registry

FIRST_ERROR_STATUS = 500

_current: ContextVar[Request | None] = ContextVar("obsagent.request", default=None)


def current_request() -> Request | None:
    """The request that is served here, None outside of one.

    That of `with obs.request(...)` or of a middleware: in coroutines, in what they await, and in threads that a
    framework starts for a synchronous route, as Starlette, FastAPI, Litestar and Django do.
    """
    return _current.get()


class RequestInstruments:
    """The built-in instruments of one client, bound by endpoint on first use.

    Whether an endpoint is one of too many is decided once, by `latency`: what it refuses the others do not see.
    """

    def __init__(
        self,
        registry: Registry,
        duration_s: Callable[[], float] = time.perf_counter,
        arrival_s: Callable[[], float] = time.time,
        exemplars: ExemplarSlots | None = None,
    ) -> None:
        """Defines the built-ins. Durations are taken by one clock; `queued_at` is compared with the other.

        `exemplars` hold the slowest requests that have an id; without, none are held.
        """
        self.exemplars = exemplars
        self.duration_s = duration_s
        self.arrival_s = arrival_s
        self.define = define = registry.define
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
            is_judged=False,
        )
        self.requests: CounterFamily[Counter] = define(
            Kind.COUNTER,
            "requests",
            "Requests by status",
            "requests",
            ("endpoint", "status"),
            built_in=True,
            is_judged=False,
        )
        self.errors: CounterFamily[Counter] = define(
            Kind.COUNTER,
            "errors",
            "Requests that raised or ended with a status of 500 or more",
            "requests",
            ("endpoint",),
            built_in=True,
            is_judged=False,
        )
        self.in_flight: GaugeFamily[Gauge] = define(
            Kind.GAUGE,
            "in_flight",
            "Requests being served now",
            "requests",
            ("endpoint",),
            built_in=True,
            is_judged=False,
        )
        self._batch_size: HistogramFamily[Histogram] | None = None
        self._refused: EndpointInstruments | None = None
        self._endpoints: dict[str, EndpointInstruments] = {}
        self.latency.before_turn(self._endpoints.clear)

    @property
    def batch_size(self) -> HistogramFamily[Histogram]:
        """Defined when the first request tells the size of its batch."""
        if self._batch_size is None:
            self._batch_size = self.define(
                Kind.HISTOGRAM,
                "batch_size",
                "Items that were answered as one batch",
                "items",
                ("endpoint",),
                built_in=True,
                is_judged=False,
            )
        return self._batch_size

    def endpoint(self, name: str) -> EndpointInstruments:
        """The bound instruments of one endpoint, or those of all that are refused."""
        bound = self._endpoints.get(name)
        return self._bind(name) if bound is None else bound

    def _bind(self, name: str) -> EndpointInstruments:
        latency = self.latency.labels(endpoint=name)
        if latency is self.latency.overflow:
            if self._refused is None:
                self._refused = EndpointInstruments(self, None)
            return self._refused
        return self._endpoints.setdefault(name, EndpointInstruments(self, name))


class EndpointInstruments:
    """The built-ins of one endpoint."""

    __slots__ = (
        "_batch_size",
        "_by_status",
        "_endpoint",
        "_instruments",
        "arrival_s",
        "duration_s",
        "errors",
        "exemplars",
        "in_flight",
        "latency",
        "queue_delay",
        "served",
    )

    def __init__(self, instruments: RequestInstruments, endpoint: str | None) -> None:
        """Binds everything that every request needs; None stands for all endpoints that are refused."""
        self.latency = _series(instruments.latency, endpoint)
        self.queue_delay = _series(instruments.queue_delay, endpoint)
        self.errors = _series(instruments.errors, endpoint)
        self.in_flight = _series(instruments.in_flight, endpoint)
        self.duration_s = instruments.duration_s
        self.arrival_s = instruments.arrival_s
        self.exemplars = instruments.exemplars
        self.served: Any = None
        """What a middleware measures besides, once it has served this endpoint."""
        self._endpoint = endpoint
        self._instruments = instruments
        self._batch_size: Histogram | None = None
        self._by_status: dict[int, Counter] = {}

    def series(self, family: LabelledInstrument[BoundT]) -> BoundT:
        """The endpoint's series of another instrument whose one label is `endpoint`."""
        return _series(family, self._endpoint)

    def batch(self, size: float) -> None:
        """Observes the size of one batch."""
        if self._batch_size is None:
            self._batch_size = self.series(self._instruments.batch_size)
        self._batch_size.observe(size)

    def ended(self, status: int) -> None:
        """Counts one finished request."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._counter(status)
        counter.inc()
        if status >= FIRST_ERROR_STATUS:
            self.errors.inc()

    def _counter(self, status: int) -> Counter:
        requests = self._instruments.requests
        if self._endpoint is None:
            return requests.overflowing()
        return requests.labels(endpoint=self._endpoint, status=status)


def _series(family: LabelledInstrument[BoundT], endpoint: str | None) -> BoundT:
    return family.overflowing() if endpoint is None else family.labels(endpoint=endpoint)


class Request:
    """`with client.request("/score") as request:`, also `async with`.

    `request.status` is the HTTP status to count, 200 unless set; an exception counts as 500 unless a status
    of 500 or more was set. By `request.id` and `request.trace_id` a slow request is found again (`query --exemplars`);
    a request without a trace id has that of OpenTelemetry's active trace.
    """

    _outer: Request | None
    __slots__ = ("_instruments", "_outer", "_queued_at", "_started", "id", "status", "trace_id")

    def __init__(
        self,
        instruments: EndpointInstruments,
        request_id: str | None,
        queued_at: float | None,
        trace_id: str | None = None,
    ) -> None:
        """`queued_at`: seconds since the epoch at which the request began to wait."""
        self._instruments = instruments
        self._queued_at = queued_at
        self._started = 0.0
        self.id = request_id
        self.trace_id = trace_id
        self.status = 200

    def __enter__(self) -> Request:
        instruments = self._instruments
        if self._queued_at is not None:
            instruments.queue_delay.observe(max(instruments.arrival_s() - self._queued_at, 0.0))
        instruments.in_flight.inc()
        self._outer = _current.get()
        _current.set(self)
        self._started = instruments.duration_s()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        instruments = self._instruments
        ended_s = instruments.duration_s()
        if _current.get() is self:  # not by a token, which raises in another context: a generator's end may come there
            _current.set(self._outer)
        instruments.in_flight.dec()
        failed = error_type is not None and self.status < FIRST_ERROR_STATUS
        self._finish(instruments, ended_s, FIRST_ERROR_STATUS if failed else self.status)

    def _finish(self, instruments: EndpointInstruments, ended_s: float, status: int) -> None:
        """Counts the request; `ended_s` is by the clock of durations."""
        instruments.latency.observe(ended_s - self._started)
        instruments.ended(status)
        if self.id is not None or self.trace_id is not None or TRACING in loaded_modules:
            self._offer(instruments, ended_s)

    def _offer(self, instruments: EndpointInstruments, ended_s: float) -> None:
        if instruments.exemplars is not None:
            instruments.exemplars.offer(
                instruments.latency.series, ended_s - self._started, ended_s, self.trace_id, self.id
            )

    def batch(self, size: float) -> None:
        """The request was answered as a batch of `size` items, which goes to `batch_size`; each call is one batch."""
        self._instruments.batch(size)

    async def __aenter__(self) -> Request:
        return self.__enter__()

    async def __aexit__(self, *exception: Any) -> None:
        self.__exit__(*exception)
