"""Answers by hand, of each shape that `obsagent.answer.execute` documents."""

from __future__ import annotations

from typing import Any

Answer = dict[str, Any]

BOUND = {"p99": {"relative": 0.0054}}


def answer_of(*rows: Answer, kind: str = "histogram", unit: str = "seconds", **more: Any) -> Answer:
    found: Answer = {
        "query": "p99 latency by endpoint",
        "metric": {"name": "latency", "kind": kind, "unit": unit},
        "from": "2026-01-01T10:00:00.000Z",
        "to": "2026-01-01T10:05:00.000Z",
        "covered": {"from": "2026-01-01T10:00:00.000Z", "to": "2026-01-01T10:05:00.000Z"},
        "losses": {
            "dropped": {"ring": 2, "budget": 0, "expired": 0},
            "rejected": {"value": 0, "frame": 0, "time": 0},
            "pending": 0,
            "overflow_series": 0,
        },
        "series": list(rows),
        **more,
    }
    return found


def row(endpoint: str, p99: float | None, count: int = 10, **more: Any) -> Answer:
    return {"labels": {"endpoint": endpoint}, "count": count, "values": {"p99": p99}, "error_bound": BOUND, **more}


def point(minute: int, p99: float, count: int = 5) -> Answer:
    start, end = (f"2026-01-01T10:{each:02d}:00.000Z" for each in (minute, minute + 1))
    return {"from": start, "to": end, "count": count, "values": {"p99": p99}, "error_bound": BOUND}


def compared(p99: float | None, absolute: float, beyond_error: bool = True) -> Answer:
    side = {"count": 7, "values": {"p99": p99}, "error_bound": BOUND}
    return {"vs": side, "change": {"p99": {"absolute": absolute, "relative": None, "beyond_error": beyond_error}}}


PLAIN = answer_of(row("/score", 0.0123), row("/<b>", None))
STEPS = answer_of(row("/score", 0.5, points=[point(1, 0.4), point(3, 0.6)]), step_ms=60_000)
VERSUS = answer_of(
    row("/score", 0.5, **compared(0.25, 0.25)),
    row("/new", 0.1, vs=None, change={}),
    vs={"from": "2026-01-01T09:00:00.000Z", "to": "2026-01-01T09:05:00.000Z", "covered": None, "what": "1h ago"},
)
METRICS = answer_of(
    {"metric": "latency", "labels": {}, "count": 3, "values": {"p99": 0.5}, "error_bound": BOUND},
    {"metric": "size", "labels": {}, "count": 4, "values": {"p99": 2048.0}, "error_bound": BOUND},
    metrics=[
        {"name": "latency", "kind": "histogram", "unit": "seconds"},
        {"name": "size", "kind": "histogram", "unit": "bytes"},
    ],
)
EMPTY = answer_of(empty="no `latnecy` in the last 5m; did you mean `latency`?", covered=None)
