"""The constants of encoded batches and nothing else; FORMAT.md explains them, a test compares the two."""

from __future__ import annotations

from struct import Struct

VERSION = 1
FIXED = Struct("<BBII")
"""version, kind, rows, bytes of the names; these follow, then the columns."""
