"""How a word of the query language is explained."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """What a word says, in short and in full, and a query that shows it."""

    short: str
    long: str
    example: str
