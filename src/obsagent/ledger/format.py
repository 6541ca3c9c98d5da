"""The constants of the ledger's files and nothing else; FORMAT.md explains them, a test compares the two."""

from __future__ import annotations

from struct import Struct

FORMAT_VERSION = 2

RUN_MAGIC = b"OBSLRUN\n"
RUN_HEADER = Struct("<8sHBBIQQIIII")
"""magic, version, table, columns, rows of a group, rows, footer offset, footer size, footer crc, reserved, header crc.
"""

RUN_FOOTER = Struct("<qqQII")
"""The first and the last time of the rows (ms), bytes of the sieve, its crc, reserved."""

COLUMN = Struct("<B7x8s8s")
"""encoding, lowest value, highest value, of each column in the table's order."""

FENCE_ROWS = 64
"""Of every so many rows the first one's sort key stands in the footer."""

SIEVE_BITS_PER_ROW = 4
"""At least so many bits of a sieve there are for each row."""

MANIFEST_MAGIC = b"OBSLMAN\n"
MANIFEST_HEADER = Struct("<8sHHQII")
"""magic, version, reserved, generation, payload size, crc of the 24 bytes before it and the payload."""

CONSTANT, U1, U2, U4, F4, RAW = range(6)
"""How a column is written: see FORMAT.md."""

ENCODED_BYTES = {CONSTANT: 0, U1: 1, U2: 2, U4: 4, F4: 4, RAW: 8}

OTHER = 1_024
"""The code of every class beyond those that a model has room for."""
NUMBER = 1_025
"""In place of a class: a prediction, or truth, that is a number."""
NONE = 1_026
"""In place of a truth: all predictions, whether they have a truth or not."""

NO_BIN = -1
"""The score bin of a prediction without a score."""

ERROR_BINS_PER_OCTAVE = 32
ERROR_OCTAVE_MIN = -64
ERROR_OCTAVE_MAX = 64
ERROR_BIN_MAX = ERROR_BINS_PER_OCTAVE * (ERROR_OCTAVE_MAX - ERROR_OCTAVE_MIN)
