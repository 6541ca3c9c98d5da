"""From lines to entries: an entry is one line, or several where a quote is open or a line ends in a backslash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

COMMENT = "#"


def is_open(text: str) -> bool:
    """True if the entry goes on in the next line."""
    quote, escaped = "", False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
    return bool(quote) or escaped


def entries(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number of its first line, entry), without empty entries and comments.

    A backslash at the end of a line is a space; a semicolon at the end of an entry says nothing. What is still open
    at the end of the lines is an entry as well.
    """
    text, first = "", 0
    for number, line in enumerate(lines, 1):
        first = first or number
        text += line.rstrip("\r\n")
        if _goes_on(text):
            text = text[:-1] + " " if text.endswith("\\") and not _in_quote(text) else text + "\n"
            continue
        if entry := _entry(text):
            yield first, entry
        text, first = "", 0
    if entry := _entry(text):
        yield first, entry


def _goes_on(text: str) -> bool:
    return not text.lstrip().startswith(COMMENT) and is_open(text)


def _in_quote(text: str) -> bool:
    return is_open(text[:-1])


def _entry(text: str) -> str:
    stripped = text.strip()
    return "" if stripped.startswith(COMMENT) else stripped.rstrip(";").rstrip()
