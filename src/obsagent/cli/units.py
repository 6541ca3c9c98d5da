"""Numbers for people: three significant digits, a unit of the right size, thousands apart."""

from __future__ import annotations

import math

MISSING = "–"

SECONDS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
BYTES = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))

UNIT_LADDERS = {
    "seconds": SECONDS,
    "second": SECONDS,
    "s": SECONDS,
    "bytes": BYTES,
    "byte": BYTES,
    "By": BYTES,
}
"""Unit of a metric → steps `(size, name)` from large to small."""

PER_SECOND_STATS = ("rate",)
COUNT_STATS = ("count",)


def format_value(value: float | None, stat: str, unit: str, kind: str | None) -> str:
    """One cell: `value` of statistic `stat` of a metric measured in `unit`; null is a dash."""
    if value is None:
        return MISSING
    if stat in PER_SECOND_STATS:
        return f"{format_quantity(value, unit if kind == 'counter' else '')}/s"
    if stat in COUNT_STATS and kind != "counter":
        return format_quantity(value, "")
    return format_quantity(value, unit)


def format_quantity(value: float, unit: str) -> str:
    """`12.3 ms`, `4.56 GB`, `0.931`, `24,310`."""
    ladder = UNIT_LADDERS.get(unit)
    if ladder is None:
        return format_number(value)
    if value == 0:
        return f"0 {_base(ladder)}"
    size, name = _step(abs(value), ladder)
    return f"{format_number(value / size)} {name}"


def _base(ladder: tuple[tuple[float, str], ...]) -> str:
    return next(name for size, name in ladder if size == 1.0)


def _step(magnitude: float, ladder: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """The largest step that `magnitude`, once rounded to three digits, fills."""
    return next((step for step in ladder if float(f"{magnitude / step[0]:.2e}") >= 1.0), ladder[-1])


def format_number(value: float) -> str:
    """Whole numbers in full with separators, others with three significant digits or more."""
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= 1e15 or 0 < abs(value) < 1e-4:
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    rounded = float(f"{abs(value):.2e}")  # 99.96 is 100, not 100.0
    return f"{value:,.{max(0, 2 - math.floor(math.log10(rounded)))}f}"


def format_count(count: int) -> str:
    """`24,310`."""
    return f"{count:,}"
