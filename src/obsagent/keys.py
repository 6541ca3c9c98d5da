"""A key: what a client or a reader shows an agent over tcp, in a file of its own.

    name = "web-1"
    role = "write"         # write, read or control: which of the agent's endpoints lets it in
    public = "…"           # the agent knows it by this; 40 characters (Z85, as ZeroMQ writes CURVE keys)
    secret = "…"           # nobody else has this
    server = "…"           # the agent's public key, by which the client knows the agent

Such a file is TOML. It is as secret as a password, so others must not be able to read it.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field

from obsagent.errors import ConfigError, UsageError

ROLES = ("write", "read", "control")
"""What a key allows: to send samples, to ask, to change the agent."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
CURVE_KEY = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
FIELDS = ("name", "role", "public", "secret", "server")
OTHERS_MAY = 0o027
"""Permission bits that a file with a secret must not have: everything for others, writing for the group."""
FILE_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class ClientKey:
    """The content of a key file; what is printed of it has no secret."""

    name: str
    role: str
    public: str
    secret: str = field(repr=False)
    server: str

    def to_text(self) -> str:
        """The file."""
        use = {
            "write": "OBSAGENT_KEY, or obsagent.connect(..., key=FILE)",
            "read": "OBSAGENT_KEY, obsagent query --key FILE, or obsagent.query(..., key=FILE)",
            "control": "OBSAGENT_KEY, or obsagent control --key FILE",
        }[self.role]
        lines = [f'{name} = "{getattr(self, name)}"' for name in FIELDS]
        return "\n".join([f"# A key of obsagent, as secret as a password. It is used by {use}.", *lines, ""])


def check_name(name: str) -> str:
    """The name itself; raises `UsageError` for one that could not be a file's."""
    if NAME.fullmatch(name):
        return name
    raise UsageError(f"{name!r} is no name for a key: expected up to 64 letters, digits, dots, hyphens, underscores")


def read_fields(path: str, names: tuple[str, ...]) -> dict[str, str]:
    """The named texts of a TOML file that holds a secret.

    Raises `ConfigError` if it cannot be read, if others can read it, and if it is not what it should be.
    """
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123  (pathlib is slow to import)
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigError(f"the key {path} cannot be read: {error.strerror}") from None
    if stat.S_ISREG(mode) and mode & OTHERS_MAY:
        raise ConfigError(
            f"the key {path} has the mode {stat.S_IMODE(mode):04o}, so others can read or change it: chmod 600 {path} "
            "(a mounted secret of Kubernetes: defaultMode: 0400)"
        )
    try:
        table = tomllib.loads(content.decode())
    except ValueError:
        table = {}
    values = {name: table.get(name) for name in names}
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigError(f"{path} is no key of obsagent: it has no {name}; `obsagent keys new` makes one")
        if name in ("public", "secret", "server") and not CURVE_KEY.fullmatch(value):
            raise ConfigError(f"{path} is damaged: its {name} is no key of 40 characters")
    return values  # type: ignore[return-value]


def read_client_key(path: str) -> ClientKey:
    """The key in a file that `obsagent keys new` has made; raises `ConfigError`, which never quotes a secret."""
    key = ClientKey(**read_fields(path, FIELDS))
    if key.role not in ROLES:
        raise ConfigError(f"{path} is damaged: its role is not one of {', '.join(ROLES)}")
    return key
