"""Words of a query with their places."""

from __future__ import annotations

import re
from typing import NamedTuple

from obsagent.answer.mistakes import QueryError

WORD = "word"
QUOTED = "quoted"
COMMA = ","
EQUALS = "="
NOT_EQUALS = "!="
END = "end"


class Token(NamedTuple):
    """A piece of the query: `text` is its meaning (quotes and escapes removed), `start:end` its place."""

    kind: str
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""(?P<comma>,)
      | (?P<not_equals>!=)
      | (?P<equals>=)
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>(?:[^\s,="'!]|!(?!=))+)
      | (?P<space>\s+)""",
    re.VERBOSE,
)
_KINDS = {"comma": COMMA, "not_equals": NOT_EQUALS, "equals": EQUALS, "quoted": QUOTED, "word": WORD}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def tokenize(text: str) -> list[Token]:
    """The tokens in order, the last one an empty `END` token behind the text; raises `QueryError`."""
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise QueryError("this quote is never closed", text, offset, offset + 1)
        offset = match.end()
        group = match.lastgroup or "space"
        if group != "space":
            tokens.append(_token(group, match))
    end = tokens[-1].end if tokens else 0
    if tokens and tokens[-1].kind in (WORD, QUOTED):
        end += 1  # what is missing would be a word of its own
    return [*tokens, Token(END, "", end, end)]


def _token(group: str, match: re.Match[str]) -> Token:
    text = match[0]
    if group == "quoted":
        text = _ESCAPE.sub(r"\1", text[1:-1])
    return Token(_KINDS[group], text, match.start(), match.end())
