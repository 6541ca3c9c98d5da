"""Which features of a version have drifted: what the report on drift says, as the evidence of harm has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsagent.evaluate.state import Judged

SINCE = "7d"


def words_of(judged: Judged) -> str:
    """What to ask the report on drift for."""
    filters = [f"{label}={_quoted(value)}" for label, value in judged.labels.items()]
    return " ".join([*filters, f"since {SINCE}"])


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
