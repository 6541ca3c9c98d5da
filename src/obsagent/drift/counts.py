"""Counts over common bins, checked: what every divergence begins with."""

from __future__ import annotations

import math
from collections.abc import Iterable

from obsagent.errors import DriftError


def checked(counts: Iterable[float], of: str) -> list[float]:
    """The counts as a list. Raises `DriftError` unless they are finite, not negative, and of one dimension at least."""
    taken: list[float] = counts.tolist() if hasattr(counts, "tolist") else list(counts)
    try:
        ok = math.isfinite(sum(taken)) and min(taken) >= 0
    except (TypeError, OverflowError):
        raise DriftError(f"{of}: one number a bin is expected, not {_shown(taken)}") from None
    except ValueError:
        raise DriftError(f"{of}: there are no bins") from None
    if not ok:
        raise DriftError(f"{of}: counts are finite and not negative; {_shown(taken)} are not")
    return taken


def pair(reference: Iterable[float], current: Iterable[float]) -> tuple[list[float], list[float]]:
    """Both counts, of the same bins. Raises `DriftError` if either has no bins, no observations, or other bins."""
    before, after = checked(reference, "reference"), checked(current, "current")
    if len(before) != len(after):
        raise DriftError(f"the reference has {len(before)} bins and the current counts have {len(after)}")
    for counts, of in ((before, "reference"), (after, "current")):
        if sum(counts) <= 0:
            raise DriftError(f"{of}: no bin counts anything, so there is nothing to compare")
    return before, after


def shares(counts: list[float]) -> list[float]:
    """Each bin's share of the total, which is not 0."""
    total = sum(counts)
    return [count / total for count in counts]


def are_shares(counts: list[float]) -> bool:
    """True of what adds up to no more than one observation: shares, of which nobody knows how many they stand for."""
    return sum(counts) <= 1 + 1e-9


def _shown(values: object) -> str:
    text = repr(values)
    return text if len(text) <= 80 else f"{text[:77]}..."
