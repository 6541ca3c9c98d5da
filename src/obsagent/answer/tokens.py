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
MATCHES = "=~"
ABOVE = ">"
BELOW = "<"
SLASH = "/"
END = "end"


class Token(NamedTuple):
    """A piece of the query: `text` is its meaning (quotes and escapes removed), `start:end` its place."""

    kind: str
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""(?P<operator>,|!=|=~|=|>|<)
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>(?:[^\s,=<>"'!]|!(?!=))+)
      | (?P<space>\s+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def tokenize(text: str) -> list[Token]:
    """The tokens in order, the last one an empty `END` token behind the text; raises `QueryError`.

    A word reaches to the next space, comma, quote or operator: `gen_ai.request.model`, `vllm:ttft`, `/score` and
    `0.5` are words. A slash is an operator only where it stands alone.
    """
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise QueryError("this quote is never closed", text, offset, offset + 1)
        offset = match.end()
        if match.lastgroup != "space":
            tokens.append(_token(match))
    end = tokens[-1].end if tokens else 0
    if tokens and tokens[-1].kind in (WORD, QUOTED, SLASH):
        end += 1  # what is missing would be a word of its own
    return [*tokens, Token(END, "", end, end)]


def _token(match: re.Match[str]) -> Token:
    text = match[0]
    if match.lastgroup == "quoted":
        return Token(QUOTED, _ESCAPE.sub(r"\1", text[1:-1]), match.start(), match.end())
    if match.lastgroup == "operator" or text == SLASH:
        return Token(text, text, match.start(), match.end())
    return Token(WORD, text, match.start(), match.end())
