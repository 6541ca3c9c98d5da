"""Tiny limits, so that within seconds a store does everything that it otherwise does in hours.

What the store of this tree does not have yet is left out, and `missing` names it: the tests say so aloud.
"""

from __future__ import annotations

import warnings
from dataclasses import fields
from typing import Any

from crash.killing_fs import WORKS
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS

MAINTENANCE = ("maybe_compact", "maybe_roll_up", "maybe_retire")
"""What the agent's compaction thread calls, in this order; each takes the time in ms and says if it did something."""

WANTED: dict[str, Any] = {"journal_file_bytes": 20_000, "segment_file_bytes": 20_000, "frame_bytes": 1_000}

BIN_MS = WINDOW_MS
"""The widest window that a store with these budgets may hold: what is compared bucket for bucket."""


def tiny(**wanted: Any) -> Budgets:
    """Budgets with these limits instead of the product's, as far as there are such budgets."""
    known = {field.name for field in fields(Budgets)}
    return Budgets(**{name: value for name, value in {**WANTED, **wanted}.items() if name in known})


def missing() -> list[str]:
    """What is wanted here and is not there."""
    budgets = {field.name for field in fields(Budgets)}
    methods = dict.fromkeys([*MAINTENANCE, *WORKS.values()])
    calls = [f"Store.{name}" for name in methods if not hasattr(Store, name)]
    return [*calls, *(f"Budgets.{name}" for name in WANTED if name not in budgets)]


def say_what_is_missing() -> None:
    """A warning, which pytest shows at its end."""
    if names := missing():
        warnings.warn(f"NOT crashed, for there is no {', no '.join(names)}", stacklevel=2)


def maintain(store: Store, now_ms: int) -> int:
    """Everything that the agent's compaction thread would do now; returns how often something was done."""
    count = 0
    for name in MAINTENANCE:
        call = getattr(store, name, None)
        while call is not None and call(now_ms):
            count += 1
    return count
