"""Parts of columns as they come from a file, whatever kind of file it is."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

MISSING = frozenset({"", "null", "NULL", "None", "N/A", "n/a", "#N/A", "<NA>", "NaT"})
"""Cells that say that there is no value."""
MISSING_NUMBERS = MISSING | {"NA", "na", "-", "?"}
"""The same in a column of numbers; in a column of texts NA may be Namibia."""
BOOLEANS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
WHOLE = re.compile(r"(-?\d+)\.0*")
MAY_CHANGE = (".", "0")
"""What a whole number with a point ends with."""
WRONG = object()


class Numbers(NamedTuple):
    """The numbers of a part of a column; which row each was in is not known any more."""

    values: Buffer
    """Doubles, NaN and infinities among them."""
    size: int
    nulls: int
    others: int
    """Values that are no numbers."""
    type: str
    """`float`, `int`, `bool`, or `null` if there are none."""


class Column(Protocol):
    """A part of a column: the values of some rows that follow each other."""

    def numbers(self) -> Numbers:
        """What of it is a number."""
        ...

    def texts(self) -> Sequence[str | None]:
        """As categories, one for each row; None where a value is missing."""
        ...

    def floats(self) -> Sequence[float | None]:
        """As numbers, one for each row; None where there is none."""
        ...

    def at(self, rows: Sequence[int]) -> Column:
        """The values of some rows, counted from the first one of this part."""
        ...


class Chunk(NamedTuple):
    """Some rows that follow each other."""

    rows: int
    columns: Mapping[str, Column]


class Source(Protocol):
    """Data in a file, which is read from its beginning more than once."""

    name: str
    """The file's, without its directory."""
    names: list[str]
    """The columns that can be watched, in the order of the file."""
    kinds: dict[str, str]
    """`number` or `category` where the file says so; the others are what their values are."""
    left_out: dict[str, str]
    """The columns that cannot be watched → why."""

    def chunks(self, names: Sequence[str], rows_max: int) -> Iterator[Chunk]:
        """All rows, with the columns `names`, from the beginning; raises `ObsagentError` for what cannot be read."""
        ...

    def done(self) -> float:
        """How much of the file was read since its beginning, in [0, 1]."""
        ...


def category_text(value: Any) -> str:
    """A value as a category, as the client writes it: whole floats without `.0`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class Cells:
    """Texts, as they stand in a CSV file."""

    def __init__(self, cells: Sequence[str], missing: frozenset[str] = frozenset()) -> None:
        """`missing` are further words for a missing value."""
        self._cells = cells
        self._missing = missing

    def numbers(self) -> Numbers:
        """Cells that Python's `float` takes, and booleans."""
        missing = MISSING_NUMBERS | self._missing if self._missing else MISSING_NUMBERS
        found = None if self._missing else _all_numbers(self._cells)
        if found is None:
            known = [cell for cell in self._cells if cell not in missing]
            found = _all_numbers(known) if len(known) < len(self._cells) or self._missing else None
        if found is None:
            return self._some_numbers()
        return Numbers(found, len(found), len(self._cells) - len(found), 0, _type_of(found))

    def _some_numbers(self) -> Numbers:
        meanings = {cell: self._number(cell) for cell in set(self._cells)}
        found = [*map(meanings.__getitem__, self._cells)]
        values = array("d", (value for value in found if type(value) is float))
        nulls = found.count(None)
        others = len(found) - len(values) - nulls
        booleans = bool(values) and all(
            cell in BOOLEANS for cell, meaning in meanings.items() if type(meaning) is float
        )
        return Numbers(values, len(values), nulls, others, "bool" if booleans else _type_of(values))

    def _number(self, cell: str) -> object:
        """A float, None for a missing value, or `WRONG`."""
        if cell in MISSING_NUMBERS or cell in self._missing:
            return None
        if cell in BOOLEANS:
            return BOOLEANS[cell]
        try:
            return float(cell) if "_" not in cell else WRONG
        except ValueError:
            return WRONG

    def texts(self) -> Sequence[str | None]:
        """The cells themselves, `1.0` as `1`."""
        different = set(self._cells)
        unlike = {cell: self._text(cell) for cell in different if cell[-1:] in MAY_CHANGE}
        unlike |= dict.fromkeys(different & (MISSING | self._missing))
        if not unlike:
            return self._cells
        return [unlike.get(cell, cell) for cell in self._cells]

    def _text(self, cell: str) -> str | None:
        if cell in MISSING or cell in self._missing:
            return None
        whole = WHOLE.fullmatch(cell)
        return whole[1] if whole else cell

    def floats(self) -> list[float | None]:
        """The numbers among the cells."""
        meanings = {cell: self._number(cell) for cell in set(self._cells)}
        return [value if type(value) is float else None for value in map(meanings.__getitem__, self._cells)]

    def at(self, rows: Sequence[int]) -> Cells:
        """The cells of some rows."""
        return Cells([self._cells[row] for row in rows], self._missing)


def is_number(text: str) -> bool:
    """Whether a category looks like a number, or like a boolean."""
    return Cells((text,)).numbers().size == 1


def _all_numbers(cells: Sequence[str]) -> array[float] | None:
    """None if any of them is none."""
    try:
        values = array("d", map(float, cells))
    except ValueError:
        return None
    return None if "_" in "".join(cells) else values  # 1_000 is a number to Python alone


def _type_of(values: array[float]) -> str:
    if not values:
        return "null"
    return "int" if all(map(float.is_integer, values)) else "float"
