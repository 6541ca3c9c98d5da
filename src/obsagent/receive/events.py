"""Which events of a message are new, which are refused, and which the client has given up."""

from __future__ import annotations

from obsagent.errors import StoreError
from obsagent.limits import SAMPLE_FUTURE_LIMIT_MS, SAMPLE_PAST_LIMIT_MS
from obsagent.receive.sink import LiveSession, TakenEvents
from obsagent.samples import Event
from obsagent.wire.frame import EventsHeader

SESSION_LABELS = ("service", "host", "version")


def is_timely(at_ms: int, now_ms: int, past_ms: int = SAMPLE_PAST_LIMIT_MS) -> bool:
    """True for a time of which samples and events are accepted."""
    return -past_ms <= at_ms - now_ms <= SAMPLE_FUTURE_LIMIT_MS


def take_events(session: LiveSession, header: EventsHeader, now_ms: int) -> TakenEvents | None:
    """What is to be written of an events message, with the session's labels; None if all of it is known.

    Raises `StoreError` if an event before this message was not taken.
    """
    last = session.last_event
    if header.last_sequence <= last:
        return None
    if header.sequence > last + 1 and header.sequence != header.first_kept:
        raise StoreError("an event before this one was not taken")
    dropped = max(header.sequence - last - 1, 0)
    if session.counts is None:  # a damaged store has forgotten what it took, and cannot say what is missing
        dropped = 0
    new = header.events[max(last + 1 - header.sequence, 0) :]
    timely = [event for event in new if is_timely(event.at_ms, now_ms)]
    return TakenEvents(
        header.last_sequence, dropped, len(new) - len(timely), [_labelled(event, session) for event in timely]
    )


def _labelled(event: Event, session: LiveSession) -> Event:
    """The labels of the session stand behind those that the event names itself."""
    own = session.labels()
    labels = {name: own[name] for name in SESSION_LABELS if name in own}
    return Event(event.name, event.at_ms, {**labels, **event.labels})
