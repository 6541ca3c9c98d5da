"""An answer for programs: a sequence of rows, each with its labels and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import pandas
    import pyarrow

Answer = dict[str, Any]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation that can be found again: its value in the metric's unit, when (UTC), its ids, its series' labels.

    An id that is not known is None.
    """

    value: float
    time: datetime
    trace_id: str | None
    request_id: str | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a row: `[start, end)` in UTC, and what was measured in it. `point["p99"]` is a value."""

    start: datetime
    end: datetime
    count: int
    values: Mapping[str, float | None]
    error_bound: Mapping[str, Any]
    exemplars: Sequence[Exemplar] = ()

    def __getitem__(self, stat: str) -> float | None:
        return _value(self.values, stat)


@dataclass(frozen=True, slots=True)
class Row:
    """One group of series: `row.labels["endpoint"]`, `row["p99"]`; a value that does not exist is None.

    count        samples behind the values
    error_bound  by statistic: 0 (exact), or `{"relative": share}`, `{"absolute": amount}`, `{"rank": share}`
    metric       the name of the metric, for queries that name several
    points       the steps, for queries with `step`; a step without samples is absent
    vs, change   the compared side, and the change by statistic, for queries with `vs`; `vs` is None if it is empty
    not_finite   observations that were NaN or infinite, by kind
    exemplars    the largest observations that have an id, largest first, for queries with `exemplars=True`
    """

    labels: Mapping[str, str]
    values: Mapping[str, float | None]
    count: int
    error_bound: Mapping[str, Any]
    metric: str = ""
    points: Sequence[Point] = ()
    vs: Mapping[str, Any] | None = None
    change: Mapping[str, Any] = field(default_factory=dict)
    not_finite: Mapping[str, int] = field(default_factory=dict)
    exemplars: Sequence[Exemplar] = ()

    def __getitem__(self, stat: str) -> float | None:
        return _value(self.values, stat)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time, `[start, end)` in UTC, of which something that was stored is lost, and what is damaged or missing."""

    start: datetime
    end: datetime
    reason: str


class Result(Sequence[Row]):
    """The answer to a query: its rows, and how good they are. Printed, it is the table that the shell shows.

    answer   the whole answer as a dict, as `obsagent query --format json` prints it
    covered  the time that was read, `(start, end)` in UTC; None if the store holds none of what was asked
    losses   what was dropped, rejected or is pending in that time, of the services that the answer is about
    gaps     parts of the asked time of which something that was stored is lost; most often there are none
    empty    why there are no rows; None if there are some
    """

    def __init__(self, answer: Answer) -> None:
        """`answer` is what an agent answers to a query."""
        self.answer = answer
        self.rows: tuple[Row, ...] = tuple(map(_row, answer["series"]))

    @property
    def covered(self) -> Span | None:
        """Start and end of the time that was read, in UTC."""
        covered = self.answer["covered"]
        return None if covered is None else (_time(covered["from"]), _time(covered["to"]))

    @property
    def losses(self) -> dict[str, Any]:
        """`{"dropped": {reason: samples}, "rejected": {reason: samples}, "pending", "overflow_series"}`."""
        losses: dict[str, Any] = self.answer["losses"]
        return losses

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where the answer may say less than it should; those of a `vs` are in `answer["vs"]`."""
        return tuple(Gap(_time(gap["from"]), _time(gap["to"]), gap["reason"]) for gap in self.answer.get("gaps", ()))

    @property
    def empty(self) -> str | None:
        """Why there are no rows; None if there are."""
        return self.answer.get("empty")

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self.rows[index]

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a `pandas.DataFrame`; `obsagent/results/columns.py` says which columns there are.

        Times are in UTC, values float64, counts int64 (Int64 where one is missing). Raises `ModuleNotFoundError`
        without pandas.
        """
        from obsagent.results.tables import to_pandas

        return to_pandas(self.answer)

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a `pyarrow.Table` with the columns of `to_pandas`; what is missing is null.

        Raises `ModuleNotFoundError` without pyarrow.
        """
        from obsagent.results.tables import to_arrow

        return to_arrow(self.answer)

    def __str__(self) -> str:
        from obsagent.results.shown import as_text

        return as_text(self.answer)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from obsagent.results.shown import as_html

        return as_html(self.answer)


def _value(values: Mapping[str, float | None], stat: str) -> float | None:
    try:
        return values[stat]
    except KeyError:
        raise KeyError(f"{stat} was not asked; there are {', '.join(values)}") from None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _row(row: Answer) -> Row:
    return Row(
        labels=row["labels"],
        values=row["values"],
        count=row["count"],
        error_bound=row["error_bound"],
        metric=row.get("metric", ""),
        points=tuple(map(_point, row.get("points", ()))),
        vs=row.get("vs"),
        change=row.get("change", {}),
        not_finite=row.get("not_finite", {}),
        exemplars=_exemplars(row),
    )


def _point(point: Answer) -> Point:
    start, end = _time(point["from"]), _time(point["to"])
    return Point(start, end, point["count"], point["values"], point["error_bound"], _exemplars(point))


def _exemplars(part: Answer) -> tuple[Exemplar, ...]:
    """Those of a row or a step."""
    return tuple(
        Exemplar(each["value"], _time(each["time"]), each["trace_id"], each["request_id"], each["labels"])
        for each in part.get("exemplars", ())
    )
