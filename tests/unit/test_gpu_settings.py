"""`[collect.gpu]`: what may be in it, and what is said of what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsagent.collect.gpu_settings import GpuSettings
from obsagent.config import load
from obsagent.errors import ConfigError


def test_gpus_are_read_unless_that_is_switched_off() -> None:
    assert GpuSettings.from_mapping({}) == GpuSettings(enabled=True, interval_ms=5_000)
    assert GpuSettings.from_mapping({"enabled": False}).enabled is False
    assert GpuSettings.from_mapping({"interval": "1m30s"}).interval_ms == 90_000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"intervall": "5s"}, r"unknown key collect\.gpu\.intervall; did you mean collect\.gpu\.interval\?"),
        ({"zzz": 1}, r"unknown key collect\.gpu\.zzz; known keys: enabled, interval"),
        ({"enabled": "yes"}, r"collect\.gpu\.enabled: expected true or false, got 'yes'"),
        ({"interval": 5}, r"collect\.gpu\.interval: expected a time"),
        ({"interval": "2d"}, r"collect\.gpu\.interval: expected at most 3600s, got '2d'"),
        (3, r"collect\.gpu: expected a table"),
    ],
)
def test_a_mistake_is_named(table: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GpuSettings.from_mapping(table)


def test_collectors_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "obsagent.toml"
    path.write_text("[collect.gpus]\nenabled = false\n")
    with pytest.raises(ConfigError, match=r"unknown key collect\.gpus; did you mean collect\.gpu\?"):
        load(path)
    path.write_text("[collect.gpu]\nenabled = false\n")
    assert load(path).collect == {"gpu": {"enabled": False}}
