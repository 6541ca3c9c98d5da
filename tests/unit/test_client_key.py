"""The key of a client: where it is read from, when it is needed, and what is said where it does not fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from key_lab import free_port, guard_of, made_key, receiving, written

import obsagent
from obsagent.errors import ConfigError
from obsagent.keyring import Keyring
from obsagent.keys import ClientKey
from obsagent.record import clients as module
from obsagent.testing.memory import Memory
from obsagent.wire.socket import ServerSocket

KEY = ClientKey("web-1", "write", "p" * 40, "s" * 40, "a" * 40)
TCP, IPC = "tcp://127.0.0.1:1", "ipc:///nowhere/ingest.sock"


@pytest.fixture(autouse=True)
def no_clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_clients", {})
    monkeypatch.delenv("OBSAGENT_KEY", raising=False)
    yield
    for client in module._clients.values():
        client.close(0.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return written(KEY, tmp_path / "web-1.key")


def test_it_is_an_argument_or_comes_from_the_environment(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = obsagent.connect("a", endpoint=TCP, key=Path(path))
    assert named._key == KEY
    assert obsagent.connect("a", endpoint=TCP)._key is None
    monkeypatch.setenv("OBSAGENT_KEY", path)
    assert obsagent.connect("a", endpoint=TCP) is named, "the same arguments give the same client"


def test_it_is_needed_over_tcp_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_KEY", str(tmp_path / "none.key"))
    assert obsagent.connect("a", endpoint=IPC)._key is None
    with pytest.raises(ConfigError, match=r"none\.key cannot be read: No such file"):
        obsagent.connect("a", endpoint=TCP)
    monkeypatch.setenv("OBSAGENT_DISABLED", "1")
    obsagent.connect("a", endpoint=TCP)


@pytest.mark.threat("S2")
def test_a_key_that_others_can_read_is_not_used(path: str) -> None:
    Path(path).chmod(0o644)
    with pytest.raises(ConfigError, match="others can read or change it: chmod 600"):
        obsagent.connect("a", endpoint=TCP, key=path)


def test_a_test_with_a_memory_needs_no_key(tmp_path: Path) -> None:
    with Memory() as memory:
        obsagent.connect("a", endpoint=TCP, key=tmp_path / "none.key").counter("c").inc()
        assert memory.count("c") == 1


@pytest.mark.threat("N2")
def test_a_client_that_is_not_let_in_warns_once_and_goes_on(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    known = made_key(keyring, "known", "write")
    keyring.revoke("known")
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    server, taken = ServerSocket(endpoint, guard=guard_of(keyring, "write")), []
    with receiving(server, lambda _, parts: taken.append(parts)), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = obsagent.connect("a", endpoint=endpoint, key=written(known, tmp_path / "known.key"))
        client.counter("c").inc()
        result = client.flush(1.0)
    messages = [str(each.message) for each in caught if issubclass(each.category, RuntimeWarning)]
    assert len(messages) == 1
    assert f"the agent at {endpoint} refuses this client: " in messages[0]
    assert "the agent does not let the key known (role write) in" in messages[0]
    assert (result.pending, result.acknowledged) == (1, 0)
    assert taken == []
