"""The agent's configuration: every key is optional, an unknown one is an error that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsagent import limits
from obsagent.config import AgentConfig, MetricConfig, load
from obsagent.endpoints import check_endpoint, default_listen, default_serve
from obsagent.errors import ConfigError, UsageError


def written(directory: Path, text: str) -> Path:
    path = directory / "obsagent.toml"
    path.write_text(text)
    return path


def test_everything_has_a_default() -> None:
    config = load()
    assert config.series_total == limits.SERIES_TOTAL
    assert config.listen.startswith("ipc://")


def test_a_file_is_read_and_the_command_line_wins(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'data = "/var/lib/obsagent"\nlisten = "tcp://127.0.0.1:7000"\nhead_budget = "64MiB"\n'
        "series_per_metric = 10\n[metrics.latency]\nscale = 7\n",
    )
    config = load(path, environ={}, data=tmp_path, serve=None)
    assert config == AgentConfig(
        data=tmp_path,
        listen="tcp://127.0.0.1:7000",
        head_budget=64 << 20,
        series_per_metric=10,
        metrics={"latency": MetricConfig(7)},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lisen = 'x'", r"unknown key lisen; did you mean listen\?"),
        ("zzz = 1", "known keys: data"),
        ("listen = 3", "listen: expected text"),
        ("series_total = -1", "series_total: expected a whole number above zero"),
        ("series_total = true", "series_total"),
        ('head_budget = "12 parsecs"', "head_budget: expected a size"),
        ("[metrics.latency]\nscale = 9", r"metrics\.latency\.scale: expected a whole number from 0 to 8"),
        ("[metrics.latency]\nscal = 9", r"unknown key metrics\.latency\.scal; did you mean metrics\.latency\.scale"),
        ("metrics = 3", "metrics: expected tables"),
        ("require_keys = 1", "require_keys: expected true or false, got 1"),
        ("socket_group = 12", "socket_group: expected text in quotes"),
        ("keys = false", "keys: expected text"),
        ("contol = 'x'", r"unknown key contol; did you mean control\?"),
        ("data = ", "not TOML"),
    ],
)
def test_mistakes_name_the_key_and_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(written(tmp_path, text))
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 78


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_endpoints_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_ENDPOINT", "tcp://127.0.0.1:1")
    monkeypatch.setenv("OBSAGENT_AGENT", "tcp://127.0.0.1:2")
    assert (default_listen(), default_serve()) == ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    monkeypatch.delenv("OBSAGENT_ENDPOINT")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert default_listen() == "ipc:///run/user/1/obsagent/ingest.sock"


@pytest.mark.parametrize(
    "endpoint",
    ["", "ipc://", "ipc://@name", "ipc://*", "ipc:///" + "x" * 120, "http://x:1", "tcp://nowhere", "/tmp/x.sock"],
)
def test_malformed_endpoints_are_usage_errors(endpoint: str) -> None:
    with pytest.raises(UsageError, match="endpoint"):
        check_endpoint(endpoint)
