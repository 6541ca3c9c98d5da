"""The agent's directory of keys: what it holds, who may enter it, and how soon changes count."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from key_lab import made_key
from other_user import NOBODY, as_user, need_root, open_ground

from obsagent import keyring as module
from obsagent.errors import ConfigError, UsageError
from obsagent.fs import Fs
from obsagent.keyring import Keyring, KnownKey
from obsagent.wire.socket import new_key_pair


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "data" / "keys")


def modes_below(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*")}


@pytest.mark.threat("S3")
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_key_is_made_and_kept_where_nobody_else_looks(keyring: Keyring, umask: int) -> None:
    before = os.umask(umask)
    try:
        key = made_key(keyring, "web-1", "write")
    finally:
        os.umask(before)
    assert keyring.entries() == [KnownKey("web-1", "write", key.public, 1_800_000_000_000)]
    assert stat.S_IMODE(keyring.directory.stat().st_mode) == 0o700
    modes = modes_below(keyring.directory)
    assert modes == {"server.toml": 0o600, "clients": 0o700, "clients/web-1.toml": 0o600}
    kept = (keyring.directory / "clients" / "web-1.toml").read_text()
    assert key.secret not in kept
    assert key.public in kept


def test_the_agents_own_pair_is_made_once(keyring: Keyring) -> None:
    assert keyring.server_pair() is None
    first, second = made_key(keyring, "a", "write"), made_key(keyring, "b", "read")
    pair = keyring.server_pair()
    assert pair is not None
    assert first.server == second.server == pair[0]
    assert len({first.public, second.public, *pair}) == 4


def test_two_who_make_their_first_key_at_once_share_the_agents_pair(tmp_path: Path) -> None:
    directory = tmp_path / "keys"

    class Slow(Fs):
        def write_secret(self, path: Path, content: bytes) -> None:
            if path.name == "server.toml":
                self.faster = made_key(Keyring(directory), "faster", "read")
            super().write_secret(path, content)

    slow = Slow()
    key = made_key(Keyring(directory, slow), "slower", "write")
    assert key.server == slow.faster.server
    assert [each.name for each in Keyring(directory).entries()] == ["faster", "slower"]


def test_names_are_taken_once_and_roles_are_three(keyring: Keyring) -> None:
    made_key(keyring, "web-1", "write")
    with pytest.raises(UsageError, match=r"there is a key 'web-1' already.*obsagent keys revoke web-1"):
        made_key(keyring, "web-1", "read")
    with pytest.raises(UsageError, match="'root' is no role: a key may write, read, control"):
        made_key(keyring, "web-2", "root")
    with pytest.raises(UsageError, match="is no name for a key"):
        made_key(keyring, "../server", "write")
    assert [key.name for key in keyring.entries()] == ["web-1"]


def test_a_key_counts_from_the_next_handshake_on_and_no_more_once_revoked(keyring: Keyring) -> None:
    first = made_key(keyring, "a", "write")
    assert keyring.role_of(first.public, look=True) == "write"
    second = made_key(keyring, "b", "read")
    assert keyring.role_of(second.public, look=True) == "read"
    assert keyring.name_of(second.public) == "the key b"
    keyring.revoke("a")
    assert keyring.role_of(first.public, look=True) is None
    assert keyring.name_of(first.public) == "an unknown key"
    assert keyring.role_of(second.public, look=True) == "read"
    with pytest.raises(UsageError, match="there is no key 'a'; there are: b"):
        keyring.revoke("a")
    again = made_key(keyring, "a", "control")
    assert keyring.role_of(again.public, look=True) == "control"
    assert keyring.role_of(first.public, look=True) is None


def test_without_a_handshake_a_change_counts_within_a_second(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    key = made_key(keyring, "a", "write")
    keyring.refresh(force=True)
    Keyring(keyring.directory).revoke("a")  # another process
    now[0] += 0.5
    assert keyring.role_of(key.public) == "write"
    now[0] += 0.6
    assert keyring.role_of(key.public) is None


def test_a_reload_counts_at_once(keyring: Keyring) -> None:
    key = made_key(keyring, "a", "write")
    assert keyring.refresh(force=True) == 1
    Keyring(keyring.directory).revoke("a")
    assert keyring.refresh(force=True) == 0
    assert keyring.role_of(key.public) is None


def test_a_settled_directory_is_not_read_again(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    made_key(keyring, "a", "write")
    os.utime(keyring.directory / "clients", (1, 1))
    assert keyring.refresh() == 1
    monkeypatch.setattr(keyring, "entries", lambda: pytest.fail("read again"))
    assert keyring.refresh() == 1


def test_a_damaged_entry_lets_nobody_in_and_harms_no_other(keyring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    key = made_key(keyring, "good", "write")
    clients = keyring.directory / "clients"
    whole = (clients / "good.toml").read_text()
    damages = {
        "torn": whole[:40],
        "renamed": whole,
        "role": whole.replace("write", "root").replace('"good"', '"role"'),
        "time": whole.replace('"good"', '"time"').replace("1800000000000", "-1"),
    }
    for name, text in damages.items():
        (clients / f"{name}.toml").write_text(text)
        (clients / f"{name}.toml").chmod(0o600)
    assert [each.name for each in keyring.entries()] == ["good"]
    assert keyring.refresh(force=True) == 1
    assert keyring.role_of(key.public) == "write"
    assert caplog.text.count("a key is not let in") == 2 * len(damages)


@pytest.mark.threat("S3")
@pytest.mark.parametrize("which", ["", "clients"])
def test_a_directory_that_others_can_enter_lets_nobody_in(
    keyring: Keyring, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = made_key(keyring, "a", "write")
    keyring.refresh(force=True)
    (keyring.directory / which).chmod(0o755)
    for asks in (
        keyring.entries,
        keyring.server_pair,
        lambda: keyring.revoke("a"),
        lambda: made_key(keyring, "b", "read"),
    ):
        with pytest.raises(ConfigError, match="has the mode 0755, so others can enter it: chmod 700"):
            asks()
    keyring.refresh(force=True)
    assert keyring.role_of(key.public) is None
    assert "no key is let in" in caplog.text


@pytest.mark.threat("S3")
def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    need_root()
    keyring = Keyring(tmp_path / "keys")
    made_key(keyring, "a", "write")
    for path in (keyring.directory, *keyring.directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with pytest.raises(ConfigError, match="run this as the user that the agent runs as"):
        keyring.entries()
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, NOBODY, NOBODY)
    with pytest.raises(ConfigError, match=f"{store} belongs to user {NOBODY}.*run this as the user that the agent"):
        made_key(Keyring(store / "keys"), "a", "write")
    assert list(store.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said() -> None:
    need_root()
    with open_ground() as ground:

        def make() -> str:
            try:
                Keyring(ground / "keys").new("a", "write", lambda: ("p" * 40, "s" * 40), 0)
            except ConfigError as error:
                return str(error)
            return "made"

        assert as_user(NOBODY, NOBODY, make) == f"no key can be kept in {ground}/keys: Permission denied"


def test_a_missing_directory_has_no_keys(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "none")
    assert keyring.entries() == []
    assert keyring.refresh(force=True) == 0
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        keyring.revoke("a")


def test_threads_may_ask_while_keys_come_and_go(keyring: Keyring) -> None:
    stays = made_key(keyring, "stays", "read")
    keyring.refresh(force=True)
    stopped, wrong = threading.Event(), []

    def ask() -> None:
        while not stopped.is_set():
            if keyring.role_of(stays.public, look=True) != "read":
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        keyring.new(f"k{number}", "write", new_key_pair, 0)
        keyring.revoke(f"k{number}")
    stopped.set()
    for thread in threads:
        thread.join()
    assert not wrong
