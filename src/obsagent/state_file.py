"""A small file that is replaced as a whole: JSON behind a header, with a checksum. Each owner has its `FORMAT.md`."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, StoreError, UnsupportedVersion
from obsagent.fs import Fs

HEADER = struct.Struct("<8sHHII")
"""Magic, version, 0, bytes of the payload as stored, bytes after decompression."""
CHECKSUM = struct.Struct("<I")
"""CRC-32C of the header and of the payload as stored; it stands between them."""
BEGIN = HEADER.size + CHECKSUM.size


@dataclass(frozen=True, slots=True)
class StateFile:
    """One kind of such files: `name` in whatever directory, a magic of 8 bytes, and how much it may hold."""

    name: str
    magic: bytes
    version: int
    bytes_max: int

    def read(self, directory: Path) -> Any:
        """What JSON the file holds; None if there is none.

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

    def write(self, directory: Path, plain: Any, fs: Fs) -> None:
        """Replaces the file, durably; raises `StoreError`."""
        try:
            fs.close(fs.write_file(directory / self.name, [self.encode(plain)]))
        except OSError as error:
            raise StoreError(f"cannot write {directory / self.name}: {error.strerror}") from error

    def encode(self, plain: Any) -> bytes:
        """The file's bytes."""
        raw = json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        payload = zlib.compress(raw, 1)
        header = HEADER.pack(self.magic, self.version, 0, len(payload), len(raw))
        return header + CHECKSUM.pack(crc32c(payload, crc32c(header))) + payload

    def decode(self, data: bytes) -> Any:
        """What JSON the bytes hold; raises `CorruptData`, `UnsupportedVersion`."""
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
            plain = json.loads(raw)
        except (zlib.error, ValueError, RecursionError) as error:
            raise self.damaged(error) from error
        if plain is None:
            raise CorruptData(f"{self.name} is damaged: it says nothing")
        return plain

    def damaged(self, error: Exception) -> CorruptData:
        """What to raise where JSON is sound and says nonsense."""
        return CorruptData(f"{self.name} is damaged: {error}")
