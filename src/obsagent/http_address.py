"""Where the agent's HTTP port is, as it is written: `http = "127.0.0.1:9464"`, `--http off`."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.endpoints import is_loopback
from obsagent.errors import UsageError

DEFAULT_HTTP = "127.0.0.1:9464"
HTTP_OFF = ("", "off")
PORT_MAX = 65_535


class HttpAddress(NamedTuple):
    """Where the HTTP port is; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        """As it is written."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True if only processes of this machine can reach it."""
        return is_loopback(str(self))


def parse_http(text: str) -> HttpAddress | None:
    """An address as `http = …` and `--http` take it; None for `off` and nothing. Raises `UsageError`."""
    if text in HTTP_OFF:
        return None
    host, _, port = text.rpartition(":")
    name = host.removeprefix("[").removesuffix("]")
    is_plain = (host.startswith("[") and host.endswith("]")) or ":" not in host
    is_name = bool(name) and is_plain and name.isprintable() and " " not in name and "/" not in name
    if is_name and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= PORT_MAX:
        return HttpAddress(name, int(port))
    raise UsageError(f"http = {text!r}: expected HOST:PORT such as {DEFAULT_HTTP}, or off")
