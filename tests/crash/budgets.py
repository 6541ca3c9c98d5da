"""Tiny limits, so that within seconds a store does everything that it otherwise does in months."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obsagent.head import rollups, shelf
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import TIER_WINDOWS_MS

MERGED_FILES = 3
KEEP_MS = 20_000
ROOM_BYTES = 300_000
_, MINUTE_MS, HOUR_MS = TIER_WINDOWS_MS


def tiny(**wanted: Any) -> Budgets:
    """Budgets with these limits instead of the product's, and else with tiny ones."""
    limits: dict[str, Any] = {
        "journal_file_bytes": 20_000,
        "segment_file_bytes": 20_000,
        "frame_bytes": 1_000,
        "retention_ms": (2 * MINUTE_MS, 8 * MINUTE_MS, 20 * MINUTE_MS),
    }
    return Budgets(**{**limits, **wanted})


def of_agent(room_bytes: int) -> Budgets:
    """Of a store whose coarsest tier holds everything, so that what is kept can be compared with what was sent; the
    others expire, by age or because there is little room.
    """
    return tiny(retention_ms=(MINUTE_MS, 5 * MINUTE_MS, 1_000 * HOUR_MS), disk_bytes=room_bytes)


def room(segments: Path) -> int:
    """Little room (bytes), but not for the coarsest tier, whose files an agent that is always killed does not merge."""
    coarsest = segments.glob(f"*.{HOUR_MS // 1000}s.segment")
    return ROOM_BYTES + sum(path.stat().st_size for path in coarsest)


def hurry() -> None:
    """Merge few files, and remove soon what nobody reads, in every store of this process."""
    rollups.MERGED_FILES = MERGED_FILES
    shelf.KEEP_MS = KEEP_MS


def maintain(store: Store, now_ms: int) -> int:
    """Everything that the agent's upkeep would do now, by the same clock; returns how often something was done."""
    count = int(store.maybe_retire(now_ms))
    while store.maybe_compact(now_ms) or store.maybe_roll_up(now_ms):
        count += 1 + store.maybe_retire(now_ms)
    return count
