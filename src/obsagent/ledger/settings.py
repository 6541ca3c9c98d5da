"""What a configuration says about the ledger, and what the ledger says of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from obsagent.limits import LEDGER_DISK_BYTES, LEDGER_HORIZON_MS, TIER_RETENTION_MS

CLASSIFICATION = "classification"
REGRESSION = "regression"


def _horizon_of_any(_model: str) -> int:
    return LEDGER_HORIZON_MS


def _default_retention() -> tuple[int, ...]:
    return TIER_RETENTION_MS


def _nothing_said(_model: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Each function is asked by the name of a model; the default is what counts without a configuration."""

    horizon_ms: Callable[[str], int] = _horizon_of_any
    """How long predictions and truths wait for each other."""
    task: Callable[[str], str] = _nothing_said
    """`classification`, `regression`, or empty: told by what is predicted."""
    positive: Callable[[str], str] = _nothing_said
    """The name of the class whose probability the scores are, or empty: told by the names of the classes."""
    retention_ms: Callable[[], tuple[int, ...]] = _default_retention
    """How long outcomes stand in windows of 10 s, of a minute, and of an hour."""
    disk_budget: int = LEDGER_DISK_BYTES
    """Bytes; beyond it the oldest open predictions go first."""


class Report(NamedTuple):
    """What became of truths."""

    matched: int = 0
    """The first truth of an id that has a prediction."""
    unmatched: int = 0
    """The first truth of an id that has none yet; it waits for one."""
    corrected: int = 0
    """Another truth than the one before: what the old one did is taken back."""
    duplicate: int = 0
    """The same again, or older than what is known."""
    rejected: int = 0
    """Not a number, or infinite."""

    def plus(self, other: Report) -> Report:
        """Of both."""
        return Report(*(one + two for one, two in zip(self, other, strict=True)))


class Gap(NamedTuple):
    """A time of which something is lost."""

    table: str
    from_ms: int
    to_ms: int
    rows: int
    reason: str
