"""`obsagent reference from-store`: a period that the agent has kept becomes a model's reference."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from obsagent.errors import ObsagentError, UsageError, printable
from obsagent.reference.reference import PREDICTION, SCORE, Reference

if TYPE_CHECKING:
    from obsagent._native.sketch import Column
    from obsagent.answer.ranges import Span
    from obsagent.answer.view import View
    from obsagent.samples import Series

FEATURE_METRIC = "feature"
ROWS_METRIC = "feature_rows"
LIVE = "live"
WINDOWS_MAX = 100


def run_from_store(args: Namespace) -> int:
    """Reads the period and writes the reference."""
    from pathlib import Path

    from obsagent import config
    from obsagent.cli.references.fitting import _check_name, _default_out, _print
    from obsagent.head.store import Store

    _check_name("--model", args.model)
    if not args.begin:
        raise UsageError("expected: obsagent reference from-store --model NAME --from TIME [--to TIME]")
    out = args.out or _default_out(args.model, args.version)
    like = Reference.load(args.like) if args.like else None
    view = Store.open_read_only(Path(args.data) if args.data else config.load(args.config).data).view()
    span = _span(args, view)
    reference = _reference(args, view, span, like)
    reference.save(out)
    if like is None:
        print(
            "obsagent reference: bins are new, sums are a histogram's: --like FILE keeps the bins of a reference",
            file=sys.stderr,
        )
    _print(reference, out, args.format)
    return 0


def _span(args: Namespace, view: View) -> Span:
    """The period, in the words of the query language; raises `UsageError`."""
    from obsagent.answer.language import parse
    from obsagent.answer.ranges import resolve

    period = f"from {args.begin} to {args.end}" if args.end else f"since {args.begin}"
    query = parse(f"count {FEATURE_METRIC} {period}")
    return resolve(query, view, time.time_ns() // 1_000_000, None)


def _reference(args: Namespace, view: View, span: Span, like: Reference | None) -> Reference:
    from obsagent.answer.instants import iso_utc
    from obsagent.reference.stored import feature_of

    series = _series(view, args, like)
    rows, windows = _read(view, span, series)
    if not windows:
        raise ObsagentError(f"no value of a feature of {printable(args.model)} is kept of that time")
    rows = max(rows, *(sum(window.samples for window in each) for each in windows.values()))
    known = like.columns if like else {}
    found = {name: feature_of(each, known.get(name), rows) for name, each in sorted(windows.items())}
    outputs = {name: found.pop(name) for name in (PREDICTION, SCORE) if name in found}
    return Reference(
        model=args.model,
        version=args.version or "",
        rows=rows,
        features=found,
        outputs=outputs,
        windows=max(map(len, windows.values())),
        created_ms=time.time_ns() // 1_000_000,
        source=f"{iso_utc(span.from_ms)} to {iso_utc(span.to_ms)}",
    )


def _series(view: View, args: Namespace, like: Reference | None) -> list[Series]:
    """The columns of the model, and the counter of their rows."""
    asked = {"model": args.model, "variant": LIVE} | ({"version": args.version} if args.version else {})
    found = []
    for series in view.series():
        labels = dict(series.labels)
        labels.setdefault("variant", LIVE)
        if series.metric not in (FEATURE_METRIC, ROWS_METRIC) or not asked.items() <= labels.items():
            continue
        if like is None or series.metric == ROWS_METRIC or labels.get("reference") == like.label:
            found.append(series)
    return found


def _read(view: View, span: Span, series: Sequence[Series]) -> tuple[int, Mapping[str, list[Column]]]:
    """Rows, and the windows of each column that have samples."""
    from obsagent._native.codec import Groups
    from obsagent._native.sketch import Column

    names = sorted({dict(each.labels)["feature"] for each in series if each.metric == FEATURE_METRIC})
    places = {each.id: names.index(dict(each.labels)["feature"]) for each in series if each.metric == FEATURE_METRIC}
    places |= {each.id: len(names) for each in series if each.metric == ROWS_METRIC}
    step_ms = _step_ms(view, span)
    first_ms = span.read_from_ms - span.read_from_ms % step_ms
    steps = -((first_ms - span.to_ms) // step_ms)
    groups = Groups(places, len(names) + 1, first_ms, step_ms, steps)
    view.collect(span.read_from_ms, span.to_ms, groups, step_ms)
    rows = sum(groups.counter(len(names), step)[1] for step in range(steps))
    found: dict[str, list[Column]] = {}
    for at, name in enumerate(names):
        kept = [groups.column(at, step) for step in range(steps)]
        if windows := [Column._from_compact(data) for data in kept if data]:
            found[name] = windows
    return round(rows), found


def _step_ms(view: View, span: Span) -> int:
    """A window of the reference: as many of the store's windows as make up to 100 of the period."""
    longest_ms = view.window_ms_from(span.read_from_ms)
    return longest_ms * max(1, -(-(span.to_ms - span.read_from_ms) // (WINDOWS_MAX * longest_ms)))
