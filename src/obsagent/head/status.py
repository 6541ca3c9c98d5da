"""What a store says about itself, as a dict that goes into JSON as it is.

store_id, directory
accounts         {"services": {service: account}, "total": account}; an account is
                 {"observed", "stored", "pending", "dropped": {reason}, "rejected": {reason}}
sessions         [{"session", "service", "host", "pid", "pid_namespace", "worker", "version", "started_ms", "last_ms",
                 "skew_ms", "last_applied", "last_event", "state"}], open ones first; `pid_namespace` is the kernel's
                 number of the one in which `pid` counts, 0 if not known; `last_ms` is when it was last heard of,
                 `skew_ms` how much its clock was ahead of the agent's at its hello, null if not known
series           {"known", "metrics", "refused": {metric: definitions that its budget refused},
                 "culprits": [{"metric", "series", "refused", "label", "values", "examples"}]: where the series
                 come from if any were refused, see `head/culprits.py`; from an agent also "refused_labels": what
                 clients refused themselves, see `receive/refused_labels.py`}
cost             {"since_ms", "metrics": {metric: {"series", "samples", "bytes"}}}: samples and row bytes (before
                 compression) that checkpoints wrote since the agent opened the store; null without an agent
events           {"kept", "services": {service: {"stored", "dropped", "rejected": {"time"}}}}
head             {"bytes", "windows"}
journal          {"bytes", "files", "unsynced_bytes", "position", "durable"}
segments         {"bytes", "files", "blocks", "compacted": files that were rewritten by series, "budget_bytes",
                 "tiers": [{"window_ms", "retention_ms", "files", "bytes", "from_ms", "to_ms"}]}; a tier's `from_ms` is
                 where its oldest file begins, null if it has none; `files` that wait to be removed are in no tier
corrupt          damaged or lost places met so far
gaps             [{"from_ms", "to_ms", "reason"}]: times of which something that was acknowledged may be missing
last_checkpoint_ms   null before the first
records          predictions, truths and rows by id, as `head/records_status.py` has them; null if there are none
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsagent.head.accounts import Accounts
from obsagent.head.budgets import Budgets
from obsagent.head.cost import Cost
from obsagent.head.culprits import culprits
from obsagent.head.directory import StoreDirectory
from obsagent.head.events import EventLog
from obsagent.head.journal import journal_paths
from obsagent.head.series import SeriesTable
from obsagent.head.sessions import Session
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.catalog import segment_paths
from obsagent.segment.format import BLOCK_COMPACTED
from obsagent.segment.tables import Gap
from obsagent.segment.tiers import Tiers


@dataclass(frozen=True, slots=True)
class StatusParts:
    """What a status is made from."""

    store_id: bytes | None
    directory: StoreDirectory
    accounts: dict[str, Accounts]
    sessions: list[Session]
    windows: int
    series: SeriesTable
    events: EventLog
    head_bytes: int
    journal_position: int
    journal_durable: int
    tiers: Tiers
    corrupt: int
    last_checkpoint_ms: int | None
    budgets: Budgets | None = None
    gaps: Sequence[Gap] = ()
    costs: Mapping[str, Cost] | None = None
    costs_since_ms: int | None = None


def status_of(parts: StatusParts) -> dict[str, Any]:
    """The status; looks at the directory for sizes."""
    total = Accounts()
    for account in parts.accounts.values():
        total.add(account)
    sessions = sorted(parts.sessions, key=lambda each: (each.state == "closed", each.service, each.worker))
    return {
        "store_id": str(uuid.UUID(bytes=parts.store_id)) if parts.store_id else None,
        "directory": str(parts.directory.root),
        "accounts": {
            "services": {service: parts.accounts[service].as_dict() for service in sorted(parts.accounts)},
            "total": total.as_dict(),
        },
        "sessions": [_session(session) for session in sessions],
        "events": {
            "kept": len(parts.events),
            "services": {service: totals.as_dict() for service, totals in sorted(parts.events.totals.items())},
        },
        "series": {
            "known": len(parts.series),
            "metrics": len(parts.series.metrics()),
            "refused": dict(parts.series.refused),
            "culprits": culprits(parts.series),
        },
        "cost": {"since_ms": parts.costs_since_ms, "metrics": _costs(parts)},
        "head": {"bytes": parts.head_bytes, "windows": parts.windows},
        "journal": {
            **_sizes(journal_paths(parts.directory.journal)),
            "unsynced_bytes": parts.journal_position - parts.journal_durable,
            "position": parts.journal_position,
            "durable": parts.journal_durable,
        },
        "segments": {
            **_sizes(segment_paths(parts.directory.segments)),
            "blocks": len(parts.tiers.blocks),
            "compacted": sum(block.header.kind == BLOCK_COMPACTED for block in parts.tiers.blocks),
            "budget_bytes": parts.budgets.disk_bytes if parts.budgets else None,
            "tiers": [_tier(parts, window_ms) for window_ms in TIER_WINDOWS_MS],
        },
        "corrupt": parts.corrupt,
        "gaps": [gap._asdict() for gap in parts.gaps],
        "last_checkpoint_ms": parts.last_checkpoint_ms,
    }


def _tier(parts: StatusParts, window_ms: int) -> dict[str, Any]:
    tiers = parts.tiers
    blocks = tiers.blocks if window_ms == WINDOW_MS else tiers.rolled.get(window_ms, ())
    headers = [block.header for block in blocks if block.header.first_window_ms <= block.header.last_window_ms]
    return {
        "window_ms": window_ms,
        "retention_ms": parts.budgets.retention_of(window_ms) if parts.budgets else None,
        **_sizes(sorted({block.path for block in blocks})),
        "from_ms": min((each.first_window_ms for each in headers), default=None),
        "to_ms": max((each.last_window_ms + window_ms for each in headers), default=None),
    }


def _costs(parts: StatusParts) -> dict[str, Any]:
    table, costs = parts.series, parts.costs
    measured = {metric: Cost() if costs is None else costs.get(metric, Cost()) for metric in table.metrics()}
    return {
        metric: {
            "series": len(table.ids_of(metric)),
            "samples": None if costs is None else cost.samples,
            "bytes": None if costs is None else cost.bytes,
        }
        for metric, cost in measured.items()
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "session": session.session.hex(),
        "service": session.service,
        "host": session.host,
        "pid": session.pid,
        "pid_namespace": session.pid_namespace,
        "worker": session.worker,
        "version": session.version,
        "started_ms": session.started_ms,
        "last_ms": max(session.last_ms, session.heard_ms),
        "skew_ms": session.skew_ms,
        "last_applied": session.last_applied,
        "last_event": session.last_event,
        "state": session.state,
    }


def _sizes(paths: list[Path]) -> dict[str, int]:
    sizes = []
    for path in paths:
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return {"bytes": sum(sizes), "files": len(sizes)}
