"""The constants of the segment format and nothing else; FORMAT.md explains them, a test compares the two."""

from __future__ import annotations

from struct import Struct

from obsagent.limits import FRAME_COUNT_MAX as FRAME_COUNT_MAX
from obsagent.limits import FRAME_RAW_BYTES_MAX as FRAME_RAW_BYTES_MAX
from obsagent.limits import TABLES_RAW_BYTES_MAX as TABLES_RAW_BYTES_MAX

FORMAT_VERSION = 4
"""The newest version; what is written has the lowest one that describes it, see `VERSION_OF_KIND`."""

FILE_SUFFIX = ".segment"
FILE_NAME_DIGITS = 16
FILE_NAME_RANGE = "-"
FILE_NAME_TIER = ".{}s"
FILE_MAGIC = b"OBSSEGM\n"
FILE_HEADER = Struct("<8sHHI16sqI")
"""magic, version, reserved, window ms, store id, created ms, crc32c of the bytes before it."""

BLOCK_MAGIC = b"OBSB"
BLOCK_HEADER = Struct("<4sHHQQqqQQqqIIIIIII")
"""magic, version, kind, sequence, size, first window, last window, journal low, journal high, cutoff,
written ms, tables size, tables raw size, frame count, tables crc, index crc, replaced, header crc."""

BLOCK_HEAD = 1
BLOCK_CHECKPOINT = 2
BLOCK_COMPACTED = 3
BLOCK_ROLLED = 4
BY_SERIES = (BLOCK_COMPACTED, BLOCK_ROLLED)
"""Blocks that are cut by series: their frames are sections, and the index ends the block."""
VERSION_OF_KIND = {BLOCK_HEAD: 1, BLOCK_CHECKPOINT: 1, BLOCK_COMPACTED: 2, BLOCK_ROLLED: 3}
"""Of a block without columns."""
VERSION_WITH_COLUMNS = 4
"""Of any block that names a column among its series or has rows of one."""

INDEX_ENTRY = Struct("<qIIQIIII")
"""window ms, first series, last series, offset in the block, size, raw size, crc32c, span ms."""

CRC = Struct("<I")

CUTOFF_EVERYTHING = (1 << 63) - 1
TOTALS_WINDOW_MS = 0
ZSTD_LEVEL = 1
