"""Where in a TOML file a key stands, for messages: Python's parser keeps no places.

The text is one that parses. Only lines that begin with a key or a table's header count; a line within a text of several
lines that looks like one can only be taken for a key that stands nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TypeVar

Place = TypeVar("Place")

PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
NAME = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER = re.compile(rf"\s*(\[\[?)\s*({NAME})\s*\]\]?\s*(?:#.*)?")
KEY = re.compile(rf"\s*({NAME})\s*=")


def lines_of(text: str) -> dict[str, int]:
    """Lines, counted from 1, by key: tables are written with dots, the tables of an array with their index."""
    found: dict[str, int] = {}
    tables: Counter[str] = Counter()
    prefix = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := HEADER.fullmatch(line.rstrip("\r")):
            name = _dotted(header[2])
            if header[1] == "[[":
                found.setdefault(name, number)
                tables[name] += 1
                name = f"{name}.{tables[name] - 1}"
            prefix = f"{name}."
            found.setdefault(name, number)
        elif key := KEY.match(line):
            found.setdefault(prefix + _dotted(key[1]), number)
    return found


def nearest(key: str, places: dict[str, Place]) -> Place | None:
    """The place of a key or, where that has none of its own, of the table that it is in."""
    key = re.sub(r"\[(\d+)\]", r".\1", key)
    while key:
        if key in places:
            return places[key]
        key = key.rpartition(".")[0]
    return None


def _dotted(name: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(PART, name))
