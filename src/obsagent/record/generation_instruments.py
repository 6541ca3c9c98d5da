"""The built-in instruments of generations, bound by model, version, endpoint and operation."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from obsagent.limits import GENERATIONS_LEFT_KEPT
from obsagent.record.generation import Generation, Times
from obsagent.samples import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from obsagent._native.ring import Counter
    from obsagent.record.instruments import LabelledInstrument
    from obsagent.record.registry import Registry

LABELS = ("model", "version", "endpoint", "operation")
OUTCOME_LABELS = ("status", "finish_reason", "error")

Key = tuple[str, str, str, str]
Left = tuple[Generation, Times, str]

DEFINITIONS = {
    "generation_duration": (Kind.HISTOGRAM, "Time from start to end of a generation", "seconds", "tdigest"),
    "generation_queue_delay": (Kind.HISTOGRAM, "Time a generation waited before it started", "seconds", "tdigest"),
    "time_to_first_token": (Kind.HISTOGRAM, "Time from start of a generation to its first token", "seconds", "tdigest"),
    "time_per_output_token": (
        Kind.HISTOGRAM,
        "Time per token after the first, of each generation that ended well",
        "seconds",
        "tdigest",
    ),
    "inter_token_latency": (Kind.HISTOGRAM, "Time between two arrivals of tokens", "seconds", "loghist"),
    "tokens_per_second": (Kind.HISTOGRAM, "Tokens by the duration, of each generation that ended well", "", "loghist"),
    "tokens_in": (Kind.COUNTER, "Tokens of prompts", "tokens", "loghist"),
    "tokens_out": (Kind.COUNTER, "Tokens generated", "tokens", "loghist"),
    "tokens_in_per_generation": (Kind.HISTOGRAM, "Tokens of the prompt of a generation", "tokens", "loghist"),
    "tokens_out_per_generation": (Kind.HISTOGRAM, "Tokens that a generation made", "tokens", "loghist"),
    "generations_in_flight": (Kind.GAUGE, "Generations under way now", "generations", "loghist"),
    "generations": (Kind.COUNTER, "Generations by how they ended", "generations", "loghist"),
}
"""Name → kind, help, unit and sketch; the first decides for all which models, endpoints, … are too many."""

JUDGE = "generation_duration"


class GenerationInstruments:
    """The built-ins of one client. What the first of them refuses, the others do not see."""

    def __init__(
        self,
        registry: Registry,
        reject: Callable[[], None],
        duration_s: Callable[[], float] | None = None,
        arrival_s: Callable[[], float] = time.time,
    ) -> None:
        """Defines them. None is the compiled core's clock for durations; `queued_at` is compared with the other."""
        self.reject = reject
        self.duration_s = duration_s
        self.arrival_s = arrival_s
        self.families: dict[str, LabelledInstrument[Any]] = {
            name: registry.define(
                kind,
                name,
                text,
                unit,
                (*LABELS, *OUTCOME_LABELS) if name == "generations" else LABELS,
                sketch=sketch,
                built_in=True,
                is_judged=name == JUDGE,
            )
            for name, (kind, text, unit, sketch) in DEFINITIONS.items()
        }
        self.left: deque[Left] = deque(maxlen=GENERATIONS_LEFT_KEPT)
        self._refused: GenerationSeries | None = None
        self._bound: dict[Key, GenerationSeries] = {}
        self.families[JUDGE].before_turn(self._bound.clear)

    def generation(self, key: Key, generation_id: str | None, queued_at: float | None) -> Generation:
        """A generation with these labels."""
        return Generation(self._bound.get(key) or self._bind(key), generation_id, queued_at)

    def sample(self) -> None:
        """Records the generations that were left since the last time. Two threads may do so at once."""
        while self.left:
            try:
                generation, times, finish_reason = self.left.popleft()
            except IndexError:  # the other thread was faster
                return
            generation.record_left(times, finish_reason)

    def after_fork(self) -> None:
        """In the child: the generations that are under way are the parent's."""
        self.left = deque(maxlen=GENERATIONS_LEFT_KEPT)

    def _bind(self, key: Key) -> GenerationSeries:
        """The bound series of these labels, or those of all that are refused."""
        judge = self.families[JUDGE]
        if judge.labels(**dict(zip(LABELS, key, strict=True))) is judge.overflow:
            if self._refused is None:
                self._refused = GenerationSeries(self, None)
            return self._refused
        return self._bound.setdefault(key, GenerationSeries(self, key))


class GenerationSeries:
    """The built-ins with one set of labels."""

    __slots__ = (
        "_by_outcome",
        "_generations",
        "_labels",
        "_reject",
        "_tokens_in",
        "_tokens_in_each",
        "_tokens_out",
        "_tokens_out_each",
        "arrival_s",
        "duration",
        "duration_s",
        "in_flight",
        "instruments",
        "inter_token_latency",
        "queue_delay",
        "time_per_output_token",
        "time_to_first_token",
        "tokens_per_second",
    )

    def __init__(self, instruments: GenerationInstruments, key: Key | None) -> None:
        """Binds all; None stands for all labels that are refused."""
        self._labels = None if key is None else dict(zip(LABELS, key, strict=True))
        self.instruments = instruments
        self.duration_s = instruments.duration_s
        self.arrival_s = instruments.arrival_s
        self._reject = instruments.reject
        bound = {name: self._series(each) for name, each in instruments.families.items() if name != "generations"}
        self.duration = bound["generation_duration"]
        self.queue_delay = bound["generation_queue_delay"]
        self.in_flight = bound["generations_in_flight"]
        self.time_to_first_token = bound["time_to_first_token"]
        self.time_per_output_token = bound["time_per_output_token"]
        self.inter_token_latency = bound["inter_token_latency"]
        self.tokens_per_second = bound["tokens_per_second"]
        self._tokens_in, self._tokens_in_each = bound["tokens_in"], bound["tokens_in_per_generation"]
        self._tokens_out, self._tokens_out_each = bound["tokens_out"], bound["tokens_out_per_generation"]
        self._generations = instruments.families["generations"]
        self._by_outcome: dict[tuple[str, str, str], Counter] = {}

    @property
    def left(self) -> deque[Left]:
        """Where generations go that end in the hands of the garbage collector."""
        return self.instruments.left

    def _series(self, family: LabelledInstrument[Any]) -> Any:
        return family.overflowing() if self._labels is None else family.labels(**self._labels)

    def outcome(self, status: str, finish_reason: str, error: str) -> Any:
        """Counts generations that ended so."""
        key = status, finish_reason, error
        counter = self._by_outcome.get(key)
        if counter is None:
            counter = self._outcome(key)
            if counter is not self._generations.overflow:  # whose keys have no end
                self._by_outcome[key] = counter
        return counter

    def _outcome(self, key: tuple[str, str, str]) -> Any:
        if self._labels is None:
            return self._generations.overflowing()
        return self._generations.labels(**self._labels, **dict(zip(OUTCOME_LABELS, key, strict=True)))

    def count_tokens(self, tokens_in: float | None, tokens_out: float | None) -> None:
        """The tokens of one generation; None is not known."""
        if tokens_in is not None:
            self._tokens_in.inc(tokens_in)
            self._tokens_in_each.observe(tokens_in)
        if tokens_out is not None:
            self._tokens_out.inc(tokens_out)
            self._tokens_out_each.observe(tokens_out)

    def checked_tokens(self, value: Any, otherwise: float | None) -> float | None:
        """The number that a value is; what is none is counted rejected."""
        try:
            number = float(value)
        except Exception:
            number = -1.0
        if 0.0 <= number < float("inf"):
            return number
        self._reject()
        return otherwise
