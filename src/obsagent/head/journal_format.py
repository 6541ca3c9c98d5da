"""The constants of the journal format and nothing else; FORMAT.md explains them, a test compares the two."""

from __future__ import annotations

from struct import Struct

FORMAT_VERSION = 5
VERSION_WITH_SYNCED = 2

FILE_SUFFIX = ".journal"
FILE_NAME_DIGITS = 20
FILE_MAGIC = b"OBSJRNL\n"
FILE_HEADER = Struct("<8sHH16sQII")
"""magic, version, reserved, store id, base position, preamble size, crc32c of the bytes before it."""

RECORD_HEADER = Struct("<IIB")
"""payload size, crc32c of type and payload, type."""

MARKER = b"\xf5OBE"

SESSION_OPEN = 1
DEFINE = 2
FRAME_TYPE = 3
REFUSED_TYPE = 4
SESSION_CLOSE = 5
EVENTS_TYPE = 6
SYNCED = 7
FRAME_WITH_EXEMPLARS = 8
RECORDS_TYPE = 9
BACKFILL_TYPE = 10
KNOWN_SESSION = 16
KNOWN_SERIES = 17
KNOWN_REACH = 18
PREAMBLE_TYPES = (KNOWN_SESSION, KNOWN_SERIES, KNOWN_REACH)

FRAME = Struct("<4s16sQQqq5Q")
"""marker, session, sequence, first kept, start ms, end ms, the five counters; the body follows."""
EXEMPLARS_SIZE = Struct("<I")
"""Between a frame's fixed part and its exemplars: how many bytes these take, before the body follows."""
REFUSED = Struct("<4s16sQQqq5QQqB")
"""As a frame's, then samples, window ms, reason (0 frame, 1 time)."""

RECORDS = Struct("<4s16sQQI")
"""marker, session, sequence of the last record, dropped, rows of the message; the batch follows."""

CRC = Struct("<I")
