"""Values over time in one line of text."""

from __future__ import annotations

from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = " "


def sparkline(values: Sequence[float | None], low: float, high: float, cells: int) -> str:
    """One block a value, from `low` to `high`; a gap where there is none.

    If there are more values than `cells`, a cell stands for the largest of its neighbours: a peak stays visible.
    """
    cells = min(cells, len(values))
    edges = [index * len(values) // cells for index in range(cells + 1)]
    return "".join(
        _block(max((value for value in values[start:end] if value is not None), default=None), low, high)
        for start, end in pairwise(edges)
    ).rstrip()


def _block(value: float | None, low: float, high: float) -> str:
    if value is None:
        return GAP
    if high <= low:
        return BLOCKS[len(BLOCKS) // 2 - 1]
    level = int((value - low) / (high - low) * len(BLOCKS))
    return BLOCKS[min(max(level, 0), len(BLOCKS) - 1)]
