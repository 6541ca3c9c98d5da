"""The models of a status that are judged for drift, as a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from obsagent.answer.durations import format_duration
from obsagent.cli.reports import name_of
from obsagent.cli.table import LEFT, RIGHT, aligned
from obsagent.cli.units import MISSING, format_count

HEADER = ["judged", "features", "slices", "until", "alarms", "behind"]
SIDES = [LEFT, RIGHT, RIGHT, LEFT, RIGHT, LEFT]
LEVELS = ("10s", "1h", "1d")


def judged_lines(evaluation: dict[str, Any], width: int | None) -> list[str]:
    """The table, its header first; [] without models."""
    rows = [_row(each) for each in evaluation.get("models", ())]
    return aligned(HEADER, rows, SIDES, width) if rows else []


def _row(model: dict[str, Any]) -> list[str]:
    return [
        name_of(model),
        format_count(model["features"]),
        format_count(model["slices"]),
        _until(model["until_ms"]),
        format_count(model["alarms"]),
        _behind(model),
    ]


def _until(until_ms: dict[str, int]) -> str:
    """Of the shortest windows, and where there are none of these of the next ones."""
    first = next((until_ms[name] for name in LEVELS if until_ms.get(name)), None)
    return f"{datetime.fromtimestamp(first / 1000):%Y-%m-%d %H:%M:%S}" if first else MISSING


def _behind(model: dict[str, Any]) -> str:
    told = [f"by {format_duration(model['behind_ms'])}"] if model["behind_ms"] else []
    told += [f"{format_count(model['charts_left_out'])} slices' charts left out"] if model["charts_left_out"] else []
    told += [model["trouble"]] if model["trouble"] else []
    return "; ".join(told) or "no"


def judged_fact(evaluation: dict[str, Any], now_ms: int) -> str:
    """`2 models, 1 alarm; last look 0.4s ago, a look takes 12 ms, at most 1.3 s`."""
    models = evaluation["models"]
    alarms = sum(model["alarms"] for model in models)
    counted = f"{_plural(len(models), 'model')} judged, {_plural(alarms, 'alarm')} going on"
    if evaluation["last_look_ms"] is None:
        return f"{counted}; no look yet"
    ago = format_duration(max(0, now_ms - evaluation["last_look_ms"]))
    took, longest = (_seconds(evaluation[key]) for key in ("took_s", "longest_s"))
    return f"{counted}; last look {ago} ago, a look takes {took}, at most {longest}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _plural(count: int, what: str) -> str:
    return f"{format_count(count)} {what}{'' if count == 1 else 's'}"
