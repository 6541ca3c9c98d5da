"""Key files: what is in them, who may read them, and what is said of those that are none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from key_lab import written

from obsagent.errors import ConfigError, UsageError
from obsagent.keys import ClientKey, check_name, read_client_key

KEY = ClientKey("web-1", "write", "R7<O8?d</o7ZL}q?eD[fNeSkb]UBa^!0@4VK+niJ", "s" * 40, "@" * 40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(written(KEY, tmp_path / "web-1.key"))


def test_a_key_survives_its_file(path: Path) -> None:
    assert read_client_key(str(path)) == KEY
    assert set(tomllib.loads(path.read_text())) == {"name", "role", "public", "secret", "server"}


@pytest.mark.parametrize("role", ["write", "read", "control"])
def test_the_file_says_how_it_is_used(role: str) -> None:
    first = ClientKey("x", role, "p" * 40, "s" * 40, "a" * 40).to_text().splitlines()[0]
    assert first.startswith("# A key of obsagent, as secret as a password.")
    assert "OBSAGENT_KEY" in first


@pytest.mark.threat("S1")
def test_what_is_printed_of_a_key_has_no_secret() -> None:
    assert KEY.secret not in f"{KEY} {KEY!r} {[KEY]}"
    assert KEY.public in repr(KEY)


@pytest.mark.threat("S2")
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o601, 0o602, 0o620, 0o666])
def test_a_key_that_others_can_read_or_change_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(
        ConfigError, match=rf"has the mode {mode:04o}, so others can read or change it: chmod 600 {path}"
    ):
        read_client_key(str(path))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_group_may_read_it_where_somebody_has_decided_so(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert read_client_key(str(path)) == KEY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no key of obsagent: it has no name; `obsagent keys new` makes one"),
        ("\x00\xff", "is no key of obsagent"),
        ("name = 3", "it has no name"),
        (KEY.to_text().replace(KEY.secret, "short"), "is damaged: its secret is no key of 40 characters"),
        (KEY.to_text().replace(KEY.public, '\\"' * 20), "is damaged: its public is no key"),
        (KEY.to_text().replace('role = "write"', 'role = "root"'), "its role is not one of write, read, control"),
        (KEY.to_text().replace("server", "sever"), "it has no server"),
    ],
)
def test_what_is_no_key_is_said_without_quoting_it(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_client_key(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert KEY.secret not in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.key cannot be read: No such file"):
        read_client_key(str(tmp_path / "none.key"))


def test_names_are_file_names_and_nothing_else() -> None:
    for name in ("web-1", "A", "a.b_c-9", "x" * 64):
        assert check_name(name) == name
    for name in ("", ".", "..", "../x", "a/b", "-x", "a b", "x" * 65, "é", "a\n", "a\0b"):
        with pytest.raises(UsageError, match="is no name for a key"):
            check_name(name)
