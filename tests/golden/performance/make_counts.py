"""Writes counts of every kind as this build stores them: counts_N.json, of version N of their format.

    PYTHONPATH=tests/unit python tests/golden/performance/make_counts.py

A file of a version that was released is never written again: later builds must read it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from test_performance_stored import ALL

from obsagent.performance.counts import Counts
from obsagent.performance.stored import VERSION


def described(counts: Counts) -> dict[str, Any]:
    """The bytes, and the metrics that have a value."""
    values = {name: each.value for name, each in counts.measures().items() if each.value is not None}
    return {"bytes": base64.b64encode(counts.to_bytes()).decode(), "values": values}


def main() -> None:
    found = [described(make()) for make in ALL]
    path = Path(__file__).with_name(f"counts_{VERSION}.json")
    path.write_text(json.dumps({"counts": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
