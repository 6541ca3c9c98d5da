"""Histograms of a reference's columns in a terminal."""

from __future__ import annotations

from obsagent.cli.sparkline import BLOCKS, sparkline
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, aligned
from obsagent.cli.units import format_count, format_number, format_share
from obsagent.reference.feature import NUMBER, FeatureReference
from obsagent.reference.rebin import even_edges, rebinned, share_below

CELLS = 16
BINS = 20
CATEGORIES_SHOWN = 20
BAR_CELLS = 40
EIGHTHS = " ▏▎▍▌▋▊▉"
TAIL = 0.005
"""Which share of the values on each side does not widen the range that is shown."""


def spark(feature: FeatureReference, style: Style) -> str:
    """In one line; empty where there is nothing to draw, or a stream cannot show it."""
    if not style.shows(BLOCKS) or not feature.count:
        return ""
    heights = [height for _, height in _bars(feature, CELLS, CELLS)]
    return sparkline(heights, 0.0, max(heights), len(heights)) if len(heights) > 1 else BLOCKS[-1]


def drawn(feature: FeatureReference, style: Style) -> list[str]:
    """A line for each bin or category, with its share and a bar."""
    bars = _bars(feature, BINS, CATEGORIES_SHOWN)
    most = max((height for _, height in bars), default=0.0)
    rows = [
        [name, format_count(round(height)), format_share(height / feature.samples), _bar(height / most, style)]
        for name, height in bars
        if most
    ]
    rows += [[name, format_count(count), format_share(count / feature.samples), ""] for name, count in _apart(feature)]
    return aligned(["value", "rows", "share", ""], rows, [LEFT, RIGHT, RIGHT, FIXED]) if rows else []


def _bars(feature: FeatureReference, bins: int, categories: int) -> list[tuple[str, float]]:
    """Names and counts."""
    if feature.kind != NUMBER:
        named = [*zip(feature.categories, map(float, feature.category_counts), strict=False)]
        rest = feature.count - sum(count for _, count in named[:categories])
        return named[:categories] + ([("(others)", rest)] if rest else [])
    if feature.spread is None:
        return []
    low, high = _range(feature)
    edges = even_edges(low, high, bins) if feature.distinct > bins else list(feature.edges)
    counts = rebinned(feature, edges).counts
    inner = counts[1:-1]
    inner[0] += counts[0]
    inner[-1] += counts[-1]
    return [(_named(edges, at, feature), count) for at, count in enumerate(inner)]


def _range(feature: FeatureReference) -> tuple[float, float]:
    assert feature.spread is not None
    low, high = share_below(feature, TAIL), share_below(feature, 1 - TAIL)
    whole = feature.spread.max - feature.spread.min
    return (low, high) if high - low < whole / 4 and high > low else (feature.spread.min, feature.spread.max)


def _named(edges: list[float], at: int, feature: FeatureReference) -> str:
    if feature.distinct <= BINS:
        return format_number(edges[at])
    assert feature.spread is not None
    beyond_low = at == 0 and feature.spread.min < edges[0]
    beyond_high = at == len(edges) - 2 and feature.spread.max > edges[-1]
    if beyond_low:
        return f"below {format_number(edges[1])}"
    return (
        f"from {format_number(edges[at])}"
        if beyond_high
        else f"{format_number(edges[at])} – {format_number(edges[at + 1])}"
    )


def _apart(feature: FeatureReference) -> list[tuple[str, int]]:
    """What is in no bin."""
    counts = {
        "(missing)": feature.null_count,
        "(NaN)": feature.nan_count,
        "(+infinite)": feature.positive_infinity_count,
        "(-infinite)": feature.negative_infinity_count,
        "(no number)": feature.wrong_type_count,
    }
    return [(name, count) for name, count in counts.items() if count]


def _bar(share: float, style: Style) -> str:
    if not style.shows(EIGHTHS + "█"):
        return "#" * round(share * BAR_CELLS)
    eighths = round(share * BAR_CELLS * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip() or EIGHTHS[1]
