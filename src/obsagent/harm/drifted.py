"""Which features of a version have drifted: what the report on drift says, as the evidence of harm has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsagent.answer.instants import iso_utc
from obsagent.evaluate.state import Judged

BEFORE_MS = 7 * 86_400_000


def words_of(judged: Judged, until_ms: int) -> str:
    """What to ask the report on drift for: the days before the newest truth, which may be of another time than now."""
    filters = [f"{label}={_quoted(value)}" for label, value in judged.labels.items()]
    return " ".join([*filters, f"from {iso_utc(until_ms - BEFORE_MS)} to {iso_utc(until_ms)}"])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def drifted_of(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of a report on drift (`obsagent.evaluate.drift_report`) the features with an alarm."""
    return [
        {
            "feature": each["feature"],
            "since": each["alarm"]["since"],
            "severity": each["severity"],
            "log10_evalue": each["alarm"]["log10_evalue"],
        }
        for each in report["features"]
        if each["alarm"]
    ]
