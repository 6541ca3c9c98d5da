"""`[models.NAME.harm]` and `on_retrain`: what they say, what is wrong with them, how they are shown and reloaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from obsagent.config import load, read
from obsagent.config_guide import shown
from obsagent.errors import ConfigError
from obsagent.harm_config import DAY_MS, HarmConfig, RetrainConfig
from obsagent.models_config import ModelConfig, parse_models

TEXT = """\
[models.fraud]
on_retrain = { command = ["retrain", "fraud model"], url = "https://ci.example/retrain", timeout = "5m" }
[models.fraud.harm]
tolerance = 0.01
false_alarms = "90d"
loss = "brier"
"""


def model(**table: Any) -> ModelConfig:
    return parse_models("models", {"fraud": table})["fraud"]


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(TEXT)
    fraud = load(tmp_path / "agent.toml", {}).models["fraud"]
    assert fraud.harm == HarmConfig(0.01, 90 * DAY_MS, 7 * DAY_MS, "brier")
    assert fraud.on_retrain == RetrainConfig(("retrain", "fraud model"), "https://ci.example/retrain", 300_000)


def test_errors_of_numbers_may_have_a_bound() -> None:
    assert model(harm={"loss": "squared", "bound": 50}).harm == HarmConfig(loss="squared", bound=50.0)


def test_it_has_defaults() -> None:
    assert model().harm == HarmConfig(tolerance=0.02, false_alarms_ms=365 * DAY_MS, cooldown_ms=7 * DAY_MS, loss="")
    assert model().on_retrain is None


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("retrain fraud", RetrainConfig(("retrain", "fraud"))),
        ("retrain 'two words' \\;", RetrainConfig(("retrain", "two words", ";"))),
        ("https://ci.example", RetrainConfig(url="https://ci.example/")),
        ("HTTP://[::1]:80/x?y=1#z", RetrainConfig(url="http://[::1]:80/x?y=1")),
    ],
)
def test_text_is_a_command_or_an_address(text: str, means: RetrainConfig) -> None:
    assert model(on_retrain=text).on_retrain == means


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"harm": 3}, "models.fraud.harm: expected a table with tolerance, false_alarms, cooldown, loss, bound, got 3"),
        (
            {"harm": {"tolerence": 1}},
            "unknown key models.fraud.harm.tolerence; did you mean models.fraud.harm.tolerance?",
        ),
        ({"harm": {"tolerance": 1}}, "models.fraud.harm.tolerance: expected how much risk"),
        ({"harm": {"tolerance": -0.1}}, "models.fraud.harm.tolerance: expected how much risk"),
        ({"harm": {"tolerance": True}}, "models.fraud.harm.tolerance: expected how much risk"),
        ({"harm": {"tolerance": float("nan")}}, "models.fraud.harm.tolerance: expected how much risk"),
        ({"harm": {"false_alarms": "1h"}}, "models.fraud.harm.false_alarms: expected a time between"),
        ({"harm": {"cooldown": "2y"}}, 'models.fraud.harm.cooldown: expected at most "366d"'),
        ({"harm": {"loss": "auc"}}, "models.fraud.harm.loss: expected one of error, brier, absolute, squared"),
        ({"harm": {"bound": 0}}, "models.fraud.harm.bound: expected the size from which on an error counts no more"),
        ({"harm": {"bound": "5"}}, "above 0, such as 50.0, got '5'"),
        ({"harm": {"bound": True}}, "models.fraud.harm.bound: expected the size"),
        ({"on_retrain": 3}, "models.fraud.on_retrain: expected a command such as"),
        ({"on_retrain": ""}, "models.fraud.on_retrain: expected a program and its arguments"),
        ({"on_retrain": "say 'x"}, 'models.fraud.on_retrain: "say \'x" cannot be taken apart: No closing quotation'),
        ({"on_retrain": "https://"}, "models.fraud.on_retrain: expected an address such as"),
        ({"on_retrain": "https://a b/"}, "models.fraud.on_retrain: expected an address such as"),
        ({"on_retrain": "https://me:secret@ci.example/"}, "no password belongs into an address"),
        ({"on_retrain": {}}, "models.fraud.on_retrain: expected a command, a url, or both"),
        ({"on_retrain": {"timeout": "5m"}}, "models.fraud.on_retrain: expected a command, a url, or both"),
        ({"on_retrain": {"command": []}}, "models.fraud.on_retrain.command: expected a program"),
        ({"on_retrain": {"command": ["a\0"]}}, "models.fraud.on_retrain.command: expected at most"),
        ({"on_retrain": {"command": [1]}}, "models.fraud.on_retrain.command: expected a program"),
        ({"on_retrain": {"url": "ftp://x"}}, "models.fraud.on_retrain.url: expected an address"),
        ({"on_retrain": {"ulr": "http://x"}}, "did you mean models.fraud.on_retrain.url?"),
        ({"on_retrain": {"command": "a", "timeout": "2d"}}, 'models.fraud.on_retrain.timeout: expected at most "24h"'),
    ],
)
def test_mistakes_say_where_and_what_was_expected(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        model(**table)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        model(harm={"tolerance": 2, "loss": "x"}, on_retrain={"url": 3, "command": 4})
    assert len(caught.value.args) == 4


def test_it_is_shown_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(TEXT)
    reading = read(path, {})
    assert reading.config is not None
    rows = {key: text for key, text, _ in shown(reading.config, reading.origins)}
    assert rows["models.fraud.on_retrain.command"] == '["retrain", "fraud model"]'
    assert rows["models.fraud.on_retrain.timeout"] == '"5m"'
    assert rows["models.fraud.harm.false_alarms"] == '"90d"'
    assert rows["models.fraud.harm.cooldown"] == '"7d"'
    assert rows["models.fraud.harm.loss"] == '"brier"'


def test_the_readme_shows_what_is_accepted(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown_there = readme.partition("### Retraining")[2].partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "agent.toml"
    path.write_text(shown_there)
    fraud = load(path, {}).models["fraud"]
    assert fraud.harm == HarmConfig(loss="error")
    assert fraud.on_retrain is not None
    assert (fraud.on_retrain.command[0], fraud.on_retrain.timeout_ms) == ("/usr/local/bin/retrain", 30_000)
