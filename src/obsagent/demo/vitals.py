"""What the live table shows, asked of the agent itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from obsagent.ask import AgentClient

LATENCY_QUERY = "p50,p99,rate latency service=flights by endpoint since 10s"
REQUESTS_QUERY = "count requests service=flights by endpoint,status since 10s"
EVER_QUERY = "count requests service=flights since 52w"

Answer = dict[str, Any]


@dataclass(frozen=True)
class Vitals:
    """One endpoint over the last windows: requests a second, seconds of latency, requests refused and failed."""

    endpoint: str
    rate: float
    p50_s: float | None
    p99_s: float | None
    refused: int
    failed: int


def ask_vitals(agent: AgentClient) -> list[Vitals]:
    """The endpoints' vitals as the agent knows them now."""
    return read_vitals(agent.query(LATENCY_QUERY), agent.query(REQUESTS_QUERY))


def read_vitals(latency: Answer, requests: Answer) -> list[Vitals]:
    """Joins the answers to `LATENCY_QUERY` and `REQUESTS_QUERY`."""
    rows = requests["series"]
    return [
        Vitals(
            endpoint=row["labels"]["endpoint"],
            rate=row["values"]["rate"] or 0.0,
            p50_s=row["values"]["p50"],
            p99_s=row["values"]["p99"],
            refused=_count(rows, row["labels"]["endpoint"], "4"),
            failed=_count(rows, row["labels"]["endpoint"], "5"),
        )
        for row in latency["series"]
    ]


def _count(rows: Iterable[Answer], endpoint: str, status_class: str) -> int:
    return sum(
        int(row["values"]["count"] or 0)
        for row in rows
        if row["labels"]["endpoint"] == endpoint and row["labels"]["status"].startswith(status_class)
    )


def requests_ever(agent: AgentClient) -> int:
    """All requests that the store knows, of earlier runs too."""
    return sum(int(row["values"]["count"] or 0) for row in agent.query(EVER_QUERY)["series"])
