"""Regular expressions on label values, within a time limit.

An expression is searched for anywhere in the value; `^` and `$` tie it to the ends. The engine is the `regex`
package: it takes a time limit, without which one question could keep the agent busy for ever. Compiling takes none,
and writes counted repeats out, which for `(((a{99}){99}){99}){99}` takes all memory. So their product is bounded.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from obsagent.answer.mistakes import QueryError
from obsagent.errors import UsageError, printable
from obsagent.limits import PATTERN_CHARACTERS_MAX, PATTERN_REPEATS_MAX, PATTERN_TIME_S

if TYPE_CHECKING:
    from obsagent.answer.tokens import Token

_BRACES = re.compile(r"\{([^}]*)\}")
_COUNT = re.compile(r"[0-9]+")


def check_pattern(token: Token, text: str) -> None:
    """Raises `QueryError` for a token that is no regular expression."""
    try:
        _compile(token.text)
    except ValueError as error:
        raise QueryError(f"not a regular expression: {error}", text, token.start, token.end) from None


def matching(pattern: str, values: Iterable[str]) -> frozenset[str]:
    """The values in which the expression is found; raises `UsageError` if that takes more than a second."""
    expression = _compile(pattern)
    deadline = time.monotonic() + PATTERN_TIME_S
    found = set()
    for value in values:
        try:
            if expression.search(value, timeout=max(deadline - time.monotonic(), 0.001)):
                found.add(value)
        except TimeoutError:
            raise UsageError(f"the expression `{printable(pattern)}` takes too long: make it simpler") from None
    return frozenset(found)


def _compile(pattern: str) -> Any:
    import regex  # only queries with `matches` pay for it

    if len(pattern) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"longer than {PATTERN_CHARACTERS_MAX:,} characters")
    if len(pattern) * _repeats(pattern) > PATTERN_REPEATS_MAX:  # as if each repeat were inside the others
        raise ValueError("its counted repeats multiply to too many; write * or + instead")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("its groups are nested too deeply") from None


def _repeats(pattern: str) -> int:
    """The product of the counts in `{99}` and `{3,5}`, at least 1 each, wherever they stand."""
    counts = (map(int, _COUNT.findall(inside)) for inside in _BRACES.findall(pattern))
    return math.prod(max(each, default=1) or 1 for each in counts)
