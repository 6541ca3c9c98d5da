"""A place among the tokens of a query, and what the grammar's rules have in common."""

from __future__ import annotations

import re

from obsagent.answer.mistakes import QueryError, did_you_mean
from obsagent.answer.tokens import COMMA, END, EQUALS, MATCHES, NOT_EQUALS, QUOTED, SLASH, WORD, Token, tokenize

CLAUSES = ("by", "since", "from", "today", "yesterday", "step", "vs", "where", "top", "bottom")
"""Words that begin a clause."""

ALONE = ("by", "today", "yesterday")
"""Those of them that are never taken for a name."""

FILTER_OPERATORS = (EQUALS, NOT_EQUALS, MATCHES)
FILTER_WORDS = ("matches", "not")
"""The operators that a shell leaves alone."""

_LABEL = re.compile(r"[^\W\d][\w.]*")


class Cursor:
    """Reads tokens one by one; the last one, the end, again and again."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._index = 0

    @property
    def token(self) -> Token:
        """The token at hand."""
        return self._tokens[self._index]

    def peek(self, ahead: int = 1) -> Token:
        """A later token."""
        return self._tokens[min(self._index + ahead, len(self._tokens) - 1)]

    def next(self) -> Token:
        """The token at hand, and on to the next."""
        token = self.token
        self._index = min(self._index + 1, len(self._tokens) - 1)
        return token

    def accept(self, kind: str) -> bool:
        """On to the next token if this one is of that kind."""
        if self.token.kind != kind:
            return False
        self.next()
        return True

    def error(self, summary: str, token: Token | None = None) -> QueryError:
        """A mistake at a token, by default the one at hand."""
        token = token or self.token
        return QueryError(summary, self.text, token.start, token.end)

    def shown(self, token: Token) -> str:
        """A token as it was written."""
        return self.text[token.start : token.end]

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        """True if an unquoted word stands there; one of `words` if any are given."""
        token = self.peek(ahead)
        return token.kind == WORD and (not words or token.text in words)

    def is_clause(self, ahead: int = 0) -> bool:
        """True if a word that begins a clause stands there."""
        return self.is_word(*CLAUSES, ahead=ahead)

    def is_near_clause(self, ahead: int = 0) -> bool:
        """True for `sinse` and its like."""
        return self.is_word(ahead=ahead) and bool(did_you_mean(self.peek(ahead).text, CLAUSES))

    def starts_filter(self, ahead: int = 0) -> bool:
        """True if `label=`, `label !=`, `label matches` and the like stand there."""
        if self.peek(ahead).kind not in (WORD, QUOTED):
            return False
        return self.peek(ahead + 1).kind in FILTER_OPERATORS or self.is_word(*FILTER_WORDS, ahead=ahead + 1)

    def is_name(self) -> bool:
        """True unless a clause begins here: a metric or a label may be called `step` or `top`, where nothing
        follows that would make a clause of it.
        """
        if not self.is_clause():
            return True
        ends = self.peek().kind in (END, COMMA, SLASH) or self.is_clause(1) or self.starts_filter(1)
        return ends and self.token.text not in ALONE

    def is_label(self) -> bool:
        """True if the name of a label stands here; quoted it may be anything, a clause's word for one."""
        token = self.token
        if token.kind == QUOTED:
            return bool(token.text)
        return token.kind == WORD and _LABEL.fullmatch(token.text) is not None and self.is_name()

    def value(self, label: str) -> Token:
        """A filter's value: a quoted text, or all up to the next space or comma (so that `=` may stand inside)."""
        first = self.token
        if first.kind == QUOTED:
            return self.next()
        if first.kind not in (WORD, SLASH):
            raise self.error(f"expected a value, such as {label}=value")
        last = self.next()
        while self.token.start == last.end and self.token.kind not in (COMMA, QUOTED, END):
            last = self.next()
        return Token(WORD, self.text[first.start : last.end], first.start, last.end)
