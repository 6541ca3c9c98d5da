"""Answers of every shape, made by hand: what the tests of their looks are given."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

Answer = dict[str, Any]

BEGIN = datetime(2026, 1, 31, 13, 2, 10, tzinfo=UTC)
LATENCY = {"name": "latency", "kind": "histogram", "unit": "seconds"}
QUEUE_DELAY = {"name": "queue_delay", "kind": "histogram", "unit": "seconds"}
RECALL = {"name": "recall", "kind": "derived", "unit": ""}
REQUESTS = {"name": "requests", "kind": "counter", "unit": "requests"}


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(begin: datetime = BEGIN, minutes: float = 5) -> Answer:
    return {"from": iso(begin), "to": iso(begin + timedelta(minutes=minutes))}


def row(labels: dict[str, str], count: int, values: Answer, **more: Any) -> Answer:
    """Quantiles are given the bound of a histogram, everything else is exact, unless `more` says otherwise."""
    bounds = {stat: {"relative": 0.0054} if stat[0] == "p" and stat[1:2].isdigit() else 0 for stat in values}
    return {"labels": labels, "count": count, "error_bound": bounds, "values": values, **more}


def answer(query: str, *rows: Answer, metric: Answer = LATENCY, covered: Answer | None = None, **more: Any) -> Answer:
    return {
        "query": query,
        "metric": metric,
        **span(),
        "covered": covered or span(),
        "losses": {
            "dropped": {"ring": 0, "budget": 0, "expired": 0},
            "rejected": {"value": 0, "frame": 0, "time": 0},
            "pending": 0,
            "overflow_series": 0,
        },
        "series": list(rows),
        **more,
    }


def judged(
    metric: str,
    labels: dict[str, str],
    value: tuple[float | None, float | None, float | None],
    truths: int,
    predictions: int,
    count: int | None = None,
    bound: float = 0.0,
    **more: Any,
) -> Answer:
    """A metric of predictions: its value and the ends of its interval."""
    number, low, high = value
    return {
        **row(labels, truths if count is None else count, {metric: number}),
        "error_bound": {metric: {"absolute": bound} if bound else 0},
        "metric": metric,
        "interval": {metric: [low, high] if low is not None else None},
        "confidence": 0.95,
        "maturity": {"predictions": predictions, "truths": truths, "share": truths / predictions},
        "watermark": iso(BEGIN + timedelta(minutes=4)) if truths else None,
        **more,
    }


def points(counts: list[int], step_s: int, *, begin: datetime = BEGIN, stat: str = "p99", scale: float = 1e-3) -> list:
    """A step for each count that is not 0; values swing between 1 and 9 times `scale`."""
    found = []
    for index, count in enumerate(counts):
        if count:
            start = begin + timedelta(seconds=index * step_s)
            value = round(scale * (5 + 4 * math.sin(index / 3)), 6)
            found.append({**span(start, step_s / 60), **_numbers(count, {stat: value})})
    return found


def _numbers(count: int, values: Answer) -> Answer:
    numbers = row({}, count, values)
    del numbers["labels"]
    return numbers


def change(now: float, then: float, *, beyond: bool) -> Answer:
    return {"absolute": now - then, "relative": (now - then) / then if then else None, "beyond_error": beyond}


def compared(labels: dict[str, str], now: dict[str, Any], then: dict[str, Any] | None, beyond: bool = False) -> Answer:
    """A row of a comparison; counts are a thousand."""
    changes = {
        stat: change(value, then[stat], beyond=beyond)
        for stat, value in now.items()
        if then and value is not None and then.get(stat) is not None
    }
    gone = all(value is None for value in now.values())
    vs = None if then is None else _numbers(1_000, then)
    return row(labels, 0 if gone else 1_000, now, vs=vs, change=changes)


def gap(from_s: int, to_s: int, reason: str = "a block is damaged") -> Answer:
    """A gap so many seconds behind the begin."""
    return {
        "from": iso(BEGIN + timedelta(seconds=from_s)),
        "to": iso(BEGIN + timedelta(seconds=to_s)),
        "reason": reason,
    }


def compared_answer(query: str, *rows: Answer, what: str = "1h ago", **more: Any) -> Answer:
    earlier = span(BEGIN - timedelta(hours=1))
    return answer(query, *rows, vs={**earlier, "covered": earlier, "what": what}, **more)


def several(*rows: Answer, metrics: tuple[Answer, ...] = (LATENCY, QUEUE_DELAY), **more: Any) -> Answer:
    names = ",".join(metric["name"] for metric in metrics)
    return answer(f"p50,p99 {names} by endpoint", *rows, metric=metrics[0], metrics=list(metrics), **more)


RATIO = {"name": "cache_hits / requests", "kind": "derived", "unit": ""}
ERROR_RATE = {"name": "error_rate", "kind": "derived", "unit": ""}
GAUGE = {"name": "memory_bytes", "kind": "gauge", "unit": "bytes"}
STATS = "p1,p5,p10,p25,p50,p75,p90,p95,p99,p99.9,max"
LONG = "/v1/projects/alpha/models/fraud-detector/versions"

EXPLAIN = {
    "reads": {
        "segments": 3,
        "blocks": 12,
        "frames": 1,
        "bytes": 184_000,
        "raw_bytes": 512_000,
        "head_windows": 4,
        "ms": 3.14,
    },
    "promql": [
        "histogram_quantile(0.99, sum by (endpoint) (increase(obsagent_request_duration_seconds[5m])))",
    ],
    "notes": ["the first window begins before the asked time, because windows are ten seconds long and are read whole"],
}

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def exemplar(value: float, at_s: float, trace_id: str | None, request_id: str | None, **labels: str) -> Answer:
    """One of so many seconds behind the begin."""
    return {
        "value": value,
        "time": iso(BEGIN + timedelta(seconds=at_s)),
        "trace_id": trace_id,
        "request_id": request_id,
        "labels": {**labels, "service": "fraud", "host": "a", "worker": "0"},
    }


SLOW = exemplar(1.24, 62.25, TRACE, "7f3b0f5e-8f8c-4e0e-9a53-6f2d6a0c1b11", endpoint="/score")
CASES: dict[str, Answer] = {
    "exemplars": answer(
        "p99 latency by endpoint",
        row({"endpoint": "/score"}, 24_310, {"p99": 0.0084}, exemplars=[SLOW, exemplar(0.9, 9, TRACE, None)]),
        row({"endpoint": LONG}, 70, {"p99": 1.5}, exemplars=[exemplar(1.6, 3, None, "r-\x1b[31m", endpoint=LONG)]),
        row({"endpoint": "/none"}, 7, {"p99": 1.5}, exemplars=[]),
    ),
    "exemplars_of_one_row": answer(
        "p99 latency since 15m",
        row({}, 24_310, {"p99": 0.0084}, exemplars=[SLOW, exemplar(0.9, -86_400, TRACE, None, endpoint="")]),
    ),
    "exemplars_none": answer("p99 latency", row({}, 24_310, {"p99": 0.0084}, exemplars=[])),
    "exemplars_of_a_counter": answer("requests", row({}, 9, {"rate": 0.03}, exemplars=[]), metric=REQUESTS),
    "exemplars_by_time": answer(
        "p99 latency step 1m",
        row(
            {},
            60,
            {"p99": 0.0084},
            exemplars=[SLOW],
            points=[
                {**point, "exemplars": [SLOW] if number == 1 else []}
                for number, point in enumerate(points([20, 20, 20], 60))
            ],
        ),
        step_ms=60_000,
    ),
    "labels": answer(
        "p50,p99,mean latency by endpoint",
        row({"endpoint": "/score"}, 24_310, {"p50": 0.00123, "p99": 0.0084, "mean": 0.0021, "stddev": 0.000731}),
        row({"endpoint": ""}, 7, {"p50": 1.5, "p99": None, "mean": 1.5, "stddev": 0.0}),
    ),
    "one_value": answer("max latency", row({}, 1, {"max": 0.5})),
    "wide": answer(
        f"{STATS} latency by endpoint,version",
        *(
            row(
                {"endpoint": f"{LONG}/{version}:predict", "version": str(version)},
                1_000 * version,
                {stat: 0.00123 * index * version for index, stat in enumerate(STATS.split(","), 1)},
            )
            for version in (41, 42)
        ),
    ),
    "shares": answer(
        "under 250ms,over 1s,age latency by service",
        row(
            {"service": "fraud"},
            120_000,
            {"under 250ms": 0.99973, "over 1s": 0.0, "age": 4.2},
            error_bound={"under 250ms": {"absolute": 0.00021}, "over 1s": 0, "age": {"absolute": 10}},
        ),
        row(
            {"service": "risk"},
            310,
            {"under 250ms": 0.931, "over 1s": 0.0042, "age": 5_400.0},
            error_bound={"under 250ms": {"absolute": 0.003}, "over 1s": {"absolute": 0.001}, "age": {"absolute": 10}},
        ),
    ),
    "several_metrics": several(
        row({"endpoint": "/score"}, 24_310, {"p50": 0.00123, "p99": 0.0084}, metric="latency"),
        row({"endpoint": "/score_batch"}, 512, {"p50": 0.0123, "p99": 0.084}, metric="latency"),
        row({"endpoint": "/score"}, 24_310, {"p50": 0.00003, "p99": 0.00011}, metric="queue_delay"),
    ),
    "a_metric_without_samples": several(
        row({"endpoint": "/score"}, 1, {"p50": 0.00123, "p99": 0.0084}, metric="latency"),
    ),
    "ratio": answer(
        "sum cache_hits / sum requests by version",
        row({"version": "3"}, 9_000, {"ratio": 0.874}),
        row({"version": "4"}, 1_200, {"ratio": 1 / 3}),
        metric=RATIO,
    ),
    "ratio_beyond_one": answer(
        "sum tokens / sum requests by version",
        row({"version": "3"}, 9_000, {"ratio": 312.4}),
        row({"version": "4"}, 1_200, {"ratio": 0.5}),
        metric={"name": "tokens / requests", "kind": "derived", "unit": ""},
    ),
    "error_rate": answer(
        "error_rate by version where error_rate above 1%",
        row({"version": "4"}, 1_200, {"error_rate": 0.0213}),
        metric=ERROR_RATE,
        where={"stat": "error_rate", "above": 0.01},
    ),
    "where": answer(
        "p99 latency by endpoint where p99 above 500ms top 5",
        row({"endpoint": "/score"}, 24_310, {"p99": 0.71}),
        where={"stat": "p99", "above": 0.5},
    ),
    "tdigest": answer(
        "p99 latency",
        row({}, 24_310, {"p99": 0.0084}, error_bound={"p99": {"rank": 0.0102}}),
    ),
    "compared": compared_answer(
        "p99 latency by endpoint vs 1h ago",
        compared({"endpoint": "/score"}, {"p99": 0.0084}, {"p99": 0.0027}, beyond=True),
        compared({"endpoint": "/explain"}, {"p99": 0.0100}, {"p99": 0.0125}, beyond=True),
        compared({"endpoint": "/health"}, {"p99": 0.00100}, {"p99": 0.001004}),
        compared({"endpoint": "/new"}, {"p99": 0.002}, None),
        compared({"endpoint": "/old"}, {"p99": None}, {"p99": 0.003}),
    ),
    "compared_stats": compared_answer(
        "p50,p99,under 250ms,error_rate latency vs variant=live",
        compared(
            {"version": "4"},
            {"p50": 0.001, "p99": 0.0084, "under 250ms": 0.981, "count": 5},
            {"p50": 0.001, "p99": 0.0080, "under 250ms": 0.999, "count": 0},
        ),
        what="variant=live",
    ),
    "steps": answer(
        "p99 latency endpoint=/score since 5m step 1m",
        row(
            {},
            410,
            {"p99": 0.0089},
            points=points([80, 90, 0, 120, 120], 60, begin=BEGIN.replace(second=0)),
        ),
        step_ms=60_000,
    ),
    "steps_over_midnight": answer(
        "rate requests since 1d step 10s",
        row(
            {"status": "500"},
            41,
            {"rate": 0.4},
            points=points(
                [9, 0, 0, 12, 20], 10, begin=datetime(2026, 1, 30, 22, 59, 40, tzinfo=UTC), stat="rate", scale=1
            ),
        ),
        metric=REQUESTS,
        step_ms=10_000,
        **{"from": iso(datetime(2026, 1, 30, 22, 59, 40, tzinfo=UTC))},
        to=iso(datetime(2026, 1, 30, 23, 0, 30, tzinfo=UTC)),
    ),
    "steps_by_label": answer(
        "p99 latency by endpoint since 15m step 10s",
        row({"endpoint": "/score"}, 1_260, {"p99": 0.0089}, points=points([40] * 30, 10)),
        row(
            {"endpoint": f"{LONG}/42:predict"}, 200, {"p99": 0.09}, points=points([0] * 10 + [20] * 10, 10, scale=1e-2)
        ),
        step_ms=10_000,
    ),
    "steps_of_a_day": answer(
        "p99 latency by endpoint since 1d step 1m",
        row({"endpoint": "/score"}, 1_260, {"p99": 0.0089}, points=points([1] * 1440, 60)),
        row({"endpoint": "/explain"}, 1, {"p99": 0.0089}, points=points([0] * 700 + [1], 60)),
        step_ms=60_000,
        to=iso(BEGIN + timedelta(days=1)),
    ),
    "several_metrics_by_time": several(
        row({}, 20, {"p99": 0.0084}, metric="latency", points=points([10, 10], 60)),
        row({}, 10, {"p99": 0.0011}, metric="queue_delay", points=points([0, 10], 60, scale=1e-4)),
        step_ms=60_000,
    ),
    "in_utc": answer(
        "max latency from 13:02Z to 13:07Z step 1m",
        row({}, 3, {"max": 0.5}, points=points([1, 1, 1], 60, begin=BEGIN.replace(second=0), stat="max", scale=0.1)),
        step_ms=60_000,
    ),
    "losses": answer(
        "p99 latency",
        row({}, 10, {"p99": 0.1}, not_finite={"nan": 2, "positive_infinity": 1}),
        losses={
            "dropped": {"ring": 1200, "budget": 0, "expired": 3},
            "rejected": {"value": 0, "frame": 4, "time": 0},
            "pending": 50,
            "overflow_series": 7,
        },
    ),
    "gap": answer("p99 latency", row({}, 10, {"p99": 0.1}), gaps=[gap(60, 80)]),
    "gaps_compared": {
        **(found := compared_answer("p99 latency vs 1h ago", compared({}, {"p99": 0.1}, {"p99": 0.1}))),
        "gaps": [gap(60, 80, "the journal is damaged"), gap(240, 300)],
        "vs": {**found["vs"], "gaps": [gap(-3600, -3540), gap(-3500, -3400)]},
    },
    "empty": {
        **answer("p99 latnecy"),
        "metric": {"name": "latnecy", "kind": None, "unit": ""},
        "covered": None,
        "empty": "no `latnecy` in the last 5m; did you mean `latency`? no client connected since 09:13",
    },
    "explained": answer("p99 latency by endpoint", row({"endpoint": "/a"}, 5, {"p99": 0.1}), explain=EXPLAIN),
    "hostile_labels": answer(
        "p99 latency by city", row({"city": "東京\x1b[2J"}, 5, {"p99": 0.1}), row({"city": "Bonn"}, 5, {"p99": 0.1})
    ),
    "recall": answer(
        "recall,estimated_recall model=fraud by country since 5m where count above 100",
        judged("recall", {"country": "DE"}, (0.812, 0.781, 0.839), 640, 900),
        judged("recall", {"country": "FR"}, (None, None, None), 0, 120, why="there is no positive truth"),
        judged("estimated_recall", {"country": "DE"}, (0.829, 0.801, 0.857), 640, 900, count=900),
        metrics=[RECALL, {**RECALL, "name": "estimated_recall"}],
        metric=RECALL,
    ),
    "roc_auc": answer(
        "roc_auc model=fraud by version since 5m",
        judged("roc_auc", {"version": "4"}, (0.8612, 0.8401, 0.8799), 1640, 1700, bound=0.0004),
        judged("roc_auc", {"version": "5"}, (0.7902, 0.7611, 0.8167), 801, 1690, bound=0.0006),
        metric={**RECALL, "name": "roc_auc"},
    ),
    "recall_and_samples": answer(
        "recall,live_risk model=fraud since 5m",
        judged("recall", {}, (0.812, 0.781, 0.839), 640, 900),
        row({}, 30, {"last": 0.13}, metric="live_risk"),
        metrics=[RECALL, {**GAUGE, "name": "live_risk", "unit": ""}],
        metric=RECALL,
    ),
    "memory": answer(
        "last,mean memory_bytes by host", row({"host": "a"}, 300, {"last": 2.5e9, "mean": 2.44e9}), metric=GAUGE
    ),
}
"""Name of the case → the answer."""
