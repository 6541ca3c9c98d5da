"""What need not be quick waits for room, as long as the agent goes on; and never longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_in_process import config_in, running_agent

import obsagent
from obsagent.by_id.report import TruthReport
from obsagent.config import AgentConfig
from obsagent.limits import CLIENT_RECORDS_BYTES, RECORDS_PER_BATCH
from obsagent.record.models.patience import Patience

DAY_S = 86_400
MANY = 2 * CLIENT_RECORDS_BYTES // 32
"""More predictions than the queue has room for."""


class SlowQueue:
    """Has room once so many more are acknowledged."""

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.acknowledged_sequence = 0
        self.waits = 0

    @property
    def has_room(self) -> bool:
        return self.acknowledged_sequence >= self.behind

    def goes_on(self, holds: Callable[[], bool], _timeout_s: float) -> bool:
        self.waits += 1
        self.acknowledged_sequence += 1
        return holds()

    def stalls(self, holds: Callable[[], bool], _timeout_s: float) -> bool:
        self.waits += 1
        return holds()


def test_it_waits_while_the_agent_goes_on() -> None:
    queue = SlowQueue(3)
    patience = Patience(lambda: queue, queue.goes_on)
    patience.await_room()
    assert (queue.waits, queue.has_room) == (3, True)
    patience.await_room()
    assert queue.waits == 3


def test_it_waits_once_for_an_agent_that_takes_nothing() -> None:
    queue = SlowQueue(3)
    patience = Patience(lambda: queue, queue.stalls)
    for _ in range(5):
        patience.await_room()
    assert queue.waits == 1
    queue.acknowledged_sequence = 1  # it is back
    patience.await_room()
    assert queue.waits == 2


def test_it_waits_for_what_is_on_its_way_to_the_queue() -> None:
    queue = SlowQueue(0)
    ready = iter([False, False, True])
    Patience(lambda: queue, queue.goes_on).await_room(lambda: next(ready))
    assert queue.waits == 1


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    return config_in(tmp_path)


@pytest.fixture
def obs(config: AgentConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    client = obsagent.connect(service="shop", endpoint=config.listen)
    yield client
    client.close()


def predict(model: obsagent.Model, **at: Any) -> list[str]:
    ids = [f"r{number:07d}" for number in range(MANY)]
    scores = np.linspace(0, 1, MANY)
    model.predictions((scores > 0.5).astype(int), scores=scores, ids=ids, **at)
    return ids


@pytest.mark.parametrize("days", [0, 20])
def test_a_backfill_of_more_than_there_is_room_for_arrives_whole(obs: Any, config: AgentConfig, days: int) -> None:
    """From the first call on: the rules have not come yet."""
    at = {"at": time.time() - 1 - days * DAY_S * (1 - np.arange(MANY) / MANY)} if days else {}
    with running_agent(config):
        model = obs.model("fraud", version="1")
        ids = predict(model, **at)
        result = obs.flush(60)
        assert (result.dropped, result.rejected, result.dropped_records) == (0, 0, 0)
        assert result.pending == result.pending_records == 0
        assert result.acknowledged == (3 * MANY if days else 2 * MANY + 1)  # of now the counter is told once
        assert model.truths(ids, [1] * MANY) == TruthReport(matched=MANY)


def test_a_year_of_features_at_once_arrives_whole(obs: Any, config: AgentConfig) -> None:
    rows, columns = 24 * 29, 400
    at = time.time() - np.arange(rows) * 3_600.0 - 10
    matrix = np.random.default_rng(1).normal(size=(rows, columns))
    with running_agent(config):
        obs.model("fraud", version="1").features(matrix, names=[f"f{number}" for number in range(columns)], at=at)
        result = obs.flush(60)
        assert (result.dropped, result.pending, result.rejected) == (0, 0, 0)
        assert result.acknowledged == rows * columns + rows


def test_without_an_agent_it_is_given_up_soon_and_counted(obs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("patience", "models"):
        monkeypatch.setattr(f"obsagent.record.models.{module}.STALL_S", 0.2)
    model = obs.model("fraud", version="1")
    begin_s = time.monotonic()
    for _ in range(3):
        predict(model)
    assert time.monotonic() - begin_s < 5
    result = obs.close()
    assert result.dropped_records + result.pending_records == 3 * MANY
    assert RECORDS_PER_BATCH < MANY
