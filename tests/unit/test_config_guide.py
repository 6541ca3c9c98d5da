"""The file that `obsagent init` writes, against the program."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import pytest

from obsagent.config import AgentConfig, MetricConfig, leaves, load, read, scalars
from obsagent.config_guide import EXAMPLES, SAYS, commented, shown, written
from obsagent.config_values import as_duration, as_size
from obsagent.environment import variable_of

KEYS = [each.name for each in fields(AgentConfig)]


def uncommented(text: str) -> str:
    return re.sub(r"^#(?=[^ \n])", "", text, flags=re.MULTILINE)


def test_it_changes_nothing_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "obsagent.toml"
    path.write_text(commented())
    assert load(path, {}) == AgentConfig()


def test_every_key_stands_in_it_with_its_default(tmp_path: Path) -> None:
    path = tmp_path / "obsagent.toml"
    path.write_text(uncommented(commented()))
    config = load(path, {})
    assert config == replace(AgentConfig(), **{name: getattr(config, name) for name in EXAMPLES if name in KEYS})
    assert config.metrics == {"latency": MetricConfig(7)}
    origins = read(path, {}).origins
    assert [name for name in KEYS if name not in origins and not any(o.startswith(f"{name}.") for o in origins)] == []


def test_every_key_has_a_sentence_in_config_guide() -> None:
    assert [name for name in KEYS if name not in SAYS] == []


@dataclass(frozen=True)
class Settings:
    """As those of a collector are: the file has other names than the fields."""

    KEYS: ClassVar = {
        "enabled": ("enabled", bool),
        "interval": ("interval_ms", int),
        "names": ("names", tuple),
        "none": ("none", tuple),
    }

    enabled: bool = True
    interval_ms: int = 90_000
    names: tuple[str, ...] = ("a*", "b")
    none: tuple[str, ...] = ()


def test_settings_within_tables_are_written_as_the_file_has_them() -> None:
    assert dict(leaves("collect", {"host": Settings()})) == {
        "collect.host.enabled": True,
        "collect.host.interval": "90s",
        "collect.host.names": ("a*", "b"),
        "collect.host.none": (),
    }
    assert written("x", {"host": Settings(), "10s": 1}) == (
        '{ host = { enabled = true, interval = "90s", names = ["a*", "b"] }, "10s" = 1 }'
    )


def test_every_variable_sets_its_key() -> None:
    """With its default, as the file would have it: nothing changes."""
    defaults = {key: value for key, value in scalars().items() if value not in (None, "")}
    assert {"retention.1h", "series_total", "require_keys"} <= {*defaults}
    variables = {variable_of(key): written(key, value).strip('"') for key, value in defaults.items()}
    reading = read(None, variables)
    assert reading.config == AgentConfig()
    assert {*reading.origins} == {*defaults}


def test_it_is_as_wide_as_a_page() -> None:
    assert max(map(len, commented().splitlines())) <= 120


def test_what_is_in_force_is_shown_with_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('retention = { "1m" = "20d" }\n[metrics.latency]\nscale = 3\n')
    reading = read(path, {"OBSAGENT_RETENTION_10S": "90m", "OBSAGENT_SERIES_TOTAL": "7"}, data=Path("/d"))
    assert reading.config is not None
    rows = {key: (text, origin) for key, text, origin in shown(reading.config, reading.origins)}
    assert rows["data"] == ('"/d"', "--data")
    assert rows["retention.10s"] == ('"90m"', "OBSAGENT_RETENTION_10S")
    assert rows["retention.1m"] == ('"20d"', f"{path}:1")
    assert rows["series_total"] == ("7", "OBSAGENT_SERIES_TOTAL")
    assert rows["metrics.latency.scale"] == ("3", f"{path}:3")
    assert rows["head_budget"] == ('"128MiB"', "default")
    assert "socket_group" not in rows


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(48 * 3_600_000, "2d"), (90 * 60_000, "90m"), (31_536_000_000, "1y")]
)
def test_times_are_written_as_they_are_read(duration_ms: int, text: str) -> None:
    assert as_duration(duration_ms) == text


@pytest.mark.parametrize(("size", "text"), [(128 << 20, "128MiB"), (10**10, "10GB"), (7, "7"), (1500, "1500")])
def test_sizes_are_written_as_they_are_read(size: int, text: str) -> None:
    assert as_size(size) == text
