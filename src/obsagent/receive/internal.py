"""The agent's own session: what it measures about itself and what it derives goes the journalled way.

Samples are gathered in a body like a client's and written as a frame of a session of service `obsagent`, so
that a replay gives the same windows and the accounts hold for them too.
"""

from __future__ import annotations

import os
import struct

from obsagent.samples import Kind

BODY_VERSION = 1
ENTRY_RUN = 1
ENTRY_COUNTER = 3
ENTRY_GAUGE = 4
SERVICE = "obsagent"


def varint(value: int) -> bytes:
    """LEB128 of a non-negative integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class BodyBuilder:
    """A small sample body, entry by entry (grammar in wire/FORMAT.md)."""

    def __init__(self) -> None:
        """An empty body."""
        self._parts = [bytes([BODY_VERSION])]
        self.samples = 0

    def add(self, kind: Kind, number: int, value: float) -> None:
        """One sample of a series: an observation, an increment or a gauge's value."""
        head = varint(number)
        packed = struct.pack("<d", value)
        if kind is Kind.HISTOGRAM:
            self._parts.append(head + bytes([ENTRY_RUN, 1]) + packed)
        elif kind is Kind.COUNTER:
            self._parts.append(head + bytes([ENTRY_COUNTER, 1]) + packed)
        else:
            self._parts.append(head + bytes([ENTRY_GAUGE]) + packed)
        self.samples += 1

    def take(self) -> tuple[bytes, int]:
        """The body and its number of samples; begins a new one."""
        body, samples = b"".join(self._parts), self.samples
        self._parts, self.samples = [bytes([BODY_VERSION])], 0
        return body, samples


def new_session() -> bytes:
    """A session's name: 16 random bytes."""
    return os.urandom(16)
