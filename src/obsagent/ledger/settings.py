"""What a configuration says about the ledger, and what the ledger says of what it has lost."""

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


class Gap(NamedTuple):
    """A time of which something is lost."""

    table: str
    from_ms: int
    to_ms: int
    rows: int
    reason: str
