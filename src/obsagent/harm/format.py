"""The constants of `harm.state` and nothing else; FORMAT.md explains them."""

from __future__ import annotations

NAME = "harm.state"
MAGIC = b"OBSHARM\n"
VERSION = 2
