"""What the demo's agent runs when it recommends retraining: it keeps the evidence, where others would begin to train.

`python -m obsagent.demo.retrain DIRECTORY <evidence.json` writes DIRECTORY/delays-1-2013-03-04.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from obsagent.fs import Fs

Evidence = dict[str, Any]


def keep(evidence: bytes, directory: Path) -> Path:
    """Writes it and says where: a file for each model, version, and day since which it does harm."""
    found = json.loads(evidence)
    path = directory / f"{found['model']}-{found['version']}-{str(found['since'])[:10]}.json"
    files = Fs()
    files.close(files.write_file(path, [json.dumps(found, indent=2).encode()]))
    return path


def kept(directory: Path) -> list[tuple[Path, Evidence]]:
    """All that was kept there, by name."""
    return [(path, json.loads(path.read_bytes())) for path in sorted(directory.glob("*.json"))]


def lines_of(evidence: Evidence) -> list[str]:
    """What it says, for people."""
    risk, reference, maturity = evidence["risk"], evidence["reference"], evidence["maturity"]
    features = ", ".join(each["feature"] for each in evidence["features"])
    return [
        f"version {evidence['version']} does harm since {day(evidence['since'])}, "
        f"which was sure with the truths of {day(evidence['newest_truth'])}",
        f"{evidence['loss']}: {risk['live']:.3f}, above {risk['lower']:.3f} for sure; "
        f"{reference['risk']:.3f} in {reference['source']}, up to {evidence['limit']:.3f} is allowed",
        f"truths since then: {risk['truths']:,}, of {maturity['predictions']:,} predictions" if maturity else "",
        f"features that have drifted: {features}" if features else "",
    ]


def day(stamp: str | None) -> str:
    """`2013-03-04` of a time as the evidence has it."""
    return stamp[:10] if stamp else "nobody knows when"


if __name__ == "__main__":
    print(f"the evidence is in {keep(sys.stdin.buffer.read(), Path(sys.argv[1]))}")
