"""Drift and quality in a whole agent: judged in its thread, through restarts, asked over its socket and on disk."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from integration.agents import RunningAgent
from integration.drift_lab import Feeder, config_for, reference
from integration.threaded_agent import until
from obsagent import cli
from obsagent._native.codec import BodyWriter
from obsagent.ask import AgentClient
from obsagent.clock import SystemClock
from obsagent.config import AgentConfig
from obsagent.evaluate.state import NAME, read_state
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.reference import Reference
from obsagent.samples import Kind
from unit.agent_in_process import running_agent
from unit.feature_lab import EDGES


def alarms_counted(config: AgentConfig) -> dict[str, float]:
    """What the stored counter says, by feature."""
    with AgentClient(config.serve) as client:
        rows = client.query("sum drift_alarms by feature since 2h")["series"]
    return {row["labels"]["feature"]: row["values"]["sum"] for row in rows}


def test_a_stable_stream_of_twenty_features_raises_no_alarm_and_a_shift_raises_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"x{number}" for number in range(20)]
    known = reference(names)
    config = config_for(tmp_path, known)
    feeder = Feeder(known.label, names)
    feeder.feed(config.data, 0, 120)
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        feeder.until_judged(agent, 120)
        report = client.drift("model=fraud since 2h")
        assert [each["feature"] for each in report["features"] if each["alarm"]] == []
        assert len(report["features"]) == 20
    feeder.feed(config.data, 120, 20, x3=1.0)
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        feeder.until_judged(agent, 140)
        until(lambda: alarms_counted(config) == {"x3": 1.0}, "the alarm is not counted")
        report = client.drift("model=fraud since 2h top 1")
        (worst,) = report["features"]
        assert (worst["feature"], worst["alarm"]["window"]) == ("x3", "10s")
        (row,) = client.query("max drift_evalue feature=x3 since 2h")["series"]
        assert row["values"]["max"] > 2
        (row,) = client.query("psi model=fraud feature=x3 since 2h")["series"]
        assert row["reference"] == known.label
        assert row["values"]["psi"] == pytest.approx(worst["psi"])
        state = agent.status()["agent"]
        assert state["problems"] == []
        (judged,) = state["evaluation"]["models"]
        assert (judged["features"], judged["alarms"], judged["behind_ms"]) == (20, 1, 0)
        assert cli.main(["status", "--agent", config.serve]) == 0
        assert "1 model judged, 1 alarm going on" in capsys.readouterr().out


def test_a_killed_agent_neither_forgets_an_alarm_nor_raises_it_twice(stopped_agent: RunningAgent) -> None:
    """Killed at moments that nobody has chosen, while it judges what was fed before."""
    known = reference(["amount"])
    known.save(stopped_agent.directory / "fraud.ref")
    configuration = stopped_agent.directory / "obsagent.toml"
    configuration.write_text(f'[models.fraud]\nreference = "{stopped_agent.directory / "fraud.ref"}"\n')
    feeder = Feeder(known.label, ["amount"])
    feeder.feed(stopped_agent.data, 0, 60)
    feeder.feed(stopped_agent.data, 60, 60, amount=0.7)
    for round_ in range(4):
        agent = stopped_agent.start("--config", str(configuration), "--http", "off")
        time.sleep(random.Random(round_).uniform(0.0, 2.0))
        agent.kill()
    agent = stopped_agent.start("--config", str(configuration), "--http", "off")

    def counted() -> list[float]:
        rows = agent.ask("sum drift_alarms since 2h")["series"]
        return [row["values"]["sum"] for row in rows]

    until(counted, "no alarm is counted")
    with AgentClient(agent.serve) as client:
        (feature,) = client.drift("since 2h")["features"]
    assert feature["alarm"]
    assert counted() == [1.0]
    assert agent.stop() == 0
    state = read_state(agent.data)
    assert state is not None
    assert sum(state.totals.values()) == 1


def test_a_state_that_is_lost_or_damaged_is_made_again_and_counts_nothing_twice(tmp_path: Path) -> None:
    names = ["amount"]
    known = reference(names)
    config = config_for(tmp_path, known)
    feeder = Feeder(known.label, names)
    feeder.feed(config.data, 0, 20)
    feeder.feed(config.data, 20, 10, amount=1.0)
    with running_agent(config) as agent:
        feeder.until_judged(agent, 30)
        until(lambda: alarms_counted(config) == {"amount": 1.0})
    path = config.data / NAME
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    with running_agent(config) as agent, AgentClient(config.serve, 60) as client:
        feeder.until_judged(agent, 30)
        (feature,) = client.drift("since 2h")["features"]
        assert feature["alarm"]
        assert alarms_counted(config) == {"amount": 1.0}
    assert (config.data / f"{NAME}.corrupt").exists()
    path.unlink()
    with running_agent(config) as agent:
        feeder.until_judged(agent, 30)
        assert alarms_counted(config) == {"amount": 1.0}


def test_what_a_newer_version_wrote_is_left_alone_and_said(tmp_path: Path) -> None:
    known = reference(["amount"])
    config = config_for(tmp_path, known)
    config.data.mkdir(parents=True)
    newer = b"OBSDRFT\n\x09\x00" + bytes(40)
    (config.data / NAME).write_bytes(newer)
    with running_agent(config) as agent:
        (problem,) = agent.status()["agent"]["problems"]
        assert "newer obsagent" in problem
        assert agent.status()["agent"]["health"] == "degraded"
    assert (config.data / NAME).read_bytes() == newer


def test_a_thousand_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"feature {number:04}" for number in range(1_000)]
    known = reference(names[:10])
    many = Reference(
        "fraud", "4", 20_000, {name: known.features[names[index % 10]] for index, name in enumerate(names)}
    )
    config = config_for(tmp_path, many)
    feeder = Feeder(many.label, names)
    feeder.feed(config.data, 0, 3, samples=40)
    with running_agent(config) as agent:
        feeder.until_judged(agent, 3)
        assert cli.main(["drift", "since", "2h", "--agent", config.serve, "--format", "json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert len(report["features"]) == 1_000
        assert not any(each["alarm"] for each in report["features"])
        assert cli.main(["quality", "since", "2h", "--agent", config.serve]) == 0
        assert "nothing is wrong with the data" in capsys.readouterr().out
        assert not agent._evaluation.trouble.error


def test_a_store_is_read_without_its_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = reference(["amount"])
    config = config_for(tmp_path, known, false_alarms=90 * 86_400_000)
    feeder = Feeder(known.label, ["amount"])
    feeder.feed(config.data, 0, 20, amount=1.0)
    with running_agent(config) as agent:
        feeder.until_judged(agent, 20)
    (tmp_path / "fraud.ref").unlink()
    data = ["--data", str(config.data)]
    assert cli.main(["drift", "since", "2h", "--exit-match", *data]) == 3
    shown = capsys.readouterr().out
    assert "at most one false alarm in 90 days" in shown
    assert "amount" in shown
    assert cli.main(["query", "psi", "by", "feature", "since", "2h", "--format", "json", *data]) == 0
    (row,) = json.loads(capsys.readouterr().out)["series"]
    assert row["values"]["psi"] > 0.1
    assert cli.main(["fsck", str(config.data)]) == 0
    assert "foreign" not in capsys.readouterr().out


def test_values_of_every_kind_are_findings(tmp_path: Path) -> None:
    known = reference(["amount", "gone"])
    config = config_for(tmp_path, known)
    store = Store.open(config.data)
    session = b"odd".ljust(16, b"\0")
    now_ms = SystemClock().wall_ms() - 60_000
    store.write(SessionOpen(session, "shop", "host", 7, now_ms, 0, ""))
    given = {"service": "shop", "model": "fraud", "version": "4", "variant": "live"}
    amount = store.series.resolve("feature", Kind.COLUMN, {**given, "feature": "amount", "reference": known.label})
    extra = store.series.resolve("feature", Kind.COLUMN, {**given, "feature": "extra"})
    assert amount is not None
    assert extra is not None
    store.write(Define(session, [DefinedSeries(0, amount.id, amount), DefinedSeries(1, extra.id, extra)]))
    body = BodyWriter()
    odd = [float("nan"), float("inf"), float("-inf"), 1e300, -1e300, *[0.1] * 50]
    body.put_column(0, odd, edges=EDGES, nulls=20, wrong_types=30)
    body.put_column(1, [], ["a", "b"])
    counts = SessionAccounts(observed=107)
    store.write(Frame(session, 1, 1, now_ms, now_ms + 1, counts, body.take(), ()))
    store.close()
    with running_agent(config), AgentClient(config.serve, 60) as client:
        report = client.quality("model=fraud since 10m")
        found = {(each["feature"], each["finding"]) for each in report["findings"]}
        assert found == {
            ("amount", "nan"),
            ("amount", "infinite"),
            ("amount", "null"),
            ("amount", "wrong_type"),
            ("amount", "out_of_range"),
            ("gone", "missing_feature"),
            ("extra", "extra_feature"),
        }
        assert client.drift("since 10m")["features"][0]["histogram"]
