"""A thread that hangs is found, and one that takes its time is not."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from agent_in_process import config_in, running_agent

from obsagent import agent_process
from obsagent.ask import AgentClient
from obsagent.limits import LONG_WORK_S, PULSE_S
from obsagent.pulses import Pulse, Pulses, Silence, thread_state

WAIT_S = 60.0
LOOK_S = 0.5


class Lab:
    """Two threads by hand: `ingest` and `checkpoint`."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.states: dict[int, str] = {}
        self.ingest, self.checkpoint = (Pulse(lambda: self.now_s) for _ in range(2))
        for number, pulse in enumerate((self.ingest, self.checkpoint)):
            pulse.begin()
            pulse.native_id = number + 1
        named = {"ingest": self.ingest, "checkpoint": self.checkpoint}
        self.pulses = Pulses(named, lambda: self.now_s, lambda native_id: self.states.get(native_id, "S"))

    def later(self, seconds: float, *beating: Pulse) -> list[Silence]:
        """What is found in the end; threads that are `beating` do so meanwhile."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += LOOK_S
            for each in beating:
                each.beat()
            self.pulses.look()
        return self.pulses.found


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_a_thread_that_does_not_beat_hangs_until_it_does(lab: Lab) -> None:
    assert lab.later(PULSE_S, lab.checkpoint) == []
    (found,) = lab.later(1, lab.checkpoint)
    assert (found.thread, found.what, found.is_disk) == ("ingest", "", False)
    assert found.lasts_s == pytest.approx(PULSE_S + 1)
    assert lab.pulses.hanging == [found]
    lab.ingest.beat()
    assert lab.later(1, lab.checkpoint) == []


def test_what_may_take_long_may_take_long(lab: Lab) -> None:
    with lab.ingest.at("a query request"):
        assert lab.later(LONG_WORK_S, lab.checkpoint) == []
        (found,) = lab.later(1, lab.checkpoint)
        assert found.what == "a query request"
    assert lab.later(PULSE_S - 1, lab.checkpoint) == []


def test_who_comes_further_hangs_never(lab: Lab) -> None:
    with lab.ingest.at("the upkeep of segments"):
        for _ in range(3):
            assert lab.later(LONG_WORK_S - 1, lab.checkpoint) == []
            lab.ingest.still()


def test_the_disk_is_told_and_is_no_hang(lab: Lab) -> None:
    lab.states[1] = "D"
    (found,) = lab.later(PULSE_S + 1, lab.checkpoint)
    assert found.is_disk
    assert lab.pulses.hanging == []
    with lab.checkpoint.at("a checkpoint"):
        lab.states[2] = "D"
        assert len(lab.later(10 * LONG_WORK_S)) == 2
    assert lab.pulses.hanging == []


def test_who_waits_for_another_that_takes_its_time_does_not_hang(lab: Lab) -> None:
    """The ingest thread stops first: it is in the middle of a turn when the checkpoint takes a lock that it needs."""
    lab.ingest.beat()
    lab.now_s += 0.1
    with lab.checkpoint.at("a checkpoint"):
        assert lab.later(LONG_WORK_S - 1) == []
        assert {each.thread for each in lab.later(2)} == {"ingest", "checkpoint"}


def test_what_others_begin_later_excuses_nobody(lab: Lab) -> None:
    lab.later(PULSE_S + 1, lab.checkpoint)
    with lab.checkpoint.at("a checkpoint"):
        assert [each.thread for each in lab.later(1)] == ["ingest"]


def test_after_a_sleep_of_the_machine_all_begin_anew(lab: Lab) -> None:
    lab.later(1, lab.ingest, lab.checkpoint)
    lab.now_s += 10_000
    assert lab.pulses.look() == []
    assert lab.later(PULSE_S - 1) == []
    assert len(lab.later(2)) == 2


def test_a_pulse_that_nobody_watches_costs_nothing() -> None:
    pulse = Pulse()
    pulse.beat()
    pulse.still()
    with pulse.at("something"):
        pass
    assert pulse.work is None
    assert Pulses({"x": pulse}).look() == []


def test_the_kernel_says_how_a_thread_is() -> None:
    assert thread_state(threading.get_native_id()) == "R"
    assert thread_state(1 << 22) == ""


def test_an_agent_says_which_thread_hangs_and_where(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begun, ends = threading.Event(), threading.Event()

    def hang(_: Any) -> dict[str, Any]:
        begun.set()
        ends.wait(WAIT_S)
        return {}

    with running_agent(config_in(tmp_path)) as agent:
        assert agent.goes_on()
        agent._query._serves["catalogue"] = hang
        asks = threading.Thread(target=lambda: AgentClient(agent.status()["agent"]["serve"], WAIT_S).catalogue())
        asks.start()
        try:
            assert begun.wait(WAIT_S)
            assert agent.goes_on()
            pulse = agent._query.pulse
            assert pulse.work is not None
            pulse.work = pulse.work._replace(since_s=pulse.work.since_s - 2 * LONG_WORK_S)  # time goes by
            agent._pulses._awake_s -= 2 * LONG_WORK_S
            for _ in range(3):
                assert not agent.goes_on()
            (problem,) = agent.status()["agent"]["problems"]
            assert "the thread obsagent-query has been at a catalogue request for 12" in problem
            assert agent.why_not_ready() == [problem]
            assert caplog.text.count("ends.wait(WAIT_S)") == 1
        finally:
            ends.set()
            asks.join()
        while pulse.work.what:  # it has answered
            threading.Event().wait(0.01)
        assert agent.goes_on()
        assert agent.why_not_ready() == []


def test_only_an_agent_that_goes_on_is_called_alive() -> None:
    pings: list[bool] = []
    turns = iter([True, False, False, True])

    class Watched:
        condition = "ok"
        going = True

        @property
        def failed(self) -> bool:
            return next(turns, None) is None

        def goes_on(self) -> bool:
            self.going = not self.going
            return self.going

    class Supervising:
        watchdog_s = 0.01

        def ping(self) -> None:
            pings.append(watched.going)

        def status(self, line: str) -> None:
            pass

    watched: Any = Watched()
    supervising: Any = Supervising()
    agent_process._watch(watched, SimpleQueue(), supervising)
    assert pings == [True, True]


def test_every_thread_that_must_live_is_watched(tmp_path: Path) -> None:
    with running_agent(config_in(tmp_path)) as agent:
        assert {each.name for each in agent._threads} == agent._pulses_by_thread.keys()
