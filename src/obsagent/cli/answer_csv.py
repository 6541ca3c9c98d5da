"""An answer as CSV: exact numbers in base units, times in UTC, an empty field for what is not there."""

from __future__ import annotations

import csv

from obsagent.cli.columns import label_names, metric_of, stat_names

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
        header = self._header_of(answer, labels, stats)
        if header != self._header:
            self._header = header
            self._rows.writerow(header)
        lead = [answer["to"]] if self._timed else []
        for row in answer["series"]:
            named = [*lead, *(row["labels"].get(label, "") for label in labels)]
            if "metrics" in answer:
                named.append(metric_of(row, answer))
            for numbers in _numbers(answer, row, stats):
                self._rows.writerow([*named, *numbers])

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


def _numbers(answer: Answer, row: Answer, stats: Sequence[str]) -> Iterator[list[Any]]:
    """One row, or one for each step."""
    if "step_ms" in answer:
        for point in row.get("points", ()):
            yield [point["from"], point["count"], *(point["values"].get(stat) for stat in stats), *_exemplar(point)]
    elif "vs" in answer:
        then = (row.get("vs") or {}).get("values", {})
        changes = row.get("change", {})
        sides = [(row["values"].get(stat), then.get(stat), changes.get(stat, {}).get("absolute")) for stat in stats]
        yield [row["count"], *(value for side in sides for value in side), *_exemplar(row)]
    else:
        yield [row["count"], *(row["values"].get(stat) for stat in stats), *_exemplar(row)]


def _exemplar(part: Answer) -> list[Any]:
    """The largest one of a row or a step; nothing if exemplars were not asked for."""
    if "exemplars" not in part:
        return []
    largest: Answer = next(iter(part["exemplars"]), {})
    return [largest.get(name.removeprefix("exemplar_")) for name in EXEMPLAR_COLUMNS]


def write_csv(answer: Answer, stream: TextIO) -> None:
    """A header and the rows: labels, metric, time of the step, samples, statistics.

    Of a comparison each statistic has three columns: `p99`, `p99_vs`, and their difference `p99_change`. With
    exemplars the largest of each line stands behind.
    """
    CsvWriter(stream).write(answer)
