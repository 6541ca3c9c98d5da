"""The place of an ipc socket: who can open it, from its first moment on, and which directories are refused."""

from __future__ import annotations

import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from other_user import NOBODY, as_user, need_root, open_ground

from obsagent.errors import ConfigError, StoreLocked, UsageError
from obsagent.wire import ipc
from obsagent.wire.ipc import group_id
from obsagent.wire.socket import ServerSocket

GROUP = 54_321
MEMBER = 54_322


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def ground() -> Iterator[Path]:
    with open_ground() as path:
        yield path


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def born(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The modes that sockets have at the very moment after libzmq has bound them."""
    modes: list[int] = []
    bind = zmq.Socket.bind

    def watched(self: Any, endpoint: str) -> Any:
        done = bind(self, endpoint)
        if endpoint.startswith("ipc://"):
            modes.append(mode_of(Path(endpoint.removeprefix("ipc://"))))
        return done

    monkeypatch.setattr(zmq.Socket, "bind", watched)
    return modes


def connect(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
    return "connected"


@pytest.mark.threat("L1", "L2")
def test_socket_and_directories_are_ours_alone_whatever_the_umask(tmp_path: Path, umask: int, born: list[int]) -> None:
    path = tmp_path / "new" / "sockets" / "ingest.sock"
    server = ServerSocket(f"ipc://{path}")
    try:
        assert born == [0o600], "at its birth"
        assert mode_of(path) == 0o600
        assert [mode_of(each) for each in (path.parent, path.parent.parent)] == [0o700, 0o700]
        assert mode_of(path.with_name("ingest.sock.lock")) == 0o600
        assert os.umask(umask) == umask, "the umask is what it was"
    finally:
        server.close()


@pytest.mark.threat("L1")
def test_another_user_cannot_connect(ground: Path) -> None:
    need_root()
    path = ground / "sockets" / "ingest.sock"
    server = ServerSocket(f"ipc://{path}")
    try:
        assert isinstance(as_user(NOBODY, NOBODY, lambda: connect(path)), PermissionError)
        path.parent.chmod(0o755)  # even if the directory were open
        assert isinstance(as_user(NOBODY, NOBODY, lambda: connect(path)), PermissionError)
        assert as_user(0, 0, lambda: connect(path)) == "connected"
    finally:
        server.close()


@pytest.mark.threat("L5")
def test_a_group_may_connect_and_nobody_else(ground: Path, umask: int, born: list[int]) -> None:
    need_root()
    path = ground / "sockets" / "ingest.sock"
    server = ServerSocket(f"ipc://{path}", group=GROUP)
    try:
        assert born == [0o600]
        assert (mode_of(path), mode_of(path.parent)) == (0o660, 0o750)
        assert (path.stat().st_gid, path.parent.stat().st_gid) == (GROUP, GROUP)
        assert as_user(MEMBER, MEMBER, lambda: connect(path), groups=(GROUP,)) == "connected"
        assert isinstance(as_user(MEMBER, MEMBER, lambda: connect(path)), PermissionError)
    finally:
        server.close()


@pytest.mark.threat("L5")
def test_groups_have_names_and_numbers() -> None:
    known = grp.getgrgid(os.getgid())
    assert group_id(known.gr_name) == known.gr_gid
    assert group_id("54321") == GROUP
    for name in ("no-such-group", "", "-1", "²"):
        with pytest.raises(ConfigError, match=r"socket_group: there is no group .* \(groupadd") as caught:
            group_id(name)
        assert caught.value.exit_code == 78


def test_a_group_that_this_user_is_not_in_cannot_be_given(ground: Path) -> None:
    need_root()
    os.chown(ground, MEMBER, MEMBER)

    def bind() -> str:
        try:
            ipc.IpcPlace(ground / "sockets" / "a.sock", GROUP)
        except ConfigError as error:
            return str(error)
        return "taken"

    assert "without being a member of it: usermod -aG 54321" in as_user(MEMBER, MEMBER, bind)
    assert as_user(MEMBER, MEMBER, bind, groups=(GROUP,)) == "taken"


def test_a_directory_of_sockets_is_opened_to_the_group_and_none_with_other_things_in_it(tmp_path: Path) -> None:
    need_root()
    ServerSocket(f"ipc://{tmp_path}/obsagent/a.sock").close()  # an earlier life, without a group
    ServerSocket(f"ipc://{tmp_path}/obsagent/a.sock", group=GROUP).close()
    assert (mode_of(tmp_path / "obsagent"), (tmp_path / "obsagent").stat().st_gid) == (0o750, GROUP)
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / "mine" / "diary.txt").write_text("")
    with pytest.raises(ConfigError, match=f"cannot enter {tmp_path}/mine: chgrp 54321 {tmp_path}/mine && chmod 750"):
        ServerSocket(f"ipc://{tmp_path}/mine/a.sock", group=GROUP)
    assert mode_of(tmp_path / "mine") == 0o700
    os.chown(tmp_path / "mine", -1, GROUP)
    (tmp_path / "mine").chmod(0o750)
    ServerSocket(f"ipc://{tmp_path}/mine/a.sock", group=GROUP).close()


@pytest.mark.threat("L3")
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_directory_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(ConfigError, match=rf"written by others \(mode {mode:04o}\).*chmod go-w {directory}") as caught:
        ServerSocket(f"ipc://{directory}/a.sock")
    assert caught.value.exit_code == 78
    assert list(directory.iterdir()) == []


@pytest.mark.threat("L3")
def test_a_directory_that_another_user_has_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_root()
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = tmp_path / "obsagent-0"
    made.mkdir(mode=0o700)
    os.chown(made, NOBODY, NOBODY)
    from obsagent.endpoints import default_listen

    with pytest.raises(ConfigError, match=rf"{made} belongs to user {NOBODY}, not to this one \(0\)"):
        ServerSocket(default_listen())


@pytest.mark.threat("L3")
def test_a_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    for target in ("real", "nowhere"):
        link = tmp_path / f"to-{target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(ConfigError, match="is a symbolic link"):
            ServerSocket(f"ipc://{link}/a.sock")
    assert list((tmp_path / "real").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.threat("L3")
def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "sockets"
    directory.mkdir(mode=0o700)
    (directory / "a.sock.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigError, match=r"cannot open .*a\.sock\.lock"):
        ServerSocket(f"ipc://{directory}/a.sock")
    assert not (tmp_path / "victim").exists()


def test_a_file_in_the_way_and_a_place_that_cannot_be_made_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot put sockets into .*/file: Not a directory"):
        ServerSocket(f"ipc://{tmp_path}/file/a.sock")
    with pytest.raises(ConfigError, match="cannot make the directory"):
        ServerSocket(f"ipc://{tmp_path}/file/below/a.sock")
    with pytest.raises(ConfigError, match="cannot make the directory /proc/obsagent"):
        ServerSocket("ipc:///proc/obsagent/a.sock")


@pytest.mark.threat("L4")
def test_a_second_one_is_told_of_the_first_and_leaves_its_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "s" / "a.sock"
    first = ServerSocket(f"ipc://{path}")
    with pytest.raises(StoreLocked, match="another agent is listening"):
        ServerSocket(f"ipc://{path}")
    assert connect(path) == "connected"
    first.close()


@pytest.mark.threat("L6")
@pytest.mark.parametrize("endpoint", ["ipc://@obsagent", "ipc://*"])
def test_a_socket_without_a_path_has_no_permissions_and_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="a socket without a path has no permissions"):
        ServerSocket(endpoint)
