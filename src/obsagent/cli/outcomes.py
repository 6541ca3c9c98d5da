"""What an answer about predictions and their truths says beside its numbers: intervals, and how much is known yet."""

from __future__ import annotations

from obsagent.cli.columns import metric_of
from obsagent.cli.units import MISSING, format_count, format_share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from obsagent.cli.columns import Answer, Cells, Column
    from obsagent.cli.times import Clock

MATURITY = "maturity"


def judges(rows: Iterable[Answer]) -> bool:
    """True if rows are about predictions that have ids."""
    return any(MATURITY in row for row in rows)


def interval_title(column: Column, rows: Sequence[Answer]) -> str:
    """`95 % interval`; empty if the column has none."""
    own = [row for row in rows if column.stat in row.get("interval", ())]
    return f"{own[0]['confidence'] * 100:g} % interval" if own else ""


def interval_cells(column: Column, lines: Iterable[Cells]) -> list[str]:
    """`0.812–0.843`, line by line."""
    return [_interval(column, cells) for cells in lines]


def _interval(column: Column, cells: Cells) -> str:
    found = cells.get(column.metric["name"], {}).get("interval", {}).get(column.stat)
    return f"{column.format(found[0])}–{column.format(found[1])}" if found else MISSING


def counts_title(rows: Iterable[Answer]) -> str:
    """What is counted: truths, or of what does without them predictions."""
    return (
        "truths" if all(row["count"] == row[MATURITY]["truths"] for row in rows if MATURITY in row) else "predictions"
    )


def maturity_cells(lines: Iterable[Cells]) -> list[str]:
    """The share of predictions with a truth, line by line."""
    return [_share(next((row[MATURITY] for row in cells.values() if MATURITY in row), None)) for cells in lines]


def _share(maturity: Answer | None) -> str:
    return format_share(maturity["share"]) if maturity else MISSING


def counted(rows: Sequence[Answer], answer: Answer, clock: Clock) -> Iterator[str]:
    """`4,210 truths of 5,000 predictions (84 %)`, and until when they are nearly complete."""
    first = next(metric_of(row, answer) for row in rows if MATURITY in row)  # others have the same predictions
    own = [row for row in rows if metric_of(row, answer) == first]
    yield _truths_of(own)
    if "vs" in answer:
        yield f"vs {_truths_of([row['vs'] for row in own if row.get('vs')])}"
    marks = {row.get("watermark") for row in own}
    if None not in marks:
        yield f"nearly complete until {clock.second(min(filter(None, marks)))}"
    else:
        yield "truths are not nearly complete"


def _truths_of(parts: Iterable[Answer]) -> str:
    every = [part[MATURITY] for part in parts if MATURITY in part]
    predictions, truths = (sum(each[name] for each in every) for name in ("predictions", "truths"))
    share = f" ({format_share(truths / predictions)})" if predictions else ""
    return f"{format_count(truths)} truths of {format_count(predictions)} predictions{share}"
