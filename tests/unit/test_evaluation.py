"""The thread that judges: what a kill at any moment leaves behind, and what fails without taking anything with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from obsagent.errors import StoreError
from obsagent.evaluate.readings import ALARMS, EVALUE
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import NAME, Counted, Judged, read_state
from obsagent.evaluation import Evaluation
from obsagent.fs import Fs
from obsagent.readings import Reading
from unit.faulty_fs import FailingFs
from unit.feature_lab import Lab

BEGIN_MS = 1_767_254_400_000
WINDOW_MS = 10_000
KEY = Counted(Judged("fraud", "4", "live"), "amount", "", "10s")


class Clock:
    now_ms = BEGIN_MS + 400_000

    def wall_ms(self) -> int:
        return self.now_ms

    def monotonic_ms(self) -> int:
        return self.now_ms


class Agents:
    """One agent after the other on a directory; `stored` is what the store has of the counter of alarms."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lab = Lab()
        self.lab.learn_numbers("amount")
        self.stored: list[tuple[dict[str, str], float]] = []
        self.put: list[Reading] = []
        for number in range(40):
            mean = 0.0 if number < 25 else 1.0
            self.lab.numbers("amount", BEGIN_MS + number * WINDOW_MS, self.lab.normal(100, mean))

    def start(self, fs: Fs | None = None, put: Any = None) -> Evaluation:
        return Evaluation(
            self.directory,
            fs or Fs(),
            Clock(),
            lambda: self.lab.view,
            self.lab,
            lambda _: Settings(days=1),
            put or self.put.extend,
            self.stored,
        )

    def counters(self) -> list[tuple[float, float | None]]:
        return [(reading.value, reading.begins_at) for reading in self.put if reading.instrument is ALARMS]


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(tmp_path)


def test_an_alarm_is_remembered_and_counted_once(agents: Agents) -> None:
    found = agents.start().look()
    assert [alarm.feature for _, alarm in found.raised] == ["amount"]
    assert agents.counters() == [(1.0, 0.0)]
    assert {reading.instrument for reading in agents.put} == {EVALUE, ALARMS}
    agents.stored = [(reading.labels, reading.value) for reading in agents.put if reading.instrument is ALARMS]
    agents.put.clear()
    again = agents.start().look()
    assert not again.raised
    assert agents.counters() == []
    state = read_state(agents.directory)
    assert state is not None
    assert state.totals == {KEY: 1}


def test_killed_before_the_state_is_written_the_alarm_is_raised_by_the_next(agents: Agents) -> None:
    fs = FailingFs()
    fs.fail_always = {"create"}  # nothing of this agent reaches the disk
    with pytest.raises(StoreError):
        agents.start(fs).look()
    assert agents.counters() == []
    assert read_state(agents.directory) is None
    assert [alarm.feature for _, alarm in agents.start().look().raised] == ["amount"]
    assert agents.counters() == [(1.0, 0.0)]


def test_killed_after_it_the_next_one_tells_the_counter(agents: Agents) -> None:
    agents.start(put=lambda readings: None).look()  # the store has seen nothing of it
    assert read_state(agents.directory).totals == {KEY: 1}  # type: ignore[union-attr]
    found = agents.start().look()
    assert not found.raised
    assert agents.counters() == [(1.0, 0.0)]


def test_a_disk_that_refuses_is_tried_again_and_nothing_is_counted_before(agents: Agents) -> None:
    fs = FailingFs()
    evaluation = agents.start(fs)
    fs.fail_always = {"create"}
    with pytest.raises(StoreError, match=NAME):
        evaluation.look()
    assert agents.counters() == []
    fs.fail_always = set()
    assert not evaluation.look().raised  # it was raised by the look before
    assert agents.counters() == [(1.0, 0.0)]


def test_a_damaged_state_is_set_aside_and_what_was_counted_stays(agents: Agents) -> None:
    agents.start().look()
    agents.stored = [(reading.labels, reading.value) for reading in agents.put if reading.instrument is ALARMS]
    agents.put.clear()
    path = agents.directory / NAME
    path.write_bytes(path.read_bytes()[:-1])
    found = agents.start().look()
    assert found.windows
    assert not found.raised
    assert agents.counters() == []
    assert (agents.directory / f"{NAME}.corrupt").exists()
    state = read_state(agents.directory)
    assert state is not None
    assert state.totals == {KEY: 1}
    assert state.families(KEY.judged)["10s"].alarms


def test_whatever_fails_the_thread_goes_on(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = agents.start()
    calls = []

    def look(*_: object) -> None:
        calls.append(1)
        if len(calls) > 2:
            evaluation._stopping.set()
        raise RuntimeError("out of order")

    monkeypatch.setattr("obsagent.evaluation.LOOK_S", 0.001)
    monkeypatch.setattr(evaluation._evaluator, "look", look)
    evaluation.thread.start()
    evaluation.thread.join(30)
    assert not evaluation.thread.is_alive()
    assert len(calls) == 3
    assert evaluation.trouble.count == 3


def test_its_status_says_how_far_everything_is_judged(agents: Agents) -> None:
    evaluation = agents.start()
    before = evaluation.status()
    assert (before["last_look_ms"], before["looks"], before["models"]) == (None, 0, [])
    evaluation.look()
    status = evaluation.status()
    json.dumps(status, allow_nan=False)
    assert (status["last_look_ms"], status["looks"], status["windows"]) == (Clock.now_ms, 1, 39)
    assert 0 < status["took_s"] == status["longest_s"]
    (model,) = status["models"]
    assert (model["model"], model["features"], model["slices"], model["charts"], model["alarms"]) == (
        *("fraud", 1, 0, 1),
        1,
    )
    assert model["until_ms"]["10s"] == BEGIN_MS + 39 * WINDOW_MS
    assert model["newest_ms"] == BEGIN_MS + 40 * WINDOW_MS
    assert (model["behind_ms"], model["trouble"], status["is_behind"]) == (0, "", False)


def test_its_status_says_what_a_look_had_no_time_for(agents: Agents) -> None:
    evaluation = agents.start()
    ticks = iter(range(10**9))
    evaluation._evaluator._monotonic = lambda: float(next(ticks))
    evaluation.look()
    status = evaluation.status()
    assert status["is_behind"]
    assert status["models"][0]["behind_ms"] > 30 * WINDOW_MS


def test_its_status_does_not_wait_for_a_look(agents: Agents) -> None:
    evaluation = agents.start()
    with evaluation._lock:
        assert evaluation.status()["looks"] == 0
