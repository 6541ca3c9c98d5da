import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from obsagent.by_id.report import TruthReport
from obsagent.demo.truths import TruthJob
from obsagent.errors import PendingTruths
from unit.demo_data import made_up_flights


class Agent:
    """What a client has behind its `model`: it keeps what it is told, or is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.told: dict[int, int] = {}
        self.times: list[float] = []

    def model(self, _: str) -> "Agent":
        return self

    def truths(self, ids: list[int], values: list[int], at: Any, *, timeout: float) -> TruthReport:
        if self.is_away:
            raise PendingTruths("it is away")
        assert not self.told.keys() & {*ids}
        self.told |= dict(zip(ids, values, strict=True))
        self.times += list(at)
        return TruthReport(matched=len(ids))


@pytest.fixture
def replay() -> Any:
    """30 flights a minute apart, in the air for 3 h 49 each; all were scored."""
    flights = made_up_flights(30)
    return SimpleNamespace(flights=flights, scores=np.full(30, 0.5), now_min=int(flights.departs_min[0]))


def test_a_flight_is_told_of_once_when_it_has_landed(replay: Any) -> None:
    agent = Agent()
    job = TruthJob(replay, agent)
    job.tell(replay.now_min + 228)
    assert not agent.told
    for later_min in (229, 231, 231):
        job.tell(replay.now_min + later_min)
    assert agent.told == {0: 1, 1: 0, 2: 0}
    assert agent.times == [(replay.now_min + later) * 60 for later in (229, 230, 231)]
    job.tell()
    assert len(agent.told) == 30
    assert (job.report.matched, job.told.all()) == (30, True)


def test_nothing_is_told_of_what_never_arrived_or_got_no_answer(replay: Any) -> None:
    replay.flights.late[3] = -1
    replay.scores[4] = math.nan
    agent = Agent()
    TruthJob(replay, agent).tell()
    assert {*range(30)} - agent.told.keys() == {3, 4}


def test_what_an_agent_did_not_take_is_told_again(replay: Any) -> None:
    agent = Agent()
    job = TruthJob(replay, agent)
    agent.is_away = True
    with pytest.raises(PendingTruths):
        job.tell()
    agent.is_away = False
    job.tell()
    assert len(agent.told) == 30


def test_it_tells_in_a_thread_and_ends_with_its_with(replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.demo.truths.INTERVAL_S", 0.01)
    agent = Agent()
    agent.is_away = True  # an agent that is away does not end it
    job = TruthJob(replay, agent)
    replay.now_min += 10_000
    with job.running():
        agent.is_away = False
        while not job.told.all():
            pass
    assert len(agent.told) == 30
