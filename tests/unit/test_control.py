"""Changing a running agent: keys, configuration, checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from agent_in_process import config_in, running_agent
from key_lab import made_key
from reference_lab import whole

import obsagent
from obsagent import config as configuration
from obsagent.ask import AgentClient, ControlClient
from obsagent.config import AgentConfig
from obsagent.daemon import Agent
from obsagent.errors import ConfigError
from obsagent.keyring import Keyring
from obsagent.models_config import ModelConfig
from obsagent.wire.header import MessageKind
from obsagent.wire.zmtp import UnixDealer


class Place:
    """A running agent with its configuration file."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "obsagent.toml"
        self.file.write_text("")
        base = config_in(directory)
        self.words = {"data": base.data, "listen": base.listen, "serve": base.serve}
        self.config = self.load()

    def load(self) -> AgentConfig:
        return configuration.load(self.file, **self.words)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with running_agent(made.config, made.load):
        yield made


def scale_of(place: Place, session: bytes) -> int | None:
    dealer = UnixDealer(place.config.listen.removeprefix("ipc://"), 10.0)
    fields = {"s": session, "service": "x", "host": "h", "pid": 1, "started": 1, "clock": 1, "version": ""}
    _, welcome = dealer.request(MessageKind.HELLO, 10.0, **fields)
    dealer.close()
    return welcome["scales"].get("latency")


def test_a_reload_takes_the_rules_of_metrics_and_says_what_needs_a_restart(place: Place) -> None:
    with ControlClient(place.config.control_endpoint) as control:
        assert control.reload() == {"keys": 0, "metrics": [], "applied": [], "restart_needed": []}
        assert scale_of(place, b"a" * 16) is None
        place.file.write_text('socket_group = "0"\nseries_total = 7\n[metrics.latency]\nscale = 3\n')
        made_key(Keyring(place.config.keys_directory), "one", "write")
        reloaded = {"keys": 1, "metrics": ["latency"], "restart_needed": ["socket_group", "series_total"]}
        assert control.reload() == {**reloaded, "applied": ["metrics"]}
        assert control.reload() == {**reloaded, "applied": []}
        assert scale_of(place, b"b" * 16) == 3


def test_a_configuration_that_is_wrong_changes_nothing(place: Place) -> None:
    with ControlClient(place.config.control_endpoint) as control:
        place.file.write_text("[metrics.latency]\nscale = 3\n")
        control.reload()
        place.file.write_text("[metrics.latency]\nscale = 99\n")
        with pytest.raises(ConfigError, match=r"metrics\.latency\.scale: expected a whole number") as caught:
            control.reload()
        assert caught.value.exit_code == 78
        assert scale_of(place, b"a" * 16) == 3


def test_retention_budgets_and_the_log_are_reloaded(place: Place) -> None:
    with ControlClient(place.config.control_endpoint) as control, AgentClient(place.config.serve) as agent:
        place.file.write_text('disk_budget = "99MB"\nretention = { "10s" = "1h" }\nlog_level = "warning"\n')
        assert control.reload()["applied"] == ["disk_budget", "retention", "log_level"]
        segments = agent.status()["segments"]
        assert segments["budget_bytes"] == 99_000_000
        assert segments["tiers"][0]["retention_ms"] == 3_600_000


def test_a_reload_that_fails_is_told_by_the_status_until_one_succeeds(place: Place) -> None:
    with ControlClient(place.config.control_endpoint) as control, AgentClient(place.config.serve) as agent:
        assert agent.status()["agent"]["configuration"]["error"] is None
        place.file.write_text("series_totl = 3\n[metrics.latency]\nscale = 99\n")
        with pytest.raises(ConfigError, match=r"series_totl.*\n.*scale"):
            control.reload()
        told = agent.status()["agent"]
        assert told["health"] == "degraded"
        (problem,) = told["problems"]
        assert "was not reloaded, the one before stays in force" in problem
        assert "obsagent.toml:1: unknown key series_totl" in problem
        assert told["configuration"]["reloads"] == {"done": 0, "failed": 1}
        place.file.write_text("series_total = 3\n")
        control.reload()
        told = agent.status()["agent"]
        assert (told["health"], told["problems"]) == ("ok", [])
        assert told["configuration"]["reloads"] == {"done": 1, "failed": 1}
        assert told["configuration"]["restart_needed"] == ["series_total"]


def test_a_reload_reads_references_again(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "fraud.ref"
    with ControlClient(place.config.control_endpoint) as control, AgentClient(place.config.serve) as agent:
        assert agent.status()["agent"]["references"] == []
        place.file.write_text(f'[models.fraud]\nreference = "{path}"\n')
        with pytest.raises(ConfigError, match=r"models\.fraud\.reference: .*fraud\.ref cannot be read"):
            control.reload()
        whole().save(path)
        done = control.reload()
        assert (done["applied"], done["references"]) == (["models"], ["fraud"])
        whole(rows=11).save(path)
        done = control.reload()
        assert (done["applied"], done["references"]) == ([], ["fraud"])
        assert "references" not in control.reload()
        (told,) = agent.status()["agent"]["references"]
        assert (told["model"], told["id"], told["rows"]) == ("fraud", whole(rows=11).id, 11)
        path.write_bytes(b"x")
        with pytest.raises(ConfigError, match="this is no reference"):
            control.reload()
        assert agent.status()["agent"]["references"] == [told]


def test_an_agent_does_not_start_with_a_damaged_reference(tmp_path: Path) -> None:
    (tmp_path / "fraud.ref").write_bytes(b"x")
    models = {"fraud": ModelConfig(tmp_path / "fraud.ref")}
    with pytest.raises(ConfigError, match=r"models\.fraud\.reference: .*this is no reference"):
        Agent(replace(config_in(tmp_path), models=models))


def test_a_checkpoint_moves_everything_into_segments(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.record.clients._clients", {})
    client = obsagent.connect("shop", endpoint=place.config.listen, version="checkpoint")
    client.counter("sold").inc(3)
    client.flush(10.0).raise_if_pending()
    with ControlClient(place.config.control_endpoint) as control, AgentClient(place.config.serve) as agent:
        assert control.checkpoint() == {"written": True}
        status = agent.status()
        assert status["segments"]["blocks"] >= 1
        assert status["last_checkpoint_ms"] is not None
        rows = agent.query("sum sold")["series"]
        assert [row["values"]["sum"] for row in rows] == [3.0]
    client.close()


def test_the_status_says_where_control_is(place: Place) -> None:
    with AgentClient(place.config.serve) as agent:
        assert agent.status()["agent"]["control"] == place.config.control_endpoint
