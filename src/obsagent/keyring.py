"""The agent's keys: its own pair, and what it knows of the keys that may come in over tcp.

    DIR/server.toml           the agent's own pair; made with the first key
    DIR/clients/NAME.toml     name, role and public key of each that is let in; its secret is not here

The directories have the mode 0700, the files 0600. To revoke a key is to remove its file. A running agent looks at
the directory at every handshake, at most a second after at every message, and when it is told to.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from obsagent.errors import ConfigError, UsageError
from obsagent.fs import Fs
from obsagent.keys import ROLES, ClientKey, check_name, read_fields

logger = logging.getLogger(__name__)

DIRECTORY_MODE = 0o700
OTHERS_MAY = 0o077
LOOK_S = 1.0
SETTLED_S = 2.0
"""A directory that was changed less than so long ago may be changed again without a later time of change."""

KeyPair = tuple[str, str]
"""Public and secret key, 40 characters each."""


class KnownKey(NamedTuple):
    """A key that is let in, as `obsagent keys list` shows it."""

    name: str
    role: str
    public: str
    created_ms: int


class Keyring:
    """The keys in one directory. Thread-safe."""

    def __init__(self, directory: Path, fs: Fs | None = None) -> None:
        """Nothing is read yet; the directory need not be there."""
        self.directory = directory
        self._clients = directory / "clients"
        self._server = directory / "server.toml"
        self._fs = fs or Fs()
        self._lock = threading.Lock()
        self._by_public: dict[str, KnownKey] = {}
        self._read_at_ns = -1
        self._looked_s = 0.0

    def server_pair(self) -> KeyPair | None:
        """The agent's own pair, or None before the first key was made; raises `ConfigError` as `check` does."""
        if not self._server.exists():
            return None
        self.check()
        fields = read_fields(str(self._server), ("public", "secret"))
        return fields["public"], fields["secret"]

    def check(self) -> None:
        """Raises `ConfigError` unless the directories are there, ours, and closed to others."""
        for directory in (self.directory, self._clients):
            try:
                status = directory.lstat()
            except OSError as error:
                raise ConfigError(f"the keys in {directory} cannot be read: {error.strerror}") from None
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                raise ConfigError(
                    f"{directory}, where the keys lie, is no directory of this user ({os.geteuid()}), but of "
                    f"{status.st_uid}: run this as the user that the agent runs as"
                )
            if status.st_mode & OTHERS_MAY:
                raise ConfigError(
                    f"{directory}, where the keys lie, has the mode {stat.S_IMODE(status.st_mode):04o}, so others can "
                    f"enter it: chmod 700 {directory}"
                )

    def new(self, name: str, role: str, make_pair: Callable[[], KeyPair], now_ms: int) -> ClientKey:
        """Makes a key and lets it in; the caller hands the secret to whom it is for: it is kept nowhere else.

        The agent's own pair is made with the first key. Raises `UsageError` if the name is no name or taken, and
        `ConfigError` if the directory cannot hold keys.
        """
        check_name(name)
        if role not in ROLES:
            raise UsageError(f"{role!r} is no role: a key may {', '.join(ROLES)}")
        try:
            self._make_directories()
            server = self.server_pair() or self._make_server(make_pair)
            public, secret = make_pair()
            known = KnownKey(name, role, public, now_ms)
            self._fs.write_secret(self._path(name), _known_text(known).encode())
        except FileExistsError:
            raise UsageError(
                f"there is a key {name!r} already: choose another name, or revoke it first: obsagent keys revoke {name}"
            ) from None
        except OSError as error:
            raise ConfigError(f"no key can be kept in {self.directory}: {error.strerror}") from None
        return ClientKey(name, role, public, secret, server[0])

    def _make_directories(self) -> None:
        nearest = self.directory
        while not nearest.exists():
            nearest = nearest.parent
        if nearest.name and nearest.stat().st_uid not in (os.geteuid(), 0):
            raise ConfigError(
                f"{nearest} belongs to user {nearest.stat().st_uid}, and so would have to the keys in it: run this as "
                "the user that the agent runs as"
            )
        self._fs.make_directory(self.directory.parent)
        for directory in (self.directory, self._clients):
            if not directory.is_dir():
                directory.mkdir(mode=DIRECTORY_MODE)
                self._fs.sync_directory(directory.parent)
        self.check()

    def _make_server(self, make_pair: Callable[[], KeyPair]) -> KeyPair:
        public, secret = make_pair()
        text = f'# The key pair of an obsagent agent.\npublic = "{public}"\nsecret = "{secret}"\n'
        try:
            self._fs.write_secret(self._server, text.encode())
        except FileExistsError:  # somebody has made his first key at the same moment
            return self.server_pair() or (public, secret)
        return public, secret

    def revoke(self, name: str) -> None:
        """Lets a key in no more; raises `UsageError` if there is none of that name, `ConfigError` as `check` does."""
        self.check()
        path = self._path(check_name(name))
        if not path.exists():
            names = ", ".join(key.name for key in self.entries()) or "none"
            raise UsageError(f"there is no key {name!r}; there are: {names}")
        try:
            self._fs.remove(path)
            self._fs.sync_directory(self._clients)
        except OSError as error:
            raise ConfigError(f"{path} cannot be removed: {error.strerror}") from None

    def entries(self) -> list[KnownKey]:
        """Every key that is let in, by name; a damaged file is passed over and logged. Raises `ConfigError`."""
        if not self.directory.exists():
            return []
        self.check()
        found = []
        for path in sorted(self._clients.glob("*.toml")):
            try:
                found.append(_read_known(path))
            except ConfigError as error:
                logger.error("a key is not let in: %s", error)
        return found

    def role_of(self, public: str, *, look: bool = False) -> str | None:
        """The role of a public key, or None if it is not let in.

        Looks for changes of the directory if `look` says so, else if nobody has for a second.
        """
        if look or time.monotonic() - self._looked_s > LOOK_S:
            self.refresh()
        known = self._by_public.get(public)
        return None if known is None else known.role

    def name_of(self, public: str) -> str:
        """What a public key is called, for messages to people."""
        known = self._by_public.get(public)
        return "an unknown key" if known is None else f"the key {known.name}"

    def refresh(self, *, force: bool = False) -> int:
        """Reads the directory again if it has changed, or if `force` says so; how many keys are let in.

        A directory that cannot be read lets nobody in.
        """
        with self._lock:
            self._looked_s = time.monotonic()
            changed_ns = self._changed_ns()
            if force or changed_ns != self._read_at_ns:
                self._read(changed_ns)
            return len(self._by_public)

    def _changed_ns(self) -> int:
        try:
            return self._clients.stat().st_mtime_ns
        except OSError:
            return 0

    def _read(self, changed_ns: int) -> None:
        try:
            entries = self.entries()
        except (ConfigError, OSError) as error:
            logger.error("no key is let in: %s", error)
            entries = []
        self._by_public = {key.public: key for key in entries}
        settled = time.time_ns() - changed_ns > SETTLED_S * 1e9
        self._read_at_ns = changed_ns if settled else -1

    def _path(self, name: str) -> Path:
        return self._clients / f"{name}.toml"


def _known_text(key: KnownKey) -> str:
    return f'name = "{key.name}"\nrole = "{key.role}"\npublic = "{key.public}"\ncreated_ms = "{key.created_ms}"\n'


def _read_known(path: Path) -> KnownKey:
    fields = read_fields(str(path), ("name", "role", "public", "created_ms"))
    created = fields["created_ms"]
    if fields["role"] not in ROLES or fields["name"] != path.stem or not created.isdecimal():
        raise ConfigError(f"{path} is damaged: name, role or time are not what they were")
    return KnownKey(fields["name"], fields["role"], fields["public"], int(created))
