"""What may come next in a query: one pure function, for the interactive shell and for the completion of others.

It reads the words before the cursor as the grammar does, but forgives everything: a query that is being typed is
wrong most of the time. What it does not understand has no candidates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from obsagent.answer.place import Catalogue, Place


class Candidate(NamedTuple):
    """A text that may replace what stands from `start` to the cursor, and what is said of it."""

    text: str
    start: int
    description: str


class Piece(NamedTuple):
    """A word, a quoted text (perhaps not closed yet), a comma or an operator, and where it begins and ends."""

    text: str
    start: int
    end: int


_PIECE = re.compile(
    r"""(?P<operator>!?=)(?P<value>[^\s,"']*)|,|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:[^\s,="'!]|!(?!=))+"""
)
_PLAIN_VALUE = re.compile(r"[^\s,=\"'!|&;<>()$`\\*?]+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def complete(text: str, cursor: int, catalogue: Catalogue) -> list[Candidate]:
    """The candidates at `cursor` (in characters) of `text`; `catalogue` is as in `obsagent.answer.catalogue`.

    Only what begins like the word before the cursor, in any case; an empty catalogue leaves the grammar's words.
    """
    pieces = list(_pieces(text[:cursor]))
    partial = Piece("", cursor, cursor)
    if pieces and pieces[-1].end == cursor and pieces[-1].text not in (",", "=", "!="):
        partial = pieces.pop()
    place = Place(catalogue)
    for piece in pieces:
        place.take(unquoted(piece.text))
    begun = unquoted(partial.text).casefold()
    found = []
    for name, description in place.expected():
        if name.casefold().startswith(begun) and name != partial.text:
            shown = _as_value(name, partial.text) if place.state == "value" else name
            found.append(Candidate(shown, partial.start, description))
    return found


def _pieces(text: str) -> Iterator[Piece]:
    for match in _PIECE.finditer(text):
        if match["operator"]:
            yield Piece(match["operator"], match.start(), match.end("operator"))
            if match["value"]:
                yield Piece(match["value"], match.start("value"), match.end())
        else:
            yield Piece(match[0], match.start(), match.end())


def unquoted(text: str) -> str:
    """What a piece means; a quote that is not closed yet counts as one."""
    if not text.startswith(('"', "'")):
        return text
    closed = len(text) > 1 and text.endswith(text[0])
    return _ESCAPE.sub(r"\1", text[1:-1] if closed else text[1:])


def _as_value(value: str, partial: str) -> str:
    """The value as it is written in a query: quoted where it must be, or where a quote was begun."""
    quote = partial[:1] if partial[:1] in ("'", '"') else ""
    if not quote and _PLAIN_VALUE.fullmatch(value):
        return value
    quote = quote or '"'
    escaped = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return f"{quote}{escaped}{quote}"
