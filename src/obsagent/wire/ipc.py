"""The place of an ipc socket: a directory that nobody else can write into, a lock, and modes.

Whoever can write into the directory could put a socket of his own in the place of ours and be taken for the agent, so
the directory is ours alone (0700). The socket never has wider permissions than it is to have (0600), not even for the
moment between its birth and a chmod. With a group, the group may pass the directory (0750) and connect (0660).

A lock file beside the socket says that an agent is there: a second bind on the same path would steal it in silence.
"""

from __future__ import annotations

import fcntl
import grp
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from obsagent.errors import ConfigError, StoreLocked
from obsagent.limits import LOCK_BYTES_MAX

DIRECTORY_MODE, SOCKET_MODE = 0o700, 0o600
GROUP_DIRECTORY_MODE, GROUP_SOCKET_MODE = 0o750, 0o660
OTHERS_WRITE = 0o022
OURS = (".sock", ".sock.lock")
GROUP_PASSES, OTHERS_PASS = 0o010, 0o001


def group_id(name: str) -> int:
    """The number of a group, given by its name or its number; raises `ConfigError` if there is no such group."""
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            f"socket_group: there is no group {name!r} on this machine; create it (groupadd {name}), name another one, "
            "or give its number"
        ) from None


class IpcPlace:
    """Where a socket is to be bound; held until `release`."""

    def __init__(self, path: Path, group: int | None = None) -> None:
        """Makes the directory or checks it, takes the lock, and removes a socket that a killed agent left behind.

        Raises `ConfigError` for a directory that others can write or that is not ours, and if the group cannot be
        given to it; `StoreLocked` if another agent is there.
        """
        self.path = path
        self._group = group
        _prepare(path.parent, group)
        self._lock = self._take_lock()
        if path.is_socket():
            path.unlink()

    def _take_lock(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            lock = os.open(f"{self.path}.lock", flags, SOCKET_MODE)
        except OSError as error:
            raise ConfigError(f"cannot open {self.path}.lock: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise StoreLocked(
                f"another agent is listening on ipc://{self.path} (pid {holder or 'unknown'}); stop it or choose "
                "--listen/--serve/--control"
            ) from None
        with suppress(OSError):  # who holds it is a courtesy
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    @contextmanager
    def binding(self) -> Iterator[None]:
        """Within it the socket is bound: born with 0600, whatever the umask, and opened to the group afterwards."""
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            yield
        finally:
            os.umask(before)
        if self._group is not None:
            try:
                os.chown(self.path, -1, self._group, follow_symlinks=False)
            except PermissionError:
                raise _not_a_member(self._group) from None
            self.path.chmod(GROUP_SOCKET_MODE)

    def release(self) -> None:
        """Removes the socket and gives the lock back."""
        self.path.unlink(missing_ok=True)
        os.close(self._lock)


def _prepare(directory: Path, group: int | None) -> None:
    try:
        _make(directory)
    except OSError as error:
        raise ConfigError(f"cannot make the directory {directory} for the agent's sockets: {error.strerror}") from None
    if directory.is_symlink():
        raise ConfigError(
            f"{directory} is a symbolic link, which its owner can turn elsewhere: name the directory itself"
        )
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot put sockets into {directory}: {error.strerror}") from None
    try:
        _check(directory, os.fstat(descriptor))
        if group is not None:
            _open_to_group(directory, descriptor, group)
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    """Makes the directory, and those above it, for us alone, unless they are there."""
    if directory.exists() or directory.is_symlink():
        return
    _make(directory.parent)
    with suppress(FileExistsError):  # somebody was faster; what it is will be checked
        directory.mkdir(mode=DIRECTORY_MODE)


def _check(directory: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{directory} belongs to user {status.st_uid}, not to this one ({os.geteuid()}): its owner could take the "
            "agent's place; choose another directory for the sockets (--listen, --serve, --control)"
        )
    if status.st_mode & OTHERS_WRITE:
        raise ConfigError(
            f"{directory} can be written by others (mode {stat.S_IMODE(status.st_mode):04o}), who could take the "
            f"agent's place: chmod go-w {directory}, or choose another directory (--listen, --serve, --control)"
        )


def _open_to_group(directory: Path, descriptor: int, group: int) -> None:
    """Lets the group pass; a directory with other things than sockets in it is not the agent's to open."""
    status = os.fstat(descriptor)
    passes = status.st_gid == group and status.st_mode & GROUP_PASSES
    if passes or status.st_mode & OTHERS_PASS:
        return
    if not all(name.endswith(OURS) for name in os.listdir(descriptor)):
        raise ConfigError(
            f"socket_group: the group {group} cannot enter {directory}: chgrp {group} {directory} && "
            f"chmod {GROUP_DIRECTORY_MODE:o} {directory}"
        )
    try:
        os.fchown(descriptor, -1, group)
    except PermissionError:
        raise _not_a_member(group) from None
    os.fchmod(descriptor, GROUP_DIRECTORY_MODE)


def _not_a_member(group: int) -> ConfigError:
    return ConfigError(
        f"socket_group: this user ({os.geteuid()}) cannot give files to the group {group} without being a member of "
        f"it: usermod -aG {group} USER, or SupplementaryGroups= in the service"
    )
