"""`obsagent reference show`: a table with a histogram for each column, or all of one."""

from __future__ import annotations

import csv
import difflib
import sys
from argparse import Namespace
from typing import Any

from obsagent.cli.references.histograms import drawn, spark
from obsagent.cli.references.tables import COLUMNS, as_json, as_row, errors_of, quantiles_of, roles, summary
from obsagent.cli.sources import print_json
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, in_blocks
from obsagent.cli.units import MISSING, format_count, format_number, format_share
from obsagent.errors import UsageError, printable
from obsagent.reference.feature import FeatureReference
from obsagent.reference.reference import Reference

Named = tuple[str, str, FeatureReference]

HEADER = ("feature", "kind", "missing", "distinct", "min", "p50", "mean", "max", "importance", "distribution")
SIDES = (LEFT, FIXED, *(RIGHT,) * 7, FIXED)


def run_show(args: Namespace) -> int:
    """Prints it on stdout."""
    reference = Reference.load(args.files[0])
    chosen = _chosen(reference, args.feature)
    if args.format == "json":
        print_json({**summary(reference), "columns": [as_json(*each) for each in chosen]})
    elif args.format == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(as_row(*each) for each in chosen)
    else:
        style = Style(sys.stdout)
        lines = _in_full(chosen, style) if args.feature else _table(reference, chosen, style)
        print(*lines, sep="\n")
    return 0


def _chosen(reference: Reference, names: list[str]) -> list[Named]:
    every = {name: (name, role, feature) for name, role, feature in roles(reference)}
    for name in names:
        if name not in every:
            near = difflib.get_close_matches(name, every, 1)
            hint = f"did you mean {printable(near[0])}?" if near else "obsagent reference show FILE lists them"
            raise UsageError(f"the reference has no column {printable(name)}; {hint}")
    return [every[name] for name in names or every]


def _table(reference: Reference, chosen: list[Named], style: Style) -> list[str]:
    rows = [[*_cells(name, feature), spark(feature, style)] for name, _, feature in chosen]
    header, sides = list(HEADER), list(SIDES)
    if all(feature.importance is None for _, _, feature in chosen):
        at = header.index("importance")
        for row in [header, sides, *rows]:
            del row[at]
    first, *others = in_blocks(header, rows, sides, style.width)
    lines = [style.bold(first[0]), *first[1:]]
    for block in others:
        lines += ["", style.bold(block[0]), *block[1:]]
    return [*lines, "", *(style.dim(line) for line in _footer(reference))]


def _cells(name: str, feature: FeatureReference) -> list[str]:
    spread = feature.spread
    about = "" if feature.distinct_is_exact else "~"
    median = quantiles_of(feature).get("p50")
    numbers = (spread.min, median, spread.mean, spread.max) if spread else (None,) * 4
    return [
        name,
        feature.kind if feature.type == "text" else f"{feature.kind} ({feature.type})",
        format_share(feature.null_share + feature.nan_share),
        f"{about}{format_count(round(feature.distinct))}",
        *(MISSING if value is None else format_number(value) for value in numbers),
        MISSING if feature.importance is None else format_share(feature.importance),
    ]


def _footer(reference: Reference) -> list[str]:
    from obsagent.answer.instants import iso_utc

    named = f"{reference.model} {reference.version}".strip()
    lines = [
        f"{reference.id} · {printable(named)} · {reference.rows:,} rows of {printable(reference.source)} · "
        f"{iso_utc(reference.created_ms)[:16].replace('T', ' ')} UTC"
    ]
    if reference.joint:
        joint = reference.joint
        scores = f"{joint.score_bins:,} bins of scores, " if joint.score_bins else ""
        lines.append(f"joint: {scores}{len(joint.predicted)} predictions, {len(joint.truths)} truths")
    if reference.errors:
        lines.append(_errors(errors_of(reference.errors)))
    if reference.left_out:
        lines.append(f"left out: {', '.join(map(printable, reference.left_out))}")
    return lines


def _errors(errors: dict[str, Any]) -> str:
    figures = {"MAE": errors["mae"], "RMSE": errors["rmse"], "bias": errors["bias"], "R²": errors["r2"]}
    said = ", ".join(f"{name} {format_number(value)}" for name, value in figures.items() if value is not None)
    return f"errors: {said}, of {errors['rows']:,} rows"


def _in_full(chosen: list[Named], style: Style) -> list[str]:
    lines: list[str] = []
    for name, _, feature in chosen:
        lines += ["", style.bold(printable(name)) + f"  {', '.join(_facts(feature))}", *drawn(feature, style)]
    return lines[1:]


def _facts(feature: FeatureReference) -> list[str]:
    facts = [feature.kind if feature.type == "text" else f"{feature.kind} ({feature.type})"]
    facts.append(f"{'' if feature.distinct_is_exact else 'about '}{feature.distinct:,.0f} different values")
    if feature.spread:
        facts.append(f"mean {format_number(feature.spread.mean)}")
        facts.append(f"stddev {format_number(feature.stddev or 0.0)}")
    facts += [f"{key} {format_number(value)}" for key, value in quantiles_of(feature).items() if key in ("p50", "p99")]
    if feature.importance is not None:
        facts.append(f"importance {format_share(feature.importance)}")
    return [*facts, f"kappa0 {format_number(feature.kappa0)}"]
