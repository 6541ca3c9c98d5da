"""From the words of a query's range to milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from obsagent.answer.instants import midnight_ms
from obsagent.answer.mistakes import QueryError, did_you_mean, there_are
from obsagent.answer.query import Between, Day, Query, Since, SinceEvent
from obsagent.answer.select import passes
from obsagent.answer.view import View
from obsagent.clock import window_start
from obsagent.samples import Event


class Span(NamedTuple):
    """The asked time, `[from, to)` in ms since the epoch."""

    from_ms: int
    to_ms: int

    @property
    def read_from_ms(self) -> int:
        """Start of the window that holds `from_ms`: where reading begins."""
        return window_start(self.from_ms)

    def earlier(self, by_ms: int) -> Span:
        """The same time, so much earlier."""
        return Span(max(0, self.from_ms - by_ms), max(0, self.to_ms - by_ms))


def resolve(query: Query, view: View, now_ms: int, zone: tzinfo | None) -> Span:
    """The asked time, which ends now at the latest; raises `QueryError` for an event that never was."""
    when = query.range.when
    if isinstance(when, Since):
        return Span(max(0, now_ms - when.duration_ms), now_ms)
    if isinstance(when, Day):
        today_ms = midnight_ms(now_ms, zone)
        return Span(midnight_ms(now_ms, zone, 1), today_ms) if when.days_ago else Span(today_ms, now_ms)
    if isinstance(when, SinceEvent):
        return Span(_last_event(query, when, view), now_ms)
    return _between(query, when, now_ms, zone)


def _between(query: Query, when: Between, now_ms: int, zone: tzinfo | None) -> Span:
    from_ms = max(0, when.begin.resolve(now_ms, zone))
    if from_ms >= now_ms:
        raise _error(query, "this time has not come yet")
    to_ms = now_ms if when.end is None else when.end.resolve_after(from_ms, now_ms, zone)
    if to_ms <= from_ms:
        raise _error(query, "this time ends before it begins")
    return Span(from_ms, min(to_ms, now_ms))


def _last_event(query: Query, when: SinceEvent, view: View) -> int:
    """The time of the last event of that name that passes the filters on labels that it has."""
    events = view.events(when.event)
    if not events:
        raise _error(query, _no_event(when.event, view.events()))
    fitting = [event for event in events if _fits(event, query)]
    if not fitting:
        filters = " ".join(map(str, query.filters))
        raise _error(query, f"no event `{when.event}` fits {filters}")
    return max(event.at_ms for event in fitting)


def _fits(event: Event, query: Query) -> bool:
    return all(passes(event.labels, [each]) for each in query.filters if each.label in event.labels)


def _no_event(name: str, events: Sequence[Event]) -> str:
    names = sorted({event.name for event in events})
    if not names:
        return f'no event is stored yet; `obs.event("{name}")` records one, and a duration is written 15m or 1h30m'
    return f"no event `{name}` is stored: {there_are(names)}{did_you_mean(name, names)}"


def _error(query: Query, summary: str) -> QueryError:
    return QueryError(summary, query.text, query.range.start, query.range.end)
