"""A reader's conversation over a Unix socket: ZMTP 3.0 with the NULL mechanism, spoken without libzmq.

To load libzmq takes longer than the agent takes to answer, and one request with one answer needs little of it.
The grammar is that of ZeroMQ's RFC 23, the peer any ROUTER of libzmq 4:

    greeting := FF 00*8 7F  version(2)  mechanism(20)  as-server(1)  00*31        64 bytes, each way
    command  := flags(04 or 06) size  name-size(u8) name  { name-size(u8) name value-size(u32) value }
    message  := { flags(01 or 03) size part }  flags(00 or 02) size part
    size     := u8, or u64 where the flags have the bit 02; integers are big-endian

Every length of the peer's is hostile: it is checked before anything is read, and memory is taken only as bytes
arrive.
"""

from __future__ import annotations

import socket
from time import monotonic

from obsagent.errors import ProtocolError
from obsagent.limits import COMMAND_BYTES_MAX, FRAME_PARTS_MAX, MESSAGE_BYTES_MAX
from obsagent.wire.header import Header, MessageKind, pack, unpack

TYPE_CHECKING = False  # typing would be loaded for annotations alone
if TYPE_CHECKING:
    from typing import Any

SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
MAJOR, MINOR = 3, 0
MECHANISM = b"NULL".ljust(20, b"\0")
GREETING = SIGNATURE + bytes((MAJOR, MINOR)) + MECHANISM + bytes(32)

MORE = 0x01
LONG = 0x02
COMMAND = 0x04

SHORT_BYTES_MAX = 255
RECEIVE_BYTES = 256 << 10


def encode_frame(flags: int, body: bytes) -> bytes:
    """One part of a message, or a command."""
    if len(body) > SHORT_BYTES_MAX:
        return bytes((flags | LONG,)) + len(body).to_bytes(8, "big") + body
    return bytes((flags, len(body))) + body


def encode_command(name: bytes, **properties: bytes) -> bytes:
    """A command with its properties; an underscore in a name stands for a hyphen."""
    body = bytes((len(name),)) + name
    for key, value in properties.items():
        property_name = key.replace("_", "-").encode()
        body += bytes((len(property_name),)) + property_name + len(value).to_bytes(4, "big") + value
    return encode_frame(COMMAND, body)


READY = encode_command(b"READY", Socket_Type=b"DEALER", Identity=b"")


class UnixDealer:
    """A reader's conversation with the agent at one path: one request, one answer. Not thread-safe.

    Whatever its methods raise ends the conversation: what comes later could be the answer to an earlier question.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        """Connects and shakes hands.

        Raises `OSError` as `connect` does (`ConnectionRefusedError`, `FileNotFoundError`: nobody listens there),
        `ConnectionError` if the peer leaves, `TimeoutError` after `timeout_s` seconds, `ProtocolError` for a peer
        that does not speak ZMTP 3.
        """
        self._received = bytearray()
        self._deadline = monotonic() + timeout_s
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(self._remaining())
            self._socket.connect(path)
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def request(self, kind: MessageKind, timeout_s: float, **fields: Any) -> tuple[MessageKind, Header]:
        """Sends a request and waits for its answer: its kind and its fields, the body under `body`.

        Raises as the constructor does, and what `obsagent.wire.header.unpack` raises.
        """
        self._deadline = monotonic() + timeout_s
        self._send(encode_frame(0, pack(kind, **fields)))
        parts = self._read_message()
        kind_back, header = unpack(parts[0])
        if len(parts) > 1:
            header["body"] = parts[1]
        return kind_back, header

    def close(self) -> None:
        """Closes at once."""
        self._socket.close()

    def _shake_hands(self) -> None:
        self._send(GREETING)
        greeting = self._take(len(GREETING))
        if greeting[0] != SIGNATURE[0] or greeting[9] != SIGNATURE[9] or greeting[10] < MAJOR:
            raise ProtocolError("what listens there does not speak ZMTP 3")
        if greeting[12:32] != MECHANISM:
            raise ProtocolError("what listens there asks for another security mechanism than NULL")
        self._send(READY)
        flags, body = self._read_frame(0)
        if not flags & COMMAND or command_name(body) != b"READY":
            raise ProtocolError("what listens there does not finish ZMTP's handshake")

    def _read_message(self) -> list[bytes]:
        """The parts of the next message; commands between messages have nothing to tell a reader."""
        parts: list[bytes] = []
        room = MESSAGE_BYTES_MAX
        while True:
            flags, body = self._read_frame(room)
            if flags & COMMAND:
                continue
            parts.append(body)
            room -= len(body)
            if not flags & MORE:
                return parts
            if len(parts) == FRAME_PARTS_MAX:
                raise ProtocolError(f"an answer of more than {FRAME_PARTS_MAX} parts")

    def _read_frame(self, part_bytes_max: int) -> tuple[int, bytes]:
        """Flags and body of the next frame; an ERROR command is raised."""
        flags = self._take(1)[0]
        if flags & ~(MORE | LONG | COMMAND) or flags & (MORE | COMMAND) == MORE | COMMAND:
            raise ProtocolError(f"a frame with the flags {flags:#04x}, which ZMTP 3 does not know")
        size = int.from_bytes(self._take(8 if flags & LONG else 1), "big")
        limit = COMMAND_BYTES_MAX if flags & COMMAND else part_bytes_max
        if size > limit:
            raise ProtocolError(f"a frame of {size} bytes; at most {limit} are allowed here")
        body = self._take(size)
        if flags & COMMAND and command_name(body) == b"ERROR":
            raise ProtocolError(f"the peer ended the handshake: {body[7:].decode(errors='replace')}")
        return flags, body

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._socket.settimeout(self._remaining())
            chunk = self._socket.recv(RECEIVE_BYTES)
            if not chunk:
                raise ConnectionResetError("the peer has left")
            self._received += chunk
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._remaining())
        self._socket.sendall(data)

    def _remaining(self) -> float:
        remaining_s = self._deadline - monotonic()
        if remaining_s <= 0:
            raise TimeoutError("the peer did not answer in time")
        return remaining_s


def command_name(body: bytes) -> bytes:
    """The name that a command's body begins with; empty if it has none."""
    return body[1 : 1 + body[0]] if body else b""
