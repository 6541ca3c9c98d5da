"""Drift in an agent that is started again and again: what it finds is what one finds that never stopped."""

from __future__ import annotations

from pathlib import Path

from integration.drift_lab import JUDGED, Feeder, config_for, reference
from obsagent.ask import AgentClient
from obsagent.clock import SystemClock
from obsagent.evaluate.evaluator import Evaluator
from obsagent.evaluate.kept import kept_references
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import State, read_state
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from unit.agent_in_process import running_agent

PARTS, WINDOWS = 10, 12
SHIFTED_FROM = 3
MEANS = {"x0": 1.0, "x1": 0.45, "x2": 0.32}
"""Of what moves; divergences of 0.5, 0.1 and 0.05."""


def judged_without_a_stop(data: Path, until_ms: int) -> State:
    """All of the store at once; its newest window too if the other one did not wait for more of it."""
    store = Store.open(data)
    try:
        clock = [0.0]
        evaluator = Evaluator(State(), kept_references(data), lambda _: Settings(), monotonic=lambda: clock[0])
        evaluator.look(store.view(), SystemClock().wall_ms(), budget_s=60)
        if evaluator.state.families(JUDGED)["10s"].next_ms < until_ms:
            clock[0] = 3_600.0
            evaluator.look(store.view(), SystemClock().wall_ms(), budget_s=60)
        return evaluator.state
    finally:
        store.close()


def test_twenty_features_through_ten_restarts(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(20)]
    known = reference(names)
    config = config_for(tmp_path, known)
    feeder = Feeder(known.label, names)
    for part in range(PARTS):
        feeder.feed(config.data, part * WINDOWS, WINDOWS, **(MEANS if part >= SHIFTED_FROM else {}))
        with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
            feeder.until_judged(agent, (part + 1) * WINDOWS)
            report = client.drift("model=fraud since 2h")
            drifted = {each["feature"] for each in report["features"] if each["alarm"]}
            assert drifted <= MEANS.keys()
            assert part < SHIFTED_FROM or "x0" in drifted
    assert drifted == MEANS.keys()
    state = read_state(config.data)
    assert state is not None
    steady = judged_without_a_stop(config.data, state.families(JUDGED)["10s"].next_ms)
    assert state.totals == steady.totals
    assert sorted(key.feature for key in state.totals) == sorted(MEANS)
    ours, theirs = (each.families(JUDGED)["10s"] for each in (state, steady))
    assert ours.alarms.keys() == theirs.alarms.keys()
    changed_ms = feeder.begin_ms + SHIFTED_FROM * WINDOWS * WINDOW_MS
    for key, alarm in ours.alarms.items():
        assert (alarm.since_ms, alarm.raised_ms) == (theirs.alarms[key].since_ms, theirs.alarms[key].raised_ms)
        assert abs(alarm.since_ms - changed_ms) <= WINDOWS * WINDOW_MS
    assert ours.charts == theirs.charts
