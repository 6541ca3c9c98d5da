"""The client: what a model's process holds after `obsagent.connect(...)`."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from obsagent._native.ring import Histogram, Recorder
from obsagent.endpoints import TCP_PREFIX
from obsagent.limits import CLIENT_RING_BYTES, EXIT_FLUSH_TIMEOUT_S
from obsagent.processes import pid_namespace
from obsagent.record.agent_clock import AgentClock
from obsagent.record.at_exit import close_with_multiprocessing
from obsagent.record.conversation import Conversation, monotonic_ms, open_socket
from obsagent.record.events import EventQueue, checked_event
from obsagent.record.exemplars import ExemplarSlots
from obsagent.record.flush import FlushResult as FlushResult
from obsagent.record.flush import result_of
from obsagent.record.outbox import Outbox
from obsagent.record.records import RecordQueue
from obsagent.record.registry import Registry
from obsagent.record.request import Request, RequestInstruments
from obsagent.record.sender import Sender
from obsagent.record.timing import timed
from obsagent.samples import Kind
from obsagent.wire.frame import Header, SeriesDefinition, SessionCounts

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from obsagent._native.ring import Batch
    from obsagent.keys import ClientKey
    from obsagent.record.generation import Generation
    from obsagent.record.generation_instruments import GenerationInstruments
    from obsagent.record.middleware.serving import Serving
    from obsagent.record.models.model import Model
    from obsagent.record.models.models import Models
    from obsagent.record.refusals import Refusals
    from obsagent.record.runtime import RuntimeWatch

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Client:
    """Records samples of one service and hands them to the agent; made by `connect`.

    Thread-safe. Works across fork: the child is a session of its own, with instruments that keep working.
    """

    def __init__(
        self, service: str, endpoint: str, version: str, slot: int, *, disabled: bool = False, key: str | None = None
    ) -> None:
        """Use `connect`. `slot` numbers the clients of this process; `disabled` records nothing.

        Raises `ConfigError` for a file `key` that is no key, where one is needed: over tcp.
        """
        self.service = service
        self.endpoint = endpoint
        self.version = version
        self._key = _read_key(key) if key and endpoint.startswith(TCP_PREFIX) and not disabled else None
        self._disabled = disabled
        self._exemplars = ExemplarSlots()
        self._recorder = Recorder(
            slot,
            ring_bytes=0 if disabled else CLIENT_RING_BYTES,
            on_first_sample=None if disabled else self._start,
            on_exemplar=self._exemplars.observed,
        )
        self._registry = Registry(self._recorder)
        self._requests: RequestInstruments | None = None
        self._serving: Serving | None = None
        self._start_lock = threading.Lock()
        self._generations: GenerationInstruments | None = None
        self._runtime: RuntimeWatch | None = None
        self.models: Models | None = None
        """Those that `model` has made; None before the first."""
        self._may_watch_runtime = True
        self._begin_session()

    def __repr__(self) -> str:
        return f"<obsagent client service={self.service!r} endpoint={self.endpoint!r}>"

    def _begin_session(self) -> None:
        recorder = self._recorder
        self._base = SessionCounts(recorder.observed, recorder.dropped_ring, 0, 0, recorder.rejected_value)
        if self.models is not None:
            self.models.begin_session()
        self.session = os.urandom(16)
        self.outbox = Outbox(exemplars=self._exemplars)
        self.events = EventQueue()
        self.records = RecordQueue()
        self.clock = AgentClock(time.time_ns() / 1e6 - time.monotonic_ns() / 1e6)
        self._exemplars.begin_session(self.clock, self._monotonic_ms() - time.perf_counter() * 1e3)
        self._started_ms = time.time_ns() // 1_000_000
        self._registry.refusals.begin_session()
        self._sender: Sender | None = None
        self._closed = False
        self._refusal = ""

    # Instruments

    def histogram(
        self, name: str, help: str = "", unit: str = "", labels: Sequence[str] = (), sketch: str | None = None
    ) -> Any:
        """A histogram: every observation counts; quantiles, mean, min, max and counts can be asked.

        With `sketch="tdigest"` the agent keeps a t-digest too, which is exact in rank at the tails; the default,
        "loghist", is the histogram alone.

        Without `labels` the result has `observe`, `observe_many` and `time`; with labels, bind a series first:
        `.labels(step="build").observe(0.01)`. `observe(0.01, exemplar={"trace_id": …, "request_id": …})` says what
        `obsagent query --exemplars` shows if no other was larger.

        Raises `InstrumentError` if the name is malformed, built in, or already defined differently, and for a sketch
        that there is not.
        """
        return self._registry.define(Kind.HISTOGRAM, name, help, unit, labels, sketch=sketch or "loghist")

    def counter(self, name: str, help: str = "", unit: str = "", labels: Sequence[str] = ()) -> Any:
        """A counter: `inc(amount)` sums up; rates and sums can be asked. Raises like `histogram`."""
        return self._registry.define(Kind.COUNTER, name, help, unit, labels)

    def gauge(self, name: str, help: str = "", unit: str = "", labels: Sequence[str] = (), across: str = "sum") -> Any:
        """A gauge: `set`, `inc`, `dec`, `set_function`, `track_inprogress`; sampled once a second.

        `across` says how the values of several workers combine: sum, max, min, mean or last. Raises like
        `histogram`.
        """
        return self._registry.define(Kind.GAUGE, name, help, unit, labels, across)

    def timed(self, name: str, help: str = "") -> Callable[[FunctionT], FunctionT]:
        """Decorator: the duration of each call, in seconds, goes to the histogram `name`.

        Right for functions, coroutines, generators and async generators.
        """
        histogram: Histogram = self.histogram(name, help, "seconds")
        return lambda function: timed(histogram, function)

    def request(
        self,
        endpoint: str,
        *,
        id: str | None = None,
        queued_at: float | None = None,
        trace_id: str | None = None,
        model: Model | None = None,
    ) -> Request:
        """One request of a model server, as a context manager (`with` or `async with`).

        Feeds `latency`, `requests`, `errors`, `in_flight` and, with `queued_at` (seconds since the epoch),
        `queue_delay`; with `model`, by its name, version and variant too, but one that a shadow model answers is no
        request, and only its features and predictions count. The slowest of the requests that have an `id`, a
        `trace_id`, or an active trace of OpenTelemetry are kept with these, and shown by `obsagent query --exemplars`;
        ids are cut after 128 bytes.
        """
        requests = self._requests
        if requests is None:
            requests = self.request_instruments()
        return Request(requests.endpoint(endpoint, model), id, queued_at, trace_id, model)

    def model(self, name: str, version: str | None = None, variant: str = "live") -> Model:
        """A model that this process serves; the same arguments give the same object.

        `version` defaults to the client's. `variant` is `live`, `canary` or `shadow`. What the agent's configuration
        wants of the model (columns that are dropped or hashed, its reference) is asked for now, and nothing of its
        features is sent before that is known. Raises `FeatureError` for a name or a variant that is none.
        """
        return self._all_models().model(name, self.version if version is None else version, variant)

    def _all_models(self) -> Models:
        if self.models is None:
            from obsagent.record.models.models import Models

            with self._start_lock:
                self.models = self.models or Models(
                    self._recorder,
                    self._registry,
                    is_strict=os.environ.get("OBSAGENT_STRICT", "0") not in {"", "0"},
                    is_off=self._disabled,
                    begin=self._ask_for_rules,
                    learn=self._learn_rules,
                    clock=lambda: self.clock,
                    wall_s=self._wall_s,
                    records=lambda: self.records,
                    outbox=lambda: self.outbox,
                    wait_for=self._wait_for,
                    monotonic_ms=self._monotonic_ms,
                )
        return self.models

    def _ask_for_rules(self) -> None:
        """A model is new, or something waits for its rules."""
        if not self._disabled and not self._closed:
            self._start()
            self._recorder.wake()

    def _wall_s(self) -> float:
        return time.time()

    def _learn_rules(self) -> None:
        """Somebody is going to wait for rules: they come by themselves."""

    def request_instruments(self) -> RequestInstruments:
        """The built-ins that requests feed, for a middleware."""
        if self._requests is None:
            self._requests = RequestInstruments(self._registry, exemplars=self._slots, models=self._all_models)
        return self._requests

    @property
    def _slots(self) -> ExemplarSlots | None:
        """Where requests are remembered; nowhere if nothing is recorded."""
        return None if self._disabled else self._exemplars

    def serving(self) -> Serving:
        """What the middlewares of this client share; with the first request that they serve Python is watched too."""
        if self._serving is None:
            from obsagent.record.middleware.serving import Serving

            self._serving = Serving(self.request_instruments(), self.flush)
            self.watch_runtime()
        return self._serving

    def generation(
        self,
        model: str,
        *,
        version: str = "",
        endpoint: str = "",
        operation: str = "",
        id: str | None = None,
        queued_at: float | None = None,
        trace_id: str | None = None,
    ) -> Generation:
        """One generation of a language model, as a context manager (`with` or `async with`) or by its methods.

        Feeds `generation_duration`, `time_to_first_token`, `time_per_output_token`, `inter_token_latency`,
        `tokens_per_second`, `tokens_in` and `tokens_out` (each generation's in `…_per_generation`), `generations` by
        status and finish reason, `generations_in_flight` and, with `queued_at` (seconds since the epoch),
        `generation_queue_delay`; all by what is given of the labels. `operation` says what it is for, as OpenTelemetry
        does: `chat`, `text_completion`, `embeddings`, … The slowest of the generations that have an `id`, a `trace_id`
        or an active trace of OpenTelemetry are kept with these, as requests are.
        """
        instruments = self._generations or self._generation_instruments()
        return instruments.generation((model, version, endpoint, operation), id, queued_at, trace_id)

    def _generation_instruments(self) -> GenerationInstruments:
        from obsagent.record.generation_instruments import GenerationInstruments

        self._generations = GenerationInstruments(self._registry, self._recorder.reject, self._slots, *self._clocks())
        return self._generations

    def _clocks(self) -> tuple[Callable[[], float] | None, Callable[[], float]]:
        """What durations are taken with, None for the compiled core's clock; and what `queued_at` is compared with."""
        return None, time.time

    def watch_runtime(self) -> None:
        """Watches Python in this process: garbage collection (`python_gc_pause`, …) and `python_threads`.

        In a coroutine, its event loop too. `connect(runtime_metrics=…)` and `OBSAGENT_RUNTIME_METRICS` say yes or no
        for all.
        """
        if self._may_watch_runtime and not self._disabled and not self._closed:
            self._runtime_watch().start()

    def watch_loop(self, loop: AbstractEventLoop | None = None) -> None:
        """Watches how late an event loop is, by default the running one, in `event_loop_lag`; and the runtime.

        asyncio's and what is made like it (uvloop). Nothing is left to be cancelled: it ends with the loop. One that
        is stopped and runs on later seems late by the time between. Raises `RuntimeError` if no loop is given and none
        runs here.
        """
        if self._may_watch_runtime and not self._disabled and not self._closed:
            self._runtime_watch().loops.watch(loop)
            self._runtime_watch().start()

    def _runtime_watch(self) -> RuntimeWatch:
        if self._runtime is None:
            from obsagent.record.runtime import RuntimeWatch

            self._runtime = RuntimeWatch(self._registry, self._clocks()[0])
        return self._runtime

    def _before_sampling(self) -> None:
        if self.models is not None:
            self.models.each_second()
        if self._serving is not None:
            self._serving.sample()
        self._observe_noted()

    def _observe_noted(self) -> None:
        """Observes what the garbage collector's hook and its victims have only noted; in any thread."""
        if self._runtime is not None:
            self._runtime.sample()
        if self._generations is not None:
            self._generations.sample()

    def event(self, name: str, /, **labels: object) -> None:
        """Something happened to the service just now, such as `event("deploy", version="4")`.

        Kept one by one, apart from samples, with the labels given and `service`, `host` and `version`. Never waits
        for the agent; what does not fit the queue is dropped, oldest first, and counted in `FlushResult`. Values are
        turned into text. Raises `EventError` for a name or labels that the agent would not take.
        """
        event = checked_event(name, self._monotonic_ms(), labels)
        if self._disabled:
            return
        if self._closed:
            self.events.refuse()
            return
        self.events.put(event)
        if self._sender is None:
            self._start()
        self._recorder.wake()

    def _monotonic_ms(self) -> float:
        return monotonic_ms()

    # Delivery

    def _wait_for(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Lets the sender work until something holds; False after so many seconds, and once the client is closed."""
        self._start()
        self._recorder.wake()
        return self._sender is not None and not self._closed and self._sender.wait_for(holds, timeout_s)

    def flush(self, timeout: float = 2.0) -> FlushResult:
        """Waits until every sample and event from before the call is acknowledged, at most `timeout` seconds.

        Never raises for an absent agent: the result says what is pending.
        """
        if self._disabled or self._closed:
            return self._result()
        deadline = time.monotonic() + timeout
        last_event = self.events.last_sequence
        self._start()
        self._observe_noted()
        if self.models is not None:
            self.models.wait_for_rules(None, timeout)
            self.models.gathered_records.seal()
            self.models.hurry()
        self._recorder.seal(int(timeout * 1000))
        samples, last_record = self._sealed_samples(), self.records.last_sequence
        if self._sender is not None:
            self._recorder.wake()
            self._sender.wait_settled(samples, last_event, last_record, max(deadline - time.monotonic(), 0.0))
        return self._result(samples)

    def _sealed_samples(self) -> int:
        counts = self.counts()
        return counts.observed - counts.dropped_ring - counts.rejected_value

    def _result(self, sealed: int | None = None) -> FlushResult:
        """`sealed` are the samples in question; by default all so far. A gauge is sampled at any moment."""
        if self._disabled:
            return FlushResult(0, 0, 0, 0)
        return result_of(self, self._sealed_samples() if sealed is None else sealed)

    def close(self, timeout: float = EXIT_FLUSH_TIMEOUT_S) -> FlushResult:
        """Flushes, says goodbye and stops the threads; called by itself at a normal exit."""
        if self._closed or self._disabled:
            return self._result()
        held = self.models is not None and self.models.held_samples
        if self._sender is None and self.counts().observed == 0 and not self.events.pending and not held:
            return self._result()
        self.flush(timeout)
        if self.models is not None:
            self.models.close()
        if self._runtime is not None:
            self._runtime.stop()
        self._recorder.stop()
        self._closed = True
        if self._sender is not None:
            self._sender.stop(1.0)
        return self._result()

    def _open(self) -> None:
        """`connect` was called: begins a new session if the last one was closed."""
        if self._closed:
            self._begin_session()
            if self.models is not None:
                self.models.open()
        self._start()

    def _choose_runtime(self, is_wanted: bool | None) -> None:
        if is_wanted is None:
            return
        self._may_watch_runtime = is_wanted
        if is_wanted:
            self.watch_runtime()
        elif self._runtime is not None:
            self._runtime.stop()

    def _start(self) -> None:
        """Starts the threads of this process, once: at `connect`, and after a fork at the first sample."""
        with self._start_lock:
            if self._sender is not None or self._disabled or self._closed:
                return
            import obsagent.wire.socket  # noqa: F401  (not in the sender: a fork meanwhile would leave the child half of it)

            self._recorder.start()
            conversation = Conversation(self.endpoint, self.session, self, partial(open_socket, key=self._key))
            self._sender = Sender(self._recorder, self, conversation, self._before_sampling)
            self._sender.start()
        close_with_multiprocessing(self)

    # What the conversation asks of its client

    @property
    def definitions(self) -> list[SeriesDefinition]:
        """Every series, by number."""
        return self._registry.definitions

    @property
    def refused_labels(self) -> Refusals:
        """What the session has refused because of its labels."""
        return self._registry.refusals

    def hello_fields(self) -> Header:
        """Who this session is."""
        return {
            "service": self.service,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "pidns": pid_namespace(),
            "started": self._started_ms,
            "version": self.version,
        }

    def counts(self) -> SessionCounts:
        """Cumulative counts of the session."""
        counts = self._counts(self._recorder)
        backfilled = self.models.backfilled_samples if self.models is not None else 0
        return counts._replace(observed=counts.observed + backfilled)

    def batch_counts(self, batch: Batch) -> SessionCounts:
        """Cumulative counts of the session up to and including a sealed batch."""
        return self._counts(batch)

    @property
    def base_counts(self) -> SessionCounts:
        """What the recorder had counted before the session began."""
        return self._base

    def _counts(self, at: Recorder | Batch) -> SessionCounts:
        base = self._base
        return SessionCounts(
            at.observed - base.observed,
            at.dropped_ring - base.dropped_ring,
            self.outbox.dropped_budget,
            self.outbox.dropped_expired,
            at.rejected_value - base.rejected_value,
        )

    def clock_changed(self) -> None:
        """From now on windows are cut in the agent's time."""
        self._recorder.set_clock(self.clock.offset_ms)

    def welcomed(self, scales: Mapping[str, int], caps: tuple[int, int]) -> None:
        """Takes the scales that the agent asks for, and how many series it takes."""
        self._registry.set_scales(dict(scales))
        self._registry.raise_caps(*caps)
        self._refusal = ""

    def refused(self, message: str) -> None:
        """Says once why the agent does not talk to this client."""
        if message != self._refusal:
            self._refusal = message
            warnings.warn(f"the agent at {self.endpoint} refuses this client: {message}", RuntimeWarning, stacklevel=2)

    def _after_fork(self) -> None:
        """In the child: a new session that begins with the first sample; the parent's queue is the parent's."""
        if self._disabled:
            return
        self._start_lock = threading.Lock()
        self._registry.renew_lock()
        self._recorder.abandon()
        if self.models is not None:
            self.models.after_fork()
        if self._serving is not None:
            self._serving.after_fork()
        self._begin_session()
        if self._runtime is not None:
            self._runtime.after_fork()
        if self._generations is not None:
            self._generations.after_fork()


def _read_key(path: str) -> ClientKey:
    from obsagent.keys import read_client_key

    return read_client_key(path)
