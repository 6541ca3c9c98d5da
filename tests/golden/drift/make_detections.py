"""Writes what river's detectors find on the streams: detections.json, by positions in the stream.

    RIVER_ENVIRONMENT/bin/python tests/golden/drift/make_detections.py

Run it where river is installed (`benchmarks/drift_peers.py` makes such an environment); it is nothing that obsagent
needs.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import river
from river.drift import ADWIN, PageHinkley
from river.drift.binary import DDM, HDDMA, HDDMW
from streams import ERRORS, NUMBERS

DETECTORS: list[tuple[str, Any, list[dict[str, Any]]]] = [
    ("ADWIN", ADWIN, [{}, {"delta": 0.05, "clock": 8}, {"max_buckets": 3, "min_window_length": 2, "grace_period": 40}]),
    (
        "PageHinkley",
        PageHinkley,
        [{}, {"threshold": 20.0, "mode": "up"}, {"threshold": 10.0, "mode": "down", "delta": 0.1}],
    ),
    ("DDM", DDM, [{}, {"warm_start": 100, "warning_threshold": 1.5, "drift_threshold": 2.5}]),
    ("HDDM_A", HDDMA, [{}, {"drift_confidence": 0.01, "warning_confidence": 0.05, "two_sided_test": True}]),
    ("HDDM_W", HDDMW, [{}, {"two_sided_test": True}, {"lambda_val": 0.01, "warning_confidence": 0.01}]),
]
ONLY_ERRORS = ("DDM", "HDDM_A", "HDDM_W")


def found(detector: Any, values: list[float]) -> dict[str, list[Any]]:
    """Positions of the detections, and first and last of each run of warnings."""
    drifts, warnings = [], []
    for position, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            drifts.append(position)
        if getattr(detector, "warning_detected", False):
            warnings.append(position)
    runs = [[each for _, each in run] for _, run in groupby(enumerate(warnings), lambda pair: pair[1] - pair[0])]
    return {"drifts": drifts, "warnings": [[run[0], run[-1]] for run in runs]}


def main() -> None:
    cases = [
        {"detector": name, "settings": settings, "stream": stream, **found(cls(**settings), list(values))}
        for name, cls, several in DETECTORS
        for settings in several
        for stream, values in (ERRORS | ({} if name in ONLY_ERRORS else NUMBERS)).items()
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    text = f'{{"river": "{river.__version__}", "cases": [\n{lines}\n]}}\n'
    Path(__file__).with_name("detections.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
