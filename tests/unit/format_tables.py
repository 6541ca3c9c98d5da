"""Reads the offset tables of a FORMAT.md, so that tests can compare them with the structures of the code."""

from __future__ import annotations

import re
from pathlib import Path
from struct import Struct, calcsize
from typing import NamedTuple


class Field(NamedTuple):
    offset: int
    size: int
    name: str
    value: str


def tables(path: Path) -> list[list[Field]]:
    """Every table whose columns are offset, size, field, value."""
    found: list[list[Field]] = []
    current: list[Field] | None = None
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == ["offset", "size", "field", "value"]:
            current = []
            found.append(current)
        elif current is not None and line.startswith("|") and cells[0].isdigit():
            current.append(Field(int(cells[0]), int(cells[1]), cells[2], cells[3]))
        elif not line.startswith("|"):
            current = None
    return found


def check_layout(fields: list[Field], structure: Struct) -> None:
    """The fields follow each other without a gap and are as long as those of the structure."""
    offset = 0
    for field in fields:
        assert field.offset == offset, field
        offset += field.size
    assert offset == structure.size
    codes = re.findall(r"\d*[a-zA-Z]", structure.format)
    sizes = [calcsize("<" + code) for code in codes]
    assert [field.size for field in fields] == sizes
