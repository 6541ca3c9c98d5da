"""A model whose columns a test writes into the store of an agent that is not running: its reference, its agent."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from integration.threaded_agent import until
from obsagent._native.codec import BodyWriter
from obsagent.clock import SystemClock
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from obsagent.drift_config import DriftConfig
from obsagent.evaluate.state import Judged
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.models_config import ModelConfig
from obsagent.reference import NUMBER, FeatureReference, Reference, Spread
from obsagent.samples import Kind
from unit.agent_in_process import config_in
from unit.feature_lab import EDGES, binned

JUDGED = Judged("fraud", "4", "live")


def reference(names: list[str], seed: int = 1) -> Reference:
    chance = random.Random(seed)
    features = {}
    for name in names:
        values = [chance.gauss(0, 1) for _ in range(20_000)]
        counts, sums = binned(values)
        spread = Spread(0.0, 20_000.0, 0.0, 60_000.0, min(values), max(values))
        binned_counts = tuple(map(int, counts))
        features[name] = FeatureReference(
            NUMBER, "float", 20_000, edges=EDGES, counts=binned_counts, sums=sums, distinct=20_000.0, spread=spread
        )
    return Reference("fraud", "4", 20_000, features)


class Feeder:
    """Writes columns for windows of the last hour into a store whose agent is not running, as a client's would be."""

    def __init__(self, label: str, names: list[str]) -> None:
        self.label, self.names = label, names
        self.chance = random.Random(7)
        now_ms = SystemClock().wall_ms()
        self.begin_ms = now_ms - now_ms % WINDOW_MS - 50 * 60_000
        self.sessions = 0

    def feed(self, data: Path, first: int, count: int, samples: int = 60, **means: float) -> None:
        store = Store.open(data)
        try:
            self._write(store, first, count, samples, means)
        finally:
            store.close()

    def _write(self, store: Store, first: int, count: int, samples: int, means: dict[str, float]) -> None:
        self.sessions += 1
        session = f"feeder {self.sessions}".encode().ljust(16, b"\0")
        store.write(SessionOpen(session, "shop", "host", 7, self.begin_ms, 0, ""))
        labels = {"service": "shop", "model": "fraud", "version": "4", "variant": "live", "reference": self.label}
        series = []
        for name in self.names:
            found = store.series.resolve("feature", Kind.COLUMN, {**labels, "feature": name})
            assert found is not None
            series.append(found)
        store.write(Define(session, [DefinedSeries(number, one.id, one) for number, one in enumerate(series)]))
        observed = 0
        for window in range(first, first + count):
            body = BodyWriter()
            for number, name in enumerate(self.names):
                mean = means.get(name, 0.0)
                body.put_column(number, [self.chance.gauss(mean, 1) for _ in range(samples)], edges=EDGES)
            observed += samples * len(self.names)
            at_ms = self.begin_ms + window * WINDOW_MS
            accounts = SessionAccounts(observed=observed)
            store.write(Frame(session, window - first + 1, 1, at_ms, at_ms + 1, accounts, body.take(), ()))

    def until_judged(self, agent: Agent, windows: int) -> None:
        """All windows but the newest, which waits for five silent seconds."""
        end_ms = self.begin_ms + (windows - 1) * WINDOW_MS

        def is_judged() -> bool:
            return agent._evaluation.read(lambda state: state.families(JUDGED)["10s"].next_ms) >= end_ms

        until(is_judged, "the windows are not judged")


def config_for(directory: Path, known: Reference, **drift: Any) -> AgentConfig:
    path = directory / "fraud.ref"
    if not path.exists():
        known.save(path)
    models = {"fraud": ModelConfig(path, drift=DriftConfig(**drift))}
    return config_in(directory, models=models)
