"""The slowest request of each endpoint since the last batch, with the ids by which it is found again.

A request without an id leaves nothing here, and one that is not the slowest only its duration to compare. What is
held goes with the batch that ends after it; windows are held apart, so that a slow request does not displace the
slowest one of the window before.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from obsagent.limits import CLIENT_EXEMPLARS, EXEMPLAR_ID_BYTES_MAX, EXEMPLARS_PER_MESSAGE, WINDOW_MS
from obsagent.record.agent_clock import AgentClock

logger = logging.getLogger(__name__)
TRACING = "opentelemetry.trace"
"""The module that knows the active span; it is asked only where the program has loaded it."""
loaded_modules = sys.modules
IDS = frozenset({"trace_id", "request_id"})


class HeldExemplar(NamedTuple):
    """An observation of a series of this client; `at_ms` is monotonic."""

    series: int
    value: float
    at_ms: float
    trace_id: str
    request_id: str


class ExemplarSlots:
    """Holds them between batches. Thread-safe; the lock may be taken again by a signal's handler."""

    def __init__(self) -> None:
        """Empty, and made ready by `begin_session`."""
        self.begin_session(AgentClock(0.0), 0.0)

    def begin_session(self, clock: AgentClock, ahead_ms: float, now_s: Callable[[], float] = time.perf_counter) -> None:
        """Forgets everything, for a session that is over or, after a fork, the parent's.

        `clock` says what the agent's time is ahead of the monotonic one, and cuts the windows; `ahead_ms` what the
        monotonic one is ahead of that of durations, `now_s`: both run at one pace, and are most often the same.
        """
        self._lock = threading.RLock()
        self._clock = clock
        self._ahead_ms = ahead_ms
        self._now_s = now_s
        self._held: dict[tuple[int, int], HeldExemplar] = {}
        self._is_warned = False

    def observed(self, series: int, value: float, exemplar: Mapping[str, object]) -> None:
        """Holds what was observed just now with `exemplar=`, if it is the largest; what is no exemplar is said once."""
        if not isinstance(exemplar, Mapping) or not IDS.issuperset(exemplar):
            self._warn(exemplar)
            return
        if math.isfinite(value):
            self.offer(series, value, self._now_s(), exemplar.get("trace_id"), exemplar.get("request_id"))

    def _warn(self, exemplar: object) -> None:
        if not self._is_warned:
            self._is_warned = True
            logger.warning(
                'observe(…, exemplar=%.80r) leads to nothing: expected {"trace_id": …}, {"request_id": …} or both',
                exemplar,
            )

    def offer(self, series: int, value: float, ended_s: float, trace_id: object, request_id: object) -> None:
        """Holds a request that ended just now and has an id if it is the slowest; an active trace lends its id.

        `ended_s` is by the clock of durations.
        """
        at_ms = ended_s * 1e3 + self._ahead_ms
        key = series, int(at_ms + self._clock.offset_ms) // WINDOW_MS
        held = self._held.get(key)
        if held is not None and held.value >= value:
            return
        ids = _text(active_trace_id() if trace_id is None else trace_id), _text(request_id)
        if any(ids):
            self._hold(key, HeldExemplar(series, value, at_ms, *ids))

    def _hold(self, key: tuple[int, int], found: HeldExemplar) -> None:
        with self._lock:
            held = self._held.get(key)
            if held.value < found.value if held is not None else len(self._held) < CLIENT_EXEMPLARS:
                self._held[key] = found

    def take(self, until_ms: float) -> list[HeldExemplar]:
        """Those from before a batch's end (monotonic), which they go with: the slowest first, as many as one takes."""
        if not self._held:
            return []
        with self._lock:
            due = [key for key, each in self._held.items() if each.at_ms <= until_ms]
            taken = [self._held.pop(key) for key in due]
        taken.sort(key=lambda each: each.value, reverse=True)
        return taken[:EXEMPLARS_PER_MESSAGE]


def _text(value: object) -> str:
    """An id as the agent takes it, the end of one that is too long cut off."""
    if value is None:
        return ""
    return str(value).encode("utf-8", "replace")[:EXEMPLAR_ID_BYTES_MAX].decode("utf-8", "ignore")


def active_trace_id() -> str | None:
    """The id of OpenTelemetry's active trace, if it is one that is kept; None without it."""
    tracing = loaded_modules.get(TRACING)
    if tracing is None:
        return None
    try:
        context = tracing.get_current_span().get_span_context()
        return format(context.trace_id, "032x") if context.is_valid and context.trace_flags.sampled else None
    except Exception:  # whatever is loaded under that name, a request ends well
        return None
