"""`[models.NAME]`: what it says, what is wrong with it, and the references that it names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from reference_lab import number, whole

from obsagent import cli
from obsagent.cli.references.loaded import reference_lines
from obsagent.config import load, read
from obsagent.config_guide import shown
from obsagent.drift_config import DAY_MS, DriftConfig
from obsagent.errors import ConfigError
from obsagent.models_config import ModelConfig, VersionConfig, parse_models
from obsagent.reference.registry import References

TEXT = """\
[models.fraud]
reference = "fraud.ref"
drop = ["email", "iban"]
hash = ["card_id"]
keep_rows = 0.01
horizon = "90d"
[models.fraud.versions."4"]
reference = "fraud-4.ref"
[models.churn]
keep_rows = "errors"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("agent.toml").write_text(TEXT)


def save(name: str, **changes: object) -> None:
    whole(**changes).save(name)


def references() -> References:
    return References(load(Path("agent.toml"), {}).models)


def test_all_of_it() -> None:
    models = load(Path("agent.toml"), {}).models
    assert models["fraud"] == ModelConfig(
        reference=Path("fraud.ref"),
        drop=("email", "iban"),
        hash=("card_id",),
        keep_rows=0.01,
        horizon_ms=90 * 86_400_000,
        versions={"4": VersionConfig(Path("fraud-4.ref"))},
    )
    assert models["churn"] == ModelConfig(keep_rows="errors")


def test_what_a_model_predicts_is_as_its_classes_are_named() -> None:
    Path("agent.toml").write_text(
        '[models.a]\ntask = "regression"\n[models.b]\npositive = "yes"\n[models.c]\npositive = 1.0\n'
        "[models.d]\npositive = true\n"
    )
    config = read(Path("agent.toml"), {}).config
    assert config is not None
    assert config.models["a"].task == "regression"
    assert [config.models[name].positive for name in "bcd"] == ["yes", "1", "True"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models = 3", "agent.toml:1: models: expected tables such as [models.fraud]"),
        (
            "[models]\nfraud = 3",
            "models.fraud: expected a table with reference, drop, hash, keep_rows, horizon, task, positive, versions, "
            "drift, harm, on_retrain, got 3",
        ),
        (
            "[models.fraud]\nrefrence = 'x'",
            "agent.toml:2: unknown key models.fraud.refrence; did you mean models.fraud.reference?",
        ),
        ("[models.fraud]\nreference = ''", "agent.toml:2: models.fraud.reference: expected a file such as"),
        ("[models.fraud]\ndrop = [1]", "models.fraud.drop: expected the name of a column, got 1"),
        ("[models.fraud]\nhash = 3", "models.fraud.hash: expected names of columns"),
        ("[models.fraud]\ndrop = ['a']\nhash = ['a']", "models.fraud.hash: 'a' is dropped already"),
        (
            "[models.fraud]\nkeep_rows = 1.5",
            'models.fraud.keep_rows: expected a share from 0 to 1, or "errors", got 1.5',
        ),
        ("[models.fraud]\nhorizon = 30", 'models.fraud.horizon: expected a time such as "48h"'),
        ("[models.fraud]\nhorizon = '9999y'", "longer than the agent's clock goes back"),
        ("[models.fraud]\nkeep_rows = true", "models.fraud.keep_rows: expected a share"),
        ("[models.fraud]\nkeep_rows = nan", "models.fraud.keep_rows: expected a share"),
        ("[models.fraud]\nversions = 4", 'expected tables such as [models.fraud.versions."4"], got 4'),
        (
            '[models.fraud.versions."4"]\ndrop = ["a"]',
            "agent.toml:2: unknown key models.fraud.versions.4.drop; known keys",
        ),
        ('[models.""]\n', "expected a name of at most"),
        (
            "[models.fraud]\ntask = 'ranking'",
            "models.fraud.task: expected 'classification' or 'regression', got 'ranking'",
        ),
        ("[models.fraud]\npositive = []", 'models.fraud.positive: expected the name of a class such as "fraud"'),
    ],
)
def test_mistakes_say_where_and_what_was_expected(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.toml").write_text(text)
    assert cli.main(["config", "check", "agent.toml"]) == 78
    assert says in capsys.readouterr().err


def test_all_mistakes_are_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.toml").write_text('[models.a]\ndrop = 1\nkeep_rows = 2\n[models.b]\nhsh = ["x"]\n')
    assert cli.main(["config", "check", "agent.toml"]) == 78
    assert re.findall(r"agent\.toml:(\d)", capsys.readouterr().err) == ["2", "3", "5"]


def test_it_is_shown_with_its_lines() -> None:
    reading = read(Path("agent.toml"), {})
    assert reading.config is not None
    rows = {key: (text, origin) for key, text, origin in shown(reading.config, reading.origins)}
    assert rows["models.fraud.reference"] == ('"fraud.ref"', "agent.toml:2")
    assert rows["models.fraud.drop"] == ('["email", "iban"]', "agent.toml:3")
    assert rows["models.fraud.horizon"] == ('"90d"', "agent.toml:6")
    assert rows["models.fraud.versions.4.reference"] == ('"fraud-4.ref"', "agent.toml:8")
    assert rows["models.churn.keep_rows"] == ('"errors"', "agent.toml:10")


def test_check_reads_the_references(capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.toml").write_text(f'data = "store"\n{TEXT}')
    save("fraud.ref", version="")
    save("fraud-4.ref")
    assert cli.main(["config", "check", "agent.toml"]) == 0
    assert capsys.readouterr() == ("agent.toml: ok\n", "")
    Path("fraud.ref").write_bytes(b"nothing")
    Path("fraud-4.ref").unlink()
    assert cli.main(["config", "check", "agent.toml", "--format", "json"]) == 78
    first, second = json.loads(capsys.readouterr().out)["errors"]
    assert (first["source"], first["line"]) == ("agent.toml", 3)
    assert first["message"].startswith("models.fraud.reference: fraud.ref: this is no reference")
    assert (second["source"], second["line"]) == ("agent.toml", 9)
    assert "fraud-4.ref cannot be read: No such file" in second["message"]


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("fraud.ref", {"model": "churn"}, "fraud.ref is a reference of the model churn, not of fraud"),
        ("fraud-4.ref", {"version": "5"}, "fraud-4.ref is a reference of version 5, not of 4"),
    ],
)
def test_a_reference_of_something_else_is_refused(name: str, changes: dict[str, object], says: str) -> None:
    save("fraud.ref", version="")
    save("fraud-4.ref")
    save(name, **changes)
    with pytest.raises(ConfigError, match=says):
        references()


def test_references_are_looked_up_by_version_then_by_model() -> None:
    save("fraud.ref", version="")
    save("fraud-4.ref", version="4")
    found = references()
    assert (len(found), [each.version for each in found]) == (2, ["", "4"])
    four, other = found.lookup("fraud", "4"), found.lookup("fraud", "5")
    assert four is not None
    assert other is not None
    assert (four.version, other.version) == ("4", "")
    assert found.lookup("fraud") is other
    assert found.lookup("churn", "4") is None
    assert found.find(four.label) is four
    assert found.find("00000000") is None
    assert found.status()[1]["id"] == four.id
    header, every, own = reference_lines(found.status(), None)
    assert header.split() == ["reference", "version", "id", "rows", "features", "made", "file"]
    assert every.split()[:5] == ["fraud", "(any)", other.id, "10", "3"]
    assert own.split()[:3] == ["fraud", "4", four.id]
    assert reference_lines([], None) == []


def test_a_reload_says_what_is_new_and_changes_nothing_if_anything_is_wrong() -> None:
    save("fraud.ref", version="")
    save("fraud-4.ref")
    found, models = references(), load(Path("agent.toml"), {}).models
    assert found.reload(models) == []
    save("fraud-4.ref", features={"amount": number()})
    assert found.reload(models) == ["fraud/4"]
    before = found.lookup("fraud", "4")
    save("fraud.ref", version="", rows=20)
    Path("fraud-4.ref").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"fraud-4\.ref: this is no reference"):
        found.reload(models)
    assert found.lookup("fraud", "4") is before
    assert found.lookup("fraud", "5") == whole(version="")
    assert found.reload({}) == ["fraud", "fraud/4"]
    assert (len(found), found.lookup("fraud")) == (0, None)


def test_how_a_model_is_judged_has_defaults_and_is_checked() -> None:
    assert parse_models("models", {"fraud": {}})["fraud"].drift == DriftConfig()
    told = {"alpha": 0.01, "false_alarms": "90d", "tolerance": 0.002, "against": "rolling", "past": "14d"}
    drift = parse_models("models", {"fraud": {"drift": told}})["fraud"].drift
    assert drift == DriftConfig(0.01, 90 * DAY_MS, 0.002, "rolling", 14 * DAY_MS)
    weeks = parse_models("models", {"fraud": {"drift": {"against": "hour-of-week"}}})["fraud"].drift
    assert weeks.past == 28 * DAY_MS


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (3, "expected a table with alpha, false_alarms"),
        ({"alfa": 0.1}, "unknown key models.fraud.drift.alfa"),
        ({"alpha": 0}, "models.fraud.drift.alpha: expected a share"),
        ({"alpha": True}, "models.fraud.drift.alpha: expected a share"),
        ({"tolerance": -1}, "models.fraud.drift.tolerance: expected a divergence"),
        ({"tolerance": float("nan")}, "models.fraud.drift.tolerance: expected a divergence"),
        ({"against": "yesterday"}, "expected reference, rolling or hour-of-week"),
        ({"past": "10s"}, 'expected from "1h" to "366d"'),
        ({"false_alarms": 30}, "models.fraud.drift.false_alarms: expected a time"),
        ({"false_alarms": "1m"}, "models.fraud.drift.false_alarms: expected a time between"),
        ({"against": "hour-of-week", "past": "3d"}, "hours of the week need a week"),
    ],
)
def test_mistakes_about_judging_say_where(table: object, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        parse_models("models", {"fraud": {"drift": table}})
