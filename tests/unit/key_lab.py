"""Keys and guarded sockets for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from obsagent.doors import KeyGuard
from obsagent.keyring import Keyring
from obsagent.keys import ClientKey
from obsagent.wire.socket import ServerSocket, new_key_pair


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def made_key(keyring: Keyring, name: str, role: str) -> ClientKey:
    return keyring.new(name, role, new_key_pair, 1_800_000_000_000)


def written(key: ClientKey, path: Path) -> str:
    path.write_text(key.to_text())
    path.chmod(0o600)
    return str(path)


def guard_of(keyring: Keyring, role: str) -> KeyGuard:
    pair = keyring.server_pair()
    assert pair is not None
    return KeyGuard(keyring, role, pair[1])


@contextmanager
def receiving(server: ServerSocket, took: Callable[[bytes, list[bytes]], None]) -> Iterator[None]:
    """Takes messages in a thread of its own until the block ends."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            if server.poll(20) and (message := server.receive()) is not None:
                took(message[0], [bytes(part) for part in message[1]])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        server.close()
