"""What an empty bin counts as, where a logarithm is taken: rules with names.

| rule | a bin that only one side has seen |
|---|---|
| `"half"` | holds half an observation on the side that has none; that side's shares are divided by their new sum |
| `"infinite"` | makes the divergence infinite, as its definition says (scipy's `entropy` and `rel_entr`) |
| `"skip"` | is left out (TensorFlow Data Validation) |
| `"evidently"` | has a share of 0.0001, or of a millionth of that side's least share if that is 0.0001 or less |
| `"jeffreys"`, `"laplace"` | every bin of both sides gets half an observation, or one, more |
| a number | has that share; nothing is divided anew |

Bins that neither side has seen count as nothing but for `"jeffreys"`, `"laplace"` and `"evidently"`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from obsagent.drift.counts import are_shares, shares
from obsagent.errors import DriftError

ZeroRule: TypeAlias = str | float
Shares: TypeAlias = tuple[list[float], list[float]]
Rule: TypeAlias = Callable[[list[float], list[float]], Shares]

_PEER_FILL = 1e-4
_PEER_PART = 10**6


def apply(zero: ZeroRule, reference: list[float], current: list[float]) -> Shares:
    """Shares of both counts by that rule. Raises `DriftError` for a rule that does not exist or does not fit."""
    if isinstance(zero, str):
        if zero not in RULES:
            raise DriftError(f"no zero rule is called {zero!r}; there are {', '.join(RULES)}, or a share such as 1e-6")
        return RULES[zero](reference, current)
    if not 0 < zero < 1:
        raise DriftError(f"an empty bin's share lies between 0 and 1, {zero!r} does not")
    before, after = shares(reference), shares(current)
    seen = [p > 0 or q > 0 for p, q in zip(before, after, strict=True)]
    return _filled(before, zero, seen), _filled(after, zero, seen)


def _infinite(reference: list[float], current: list[float]) -> Shares:
    return shares(reference), shares(current)


def _skip(reference: list[float], current: list[float]) -> Shares:
    both = [(p, q) for p, q in zip(shares(reference), shares(current), strict=True) if p > 0 and q > 0]
    return [p for p, _ in both], [q for _, q in both]


def _half(reference: list[float], current: list[float]) -> Shares:
    if 0 not in reference and 0 not in current:
        return shares(reference), shares(current)
    seen = [n > 0 or m > 0 for n, m in zip(reference, current, strict=True)]
    return _half_of(reference, seen), _half_of(current, seen)


def _half_of(counts: list[float], seen: list[bool]) -> list[float]:
    filled = _filled(counts, 0.5, seen)
    if filled != counts and are_shares(counts):
        raise DriftError('the rule "half" needs counts, not shares; give the counts, or zero=1e-6 or another rule')
    return shares(filled)


def _filled(values: list[float], fill: float, seen: list[bool]) -> list[float]:
    return [fill if value == 0 and wanted else value for value, wanted in zip(values, seen, strict=True)]


def _evidently(reference: list[float], current: list[float]) -> Shares:
    return _evidently_of(shares(reference)), _evidently_of(shares(current))


def _evidently_of(of: list[float]) -> list[float]:
    least = min(share for share in of if share > 0)
    fill = least / _PEER_PART if least <= _PEER_FILL else _PEER_FILL
    return [share if share > 0 else fill for share in of]


def _adding(count: float) -> Rule:
    def rule(reference: list[float], current: list[float]) -> Shares:
        if are_shares(reference) or are_shares(current):
            raise DriftError("to add observations to every bin needs counts, not shares; another zero rule does not")
        return shares([n + count for n in reference]), shares([n + count for n in current])

    return rule


RULES: dict[str, Rule] = {
    "half": _half,
    "infinite": _infinite,
    "skip": _skip,
    "evidently": _evidently,
    "jeffreys": _adding(0.5),
    "laplace": _adding(1.0),
}
