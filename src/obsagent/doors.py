"""The agent's three endpoints, and who may come in at each.

| endpoint | takes | over a socket file | over tcp |
|---|---|---|---|
| writers' (`listen`) | samples, events | the agent's user, `socket_group` | keys with the role write |
| readers' (`serve`) | questions | the same | keys with the role read |
| `control` | what changes the agent | the same | keys with the role control |

Over tcp that only this machine can reach (127.0.0.1, [::1]) no key is asked for unless `require_keys` says so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from obsagent.config import AgentConfig
from obsagent.endpoints import IPC_PREFIX, check_endpoint, is_loopback
from obsagent.errors import ConfigError, UsageError
from obsagent.keyring import Keyring
from obsagent.wire.ipc import group_id
from obsagent.wire.socket import ServerSocket, ServeSocket

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyGuard:
    """Lets in, at one endpoint, the keys of one role; implements `obsagent.wire.socket.Guard`."""

    keyring: Keyring
    role: str
    secret: str

    def lets_in(self, public: str, *, arriving: bool) -> bool:
        """True for a key of this role; the keys' directory is looked at again at every handshake."""
        role = self.keyring.role_of(public, look=arriving)
        if arriving and role != self.role:
            known = "is unknown, or was revoked" if role is None else f"has the role {role}"
            logger.info("%s was not let in where %s is needed: it %s", self.keyring.name_of(public), self.role, known)
        return role == self.role


@dataclass(frozen=True, slots=True)
class Doors:
    """The sockets, bound."""

    writers: ServerSocket
    readers: ServeSocket
    control: ServeSocket
    keyring: Keyring

    @property
    def refused(self) -> int:
        """Handshakes and messages of peers that may not come in."""
        return self.writers.refused + self.readers.refused + self.control.refused

    def close(self) -> None:
        """Stops listening everywhere."""
        for socket in (self.writers, self.readers, self.control):
            socket.close()


def open_doors(config: AgentConfig) -> Doors:
    """Binds the three endpoints, or none of them.

    Raises `ConfigError` for an endpoint that other machines can reach while there are no keys, for an unknown group,
    for a directory that is not safe and for keys that others can read; `StoreLocked` if another agent is at one of the
    endpoints; `UsageError` for one that cannot be bound.
    """
    group = group_id(config.socket_group) if config.socket_group else None
    keyring = Keyring(config.keys_directory)
    places = (("listen", "write"), ("serve", "read"), ("control", "control"))
    endpoints = {"listen": config.listen, "serve": config.serve, "control": config.control_endpoint}
    guards = {key: _guard(config, keyring, key, endpoints[key], role) for key, role in places}
    opened: list[ServerSocket | ServeSocket] = []
    try:
        opened.append(writers := ServerSocket(config.listen, group=group, guard=guards["listen"]))
        opened.append(readers := ServeSocket(config.serve, group=group, guard=guards["serve"]))
        opened.append(control := ServeSocket(config.control_endpoint, group=group, guard=guards["control"]))
    except BaseException:
        for socket in opened:
            socket.close()
        raise
    return Doors(writers, readers, control, keyring)


def objections(config: AgentConfig) -> Iterator[str]:
    """What `open_doors` would refuse, as far as can be seen without opening any."""
    keyring = Keyring(config.keys_directory)
    endpoints = (("listen", config.listen, "write"), ("serve", config.serve, "read"))
    try:
        if config.socket_group:
            group_id(config.socket_group)
    except ConfigError as error:
        yield str(error)
    for option, endpoint, role in (*endpoints, ("control", config.control_endpoint, "control")):
        try:
            _guard(config, keyring, option, endpoint, role)
        except (ConfigError, UsageError) as error:
            yield str(error)


def _guard(config: AgentConfig, keyring: Keyring, option: str, endpoint: str, role: str) -> KeyGuard | None:
    check_endpoint(endpoint)
    if endpoint.startswith(IPC_PREFIX) or (is_loopback(endpoint) and not config.require_keys):
        return None
    pair = keyring.server_pair()
    if pair is None:
        raise ConfigError(_no_keys(option, endpoint, role, config.keys_directory, required=is_loopback(endpoint)))
    if all(key.role != role for key in keyring.entries()):
        logger.warning("no key has the role %s, so nobody is let in at %s: obsagent keys new", role, endpoint)
    keyring.refresh(force=True)
    return KeyGuard(keyring, role, pair[1])


def _no_keys(option: str, endpoint: str, role: str, directory: Path, *, required: bool) -> str:
    why = "require_keys is set" if required else "it can be reached from other machines"
    return (
        f"{option} = {endpoint}: nobody is let in there without a key, as {why}, and there are no keys in {directory}. "
        f"Make one for each client: obsagent keys new NAME --role {role} --keys {directory}. "
        f"Or listen on this machine only: ipc://PATH or tcp://127.0.0.1:PORT"
    )
