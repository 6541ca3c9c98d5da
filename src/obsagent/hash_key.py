"""The key that columns are hashed with (`hash = […]` of a model): made once for a store, and never shown.

    DIR/hash.key        32 random bytes, mode 0600

Clients get it with the rules of a model that hashes something. The same value gives the same hash in every client and
after every restart; who has the store's hashes and not this file cannot try values out.
"""

from __future__ import annotations

import os
from pathlib import Path

from obsagent.errors import StoreError
from obsagent.fs import Fs
from obsagent.limits import HASH_KEY_BYTES_MAX, HASH_KEY_BYTES_MIN

NAME = "hash.key"
NEW_BYTES = 32


def hash_key(directory: Path, fs: Fs | None = None) -> bytes:
    """The key of the store in a directory, made if there is none; raises `StoreError` if it cannot be read or kept."""
    path = directory / NAME
    try:
        if not path.exists():
            return _new(path, fs or Fs())
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"the key of hashed columns, {path}, cannot be read or made: {error.strerror}") from None
    if not HASH_KEY_BYTES_MIN <= len(key) <= HASH_KEY_BYTES_MAX:
        raise StoreError(
            f"{path} is no key of hashed columns: it has {len(key)} bytes. Without it new hashes cannot be compared "
            "with old ones; to begin anew, remove it"
        )
    return key


def _new(path: Path, fs: Fs) -> bytes:
    key = os.urandom(NEW_BYTES)
    try:
        fs.write_secret(path, key)
    except FileExistsError:
        return path.read_bytes()
    return key
