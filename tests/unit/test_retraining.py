"""The thread that has retraining begun: what a kill at any moment leaves behind, and what fails without taking more."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from harm_lab import DAY_MS, LIVE, Stream

from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.harm.allowed import Known
from obsagent.harm.episode import LOST
from obsagent.harm.format import NAME
from obsagent.harm.state import State, read_state, write_state
from obsagent.harm_config import RetrainConfig
from obsagent.harm_outside import Outside
from obsagent.models_config import ModelConfig
from obsagent.readings import Reading
from obsagent.retrain.runner import Report, Run, Stage, Way
from obsagent.retraining import Retraining
from obsagent.samples import Event
from unit.faulty_fs import FailingFs

CONFIG = ModelConfig(on_retrain=RetrainConfig(("retrain",), "https://ci.example/", 5_000))


@dataclass
class FakeRunner:
    """Runs nothing; what it should have run is in `runs`."""

    runs: list[Run] = field(default_factory=list)
    told: list[Report] = field(default_factory=list)

    def start(self, run: Run) -> bool:
        if run.key in {each.key for each in self.runs}:
            return False
        self.runs.append(run)
        return True

    def reports(self) -> list[Report]:
        told, self.told = self.told, []
        return told

    def stop(self) -> None:
        pass

    def tell(self, way: Way, stage: Stage, says: str = "", code: int | None = None) -> None:
        run = next(run for run in self.runs if run.way is way)
        self.told.append(Report(run, stage, 1, says, code))


class Clock:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.ahead_ms = 70_000

    def wall_ms(self) -> int:
        return int(self.stream.now_ms) + self.ahead_ms

    def monotonic_ms(self) -> int:
        return self.wall_ms()


class Agents:
    """One agent after the other on a directory, the truths and the store of events."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stream = Stream()
        self.clock = Clock(self.stream)
        self.config: ModelConfig | None = CONFIG
        self.put: list[Reading] = []
        self.waiting: list[Event] = []
        self.stored: list[Event] = []
        self.runners: list[FakeRunner] = []

    def start(self, fs: Fs | None = None) -> Retraining:
        outside = Outside(
            model=lambda _: self.config,
            known=lambda *_: Known(2_000.0, 20_000, "reference x"),
            drifted=lambda *_: [{"feature": "amount"}],
            put=self.put.extend,
            put_event=self.waiting.append,
            events=lambda name: [event for event in self.stored if event.name == name],
        )
        self.runners.append(FakeRunner())
        runner: Any = self.runners[-1]
        return Retraining(self.directory, fs or Fs(), self.clock, self.stream, outside, runner)

    def store_events(self) -> None:
        self.stored += self.waiting
        self.waiting.clear()

    @property
    def runs(self) -> list[tuple[str, Way]]:
        return [run.key for runner in self.runners for run in runner.runs]


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(tmp_path)


def harmed(agents: Agents) -> Retraining:
    agents.stream.add(5_000, 0.1)
    agents.stream.add(5_000, 0.3)
    agent = agents.start()
    assert not agent.look()
    return agent


def test_both_ways_get_the_evidence_once(agents: Agents) -> None:
    agent = harmed(agents)
    agents.stream.add(5_000, 0.3)
    agent.look()
    assert [way for _, way in agents.runs] == [Way.COMMAND, Way.WEBHOOK]
    command, webhook = agents.runners[0].runs
    assert (command.to, webhook.to, command.timeout_s) == (("retrain",), ("https://ci.example/",), 5.0)
    evidence = json.loads(command.evidence)
    assert (evidence["model"], evidence["features"]) == ("fraud", [{"feature": "amount"}])
    assert webhook.evidence == command.evidence


def test_without_anything_to_run_it_is_an_event_and_a_status(agents: Agents) -> None:
    agents.config = None
    agent = harmed(agents)
    assert agents.runs == []
    (event,) = agents.waiting
    assert event.labels == {**LIVE.labels, "episode": agent.status()["episodes"][0]["id"]}
    assert agent.problems() == []


def test_killed_before_the_state_is_written_nothing_has_happened_and_the_next_agent_does_it(agents: Agents) -> None:
    agents.stream.add(5_000, 0.3)
    fs = FailingFs()
    fs.fail_always = {"create"}
    agent = agents.start(fs)
    for _ in range(2):
        with pytest.raises(StoreError):
            agent.look()
    assert agents.runs == []
    assert agents.waiting == []
    agents.start().look()
    assert [way for _, way in agents.runs] == [Way.COMMAND, Way.WEBHOOK]


def test_a_disk_that_fails_for_a_while_delays_what_is_run(agents: Agents) -> None:
    agents.stream.add(5_000, 0.3)
    fs = FailingFs()
    fs.fail_always = {"create"}
    agent = agents.start(fs)
    with pytest.raises(StoreError):
        agent.look()
    fs.fail_always = set()
    agent.look()
    assert len(agents.runs) == 2
    assert agent.status()["models"][0]["truths"] == 5_000


def test_killed_before_the_start_is_noted_it_is_run_again_as_the_same_episode(agents: Agents) -> None:
    harmed(agents)
    agents.start().look()
    assert len(agents.runs) == 4
    assert len({episode for episode, _ in agents.runs}) == 1


def test_what_has_started_is_not_run_again(agents: Agents) -> None:
    agent = harmed(agents)
    agents.runners[0].tell(Way.COMMAND, Stage.STARTED)
    agents.runners[0].tell(Way.WEBHOOK, Stage.WORKED, "answered 200", 200)
    agent.look()
    for _ in range(3):
        again = agents.start()
        agents.stream.add(1_000, 0.3)
        again.look()
    assert len(agents.runs) == 2
    (episode,) = again.status()["episodes"]
    assert episode["on_retrain"]["command"]["says"] == LOST
    assert episode["on_retrain"]["webhook"] == {
        "stage": "worked",
        "attempts": 1,
        "says": "answered 200",
        "code": 200,
        "at_ms": pytest.approx(agents.clock.wall_ms(), abs=DAY_MS),
    }
    assert "on_retrain of fraud: the command was running when its agent ended" in again.problems()[0]


def test_a_webhook_between_two_attempts_is_called_by_the_next_agent(agents: Agents) -> None:
    agent = harmed(agents)
    agents.runners[0].tell(Way.COMMAND, Stage.WORKED)
    agents.runners[0].tell(Way.WEBHOOK, Stage.RETRIES, "answered 503", 503)
    agent.look()
    assert agent.status()["episodes"][0]["on_retrain"]["webhook"]["says"] == "answered 503"
    agents.start().look()
    assert [way for _, way in agents.runs] == [Way.COMMAND, Way.WEBHOOK, Way.WEBHOOK]


def test_what_fails_is_a_problem_while_the_episode_goes_on(agents: Agents) -> None:
    agent = harmed(agents)
    agents.runners[0].tell(Way.COMMAND, Stage.FAILED, "exited with 3 after 1.0s", 3)
    agent.look()
    assert agent.problems() == [
        "on_retrain of fraud: the command exited with 3 after 1.0s; the model still does harm: see to it by hand"
    ]
    agents.stream.add(20_000, 0.05)
    agent.look()
    assert agent.problems() == []


def test_truths_count_once_however_often_an_agent_is_killed(agents: Agents) -> None:
    for number in range(12):
        agents.stream.add(700, 0.1)
        agent = agents.start()
        agent.look()
        if number % 3 == 0:
            agent._save(agent._judge, at_once=True)  # type: ignore[arg-type]
    assert agent.status()["models"][0]["truths"] == 12 * 700


def test_truths_alone_are_written_now_and_then(agents: Agents) -> None:
    fs = FailingFs()
    agent = agents.start(fs)
    for _ in range(100):
        agents.stream.add(100, 0.1)  # 36 s
        agent.look()
        agent.look()
    assert fs.log.count("create") == 100
    agents.stream.rate *= 100
    for _ in range(100):
        agents.stream.add(100, 0.1)
        agent.look()
    assert fs.log.count("create") <= 103


def test_what_is_not_on_the_journals_disk_is_left_for_later(agents: Agents) -> None:
    agents.stream.add(1_000, 0.1)
    agents.stream.synced = 50
    agent = agents.start()
    agent.look()
    assert agent.status()["models"][0]["truths"] == 500
    agents.stream.synced = 1 << 60
    agent.look()
    assert agent.status()["models"][0]["truths"] == 1_000


def test_an_event_is_recorded_until_the_store_has_it_and_not_again(agents: Agents) -> None:
    agent = harmed(agents)
    agent.look()
    assert len(agents.waiting) == 1
    agents.waiting.clear()  # the store was full
    agents.clock.ahead_ms += 60_000
    agent.look()
    agents.store_events()
    agent = agents.start()
    agents.clock.ahead_ms += 60_000
    agent.look()
    agent.look()
    agents.start().look()
    assert (len(agents.stored), agents.waiting) == (1, [])


def test_a_lost_state_is_made_anew_and_the_cool_down_holds(agents: Agents) -> None:
    agent = harmed(agents)
    agents.store_events()
    agents.stored.append(Event("retrain", agents.clock.wall_ms(), {"model": "fraud"}))  # somebody else's
    agent.look()
    path = agents.directory / NAME
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    agents.stream.add(5_000, 0.3)
    again = agents.start()
    again.look()
    assert len(agents.runs) == 2
    assert again.status()["models"][0]["truths"] == 15_000
    assert path.with_name(f"{NAME}.corrupt").exists()
    agents.stream.now_ms += 8 * DAY_MS
    agents.stream.add(5_000, 0.3)
    again.look()
    assert len(agents.runs) == 4


def test_what_a_newer_version_wrote_is_left_alone(agents: Agents) -> None:
    (agents.directory / NAME).write_bytes(b"OBSHARM\n\x09\x00" + bytes(40))
    agents.stream.add(5_000, 0.3)
    agent = agents.start()
    assert "newer obsagent" in agent.newer
    assert not agent.look()
    assert (agents.directory / NAME).read_bytes().startswith(b"OBSHARM\n\x09")


def test_without_a_ledger_there_is_nothing_and_nothing_is_written(agents: Agents) -> None:
    agents.stream.is_there = False
    agent = agents.start()
    assert not agent.look()
    assert agent.status() == {"models": [], "episodes": []}
    assert list(agents.directory.iterdir()) == []


def test_what_is_configured_at_the_time_is_run(agents: Agents) -> None:
    agents.stream.add(5_000, 0.3)
    fs = FailingFs()
    agent = agents.start(fs)
    agents.config = replace(CONFIG, on_retrain=RetrainConfig(("other",)))
    agent.settings_changed()
    agent.look()
    assert [run.to for run in agents.runners[0].runs] == [("other",)]
    agents.config = None
    agents.start().look()
    assert len(agents.runs) == 1
    state = read_state(agents.directory)
    assert state is not None


def test_a_due_run_that_is_not_configured_any_more_has_failed(agents: Agents) -> None:
    harmed(agents)
    agents.config = ModelConfig()
    agent = agents.start()
    agent.look()
    told = agent.status()["episodes"][0]["on_retrain"]
    assert {each["says"] for each in told.values()} == {"is not configured any more"}


def test_what_cannot_be_asked_of_the_ledger_leaves_the_recommendation(agents: Agents) -> None:
    agents.stream.add(5_000, 0.3)
    agent = agents.start()
    asked = agents.stream.predicted

    def fails(*_: Any) -> Any:
        raise StoreError("a run is damaged")

    agents.stream.predicted = fails  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        agent.look()
    agents.stream.predicted = asked  # type: ignore[method-assign]
    agent.look()
    assert [json.loads(run.evidence)["maturity"] for run in agents.runners[0].runs] == [None, None]


def test_the_end_writes_what_has_come(agents: Agents) -> None:
    agents.stream.add(500, 0.1)
    agent = agents.start()
    agent.thread.start()
    agent._wake.set()
    while agent.status()["models"] == []:
        agents.clock.ahead_ms += 1
    agents.runners[0].told = []
    agent.stop()
    state = read_state(agents.directory)
    assert state is not None
    assert state.versions[LIVE].tracks[""].truths == 500


def test_a_position_without_truths_is_kept(agents: Agents) -> None:
    write_state(agents.directory, State(position=770), Fs())
    agents.stream.add(10_000, 0.1)
    agent = agents.start()
    agent.look()
    assert agent.status()["models"][0]["truths"] == 10_000 - 78 * 100
