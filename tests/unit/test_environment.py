"""OBSAGENT_* variables: each key with one value has one, above the file and below the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsagent import environment
from obsagent.config import _put, load, read, scalars
from obsagent.errors import ConfigError


def test_every_key_with_one_value_has_a_variable() -> None:
    assert {"data", "listen", "socket_group", "require_keys", "disk_budget", "retention.10s", "log_format"} <= {
        *scalars()
    }
    assert "metrics" not in scalars()
    names = [environment.variable_of(key) for key in scalars()]
    assert len(names) == len({*names})
    assert environment.variable_of("retention.10s") == "OBSAGENT_RETENTION_10S"
    assert not {*names} & {*environment.CLIENTS, environment.CONFIG_FILE}


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('data = "/file"\nserve = "ipc:///file.sock"\nretention = { "10s" = "24h", "1m" = "30d" }\n')
    variables = {
        "OBSAGENT_CONFIG": str(path),
        "OBSAGENT_DATA": "/variable",
        "OBSAGENT_SERVE": "ipc:///variable.sock",
        "OBSAGENT_REQUIRE_KEYS": "1",
        "OBSAGENT_SERIES_TOTAL": "17",
        "OBSAGENT_DISK_BUDGET": "100MB",
        "OBSAGENT_RETENTION_10S": "1h",
        "OBSAGENT_LOG_FORMAT": "",
    }
    config = load(None, variables, data=Path("/words"))
    assert (config.data, config.serve) == (Path("/words"), "ipc:///variable.sock")
    assert (config.require_keys, config.series_total, config.disk_budget) == (True, 17, 100_000_000)
    assert config.retention[:2] == (3_600_000, 30 * 86_400_000)
    assert config.log_format == "text"
    origins = read(None, variables, data=Path("/words")).origins
    assert origins["data"] == "--data"
    assert origins["serve"] == "OBSAGENT_SERVE"
    assert origins["retention.10s"] == "OBSAGENT_RETENTION_10S"
    assert origins["retention"] == f"{path}:3"


def test_the_file_of_the_command_line_wins_over_that_of_the_environment(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f'data = "/{name}"\n')
    assert load(tmp_path / "a", {"OBSAGENT_CONFIG": str(tmp_path / "b")}).data == Path("/a")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("OBSAGENT_HEAD_BUDGET", "12X", "expected a size"),
        ("OBSAGENT_SERIES_TOTAL", "many", "expected a whole number above zero"),
        ("OBSAGENT_REQUIRE_KEYS", "maybe", "expected true or false, got 'maybe'"),
        ("OBSAGENT_RETENTION_1H", "long", "expected a time"),
        ("OBSAGENT_LISTEN", "/run/x.sock", r"expected ipc://PATH or tcp://HOST:PORT"),
        ("OBSAGENT_LOG_LEVEL", "loud", "expected one of debug, info, warning, error"),
    ],
)
def test_a_wrong_variable_is_named(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: .*{says}"):
        load(None, {name: text})


def test_a_variable_of_a_table_that_the_file_has_something_else_for_hides_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("\nretention = 3\n")
    with pytest.raises(ConfigError, match=r"agent\.toml:2: retention: expected a table"):
        load(path, {"OBSAGENT_RETENTION_10S": "1h"})


def test_a_variable_reaches_tables_within_tables_and_leaves_the_rest_of_them() -> None:
    table: dict[str, object] = {"collect": {"gpu": {"enabled": False}}, "retention": 3}
    _put(table, "collect.gpu.interval", "3s")
    _put(table, "collect.host.interval", "5s")
    _put(table, "retention.10s", "1h")
    assert table == {
        "collect": {"gpu": {"enabled": False, "interval": "3s"}, "host": {"interval": "5s"}},
        "retention": 3,
    }


def test_variables_that_nobody_reads_are_named_with_what_was_meant() -> None:
    variables = {
        "OBSAGENT_DATTA": "x",
        "OBSAGENT_ZZZZZZZ": "x",
        "HOME": "/root",
        **dict.fromkeys([*environment.CLIENTS, environment.CONFIG_FILE, "OBSAGENT_DATA"], "x"),
        "OBSAGENT_SERVICE_HOST": "10.0.0.1",
        "OBSAGENT_SERVICE_PORT_HTTP": "9464",
        "OBSAGENT_PORT": "tcp://10.0.0.1:9464",
        "OBSAGENT_PORT_9464_TCP_ADDR": "10.0.0.1",
    }
    first, second = environment.unread(variables, scalars())
    assert first == "the variable OBSAGENT_DATTA is set and nothing reads it; did you mean OBSAGENT_DATA?"
    assert second.startswith("the variable OBSAGENT_ZZZZZZZ is set and nothing reads it; `obsagent agent --help`")
