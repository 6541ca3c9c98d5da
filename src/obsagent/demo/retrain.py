"""What the demo's agent runs when it recommends retraining: it keeps the evidence, where others would begin to train.

`python -m obsagent.demo.retrain DIRECTORY <evidence.json` writes DIRECTORY/delays-1-2013-03-04.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsagent.fs import Fs

Evidence = dict[str, Any]

HEAD = ("version", "since", "sure with", "brier", "reference", "drifted")
SHOWN = 3
"""So many features are named, those that have drifted most."""


def keep(evidence: bytes, directory: Path) -> Path:
    """Writes it and says where: a file for each model, version, and day since which it does harm."""
    found = json.loads(evidence)
    path = directory / f"{found['model']}-{found['version']}-{str(found['since'])[:10]}.json"
    files = Fs()
    files.close(files.write_file(path, [json.dumps(found, indent=2).encode()]))
    return path


def kept(directory: Path) -> list[Evidence]:
    """All that was kept there, by model, version and time."""
    return [json.loads(path.read_bytes()) for path in sorted(directory.glob("*.json"))]


def table(found: Sequence[Evidence]) -> list[str]:
    """What it says, a line each, below a head."""
    rows = [HEAD, *map(_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def _row(evidence: Evidence) -> tuple[str, ...]:
    drifted = [each["feature"] for each in evidence["features"]]
    return (
        evidence["version"],
        _day(evidence["since"]),
        _day(evidence["newest_truth"]),
        f"{evidence['risk']['live']:.3f}",
        f"{evidence['reference']['risk']:.3f}",
        ", ".join(drifted[:SHOWN]) + (", …" if len(drifted) > SHOWN else ""),
    )


def _day(stamp: str | None) -> str:
    """`2013-03-04` of a time as the evidence has it."""
    return stamp[:10] if stamp else "?"


if __name__ == "__main__":
    print(f"the evidence is in {keep(sys.stdin.buffer.read(), Path(sys.argv[1]))}")
