"""An answer as CSV: exact numbers in base units, times in UTC, an empty field for what is not there."""

from __future__ import annotations

import csv

from obsagent.cli.columns import label_names, metric_of, stat_names
from obsagent.cli.outcomes import judges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, TextIO

    from obsagent.cli.columns import Answer

EXEMPLAR_COLUMNS = ("exemplar_value", "exemplar_time", "exemplar_trace_id", "exemplar_request_id")
"""Of the largest exemplar of a line, if the query asks for exemplars."""
LABEL_SUFFIX = "_label"
"""Behind the name of a label that is also another column's."""


class CsvWriter:
    """Writes one answer, or one after the other below one header."""

    def __init__(self, stream: TextIO, timed: bool = False) -> None:
        """`timed` answers begin with a column that says when each was given."""
        self._rows = csv.writer(stream, lineterminator="\n")
        self._timed = timed
        self._header: list[str] | None = None

    def write(self, answer: Answer) -> None:
        """Its rows, below a header where the columns are not those of the rows above."""
        if self._timed and not answer["series"]:
            return
        labels, stats = label_names(answer["series"]), stat_names(answer["series"])
        bounded = [stat for stat in stats if any(stat in row.get("interval", ()) for row in answer["series"])]
        header = [*self._header_of(answer, labels, stats), *_beside_names(answer, bounded)]
        if header != self._header:
            self._header = header
            self._rows.writerow(header)
        lead = [answer["to"]] if self._timed else []
        for row in answer["series"]:
            named = [*lead, *(row["labels"].get(label, "") for label in labels)]
            if "metrics" in answer:
                named.append(metric_of(row, answer))
            for part, numbers in _numbers(answer, row, stats):
                self._rows.writerow([*named, *numbers, *_beside(answer, part, bounded)])

    def _header_of(self, answer: Answer, labels: Sequence[str], stats: Sequence[str]) -> list[str]:
        lead = [("asked" if "step_ms" in answer else "time")] if self._timed else []
        metric = ["metric"] if "metrics" in answer else []
        times = ["time"] if "step_ms" in answer else []
        if "vs" in answer and not times:
            stats = [f"{stat}{side}" for stat in stats for side in ("", "_vs", "_change")]
        exemplars = EXEMPLAR_COLUMNS if any("exemplars" in row for row in answer["series"]) else ()
        others = [*lead, *metric, *times, "samples", *stats, *exemplars]
        named = [f"{label}{LABEL_SUFFIX}" if label in others else label for label in labels]
        return [*lead, *named, *metric, *times, "samples", *stats, *exemplars]


def _numbers(answer: Answer, row: Answer, stats: Sequence[str]) -> Iterator[tuple[Answer, list[Any]]]:
    """The row itself, or each of its steps, and the numbers on its line."""
    if "step_ms" in answer:
        for point in row.get("points", ()):
            values = [point["values"].get(stat) for stat in stats]
            yield point, [point["from"], point["count"], *values, *_exemplar(point)]
    elif "vs" in answer:
        then = (row.get("vs") or {}).get("values", {})
        changes = row.get("change", {})
        sides = [(row["values"].get(stat), then.get(stat), changes.get(stat, {}).get("absolute")) for stat in stats]
        yield row, [row["count"], *(value for side in sides for value in side), *_exemplar(row)]
    else:
        yield row, [row["count"], *(row["values"].get(stat) for stat in stats), *_exemplar(row)]


def _beside_names(answer: Answer, bounded: Sequence[str]) -> list[str]:
    """Of metrics of predictions: between what they lie, and of how many predictions the truths are."""
    ends = [f"{stat}_{end}" for stat in bounded for end in ("low", "high")]
    return [*ends, *(["predictions"] if judges(answer["series"]) else [])]


def _beside(answer: Answer, part: Answer, bounded: Sequence[str]) -> list[Any]:
    ends = [end for stat in bounded for end in part.get("interval", {}).get(stat) or (None, None)]
    return [*ends, *([part.get("maturity", {}).get("predictions")] if judges(answer["series"]) else [])]


def _exemplar(part: Answer) -> list[Any]:
    """The largest one of a row or a step; nothing if exemplars were not asked for."""
    if "exemplars" not in part:
        return []
    largest: Answer = next(iter(part["exemplars"]), {})
    return [largest.get(name.removeprefix("exemplar_")) for name in EXEMPLAR_COLUMNS]


def write_csv(answer: Answer, stream: TextIO) -> None:
    """A header and the rows: labels, metric, time of the step, samples, statistics.

    Metrics of predictions have their interval (`recall_low`, `recall_high`) and the number of predictions behind them.
    Of a comparison each statistic has three columns: `p99`, `p99_vs`, and their difference `p99_change`. With
    exemplars the largest of each line stands behind.
    """
    CsvWriter(stream).write(answer)
