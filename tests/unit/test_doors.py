"""Which endpoints an agent opens, and when it refuses to start."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from agent_in_process import config_in
from key_lab import free_port, made_key

from obsagent.config import AgentConfig, load
from obsagent.doors import open_doors
from obsagent.endpoints import default_control, is_loopback
from obsagent.errors import ConfigError, StoreLocked
from obsagent.keyring import Keyring

OPTIONS = {"listen": "write", "serve": "read", "control": "control"}


def opened(config: AgentConfig) -> None:
    open_doors(config).close()


@pytest.mark.threat("N1")
@pytest.mark.parametrize("option", OPTIONS)
def test_beyond_this_machine_an_agent_without_keys_does_not_start(tmp_path: Path, option: str) -> None:
    endpoint = f"tcp://0.0.0.0:{free_port()}"
    config = config_in(tmp_path, **{option: endpoint})
    with pytest.raises(ConfigError) as caught:
        open_doors(config)
    assert caught.value.exit_code == 78
    assert str(caught.value) == (
        f"{option} = {endpoint}: nobody is let in there without a key, as it can be reached from other machines, and "
        f"there are no keys in {tmp_path}/data/keys. Make one for each client: obsagent keys new NAME --role "
        f"{OPTIONS[option]} --keys {tmp_path}/data/keys. Or listen on this machine only: ipc://PATH or "
        "tcp://127.0.0.1:PORT"
    )
    assert not (tmp_path / "sockets").exists(), "none of the endpoints was opened"
    made_key(Keyring(config.keys_directory), "one", OPTIONS[option])
    opened(config)


def test_on_this_machine_keys_are_asked_for_where_the_configuration_says_so(tmp_path: Path) -> None:
    config = config_in(tmp_path, listen=f"tcp://127.0.0.1:{free_port()}")
    opened(config)
    with pytest.raises(ConfigError, match="as require_keys is set, and there are no keys"):
        open_doors(config_in(tmp_path, listen=config.listen, require_keys=True))


def test_an_endpoint_that_no_key_can_open_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is no reason not to start: the last key may just have been revoked, and the others go on."""
    config = config_in(tmp_path, listen=f"tcp://0.0.0.0:{free_port()}")
    made_key(Keyring(config.keys_directory), "reader", "read")
    opened(config)
    assert f"no key has the role write, so nobody is let in at {config.listen}" in caplog.text


@pytest.mark.threat("S3")
def test_keys_that_others_can_reach_keep_it_from_starting(tmp_path: Path) -> None:
    config = config_in(tmp_path, listen=f"tcp://0.0.0.0:{free_port()}")
    made_key(Keyring(config.keys_directory), "one", "write")
    (config.keys_directory / "server.toml").chmod(0o644)
    with pytest.raises(ConfigError, match=r"server\.toml has the mode 0644"):
        open_doors(config)
    config.keys_directory.chmod(0o755)
    with pytest.raises(ConfigError, match="keys, where the keys lie, has the mode 0755"):
        open_doors(config)


@pytest.mark.threat("L5")
def test_an_unknown_group_keeps_it_from_starting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no group 'no-such-group'"):
        open_doors(config_in(tmp_path, socket_group="no-such-group"))
    assert not (tmp_path / "sockets").exists()


def test_all_three_sockets_are_the_groups(tmp_path: Path) -> None:
    gid = os.getgid()
    with closing(open_doors(config_in(tmp_path, socket_group=str(gid)))):
        sockets = sorted((tmp_path / "sockets").glob("*.sock"))
        assert [path.name for path in sockets] == ["control.sock", "ingest.sock", "query.sock"]
        assert {(path.stat().st_mode & 0o777, path.stat().st_gid) for path in sockets} == {(0o660, gid)}
        assert (tmp_path / "sockets").stat().st_mode & 0o777 == 0o750


@pytest.mark.threat("L4")
def test_where_one_endpoint_is_taken_the_others_are_given_back(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    with closing(open_doors(config)):
        other = config_in(
            tmp_path, listen=f"ipc://{tmp_path}/other/ingest.sock", serve=f"ipc://{tmp_path}/other/q.sock"
        )
        with pytest.raises(StoreLocked, match="control"):
            open_doors(config_in(tmp_path, listen=other.listen, serve=other.serve, control=config.control_endpoint))
        opened(other)


def test_control_lies_beside_the_readers_socket_unless_something_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OBSAGENT_CONTROL", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    ipc, tcp = "ipc:///a/query.sock", "tcp://127.0.0.1:1"
    assert AgentConfig(serve=ipc, listen=tcp).control_endpoint == "ipc:///a/control.sock"
    assert AgentConfig(serve=tcp, listen="ipc:///b/ingest.sock").control_endpoint == "ipc:///b/control.sock"
    assert AgentConfig(serve=tcp, listen=tcp).control_endpoint == "ipc:///run/user/1/obsagent/control.sock"
    assert AgentConfig(serve="ipc://q.sock", listen=tcp).control_endpoint == "ipc://./control.sock"
    assert default_control() == "ipc:///run/user/1/obsagent/control.sock"
    monkeypatch.setenv("OBSAGENT_CONTROL", "tcp://127.0.0.1:3")
    assert AgentConfig(serve=ipc).control_endpoint == default_control() == "tcp://127.0.0.1:3"
    assert AgentConfig(serve=ipc, control="ipc:///c.sock").control_endpoint == "ipc:///c.sock"
    path = tmp_path / "obsagent.toml"
    path.write_text(
        'control = "ipc:///d.sock"\nsocket_group = "staff"\nkeys = "/etc/obsagent/keys"\nrequire_keys = true\n'
    )
    config = load(path)
    assert (config.control_endpoint, config.socket_group, config.require_keys) == ("ipc:///d.sock", "staff", True)
    assert config.keys_directory == Path("/etc/obsagent/keys")
    assert AgentConfig(data=tmp_path).keys_directory == tmp_path / "keys"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.1.2.3:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("tcp://0.0.0.0:1", False),
        ("tcp://*:1", False),
        ("tcp://[::]:1", False),
        ("tcp://10.0.0.7:1", False),
        ("tcp://lo:1", False),
        ("tcp://127.1:1", False),
        ("tcp://localhost.example.org:1", False),
        ("tcp://127.0.0.1.example.org:1", False),
        ("tcp://127.0.0.1;0.0.0.0:1", False),
        ("tcp://:1", False),
    ],
)
def test_what_only_this_machine_can_reach(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected
