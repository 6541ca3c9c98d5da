"""The header that every message begins with, pure: a msgpack map of version, kind and the kind's own fields.

Apart from `obsagent.wire.frame`, because a reader's command needs no more than this and should start fast.
"""

from __future__ import annotations

from enum import IntEnum

import msgpack

from obsagent.errors import CorruptData, ProtocolError
from obsagent.limits import DEFINE_BYTES_MAX, HEADER_BYTES_MAX

TYPE_CHECKING = False  # typing would be loaded for annotations alone
if TYPE_CHECKING:
    from typing import Any

MAJOR = 1
MINOR = 3

Header = dict[str, "Any"]


class MessageKind(IntEnum):
    """Kinds of message; every number is reserved for ever."""

    HELLO = 1
    WELCOME = 2
    DEFINE = 3
    SAMPLES = 4
    SPANS = 5
    LOGS = 6
    FEATURES = 7
    PREDICTIONS = 8
    TRUTHS = 9
    EVENTS = 10
    HEARTBEAT = 11
    GOODBYE = 12
    ACK = 13
    QUERY = 14
    STATUS = 15
    ANSWER = 16
    ERROR = 17
    CATALOGUE = 18
    RELOAD = 19
    CHECKPOINT = 20
    MODEL = 21
    RULES = 22
    DRIFT = 23
    QUALITY = 24


NOT_BUILT = frozenset(
    {
        MessageKind.SPANS,
        MessageKind.LOGS,
        MessageKind.FEATURES,
        MessageKind.PREDICTIONS,
        MessageKind.TRUTHS,
    }
)
"""Reserved kinds that this version refuses."""
WRITE_KINDS = frozenset(
    {
        MessageKind.HELLO,
        MessageKind.DEFINE,
        MessageKind.SAMPLES,
        MessageKind.EVENTS,
        MessageKind.MODEL,
        MessageKind.HEARTBEAT,
        MessageKind.GOODBYE,
        *NOT_BUILT,
    }
)
READ_KINDS = frozenset(
    {MessageKind.QUERY, MessageKind.STATUS, MessageKind.CATALOGUE, MessageKind.DRIFT, MessageKind.QUALITY}
)
CONTROL_KINDS = frozenset({MessageKind.RELOAD, MessageKind.CHECKPOINT})
"""What each of the agent's endpoints takes; every other kind is refused there."""


def not_taken(kind: MessageKind, here: str) -> str:
    """What to say to a peer that has sent a kind of message to `here`, an endpoint that does not take it."""
    word = kind.name.lower()
    if kind in NOT_BUILT:
        return f"messages of kind {word} are reserved and not built in this version"
    for kinds, place in ((WRITE_KINDS, "writers'"), (READ_KINDS, "readers'"), (CONTROL_KINDS, "control")):
        if kind in kinds:
            return f"messages of kind {word} are not for the {here} endpoint, but for the {place} one"
    return f"messages of kind {word} are the agent's own: it takes none"


def pack(kind: MessageKind, **fields: Any) -> bytes:
    """The header of one message, as bytes."""
    packed: bytes = msgpack.packb({"v": MAJOR, "m": MINOR, "k": int(kind), **fields}, use_bin_type=True)
    return packed


def unpack(header: bytes | memoryview) -> tuple[MessageKind, Header]:
    """The kind and the fields of a header.

    Raises `CorruptData` for bytes that are no header, `ProtocolError` for another version or a kind that
    this version does not know.
    """
    if len(header) > DEFINE_BYTES_MAX:
        raise CorruptData(f"a header of {len(header)} bytes; at most {DEFINE_BYTES_MAX} are allowed")
    try:
        fields = msgpack.unpackb(header, raw=False, strict_map_key=True, max_ext_len=0)
    except Exception as error:  # msgpack raises half a dozen types for hostile bytes, RecursionError included
        raise CorruptData(f"the header is not msgpack: {str(error) or type(error).__name__}") from None
    if not isinstance(fields, dict):
        raise CorruptData("the header is not a map")
    major, minor, number = fields.get("v"), fields.get("m"), fields.get("k")
    if type(major) is not int or type(minor) is not int or type(number) is not int:
        raise CorruptData("the header has no version or no kind")
    if major != MAJOR or abs(minor - MINOR) > 1:
        raise ProtocolError(
            f"the peer speaks protocol {major}.{minor}, this side {MAJOR}.{MINOR}; "
            "they understand each other one minor version apart: upgrade the older one"
        )
    try:
        kind = MessageKind(number)
    except ValueError:
        raise ProtocolError(f"message kind {number} is unknown to protocol {MAJOR}.{MINOR}") from None
    if kind is not MessageKind.DEFINE and len(header) > HEADER_BYTES_MAX:
        raise CorruptData(f"a header of {len(header)} bytes; at most {HEADER_BYTES_MAX} are allowed")
    return kind, fields
