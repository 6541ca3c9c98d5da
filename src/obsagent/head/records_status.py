"""What a store says of its records, from what the ledger has counted since it began: the `records` of a status.

predictions   {"received", "rejected": no number, "refused": beyond the horizon, "expired", "evicted": for want of room}
truths        {"received", "matched", "unmatched", "joined_later": predictions that came after their truths,
              "corrected", "duplicate", "rejected": null, not finite, or beyond the horizon}
rows          {"received", "refused"}
dropped       records that clients have given up
forgotten     ids that somebody wanted forgotten
bytes         of the ledger's files
memory_bytes  of what is not in them yet
gaps          [{"table", "from_ms", "to_ms", "rows", "reason"}]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsagent.by_id.report import TruthReport


def records_status(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The block of a status; None if there are no records."""
    if said is None:
        return None

    def count(name: str) -> int:
        return int(said.get(name, 0))

    outcomes = {name: count(f"truths_{name}") for name in TruthReport._fields}
    return {
        "predictions": {
            "received": count("predictions"),
            "rejected": count("rejected_predictions"),
            "refused": count("refused_predictions"),
            "expired": count("expired_predictions"),
            "evicted": count("evicted_predictions"),
        },
        "truths": {
            "received": count("truths"),
            "matched": outcomes["matched"],
            "unmatched": outcomes["unmatched"],
            "joined_later": count("joined_later"),
            "corrected": outcomes["corrected"],
            "duplicate": outcomes["duplicate"],
            "rejected": outcomes["rejected"],
        },
        "rows": {"received": count("rows"), "refused": count("refused_rows")},
        "dropped": count("dropped"),
        "forgotten": count("forgotten"),
        "bytes": count("disk_bytes"),
        "memory_bytes": count("memory_bytes"),
        "gaps": list(said.get("gaps", ())),
    }
