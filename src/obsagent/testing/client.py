"""A client whose batches go to an agent in the same process, in the thread that asks for it."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from obsagent._native.ring import Recorder
from obsagent.errors import InstrumentError
from obsagent.limits import CLIENTS_PER_PROCESS, EXIT_FLUSH_TIMEOUT_S
from obsagent.record.client import Client, FlushResult
from obsagent.record.conversation import Conversation
from obsagent.record.request import RequestInstruments
from obsagent.record.sender import Sender
from obsagent.record.timing import timed
from obsagent.testing.clock import ManualClock, SettledClock
from obsagent.testing.predictions import each_of, truths_of
from obsagent.wire.frame import Header, MessageKind, unpack

if TYPE_CHECKING:
    from types import TracebackType

    from obsagent._native.ring import Batch, Histogram
    from obsagent.record.models.models import Models
    from obsagent.testing.agent import MemoryAgent
    from obsagent.testing.predictions import Prediction, Truth

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

SEAL_TIMEOUT_MS = 1_000


class MemoryClient(Client):
    """Made by `obsagent.connect` while a memory is in place; `OBSAGENT_DISABLED` does not reach it."""

    def __init__(self, agent: MemoryAgent, service: str, endpoint: str, version: str) -> None:
        """`agent` takes what is recorded."""
        self._agent = agent
        self._stepping = threading.RLock()
        self.predictions: list[Prediction] = []
        self.truths: list[Truth] = []
        super().__init__(service, endpoint, version, _free_slot())

    def _begin_session(self) -> None:
        super()._begin_session()
        self.clock = SettledClock()
        duration_s = self._agent.clock.duration_s
        self._exemplars.begin_session(self.clock, self._monotonic_ms() - duration_s() * 1e3, duration_s)

    def _start(self) -> None:
        if self._sender is None and not self._closed:
            self._sender = SteppedSender(self._recorder, self, self._agent)

    def _open(self) -> None:
        if self._closed:
            self._discard()
        super()._open()

    def _discard(self) -> None:
        """What was recorded while the session was closed; a real client drops it at once."""
        self._recorder.seal(SEAL_TIMEOUT_MS)
        while self._recorder.take(0) is not None:
            pass

    def _monotonic_ms(self) -> float:
        return float(self._agent.clock.wall_ms())

    def request_instruments(self) -> RequestInstruments:
        """As `Client.request_instruments`, with the latency by the test's clock."""
        if self._requests is None:
            clock = self._agent.clock
            self._requests = RequestInstruments(
                self._registry, clock.duration_s, clock.arrival_s, self._slots, self._all_models
            )
        return self._requests

    def _clocks(self) -> tuple[Callable[[], float], Callable[[], float]]:
        return self._agent.clock.duration_s, self._agent.clock.arrival_s

    def _all_models(self) -> Models:
        models = super()._all_models()
        models.on_predictions = self._note_predictions
        models.truths.on_truths = self._note_truths
        return models

    def _note_predictions(self, *call: Any) -> None:
        self.predictions += each_of(*call)

    def _note_truths(self, *call: Any) -> None:
        self.truths += truths_of(*call)

    def _wall_s(self) -> float:
        return self._agent.clock.wall_ms() / 1000

    def _learn_rules(self) -> None:
        self.step()

    def timed(self, name: str, help: str = "") -> Callable[[FunctionT], FunctionT]:
        """As `Client.timed`, with the duration by the test's clock."""
        histogram = self.histogram(name, help, "seconds")
        return lambda function: timed(ClockedHistogram(histogram, self._agent.clock), function)

    def step(self) -> None:
        """Hands over everything recorded so far; the test's time is its time."""
        with self._stepping:
            if isinstance(self._sender, SteppedSender) and not self._closed:
                self._sender.step()

    def close(self, timeout: float = EXIT_FLUSH_TIMEOUT_S) -> FlushResult:
        """Flushes and says goodbye; the recorder's slot is kept for the next session."""
        with self._stepping:
            if not self._closed and self._sender is not None:
                self.step()
                self._closed = True
                if self._runtime is not None:
                    self._runtime.stop()
                self._sender.stop(timeout)
            return self._result()

    def end(self) -> None:
        """The test is over: from now on instruments drop what they are given."""
        self._closed = True
        if self._runtime is not None:
            self._runtime.stop()
        self._recorder.stop()

    def _after_fork(self) -> None:
        self._stepping = threading.RLock()
        super()._after_fork()


def _free_slot() -> int:
    """A recorder's slot that no client made before has; those of garbage clients become free when it is collected."""
    for _ in range(2):
        for slot in reversed(range(CLIENTS_PER_PROCESS)):
            try:
                Recorder(slot)
            except ValueError:
                continue
            return slot
        gc.collect()
    raise InstrumentError(
        f"this process has {CLIENTS_PER_PROCESS} clients already, those from before the test included"
    )


class StampedBatch:
    """A batch with the test's time in place of the real one."""

    def __init__(self, batch: Batch, at_ms: int) -> None:
        """`at_ms`: since the epoch; clients in memory know no offset to it."""
        self.start_ns = self.end_ns = at_ms * 1_000_000
        self.samples = batch.samples
        self.body = batch.body
        self.observed = batch.observed
        self.dropped_ring = batch.dropped_ring
        self.rejected_value = batch.rejected_value


class SteppedSender(Sender):
    """A sender without a thread: `step` does what its loop does, once."""

    def __init__(self, recorder: Recorder, client: MemoryClient, agent: MemoryAgent) -> None:
        """Speaks to `agent` by calling it."""
        conversation = Conversation(client.endpoint, client.session, client, lambda _endpoint: MemorySocket(agent))
        super().__init__(recorder, client, conversation, client._before_sampling)
        self._client = client
        self._agent = agent

    def step(self) -> None:
        """Everything recorded so far is with the agent afterwards."""
        self._client._before_sampling()
        models = self._client.models
        if models is not None and not models.is_settled:
            self._conversation.step()  # says hello, and asks
            self._conversation.step()
        self._recorder.seal(SEAL_TIMEOUT_MS)
        self._collect()
        self._conversation.step()
        self._conversation.step()  # hears what was answered to the first

    def _collect(self) -> None:
        self._recorder.sample_functions()
        now_ms = self._agent.clock.wall_ms()
        while (batch := self._recorder.take(0)) is not None:
            self._queue(StampedBatch(batch, now_ms), 0)
        self._queue_backfilled(0)
        if self._client.models is not None:
            self._client.models.gathered_records.seal()

    def wait_for(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Nothing has to be waited for."""
        self._client.step()
        return holds()

    def stop(self, timeout_s: float) -> None:
        """Says goodbye."""
        self._part()


class MemorySocket:
    """A client's end of a conversation with an agent that is called, not connected to."""

    def __init__(self, agent: MemoryAgent) -> None:
        """Answers come back in the same call."""
        self._agent = agent
        self._answers: deque[tuple[bytes, bytes | None]] = deque()

    def send(self, header: bytes, body: bytes | None = None) -> bool:
        """Hands one message over."""
        self._agent.hear([header] if body is None else [header, body], self._take)
        return True

    def _take(self, header: bytes, body: bytes | None) -> None:
        self._answers.append((header, body))

    def receive(self) -> tuple[MessageKind, Header] | None:
        """The next answer, or None if there is none."""
        if not self._answers:
            return None
        header, body = self._answers.popleft()
        kind, fields = unpack(header)
        return kind, fields if body is None else {**fields, "body": body}

    def poll(self, timeout_ms: int) -> bool:
        """Does not wait: whatever comes is here."""
        return bool(self._answers)

    def disconnected(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to close."""


class ClockedHistogram:
    """A histogram whose `time()` goes by the test's clock."""

    def __init__(self, histogram: Histogram, clock: ManualClock) -> None:
        """`histogram` gets the durations."""
        self._histogram = histogram
        self._clock = clock

    def time(self) -> ClockedTimer:
        """A context manager that observes how long it was open."""
        return ClockedTimer(self._histogram, self._clock)


class ClockedTimer:
    """One measurement."""

    def __init__(self, histogram: Histogram, clock: ManualClock) -> None:
        """Begins at `__enter__`."""
        self._histogram = histogram
        self._clock = clock
        self._started_s = 0.0

    def __enter__(self) -> ClockedTimer:
        self._started_s = self._clock.duration_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._histogram.observe(self._clock.duration_s() - self._started_s)
