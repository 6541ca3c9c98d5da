"""A small file that is replaced as a whole: JSON behind a header, with a checksum. Each owner has its `FORMAT.md`."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.fs import Fs
from obsagent.limits import COUNT_MAX, STATE_ROWS_MAX

HEADER = struct.Struct("<8sHHII")
"""Magic, version, 0, bytes of the payload as stored, bytes after decompression."""
CHECKSUM = struct.Struct("<I")
"""CRC-32C of the header and of the payload as stored; it stands between them."""
BEGIN = HEADER.size + CHECKSUM.size
COMPLAINT_CHARACTERS = 200
Made = TypeVar("Made")
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class StateFile(Generic[State]):
    """One kind of such files: `name` in whatever directory, a magic of 8 bytes, and how much it may hold.

    `to_plain` makes JSON of a state, `from_plain` the state of that. For what is none it raises ValueError, TypeError,
    or what comes of looking for something that is not there.
    """

    name: str
    magic: bytes
    version: int
    bytes_max: int
    to_plain: Callable[[State], Any]
    from_plain: Callable[[Any], State]

    def read(self, directory: Path) -> State | None:
        """The state in a directory; None if there is none.

        Raises `CorruptData` for what is damaged, `UnsupportedVersion` for what a newer version wrote, `StoreError` for
        what cannot be read.
        """
        try:
            with (directory / self.name).open("rb") as file:
                data = file.read(BEGIN + self.bytes_max + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {directory / self.name}: {error.strerror}") from error
        return self.decode(data)

    def write(self, directory: Path, state: State, fs: Fs) -> None:
        """Replaces the file, durably; raises `StoreError`."""
        try:
            fs.close(fs.write_file(directory / self.name, [self.encode(state)]))
        except OSError as error:
            raise StoreError(f"cannot write {directory / self.name}: {error.strerror}") from error

    def encode(self, state: State) -> bytes:
        """The file's bytes."""
        return self.sealed(self.to_plain(state))

    def sealed(self, plain: Any) -> bytes:
        """The bytes of a file that holds this JSON, be it a state or not."""
        raw = json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        payload = zlib.compress(raw, 1)
        header = HEADER.pack(self.magic, self.version, 0, len(payload), len(raw))
        return header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload

    def decode(self, data: bytes) -> State:
        """The state in the bytes of a file; raises `CorruptData`, `UnsupportedVersion`."""
        plain = self._opened(data)
        try:
            return self.from_plain(plain)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error

    def _opened(self, data: bytes) -> Any:
        if len(data) < BEGIN or not data.startswith(self.magic):
            raise CorruptData(f"{self.name} does not begin as it should")
        _, version, _, size, raw_size = HEADER.unpack_from(data)
        (checksum,) = CHECKSUM.unpack_from(data, HEADER.size)
        if version > self.version:
            raise UnsupportedVersion(
                f"{self.name} was written by a newer obsagent (format {version}); this one reads {self.version}"
            )
        payload = data[BEGIN:]
        sound = crc32c(payload, crc32c(data[: HEADER.size])) == checksum
        if len(payload) != size or raw_size > self.bytes_max or not sound:
            raise CorruptData(f"{self.name} is damaged: its checksum is another")
        try:
            raw = zlib.decompressobj().decompress(payload, raw_size + 1)
            if len(raw) != raw_size:
                raise CorruptData(f"{self.name} is damaged: it holds {len(raw)} bytes instead of {raw_size}")
            plain = json.loads(raw, parse_int=_whole_of, parse_float=_finite_of, parse_constant=_finite_of)
            if b"\\ud" in raw.lower():
                json.dumps(plain, ensure_ascii=False).encode()  # half a character has no bytes
        except (zlib.error, ValueError, RecursionError) as error:
            raise self._damaged(error) from error
        if plain is None:
            raise CorruptData(f"{self.name} is damaged: it says nothing")
        return plain

    def _damaged(self, error: Exception) -> CorruptData:
        return CorruptData(f"{self.name} is damaged: {str(error)[:COMPLAINT_CHARACTERS]}")


def whole(value: Any) -> int:
    """A whole number of JSON. Raises TypeError for anything else."""
    return int(_of_type(value, int))


def count(value: Any) -> int:
    """A number of rows of JSON. Raises TypeError for anything else, ValueError for one below 0 or beyond all rows."""
    if not 0 <= whole(value) <= STATE_ROWS_MAX:
        raise ValueError(f"{value} stands where rows are counted")
    return int(value)


def number(value: Any) -> float:
    """A number of JSON, finite as all in such a file. Raises TypeError for anything else."""
    return float(_of_type(value, int, float))


def text(value: Any) -> str:
    """A text of JSON. Raises TypeError for anything else."""
    return str(_of_type(value, str))


def flag(value: Any) -> bool:
    """True or false of JSON. Raises TypeError for anything else."""
    return bool(_of_type(value, bool))


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "int": whole,
    "float": number,
    "str": text,
    "bool": flag,
    "int | None": lambda value: None if value is None else whole(value),
}


def made(kind: type[Made], plain: Mapping[str, Any]) -> Made:
    """A dataclass of the JSON of its fields. Raises TypeError or KeyError for what is not of their types."""
    checks = {field.name: _CHECKS[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: checks[name](value) for name, value in plain.items()})


def _of_type(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise TypeError(f"{str(value)[:COMPLAINT_CHARACTERS]!r} stands where {types[-1].__name__} is expected")
    return value


def _whole_of(digits: str) -> int:
    value = int(digits)
    if abs(value) > COUNT_MAX:
        raise ValueError(f"a number of {len(digits)} digits")
    return value


def _finite_of(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:COMPLAINT_CHARACTERS]} is no number")
    return value
