"""Tiny limits, so that within a second a store does everything that it otherwise does in hours.

What the store of this tree does not have yet is left out, and `missing` names it: a test says so aloud.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from obsagent.head.budgets import Budgets
from obsagent.head.store import Store

MAINTENANCE = ("maybe_compact", "maybe_roll_up", "maybe_retire")
"""What the agent's compaction thread calls, in this order; each takes the time in ms and says if it did something."""

WANTED: dict[str, Any] = {
    "journal_file_bytes": 20_000,
    "segment_file_bytes": 20_000,
    "frame_bytes": 1_000,
}


def tiny(**wanted: Any) -> Budgets:
    """Budgets with these limits instead of the product's, as far as there are such budgets."""
    known = {field.name for field in fields(Budgets)}
    return Budgets(**{name: value for name, value in {**WANTED, **wanted}.items() if name in known})


def missing() -> list[str]:
    """What was wanted above and is not there."""
    budgets = {field.name for field in fields(Budgets)}
    calls = [f"Store.{name}" for name in MAINTENANCE if not hasattr(Store, name)]
    return [*calls, *(f"Budgets.{name}" for name in WANTED if name not in budgets)]


def maintain(store: Store, now_ms: int) -> int:
    """Everything that the agent's compaction thread would do now; returns how often something was done."""
    count = 0
    for name in MAINTENANCE:
        call = getattr(store, name, None)
        while call is not None and call(now_ms):
            count += 1
    return count
