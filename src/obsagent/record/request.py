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
    from obsagent.record.models.model import Model
    from obsagent.record.models.models import Models
    from obsagent.record.models.observed import Observed
    from obsagent.record.registry import Registry

FIRST_ERROR_STATUS = 500
LABELS = ("endpoint", "model", "version", "variant")
"""Of the built-ins; those of a model only where a request names one: an empty label is left out."""
CLIENT_CLOSED = 499
"""The status of a request whose client did not wait for the end of the response; nginx calls it so."""

NOT_UNDER_WAY = -1.0
NO_MODEL = dict.fromkeys(LABELS[1:], "")

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
        models: Callable[[], Models] | None = None,
    ) -> None:
        """Defines the built-ins. Durations are taken by one clock; `queued_at` is compared with the other.

        `exemplars` hold the slowest requests that have an id; without, none are held. `models` gives those of the
        client, to which requests give features and predictions.
        """
        self.exemplars = exemplars
        self.models = models
        self.duration_s = duration_s
        self.arrival_s = arrival_s
        self.define = define = registry.define
        self.latency: HistogramFamily[Histogram] = define(
            Kind.HISTOGRAM,
            "latency",
            "Time from start to end of a request",
            "seconds",
            LABELS,
            sketch="tdigest",
            built_in=True,
        )
        self.queue_delay: HistogramFamily[Histogram] = define(
            Kind.HISTOGRAM,
            "queue_delay",
            "Time a request waited before it started",
            "seconds",
            LABELS,
            sketch="tdigest",
            built_in=True,
            is_judged=False,
        )
        self.requests: CounterFamily[Counter] = define(
            Kind.COUNTER,
            "requests",
            "Requests by status",
            "requests",
            (*LABELS, "status"),
            built_in=True,
            is_judged=False,
        )
        self.errors: CounterFamily[Counter] = define(
            Kind.COUNTER,
            "errors",
            "Requests that raised or ended with a status of 500 or more",
            "requests",
            LABELS,
            built_in=True,
            is_judged=False,
        )
        self.in_flight: GaugeFamily[Gauge] = define(
            Kind.GAUGE,
            "in_flight",
            "Requests being served now",
            "requests",
            LABELS,
            built_in=True,
            is_judged=False,
        )
        self._batch_size: HistogramFamily[Histogram] | None = None
        self._refused: EndpointInstruments | None = None
        self._shadow: EndpointInstruments | None = None
        self._endpoints: dict[tuple[str, Model | None], EndpointInstruments] = {}
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
                LABELS,
                built_in=True,
                is_judged=False,
            )
        return self._batch_size

    def endpoint(self, name: str, model: Model | None = None) -> EndpointInstruments:
        """The bound instruments of one endpoint and model, or those of all that are refused.

        What a shadow model serves is no request: it is counted nowhere.
        """
        bound = self._endpoints.get((name, model))
        return self._bind(name, model) if bound is None else bound

    def _bind(self, name: str, model: Model | None) -> EndpointInstruments:
        if model is not None and model.is_shadow:
            if self._shadow is None:
                self._shadow = ShadowInstruments(self)
            return self._shadow
        labels = {"endpoint": name, **NO_MODEL, **(model.labels if model is not None else {})}
        latency = self.latency.labels(**labels)
        if latency is self.latency.overflow:
            if self._refused is None:
                self._refused = EndpointInstruments(self, None)
            return self._refused
        return self._endpoints.setdefault((name, model), EndpointInstruments(self, labels))


class EndpointInstruments:
    """The built-ins of one endpoint."""

    __slots__ = (
        "_batch_size",
        "_by_status",
        "_instruments",
        "_labels",
        "arrival_s",
        "duration_s",
        "errors",
        "exemplars",
        "in_flight",
        "latency",
        "queue_delay",
        "served",
    )

    def __init__(self, instruments: RequestInstruments, labels: dict[str, str] | None) -> None:
        """Binds everything that every request needs; None stands for all endpoints that are refused."""
        self.latency = _series(instruments.latency, labels)
        self.queue_delay = _series(instruments.queue_delay, labels)
        self.errors = _series(instruments.errors, labels)
        self.in_flight = _series(instruments.in_flight, labels)
        self.duration_s = instruments.duration_s
        self.arrival_s = instruments.arrival_s
        self.exemplars = instruments.exemplars
        self.served: Any = None
        """What a middleware measures besides, once it has served this endpoint."""
        self._labels = labels
        self._instruments = instruments
        self._batch_size: Histogram | None = None
        self._by_status: dict[int, Counter] = {}

    def series(self, family: LabelledInstrument[BoundT]) -> BoundT:
        """The endpoint's series of another instrument whose one label is `endpoint`."""
        return _series(family, None if self._labels is None else {"endpoint": self._labels["endpoint"]})

    def batch(self, size: float) -> None:
        """Observes the size of one batch."""
        if self._batch_size is None:
            self._batch_size = _series(self._instruments.batch_size, self._labels)
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
        if self._labels is None:
            return requests.overflowing()
        return requests.labels(status=status, **self._labels)

    @property
    def models(self) -> Models | None:
        """Those of the client."""
        return self._instruments.models() if self._instruments.models is not None else None


def _series(family: LabelledInstrument[BoundT], labels: dict[str, str] | None) -> BoundT:
    return family.overflowing() if labels is None else family.labels(**labels)


class NotCounted:
    """An instrument of what is no request."""

    series = -1

    def observe(self, _value: object) -> None:
        """Nothing."""

    def inc(self, _amount: object = 1.0) -> None:
        """Nothing."""

    dec = inc


class ShadowInstruments(EndpointInstruments):
    """Of requests that a shadow model answers: nobody waits for these."""

    __slots__ = ()

    def __init__(self, instruments: RequestInstruments) -> None:
        """Binds nothing."""
        nothing: Any = NotCounted()
        self.latency = self.queue_delay = self._batch_size = nothing
        self.errors = self.in_flight = nothing
        self.duration_s = instruments.duration_s
        self.arrival_s = instruments.arrival_s
        self.exemplars = None
        self.served = None
        self._instruments = instruments
        self._labels = None
        self._by_status = {}

    def ended(self, status: int) -> None:
        """Nothing."""


def _status_of(error_type: type[BaseException] | None) -> int:
    """A task that is cancelled, or a generator that is closed early, was given up by whoever asked."""
    is_given_up = error_type is GeneratorExit or getattr(error_type, "__name__", "") == "CancelledError"
    return CLIENT_CLOSED if is_given_up else FIRST_ERROR_STATUS


class Request:
    """`with client.request("/score") as request:`, also `async with`.

    `request.status` is the HTTP status to count, 200 unless set; an exception counts as 500 unless a status
    of 500 or more was set, but the end of a task that is cancelled or of a generator that is closed early as 499, which
    is no error. By `request.id` and `request.trace_id` a slow request is found again (`query --exemplars`);
    a request without a trace id has that of OpenTelemetry's active trace.
    """

    _outer: Request | None
    __slots__ = ("_instruments", "_observed", "_outer", "_queued_at", "_started", "id", "model", "status", "trace_id")

    def __init__(
        self,
        instruments: EndpointInstruments,
        request_id: str | None,
        queued_at: float | None,
        trace_id: str | None = None,
        model: Model | None = None,
    ) -> None:
        """`queued_at`: seconds since the epoch at which the request began to wait; `model` is what serves it."""
        self._instruments = instruments
        self._queued_at = queued_at
        self._started = NOT_UNDER_WAY
        self.id = request_id
        self.trace_id = trace_id
        self.model = model
        self.status = 200
        self._observed: Observed | None = None

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
        status = _status_of(error_type) if failed else self.status
        self._finish(instruments, ended_s, status)
        self._started = NOT_UNDER_WAY
        if self._observed is not None:
            self._observed.end(self.id, has_failed=status >= FIRST_ERROR_STATUS)

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

    # What its models are given and predict

    def _observing(self) -> Observed | None:
        """None if nothing is recorded."""
        observed = self._observed
        if observed is None:
            models = self._models
            if models is None or models.is_off:
                return None
            observed = self._observed = models.observed(self.model, is_over=not self._will_end)
        return observed

    @property
    def _models(self) -> Models | None:
        return self._instruments.models

    @property
    def _will_end(self) -> bool:
        """True within `with`: what comes before or after it is counted at once."""
        return self._started != NOT_UNDER_WAY

    def slice(self, **labels: object) -> None:
        """The request belongs to a part of the data, such as `slice(country="DE")`: labels of what its models get.

        Values are turned into text; those that are nearly all new, as users' ids are, are refused. Raises
        `FeatureError` for names that are none.
        """
        observed = self._observing()
        if observed is not None:
            observed.slice(labels)

    def features(self, features: Any, *, names: Any = None, model: Model | None = None, at: Any = None) -> None:
        """What the request's model is given, as `Model.features` takes it; counted at the request's end.

        Of `model`, else of that of the request, else of each that predicts in it. Rows of one request that come in
        parts, in several calls with different names, are put together. Raises as `Model.features`.
        """
        observed = self._observing()
        if observed is not None:
            observed.features(features, names, model, at)

    def prediction(
        self, value: object, score: object = None, *, model: Model | None = None, id: object = None, at: object = None
    ) -> None:
        """What a model predicts, with its score, and the id by which a truth will find it: the request's by default.

        A value is a number or a class. Of `model`, else of that of the request, else of the client's only one; raises
        `FeatureError` if there are several.
        """
        observed = self._observing()
        if observed is not None:
            observed.prediction(value, score, self.id if id is None else id, model, at)

    def predictions(
        self, values: Any, scores: Any = None, ids: Any = None, *, model: Model | None = None, at: Any = None
    ) -> None:
        """A batch of predictions, as `Model.predictions` takes it; of the model that `prediction` would be of."""
        observed = self._observing()
        if observed is not None:
            observed.predictions(values, scores, ids, model, at)

    async def __aenter__(self) -> Request:
        return self.__enter__()

    async def __aexit__(self, *exception: Any) -> None:
        self.__exit__(*exception)
