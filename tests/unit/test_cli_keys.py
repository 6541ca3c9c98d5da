"""`obsagent keys` and `obsagent control`: what they print, what they write, and whom they tell."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from agent_in_process import config_in, running_agent

from obsagent import cli
from obsagent.cli import keys as command
from obsagent.keys import ROLES, read_client_key


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with the store and the sockets in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name in ("OBSAGENT_ENDPOINT", "OBSAGENT_AGENT", "OBSAGENT_CONTROL", "OBSAGENT_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_roles_of_the_help_are_those_of_keys() -> None:
    assert command.ROLES == ROLES


@pytest.mark.parametrize(
    ("role", "may", "use"),
    [
        ("write", "send samples", 'obsagent.connect(..., endpoint="tcp://HOST:PORT", key="k.key")'),
        ("read", "ask questions", "obsagent query ... --agent tcp://HOST:PORT --key k.key"),
        ("control", "change the agent", "obsagent control reload --control tcp://HOST:PORT --key k.key"),
    ],
)
def test_a_new_key_is_written_for_its_owner_alone_and_says_how_it_is_used(
    place: Path, capsys: pytest.CaptureFixture[str], role: str, may: str, use: str
) -> None:
    before = os.umask(0)
    try:
        assert cli.main(["keys", "new", "k", "--role", role]) == 0
    finally:
        os.umask(before)
    out = capsys.readouterr().out
    assert f"the key k may {may}; it is in k.key, and nowhere else: treat it as a password" in out
    assert use in out
    key = read_client_key("k.key")
    assert (key.name, key.role) == ("k", role)
    assert key.secret not in out
    assert stat.S_IMODE((place / "k.key").stat().st_mode) == 0o600
    assert [path.name for path in (place / "obsagent" / "keys" / "clients").iterdir()] == ["k.toml"]


def test_the_agents_own_endpoint_is_shown_where_others_reach_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "agent.toml").write_text('listen = "tcp://0.0.0.0:7000"\nserve = "tcp://192.0.2.1:7001"\nkeys = "ring"\n')
    assert cli.main(["keys", "new", "a", "--role", "write", "--config", "agent.toml"]) == 0
    assert 'endpoint="tcp://HOST:7000"' in capsys.readouterr().out
    assert cli.main(["keys", "new", "b", "--role", "read", "--config", "agent.toml", "--output", "out.key"]) == 0
    assert "--agent tcp://192.0.2.1:7001 --key out.key" in capsys.readouterr().out
    assert sorted(path.name for path in (place / "ring" / "clients").iterdir()) == ["a.toml", "b.toml"]


@pytest.mark.threat("S1")
def test_a_list_has_no_secret_in_any_format(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keys", "list"]) == 0
    assert "no keys in" in capsys.readouterr().out
    made = []
    for name, role in (("web-1", "write"), ("ops", "control")):
        assert cli.main(["keys", "new", name, "--role", role, "--format", "json"]) == 0
        made.append(json.loads(capsys.readouterr().out))
    assert made[0] == {"name": "web-1", "role": "write", "public": made[0]["public"], "file": "web-1.key"}
    assert cli.main(["keys", "list"]) == 0
    table = capsys.readouterr().out
    shown = [line.split()[:2] for line in table.splitlines()]
    assert shown == [["name", "role"], ["ops", "control"], ["web-1", "write"]]
    assert cli.main(["keys", "list", "--format", "json"]) == 0
    listed = capsys.readouterr().out
    assert [(key["name"], key["role"], key["public"]) for key in json.loads(listed)["keys"]] == [
        ("ops", "control", made[1]["public"]),
        ("web-1", "write", made[0]["public"]),
    ]
    server = (place / "obsagent" / "keys" / "server.toml").read_text().split('secret = "')[1][:40]
    for secret in (server, *(read_client_key(f"{name}.key").secret for name in ("web-1", "ops"))):
        assert secret not in table + listed + json.dumps(made)


def test_a_revoked_key_is_gone_and_a_running_agent_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_in(place, data=place / "obsagent")
    for name in ("a", "b"):
        cli.main(["keys", "new", name, "--role", "write"])
    with running_agent(config):
        capsys.readouterr()
        assert cli.main(["keys", "revoke", "a", "--control", config.control_endpoint]) == 0
        assert capsys.readouterr().out == "the key a is revoked; the agent refuses it from now on (keys left: 1)\n"
    assert cli.main(["keys", "revoke", "b"]) == 0
    assert "the key b is revoked; no agent listens at ipc://" in capsys.readouterr().out
    assert cli.main(["keys", "revoke", "b", "--format", "json"]) == 2
    assert "there is no key 'b'; there are: none" in capsys.readouterr().err
    cli.main(["keys", "new", "b", "--role", "read", "--output", "again.key"])
    capsys.readouterr()
    assert cli.main(["keys", "revoke", "b", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "b", "agent_told": False}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["new", "a"], 2, "a key has a role: obsagent keys new a --role write|read|control"),
        (["new", "--role", "write"], 2, "expected: obsagent keys new NAME"),
        (["revoke"], 2, "expected: obsagent keys revoke NAME"),
        (["list", "a"], 2, "`keys list` takes no name"),
        (["revoke", "a", "--role", "read"], 2, "--role and --output are for `keys new`"),
        (["new", "../a", "--role", "read"], 2, "is no name for a key"),
        (["revoke", "a"], 78, "cannot be read: No such file"),
        (["new", "a", "--role", "write", "--output", "none/a.key"], 78, "none/a.key cannot be written: No such file"),
        (["new", "taken", "--role", "write"], 2, "taken.key is there already: choose another file with --output"),
    ],
)
def test_mistakes_say_what_was_expected_and_leave_no_key(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    (place / "taken.key").write_text("mine")
    assert cli.main(["keys", *words]) == code
    assert message in capsys.readouterr().err
    clients = place / "obsagent" / "keys" / "clients"
    assert not clients.exists() or list(clients.iterdir()) == []
    assert (place / "taken.key").read_text() == "mine"


def test_control_says_what_it_did(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_in(place)
    with running_agent(config):
        at = ["--control", config.control_endpoint]
        assert cli.main(["control", "reload", *at]) == 0
        assert capsys.readouterr().out == "reloaded: 0 keys; settings for metrics: none\n"
        assert cli.main(["control", "checkpoint", *at]) == 0
        assert capsys.readouterr().out.strip() in {
            "everything is in segments now",
            "nothing was in memory that is not in a segment",
        }
        assert cli.main(["control", "checkpoint", *at, "--format", "json"]) == 0
        assert set(json.loads(capsys.readouterr().out)) == {"written"}
        assert cli.main(["control", "checkpoint", "--control", config.serve]) == 1
        assert "not for the readers' endpoint, but for the control one" in capsys.readouterr().err
    assert cli.main(["control", "reload", *at]) == 1
    assert "no agent is listening" in capsys.readouterr().err
