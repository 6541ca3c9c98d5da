"""What `--exemplars` adds to a table: below it the largest observations, with the ids by which they are found."""

from __future__ import annotations

from obsagent.cli.columns import UNLABELLED, metric_of, metrics_of
from obsagent.cli.table import GAP, columns_of, joined
from obsagent.cli.units import format_quantity
from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from obsagent.cli.columns import Answer
    from obsagent.cli.times import Clock

INDENT = "  "
OF_EVERY_SERIES = frozenset({"service", "host", "worker", "version"})
"""Labels that are shown only where the query groups by them."""
HISTOGRAM = "histogram"
NEVER = "only histograms have exemplars, such as `latency`"
NONE = "no exemplars in this time: give requests an id (`request(id=...)`), or trace them with OpenTelemetry"


def exemplar_lines(answer: Answer, clock: Clock, width: int | None) -> list[str]:
    """Of an answer of one row all its exemplars, of several rows the largest of each; one a line if that fits."""
    rows = answer["series"]
    at_most = 1 if len(rows) > 1 else None
    found = [(row, each) for row in rows for each in row.get("exemplars", ())[:at_most]]
    if not found:
        is_kept = any(metric["kind"] == HISTOGRAM for metric in metrics_of(answer))
        return joined((NONE if is_kept else NEVER).split(" "), " ", width)
    units = {metric["name"]: metric["unit"] for metric in metrics_of(answer)}
    word = "slowest" if {units[metric_of(row, answer)] for row, _ in found} == {"seconds"} else "largest"
    lines = [word]
    for row, exemplar in found:
        lines += _shown(list(_pieces(row, answer, exemplar, clock, units[metric_of(row, answer)])), width)
    return lines


def _pieces(row: Answer, answer: Answer, exemplar: Answer, clock: Clock, unit: str) -> Iterator[str]:
    """`1.24 s`, `at 14:05:12`, `endpoint=/score`, `trace 4bf9…`, `request r-17`."""
    yield format_quantity(exemplar["value"], unit)
    yield f"at {clock.moment(exemplar['time'])}"
    if "metrics" in answer:
        yield metric_of(row, answer)
    for name, value in exemplar["labels"].items():
        if name in row["labels"] or name not in OF_EVERY_SERIES:
            yield printable(f"{name}={value or UNLABELLED}")
    for word in ("trace", "request"):
        if exemplar[f"{word}_id"] is not None:
            yield printable(f"{word} {exemplar[f'{word}_id']}")


def _shown(pieces: list[str], width: int | None) -> list[str]:
    """The pieces on one line, or on as many as are needed, those after the first further in; an id is never cut."""
    room = None if width is None else width - columns_of(2 * INDENT)
    first, *others = joined(pieces, GAP, room)
    return [INDENT + first, *(2 * INDENT + line for line in others)]
