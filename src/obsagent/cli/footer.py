"""The line below an answer: how many samples, how exact, of what time, and what was lost."""

from __future__ import annotations

from obsagent.cli.columns import BEYOND, Column, columns_of_answer, lines_of_answer, metric_of, metrics_of
from obsagent.cli.outcomes import counted, judges
from obsagent.cli.times import Clock
from obsagent.cli.units import format_count
from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obsagent.cli.columns import Answer

SEPARATOR = " · "

ABSOLUTE = "absolute"
"""The type of bound that is a quantity itself."""

GAPS_SHOWN = 3
"""More of them are counted."""

POINTS = "points"
"""Percentage points, in which shares differ: `±0.3 %` would be a part of the share."""


def footer_text(answer: Answer) -> str:
    """`24,310 samples · ±0.54 % · 14:02:10–14:07:10 · nothing lost`."""
    return SEPARATOR.join(footer(answer, Clock(answer["query"])))


def footer(answer: Answer, clock: Clock, notes: Iterable[str] = ()) -> list[str]:
    """Its pieces, each only where it says something; `notes` are what a layout adds."""
    return [
        *_counted(answer, clock),
        *_bounds(answer),
        *_condition(answer),
        *_apart(answer),
        *_widened(answer),
        *notes,
        _time(answer, clock),
        *_losses(answer),
        *gaps_text(answer, clock),
    ]


def _counted(answer: Answer, clock: Clock) -> Iterator[str]:
    """`24,310 samples vs 21,004`; of several metrics the samples of each; of predictions how many have a truth."""
    rows = answer["series"]
    judged = {metric_of(row, answer) for row in rows if "maturity" in row}
    if judges(rows):
        yield from counted(rows, answer, clock)
        rows = [row for row in rows if "maturity" not in row]
        if not rows:
            return
    several = len(metrics_of(answer)) > 1
    if rows:
        parts = []
        for metric in (each for each in metrics_of(answer) if each["name"] not in judged):
            own = [row for row in rows if metric_of(row, answer) == metric["name"]]
            count = f"{_samples(own)} samples" if _total(own) != 1 else "1 sample"
            then = f" vs {format_count(_other_total(answer, own))}" if "vs" in answer else ""
            parts.append(f"{count}{then}{' of ' + metric['name'] if several else ''}")
        yield ", ".join(parts)
    odd = sum(sum(row.get("not_finite", {}).values()) for row in rows)
    if odd:
        yield f"{format_count(odd)} NaN or infinite"


def _samples(rows: list[Answer]) -> str:
    return format_count(_total(rows)) if rows else "no"


def _total(rows: Iterable[Answer]) -> int:
    return sum(row.get("count", 0) for row in rows)


def _other_total(answer: Answer, rows: list[Answer]) -> int:
    """The samples that rows are compared with; asked `by version … vs version=3` they are the same for all."""
    counts = [row["vs"]["count"] for row in rows if row.get("vs")]
    label = answer["vs"]["what"].partition("=")[0]
    shared = any(label in row["labels"] for row in rows)
    return max(counts, default=0) if shared else sum(counts)


def _bounds(answer: Answer) -> list[str]:
    """The widest bound of each type."""
    widest: dict[str, float] = {}
    shown: dict[str, str] = {}
    columns = columns_of_answer(answer)
    for column in columns:
        for type_, bound in _bounds_of(column, answer):
            key = f"{type_} {POINTS if column.is_share else column.stat}" if type_ == ABSOLUTE else type_
            if bound >= widest.get(key, 0.0):
                widest[key] = bound
                shown[key] = _bound(type_, bound, column, alone=len(columns) == 1)
    return list(dict.fromkeys(shown.values()))


def _bounds_of(column: Column, answer: Answer) -> Iterator[tuple[str, float]]:
    for line in lines_of_answer(answer):
        row = line.cells.get(column.metric["name"], {})
        for part in (row, row.get("vs") or {}, *row.get("points", ())):
            bound = part.get("error_bound", {}).get(column.stat)
            if isinstance(bound, dict):
                yield from bound.items()


def _bound(type_: str, bound: float, column: Column, *, alone: bool) -> str:
    if type_ == "relative":
        return f"±{bound * 100:.2g} %"
    if type_ in BEYOND:
        edge = "last" if type_ == "above" else "first"
        return f"{BEYOND[type_]}beyond the {edge} edge of a classic histogram"
    if type_ == "rank":
        return f"rank ±{bound:.2g}"
    if column.is_share:
        return f"±{bound * 100:.2g} {POINTS}"
    return f"±{column.format(bound)}" if alone else f"{column.title} ±{column.format(bound)}"


def _condition(answer: Answer) -> Iterator[str]:
    """`where p99 above 500 ms`."""
    where = answer.get("where")
    if where and answer["series"]:
        relation = "above" if "above" in where else "below"
        column = Column(answer["metric"], where["stat"], where["stat"], answer["series"])
        yield f"where {where['stat']} {relation} {column.format(where[relation])}"


def _apart(answer: Answer) -> Iterator[str]:
    """`host is the machine, the rest runs on it`."""
    if "apart" in answer and answer["series"]:
        yield f"{answer['apart']['service']} is the machine, the rest runs on it"


def _widened(answer: Answer) -> Iterator[str]:
    """`steps of 1m: of this time only windows of 1m are kept`."""
    if "widened" in answer:
        from obsagent.answer.durations import format_duration

        window = format_duration(answer["widened"]["window_ms"])
        yield f"steps of {format_duration(answer['step_ms'])}: of this time only windows of {window} are kept"


def _time(answer: Answer, clock: Clock) -> str:
    covered = answer["covered"]
    shown = clock.span(covered) if covered else "no data in this time"
    if "vs" in answer:
        then = answer["vs"]["covered"]
        shown += f" vs {clock.span(then) if then else 'no data then'}" if then != covered else ""
    return shown


def _losses(answer: Answer) -> Iterator[str]:
    losses = answer["losses"]
    lost = [
        f"{format_count(count)} {what} ({reason})"
        for what in ("dropped", "rejected")
        for reason, count in losses[what].items()
        if count
    ]
    if lost:
        yield ", ".join(lost)
    elif not _gaps(answer):
        yield "nothing lost"
    if losses["pending"]:
        yield f"{format_count(losses['pending'])} pending"
    if losses["overflow_series"]:
        yield f"{format_count(losses['overflow_series'])} series over budget"


def gaps_text(answer: Answer, clock: Clock) -> Iterator[str]:
    """`gap 12:00:10–12:00:20: a block is damaged`; of many the first, and how many more there are."""
    gaps = _gaps(answer)
    for gap in gaps[:GAPS_SHOWN]:
        yield f"gap {clock.span(gap)}: {printable(gap['reason'])}"
    if len(gaps) > GAPS_SHOWN:
        more = len(gaps) - GAPS_SHOWN
        yield f"{format_count(more)} more gap{'s' if more > 1 else ''}"


def _gaps(answer: Answer) -> list[Answer]:
    """Those of both sides."""
    return [*answer.get("gaps", ()), *answer.get("vs", {}).get("gaps", ())]
