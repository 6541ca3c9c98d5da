"""What does it cost a caller to record one value?"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import clients, floor, peers
from benchmarks.measure import Arm, Effort, Timing, calls, interleave
from benchmarks.report import Goal, Row, Table, at_least, at_most, comparison, nanoseconds

VALUE = 0.0123
OURS = "`observe(float)`"
PROMETHEUS = "prometheus_client `observe`"
LABELS = ("endpoint", "status")


def run(effort: Effort) -> list[Table]:
    """One table: every recorder over the empty method."""
    empty = floor.load().Empty()
    with clients.unheard() as client:
        arms = [calls("empty Cython method", "observe(value)", observe=empty.observe, value=VALUE)]
        arms += [*_ours(client), *_prometheus(), *_opentelemetry()]
        reference, *timings = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    return [_table(reference, timings, note)]


def _ours(client: Any) -> list[Arm]:
    histogram = client.histogram("value")
    labelled = client.histogram("labelled", labels=LABELS)
    return [
        calls(OURS, "observe(value)", observe=histogram.observe, value=VALUE),
        calls("`observe(int)`", "observe(value)", observe=histogram.observe, value=12),
        calls("`observe(numpy.float64)`", "observe(value)", observe=histogram.observe, value=np.float64(VALUE)),
        calls("`labels(...).observe(float)`", _WITH_LABELS, instrument=labelled, value=VALUE),
        calls("`counter.inc()`", "inc()", inc=client.counter("count").inc),
        calls("`gauge.set(float)`", "set(value)", set=client.gauge("level").set, value=VALUE),
    ]


_WITH_LABELS = "instrument.labels(endpoint='/score', status='200').observe(value)"


def _prometheus() -> list[Arm]:
    prometheus = peers.load("prometheus_client")
    if prometheus is None:
        return []
    registry = prometheus.CollectorRegistry()
    plain = prometheus.Histogram("plain", "Plain", registry=registry)
    labelled = prometheus.Histogram("labelled", "Labelled", LABELS, registry=registry)
    return [
        calls(PROMETHEUS, "observe(value)", observe=plain.observe, value=VALUE),
        calls("prometheus_client `labels(...).observe`", _WITH_LABELS, instrument=labelled, value=VALUE),
    ]


def _opentelemetry() -> list[Arm]:
    sdk = peers.load("opentelemetry.sdk.metrics")
    export = peers.load("opentelemetry.sdk.metrics.export")
    if sdk is None or export is None:
        return []
    meter = sdk.MeterProvider([export.InMemoryMetricReader()]).get_meter("benchmark")
    attributes = {"endpoint": "/score", "status": "200"}
    record = meter.create_histogram("value").record
    return [
        calls(
            "OpenTelemetry SDK `record`", "record(value, attributes)", record=record, value=VALUE, attributes=attributes
        )
    ]


def _table(reference: Timing, timings: list[Timing], note: str) -> Table:
    by_name = {timing.name: timing for timing in timings}
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        ratio = timing.over(reference)
        goals: tuple[Goal, ...] = ()
        if timing.name == OURS:
            goals = (at_most(ratio.median, 3, "×"), at_most(ratio.median, 2, "× later"))
        rows.append(Row(timing.name, ratio, nanoseconds(timing), goals))
    if PROMETHEUS in by_name:
        cheaper = by_name[PROMETHEUS].over(by_name[OURS])
        goal = at_least(cheaper.median, 20, "×")
        rows.append(Row("prometheus_client over ours", None, f"{cheaper.median:.0f} ×", (goal,)))
    return comparison("One value", "empty method", rows, note)
