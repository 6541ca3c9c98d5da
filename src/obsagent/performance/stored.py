"""Counts as bytes: FORMAT.md beside this file says what they look like."""

from __future__ import annotations

import zlib
from typing import Any

import msgpack
import numpy as np

from obsagent.errors import CorruptData, UnsupportedVersion
from obsagent.limits import PERFORMANCE_BYTES_MAX, PERFORMANCE_DIMENSIONS_MAX

MAGIC = b"OBSP"
VERSION = 1
HEADER_BYTES = 9
_ARRAYS = {"<i8", "<f8"}
NAMED_CHARACTERS = 200
"""A complaint may name what was wrong, and not repeat all of it."""


def encode(kind: str, state: dict[str, Any]) -> bytes:
    """The bytes of a state whose values are numbers, texts, lists, dictionaries and arrays of int64 and float64."""
    body = zlib.compress(msgpack.packb([kind, state], default=_plain), 1)
    return MAGIC + bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "little") + body


def decode(kind: str, data: bytes) -> dict[str, Any]:
    """The state of that kind. Raises `CorruptData` for anything else, `UnsupportedVersion` for a newer version."""
    if len(data) < HEADER_BYTES or data[:4] != MAGIC:
        raise CorruptData("these are no bytes of performance counts")
    if data[4] != VERSION:
        raise UnsupportedVersion(f"performance counts of version {data[4]}; this build reads {VERSION}")
    body = bytes(data[HEADER_BYTES:])
    if zlib.crc32(body) != int.from_bytes(data[5:HEADER_BYTES], "little"):
        raise CorruptData("performance counts: the checksum is wrong")
    try:
        found, state = msgpack.unpackb(_inflated(body), object_hook=_arrays)
    except (ValueError, TypeError, KeyError, OverflowError, zlib.error, msgpack.UnpackException) as error:
        raise refused(error) from None
    if found != kind or not isinstance(state, dict):
        raise CorruptData(f"these are bytes of {str(found)[:NAMED_CHARACTERS]!r}, not of {kind!r}")
    return state


def refused(error: Exception) -> CorruptData:
    """What to raise where a state is none."""
    return CorruptData(f"performance counts: {str(error)[:NAMED_CHARACTERS]}")


def _inflated(body: bytes) -> bytes:
    """What was compressed; of what claims to be huge no more than is allowed is ever made."""
    inflate = zlib.decompressobj()
    found = inflate.decompress(body, PERFORMANCE_BYTES_MAX)
    if not inflate.eof or inflate.unused_data:
        raise ValueError(f"torn, or more than {PERFORMANCE_BYTES_MAX:,} bytes")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return {"dtype": plain.dtype.str, "shape": list(plain.shape), "data": plain.tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no part of a state")


def _arrays(found: dict[str, Any]) -> Any:
    if found.keys() != {"dtype", "shape", "data"}:
        return found
    if found["dtype"] not in _ARRAYS or len(found["shape"]) > PERFORMANCE_DIMENSIONS_MAX:
        raise ValueError("an array of a kind that is not stored")
    return np.frombuffer(found["data"], dtype=found["dtype"]).reshape(found["shape"])
