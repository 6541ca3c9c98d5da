"""Where the HTTP port listens, and the token that is asked for there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from obsagent.errors import ConfigError, UsageError
from obsagent.http_address import HttpAddress
from obsagent.limits import HTTP_CONNECTIONS, HTTP_TOKEN_BYTES_MAX, HTTP_TOKEN_BYTES_MIN
from obsagent.web.secrets import refuse_shared


@dataclass(slots=True)
class Token:
    """The secret in a file; `value` is what was read last."""

    path: Path
    value: bytes

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Token({str(self.path)!r})"

    def refresh(self) -> None:
        """Reads the file again; raises `ConfigError`, and then nothing has changed."""
        self.value = read_token(self.path)


def read_token(path: Path) -> bytes:
    """The one line of a token's file; raises `ConfigError`, which never quotes it, for one that others can read."""
    try:
        with path.open("rb") as file:
            refuse_shared("http_token", path, os.fstat(file.fileno()))
            content = file.read(HTTP_TOKEN_BYTES_MAX + 1).strip()
    except OSError as error:
        raise ConfigError(f"http_token: {path} cannot be read: {error.strerror}. {how_to_make(path)}") from None
    if not HTTP_TOKEN_BYTES_MIN <= len(content) <= HTTP_TOKEN_BYTES_MAX or not content.isascii():
        raise ConfigError(
            f"http_token: {path} holds no token: expected one line of at least {HTTP_TOKEN_BYTES_MIN} ASCII characters"
            f". {how_to_make(path)}"
        )
    if any(byte <= 32 or byte == 127 for byte in content):
        raise ConfigError(f"http_token: {path} holds no token: a token is one word")
    return content


def how_to_make(path: Path | str) -> str:
    """The command that makes a token."""
    return f"Make one: (umask 077; openssl rand -hex 32 > {path})"


def listen(address: HttpAddress, token: Path | None) -> tuple[socket.socket, Token | None]:
    """A socket that listens there, and its token if it has one.

    Raises `ConfigError` where other machines can reach it and there is no token, and for a bad token; `UsageError` if
    the address cannot be listened at.
    """
    if token is None and not address.is_loopback:
        raise ConfigError(
            f"http = {address}: other machines can reach it, so it asks for a token, and http_token names none. "
            f'{how_to_make("/etc/obsagent/http.token")}, then http_token = "/etc/obsagent/http.token". '
            'Or listen on this machine only: http = "127.0.0.1:9464"'
        )
    read = Token(token, read_token(token)) if token is not None else None
    return bound(address), read


def bound(address: HttpAddress) -> socket.socket:
    """A socket that listens at the address; raises `UsageError`."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"http = {address}: the host is not known: {error}") from None
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(HTTP_CONNECTIONS)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        raise UsageError(
            f"http = {address}: cannot listen there: {why}. Another port: --http HOST:PORT; none at all: --http off"
        ) from error
    return listener
