"""`obsagent reference diff`: what has changed, the largest change first."""

from __future__ import annotations

import csv
import math
import sys
from argparse import Namespace
from typing import Any

from obsagent.cli.references.tables import finite, summary
from obsagent.cli.sources import print_json
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, in_blocks
from obsagent.cli.units import MISSING, format_number, format_share
from obsagent.errors import printable
from obsagent.reference.differences import ADDED, KIND, REMOVED, SAME, Difference, differences
from obsagent.reference.reference import Reference

DIVERGENCES = ("psi", "js_distance", "ks", "wasserstein", "chi_squared")
COLUMNS = ("feature", "change", *DIVERGENCES, "old_null_share", "new_null_share", "guessed_share", "come", "gone")
HEADER = ("feature", "change", "psi", "js_distance", "ks", "wasserstein", "missing", "")
SIDES = (LEFT, FIXED, *(RIGHT,) * 5, FIXED)
NAMES_SHOWN = 3
GUESSED_SHOWN = 0.01


def run_diff(args: Namespace) -> int:
    """Prints it on stdout."""
    old, new = map(Reference.load, args.files)
    found = sorted(differences(old, new), key=_rank)
    if args.format == "json":
        print_json({"old": summary(old), "new": summary(new), "columns": [_as_json(each) for each in found]})
    elif args.format == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        rows = map(_as_json, found)
        writer.writerows({**row, "come": ";".join(row["come"]), "gone": ";".join(row["gone"])} for row in rows)
    else:
        print(*_table(old, new, found, Style(sys.stdout)), sep="\n")
    return 0


def _rank(each: Difference) -> tuple[int, float]:
    """Changes of the schema first, then by PSI."""
    return (KIND, REMOVED, ADDED, SAME).index(each.change), -each.divergences.get("psi", 0.0)


def _as_json(each: Difference) -> dict[str, Any]:
    return {
        "feature": each.name,
        "change": each.change,
        **{name: finite(each.divergences.get(name)) for name in DIVERGENCES},
        "old_null_share": each.old and each.old.null_share,
        "new_null_share": each.new and each.new.null_share,
        "guessed_share": each.guessed,
        "come": list(each.come),
        "gone": list(each.gone),
    }


def _table(old: Reference, new: Reference, found: list[Difference], style: Style) -> list[str]:
    first, *others = in_blocks(HEADER, [_row(each) for each in found], SIDES, style.width)
    lines = [style.bold(first[0]), *first[1:]]
    for block in others:
        lines += ["", style.bold(block[0]), *block[1:]]
    footer = [f"{old.id} {_said(old)} vs {new.id} {_said(new)}"]
    if old.model != new.model:
        footer.append("these are references of different models")
    guessed = max((each.guessed for each in found), default=0.0)
    if guessed > GUESSED_SHOWN:
        footer.append(f"other bins: up to {format_share(guessed)} of a column's new values are spread over the old")
    return [*lines, "", *(style.dim(line) for line in footer)]


def _said(reference: Reference) -> str:
    return printable(f"{reference.model} {reference.version}".strip()) + f" ({reference.rows:,} rows)"


def _row(each: Difference) -> list[str]:
    values = [_number(each.divergences.get(name)) for name in ("psi", "js_distance", "ks", "wasserstein")]
    return [each.name, each.change, *values, _missing(each), _remark(each)]


def _number(value: float | None) -> str:
    if value is None:
        return MISSING
    return format_number(round(value, 6)) if math.isfinite(value) else "∞"


def _missing(each: Difference) -> str:
    shares = [each.old.null_share if each.old else None, each.new.null_share if each.new else None]
    shown = [MISSING if share is None else format_share(share) for share in shares]
    return shown[0] if shown[0] == shown[1] else " → ".join(shown)


def _remark(each: Difference) -> str:
    if each.change == KIND and each.old and each.new:
        return f"{each.old.kind} → {each.new.kind}"
    parts = []
    for names, word in ((each.come, "new"), (each.gone, "gone")):
        if names:
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            parts.append(f"{word}: {', '.join(names[:NAMES_SHOWN])}{more}")
    if each.old and each.new and each.old.type != each.new.type:
        parts.append(f"{each.old.type} → {each.new.type}")
    return "; ".join(parts)
