"""The words of a line that is being typed into bash, and candidates in the form in which bash wants them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

WORD_BREAKS = "=:"
"""Of COMP_WORDBREAKS those that stand inside words of ours: bash replaces only what follows the last of them."""

_SPECIAL = re.compile(r"""([\s"'\\|&;<>()$`*?\[\]#~!{}])""")


class Line(NamedTuple):
    """The whole words of a line, the one at its end, and the quote that was opened in it, if any."""

    words: list[str]
    partial: str
    quote: str


def split_line(line: str) -> Line:
    """As the shell splits it, except that a quote may be open at the end."""
    words: list[str] = []
    word, quote, inside = "", "", False
    characters = iter(line)
    for character in characters:
        if character == "\\" and quote != "'":
            word, inside = word + next(characters, ""), True
        elif quote:
            quote, word = ("", word) if character == quote else (quote, word + character)
        elif character in "\"'":
            quote, inside = character, True
        elif character.isspace():
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            word, inside = word + character, True
    return Line(words, word, quote)


def cut_for_bash(candidates: Iterable[str], line: Line) -> list[str]:
    """The part of each candidate that replaces what bash takes for the word, quoted where no quote is open."""
    if line.quote:
        return list(candidates)
    kept = max(line.partial.rfind(character) for character in WORD_BREAKS) + 1
    return [_SPECIAL.sub(r"\\\1", candidate[kept:]) for candidate in candidates]
