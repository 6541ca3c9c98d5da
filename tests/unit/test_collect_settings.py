"""`[collect]`: every collector is on by default, and mistakes name the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from obsagent.collect import registry
from obsagent.collect.settings import Matcher, Names
from obsagent.collect.surroundings import Surroundings
from obsagent.config import AgentConfig, load
from obsagent.errors import ConfigError


def written(directory: Path, text: str) -> Path:
    path = directory / "obsagent.toml"
    path.write_text(text)
    return path


def made(config: AgentConfig) -> list[str]:
    return [collector.name for collector in registry.make(config.collect, Surroundings())]


def test_every_collector_is_on_by_default() -> None:
    assert made(load()) == list(registry.KINDS)
    for collector in registry.make(load().collect, Surroundings()):
        assert 1.0 <= collector.interval_s <= 10.0


def test_a_collector_is_switched_off_or_slowed(tmp_path: Path) -> None:
    text = '[collect.host]\nenabled = false\n[collect.processes]\ninterval = "1m"\n'
    config = load(written(tmp_path, text))
    assert made(config) == [name for name in registry.KINDS if name != "host"]
    assert config.collect["processes"].interval_ms == 60_000


def test_lists_and_matchers_are_read(tmp_path: Path) -> None:
    text = """
        [collect.host]
        disks = { include = ["nvme*"] }
        filesystems = { exclude = ["/mnt/*"] }
        [[collect.processes.match]]
        service = "triton"
        name = "tritonserver"
        cgroup = "/kubepods/*"
        """
    collect = load(written(tmp_path, text)).collect
    assert collect["host"].disks == Names(include=("nvme*",))
    assert collect["host"].disks.accept("nvme0n1")
    assert not collect["host"].disks.accept("sda")
    assert not collect["host"].filesystems.accept("/mnt/a")
    assert collect["host"].filesystems.accept("/")
    assert not collect["host"].interfaces.accept("lo")
    assert collect["processes"].match == (Matcher("triton", name="tritonserver", cgroup="/kubepods/*"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("collect = 3", "collect: expected a table, got 3"),
        ("[collect.hots]", "unknown key collect.hots; did you mean collect.host?"),
        ("[collect.host]\nintervall = '5s'", "unknown key collect.host.intervall; did you mean collect.host.interval?"),
        ("[collect.host]\ninterval = 5", 'collect.host.interval: expected a time such as "48h"'),
        ("[collect.host]\ninterval = '2h'", "collect.host.interval: expected at most 3600s"),
        ("[collect.host]\nenabled = 1", "collect.host.enabled: expected true or false, got 1"),
        ("[collect.host]\ndisks = 'sda'", "collect.host.disks: expected a table, got 'sda'"),
        ("[collect.host]\ndisks = { includ = [] }", "did you mean collect.host.disks.include?"),
        ("[collect.host]\ndisks = { include = 'sda' }", "collect.host.disks.include: expected a list"),
        ("[collect.host]\ndisks = { include = [1] }", "collect.host.disks.include: expected text in quotes, got 1"),
        ("[collect.processes]\nmatch = {}", "expected tables [[collect.processes.match]]"),
        ("[[collect.processes.match]]\nname = 'x'", 'collect.processes.match[0]: expected service = "NAME"'),
        ("[[collect.processes.match]]\nservice = 'x'", "one or more of pid_file, name, command, cgroup"),
        ("[[collect.processes.match]]\nservice = 'x'\nnam = 'y'", "did you mean collect.processes.match[0].name?"),
    ],
)
def test_mistakes_name_the_key_and_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(written(tmp_path, text))
