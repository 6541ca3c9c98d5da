"""The rest of the agent, as far as the judgement of harm needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import Known, Lookup, known_risk
from obsagent.harm.drifted import drifted_of, words_of
from obsagent.harm_config import HarmConfig, RetrainConfig
from obsagent.readings import Reading
from obsagent.receive.collected import Collected
from obsagent.samples import Event


class Model(Protocol):
    """What is configured of a model."""

    @property
    def harm(self) -> HarmConfig:
        """When it does harm."""
        ...

    @property
    def on_retrain(self) -> RetrainConfig | None:
        """What is run then."""
        ...


@dataclass(frozen=True)
class Outside:
    """The rest of the agent, as far as it is needed."""

    model: Callable[[str], Model | None]
    """What is configured of a model now."""
    known: Callable[[str, str, str, float], Known | None]
    """What the reference of a model and version says of the risk, by a loss and a bound of errors, or 0."""
    drifted: Callable[[Judged, int], list[dict[str, Any]]]
    """The features of a version that had drifted at a time (ms), the most severe first."""
    put: Callable[[list[Reading]], None]
    """Stores readings."""
    put_event: Callable[[Event], None]
    """Stores an event."""
    events: Callable[[str], list[Event]]
    """Those of a name that are stored."""


def outside_of(
    model: Callable[[str], Model | None],
    lookup: Lookup,
    drift: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    collected: Collected,
    events: Callable[[str], list[Event]],
) -> Outside:
    """`lookup` finds the reference of a model and version, `drift` answers a message as `Reports.drift`."""
    return Outside(
        model,
        partial(known_risk, lookup),
        lambda judged, until_ms: drifted_of(drift({"text": words_of(judged, until_ms)})),
        collected.put,
        collected.put_event,
        events,
    )
