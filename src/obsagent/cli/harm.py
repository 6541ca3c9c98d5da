"""The harm of a status (`obsagent.harm.report`) as text: the risk of each version, and where retraining is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from obsagent.cli.table import FIXED, LEFT, RIGHT, aligned
from obsagent.cli.units import MISSING, format_count, format_number
from obsagent.errors import printable

HEADER = [
    "risk of",
    "version",
    "variant",
    "loss",
    "now",
    "(95 %)",
    "reference",
    "allowed",
    "evidence",
    "truths",
    "changed",
]
SIDES = [LEFT, LEFT, LEFT, LEFT, RIGHT, FIXED, RIGHT, RIGHT, RIGHT, RIGHT, LEFT]


def harm_lines(harm: dict[str, Any], width: int | None) -> list[str]:
    """The table, its header first; [] while there are no truths."""
    rows = [_row(each) for each in harm.get("models", ())]
    return aligned(HEADER, rows, SIDES, width) if rows else []


def _row(model: dict[str, Any]) -> list[str]:
    evidence = model["log10_evalue"]
    return [
        *(model[name] for name in ("model", "version", "variant", "loss")),
        _number(model["risk"]),
        _bounds(model["lower"], model["upper"]),
        _number(model["reference"]),
        _number(model["limit"]),
        MISSING if evidence is None else f"1e{evidence:+.0f}",
        format_count(model["truths"]),
        _time(model["changed_ms"]) if model["changed_ms"] else MISSING,
    ]


def _time(at_ms: int) -> str:
    """In local time."""
    return f"{datetime.fromtimestamp(at_ms / 1000):%Y-%m-%d %H:%M}"


def _number(value: float | None) -> str:
    return MISSING if value is None else format_number(value)


def _bounds(low: float | None, high: float | None) -> str:
    return MISSING if low is None or high is None else f"{format_number(low)} … {format_number(high)}"


def episode_lines(harm: dict[str, Any]) -> Iterator[str]:
    """A line for each episode that goes on."""
    for episode in harm.get("episodes", ()):
        if not episode["ended_ms"]:
            yield printable(f"retrain: {_name(episode)} does harm {_evidence(episode)}{_told(episode)}")


def _name(episode: dict[str, Any]) -> str:
    name = "/".join(filter(None, (episode["model"], episode["version"], episode["variant"])))
    return f"{name} where {episode['slice']}" if episode["slice"] else name


def _evidence(episode: dict[str, Any]) -> str:
    """`since 2026-01-31 12:00: error 0.152 (above 0.131), 0.1 in reference 1a2b3c4d`, in local time."""
    since = _time(episode["since_ms"] or episode["raised_ms"])
    evidence = episode["evidence"]
    if not evidence:
        return f"since {since}"
    risk, known = evidence["risk"], evidence["reference"]
    figures = f"{evidence['loss']} {format_number(risk['live'])} (above {format_number(risk['lower'])})"
    return f"since {since}: {figures}, {format_number(known['risk'])} in {known['source']}"


def _told(episode: dict[str, Any]) -> str:
    """What became of `on_retrain`."""
    told = [
        f"; the {way} {each['says']}" if each["says"] else f"; the {way} is {each['stage']}"
        for way, each in episode["on_retrain"].items()
    ]
    return "".join(told) or "; no on_retrain is configured"
