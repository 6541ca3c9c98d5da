"""A report on drift (`obsagent.evaluate.drift_report`) for people, and as CSV."""

from __future__ import annotations

import csv
from itertools import pairwise
from typing import Any, TextIO

from obsagent.cli.reports import SEPARATOR, labels_of, name_of
from obsagent.cli.sparkline import BLOCKS, sparkline
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, aligned, columns_of, joined
from obsagent.cli.times import Clock
from obsagent.cli.units import MISSING, format_count, format_number, format_share
from obsagent.errors import printable

Report = dict[str, Any]

CELLS = 16
"""Blocks of a small histogram."""
SHOWN = 3
"""So many features are shown with all of their histogram, if more than one is asked for."""
ROWS = 12
"""Into so many rows the bins of numbers are put together."""
SHORT = 16
"""A longer name of a feature stands above its histogram, so that it is not cut and takes no room from the bars."""
WIDTH = 100
"""Where nothing says how wide it may be."""
BAR, PLAIN_BAR = "█", "#"

CSV_COLUMNS = (
    *("model", "version", "variant", "feature", "labels", "kind", "reference", "samples", "importance", "severity"),
    *("standardised", "psi", "js_distance", "ks", "ks_gap", "wasserstein"),
    *("drifted", "since", "raised", "window", "log10_evalue"),
)


def write(report: Report, stream: TextIO) -> None:
    """Features by severity, the histograms of the first ones, and what an alarm is worth."""
    style = Style(stream)
    clock = Clock("")
    lines: list[str] = []
    for text in report["models"] and _blocks(report, style, clock):
        lines += [*text, ""]
    if not report["features"]:
        lines += joined(printable(report["empty"]).split(" "), " ", style.width)
    told = joined(_footer(report, clock), SEPARATOR, style.width)
    print(*lines, *(style.dim(line) for line in told), sep="\n", file=stream)


def _blocks(report: Report, style: Style, clock: Clock) -> list[list[str]]:
    blocks = []
    for model in report["models"]:
        features = [each for each in report["features"] if _is_of(each, model)]
        if features:
            blocks.append(_table(model, features, style, clock))
    shown = report["features"][: SHOWN if len(report["features"]) > 1 else 1]
    return blocks + [_histogram(each, style) for each in shown if each["histogram"]]


def _is_of(row: Report, model: Report) -> bool:
    return all(row[name] == model[name] for name in ("model", "version", "variant"))


def _table(model: Report, features: list[Report], style: Style, clock: Clock) -> list[str]:
    has_labels = any(each["labels"] for each in features)
    header = ["feature", *(["of"] if has_labels else []), "severity", "psi", "js", "samples", "drifted"]
    sides = [LEFT, *([LEFT] if has_labels else []), RIGHT, RIGHT, RIGHT, RIGHT, FIXED]
    small = style.shows(BLOCKS)
    if small:
        header += ["reference", "now"]
        sides += [FIXED, FIXED]
    rows = [_row(each, has_labels, small, clock, style) for each in features]
    first, *others = aligned(header, rows, sides, style.width)
    if style.width is not None and max(map(columns_of, [first, *others])) > style.width:
        keep = len(header) - (2 if small else 0)
        first, *others = aligned(header[:keep], [row[:keep] for row in rows], sides[:keep], style.width)
    return [style.bold(printable(name_of(model))), style.bold(first), *others]


def _row(feature: Report, has_labels: bool, small: bool, clock: Clock, style: Style) -> list[str]:
    cells = [feature["feature"], *([labels_of(feature)] if has_labels else [])]
    cells += [_number(feature[name]) for name in ("severity", "psi", "js_distance")]
    cells += [format_count(feature["samples"]), _alarm(feature, clock)]
    if small:
        bins = feature["histogram"]
        cells += [_small(bins, side) if bins else "" for side in ("reference", "current")]
    return cells


def _number(value: float | None) -> str:
    return MISSING if value is None else format_number(value)


def _alarm(feature: Report, clock: Clock) -> str:
    """Since when; `no` where it was looked at, and a dash where it was not."""
    if feature["alarm"]:
        return f"since {clock.starts([feature['alarm']['since']])[0]}"
    return "no" if feature["evidence"] else MISSING


def _small(bins: Report, side: str) -> str:
    """Both sides to one scale."""
    high = max([*_merged(bins["reference"], CELLS), *_merged(bins["current"], CELLS)], default=0.0)
    return sparkline([value or None for value in _merged(bins[side], CELLS)], 0.0, high, CELLS).ljust(1)


def _merged(shares: list[float], cells: int) -> list[float]:
    """Neighbouring bins put together, into so many at most."""
    count = min(cells, len(shares))
    edges = [index * len(shares) // count for index in range(count + 1)] if count else [0]
    return [sum(shares[start:end]) for start, end in pairwise(edges)]


def _histogram(feature: Report, style: Style) -> list[str]:
    """Both histograms side by side, a bin or several a row."""
    bins = feature["histogram"]
    labels, reference, current = _rows(bins)
    shares = [[format_share(value) for value in side] for side in (reference, current)]
    bar = BAR if style.shows(BAR) else PLAIN_BAR
    widest = min(max(map(columns_of, labels)), 24)
    number = max(len(text) for side in shares for text in side)
    room = max(8, ((style.width or WIDTH) - widest - 2 * number - 12) // 2)
    high = max([*reference, *current])
    rows = [
        [label, bar * round(one / high * room), shares[0][row], bar * round(other / high * room), shares[1][row]]
        for row, (label, one, other) in enumerate(zip(labels, reference, current, strict=True))
    ]
    title = printable(" ".join(filter(None, (feature["feature"], labels_of(feature)))))
    is_short = columns_of(title) <= max(widest, SHORT)
    header = [title if is_short else "", "reference", "", "now", ""]
    first, *lines = aligned(header, rows, [LEFT, FIXED, RIGHT, FIXED, RIGHT], style.width)
    above = [] if is_short else joined(title.split(" "), " ", style.width)
    return [*map(style.bold, above), style.bold(first), *lines]


def _rows(bins: Report) -> tuple[list[str], list[float], list[float]]:
    """Bins of numbers are put together; categories are shown by themselves, the largest ones."""
    if "categories" in bins:
        order = sorted(range(len(bins["bins"])), key=lambda i: -max(bins["reference"][i], bins["current"][i]))[:ROWS]
        order.sort()
        return tuple([bins[key][i] for i in order] for key in ("bins", "reference", "current"))  # type: ignore[return-value]
    inner = [index for index, label in enumerate(bins["bins"]) if "…" in label]
    groups = [[index] for index in range(len(bins["bins"])) if index not in set(inner)]
    count = min(ROWS, len(inner))
    edges = [index * len(inner) // count for index in range(count + 1)] if count else [0]
    groups += [inner[start:end] for start, end in pairwise(edges)]
    groups.sort()
    labels = [_joined([bins["bins"][index] for index in group]) for group in groups]
    sides = [[sum(bins[side][index] for index in group) for group in groups] for side in ("reference", "current")]
    return labels, sides[0], sides[1]


def _joined(labels: list[str]) -> str:
    """`1 … 2` and `2 … 3` is `1 … 3`."""
    if len(labels) == 1:
        return labels[0]
    return f"{labels[0].split(' … ')[0]} … {labels[-1].split(' … ')[-1]}"


def _footer(report: Report, clock: Clock) -> list[str]:
    samples = sum(each["samples"] for each in report["features"])
    drifted = sum(1 for each in report["features"] if each["alarm"])
    told = []
    if report["features"]:
        told += [f"{format_count(drifted)} of {format_count(len(report['features']))} features have drifted"]
        told += [f"{format_count(samples)} values"]
    told += sorted({f"{model['false_alarms']['says']}" for model in report["models"]})
    told.append(clock.span(report["covered"] or report))
    if report["features"] and report["without_reference"]:
        names = sorted({each["feature"] for each in report["without_reference"]})
        told.append(f"without a reference: {printable(', '.join(names[:5]))}{' …' if len(names) > 5 else ''}")
    return told


def write_csv(report: Report, stream: TextIO) -> None:
    """One line a feature, by severity; times are UTC."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for feature in report["features"]:
        alarm = feature["alarm"] or {}
        row = {**feature, **alarm, "labels": labels_of(feature), "drifted": int(bool(alarm))}
        writer.writerow([row.get(name) for name in CSV_COLUMNS])
