"""Numbers for people: three significant digits, a unit of the right size, thousands apart."""

from __future__ import annotations

import math

from obsagent.units import BYTES, MEASURES, SECONDS

MISSING = "–"

LADDERS = {
    SECONDS: ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    BYTES: ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
}
"""What a unit measures → steps `(size, name)` from large to small."""

RATIOS = ("ratio", "ratios")
PERCENTAGES = ("percent", "%")

AGE = "age"
PER_SECOND_STATS = ("rate",)
COUNT_STATS = ("count",)
SHARE_STATS = ("ratio", "error_rate")
SHARE_WORDS = ("under ", "over ")
"""`under 250ms` is the share of the samples that are at most 250 ms."""


def is_share(stat: str, unit: str) -> bool:
    """True for what is shown as a percentage: a part of a whole."""
    if stat in SHARE_STATS or stat.startswith(SHARE_WORDS):
        return True
    return unit in RATIOS and stat not in (*PER_SECOND_STATS, *COUNT_STATS, AGE)


def format_value(value: float | None, stat: str, unit: str, kind: str | None) -> str:
    """One cell: `value` of statistic `stat` of a metric measured in `unit`; null is a dash."""
    if value is None:
        return MISSING
    if stat == AGE:
        return format_age(value)
    if is_share(stat, unit):
        return format_share(value)
    if stat in PER_SECOND_STATS:
        return f"{format_quantity(value, unit if kind == 'counter' else '')}/s"
    if stat in COUNT_STATS and kind != "counter":
        return format_quantity(value, "")
    return format_quantity(value, unit)


def format_quantity(value: float, unit: str) -> str:
    """`12.3 ms`, `4.56 GB`, `0.931`, `24,310`."""
    if unit in PERCENTAGES:
        return f"{format_number(value)} %"
    if unit not in MEASURES:
        return format_number(value)
    dimension, factor = MEASURES[unit]
    ladder = LADDERS[dimension]
    if value == 0:
        return f"0 {_base(ladder)}"
    size, name = _step(abs(value * factor), ladder)
    return f"{format_number(value * factor / size)} {name}"


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


def format_share(value: float) -> str:
    """`99.3 %`; close to the whole with as many digits as show what is missing: `99.98 %`, never `100 %`."""
    percent = value * 100
    if not 99 < percent < 100:
        return f"{format_number(round(percent, 9))} %"  # the last bits of a quotient are not to show as `5.00 %`
    return f"{percent:.{-math.floor(math.log10(100 - percent))}f} %"


def format_age(seconds: float) -> str:
    """A time that has passed, as durations are written in a query: `12s`, `1h30m`."""
    from obsagent.answer.durations import format_duration

    if not math.isfinite(seconds):
        return MISSING
    return format_duration(round(seconds * 1000)) if seconds else "0s"


def format_count(count: int) -> str:
    """`24,310`."""
    return f"{count:,}"
