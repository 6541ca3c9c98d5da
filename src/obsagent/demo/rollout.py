"""Versions of the model go live one after another, each recorded as an event, as a script that deploys would do it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import obsagent
from obsagent.demo.flights import Flights
from obsagent.demo.model import VERSIONS, Version
from obsagent.demo.replay import Route


class Rollout:
    """Which version scores which flights, and when each of them went live.

    Every version is served from the start, so that going live is one moment; the one before stays up, as it would
    for a way back.
    """

    def __init__(self, flights: Flights, urls: Sequence[str], obs: obsagent.Client, say: Callable[[str], None]) -> None:
        """`urls` are those of the servers, in the order of `VERSIONS`; `obs` records the events."""
        self._obs = obs
        self._say = say
        self._live_at_s: list[float] = []
        self.routes = [
            Route(flights.first_of(version.live_from), url, partial(self._go_live, version))
            for version, url in zip(VERSIONS, urls, strict=True)
        ]

    def _go_live(self, version: Version) -> None:
        self._obs.event("deploy", version=version.name)
        self._live_at_s.append(time.monotonic())
        self._say(f"version {version.name} of the model is live, trained on {version.training}")

    def ages_s(self) -> list[float]:
        """How many seconds ago each version went live, in their order."""
        return [time.monotonic() - at_s for at_s in self._live_at_s]
