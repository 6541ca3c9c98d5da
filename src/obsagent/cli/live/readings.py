"""What `obsagent top` reads at each refresh: one query a metric, joined into rows by their labels."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from obsagent.cli.stored import Source
from obsagent.errors import AgentUnreachable, ObsagentError, StoreError
from obsagent.selfmetrics import SERVICE

Key = tuple[str, str, str]
Values = dict[str, float | None]

HOST = "host"
"""The service of the machine itself: no model."""
ROW_LABELS = ("service", "version", "endpoint")


class Reading(NamedTuple):
    """One query, asked where its metric exists: stats, and the columns that they fill.

    `makes_rows` or fills those that exist. `derived` is what is asked of a metric instead of its own stats. What is
    `of_processes` belongs to the only row of its service, whatever version that has, and makes one if there is none.
    """

    metric: str
    stats: tuple[str, ...]
    columns: tuple[str, ...]
    makes_rows: bool = False
    derived: str = ""
    of_processes: bool = False

    @property
    def expression(self) -> str:
        """The first part of the query."""
        return self.derived or f"{','.join(self.stats)} {self.metric}"


READINGS = (
    Reading("requests", ("rate",), ("rate",), makes_rows=True),
    Reading("latency", ("p50", "p99"), ("p50", "p99"), makes_rows=True),
    Reading("requests", ("error_rate",), ("errors",), derived="error_rate"),
    Reading("in_flight", ("last",), ("in_flight",)),
    Reading("queue_delay", ("p99",), ("queue_p99",)),
    Reading("cpu_utilization", ("last",), ("cpu",), of_processes=True),
    Reading("memory_bytes", ("last",), ("memory",), of_processes=True),
    Reading("gpu_utilization", ("last",), ("gpu",), of_processes=True),
    Reading("gpu_memory_bytes", ("last",), ("gpu_memory",), of_processes=True),
    # what model servers that are not ours call the same, where their pages are read (`[[scrape]]`)
    Reading("vllm:e2e_request_latency_seconds", ("rate", "p50", "p99"), ("rate", "p50", "p99"), makes_rows=True),
    Reading("vllm:num_requests_running", ("last",), ("in_flight",)),
    Reading("vllm:request_queue_time_seconds", ("p99",), ("queue_p99",)),
    Reading("tgi_request_duration", ("rate", "p50", "p99"), ("rate", "p50", "p99"), makes_rows=True),
    Reading("tgi_batch_current_size", ("last",), ("in_flight",)),
    Reading("nv_inference_request_success", ("rate",), ("rate",), makes_rows=True),
    Reading("ts_inference_requests_total", ("rate",), ("rate",), makes_rows=True),
)


@dataclass(slots=True)
class Row:
    """One line of the table; `values` by column, absent where nothing was measured."""

    service: str
    version: str = ""
    endpoint: str = ""
    values: Values = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What tells it from other rows."""
        return self.service, self.version, self.endpoint


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one refresh found. `trouble` says what went wrong, if anything did."""

    at_s: float = 0.0
    rows: tuple[Row, ...] = ()
    status: dict[str, Any] | None = None
    trouble: str = ""


def read(source: Source, since: str, *, by_endpoint: bool) -> Snapshot:
    """One refresh; raises `AgentUnreachable` or `StoreError` if there is nobody to ask."""
    status, catalogue = source.status(), source.catalogue()
    metrics = {metric["name"]: metric for metric in catalogue["metrics"]}
    rows: dict[Key, Row] = {}
    trouble, idle_known = "", False
    for reading in READINGS:
        if not reading.makes_rows and not idle_known:
            idle_known = True
            for row in _idle(catalogue["services"], {row.service for row in rows.values()}):
                rows[row.key] = row
        if reading.metric not in metrics:
            continue
        by = _by(metrics[reading.metric]["labels"], by_endpoint)
        try:
            answer = source.query(f"{reading.expression} by {','.join(by)} since {since}")
        except (AgentUnreachable, StoreError):
            raise
        except ObsagentError as error:
            trouble = trouble or str(error).splitlines()[0]
            continue
        _fill(rows, reading, answer["series"])
    return Snapshot(time.time(), tuple(rows.values()), status, trouble)


def _by(labels: Iterable[str], by_endpoint: bool) -> list[str]:
    wanted = ROW_LABELS if by_endpoint else ROW_LABELS[:-1]
    return [label for label in wanted if label in labels] or ["service"]


def _fill(rows: dict[Key, Row], reading: Reading, series: Iterable[dict[str, Any]]) -> None:
    for each in series:
        row = Row(*(each["labels"].get(label, "") for label in ROW_LABELS))
        if row.service == SERVICE:
            continue
        if reading.makes_rows:
            row = rows.setdefault(row.key, row)
        elif row.key in rows:
            row = rows[row.key]
        elif reading.of_processes and row.service != HOST:
            row = _row_of_service(rows, row)
        for stat, column in zip(reading.stats, reading.columns, strict=True):
            row.values[column] = each["values"].get(stat)


def _row_of_service(rows: dict[Key, Row], row: Row) -> Row:
    """The only row of a service. One that has no client, but processes, gets a row; of several none is the one."""
    of_service = [each for each in rows.values() if each.service == row.service]
    if not of_service:
        return rows.setdefault(row.key, row)
    return of_service[0] if len(of_service) == 1 else row


def _idle(services: Iterable[dict[str, Any]], busy: set[str]) -> Iterator[Row]:
    """Services with live sessions that have served nothing."""
    for service in services:
        if service["sessions"] and service["name"] != SERVICE and service["name"] not in busy:
            yield Row(service["name"])
