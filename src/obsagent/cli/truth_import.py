"""`obsagent truth import`: the columns of a file, a part at a time, to the agent."""

from __future__ import annotations

import math
from argparse import Namespace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.by_id.report import TruthReport
from obsagent.cli.progress import progress_bar
from obsagent.errors import PendingTruths, UsageError, printable
from obsagent.limits import REQUEST_ID_BYTES_MAX

if TYPE_CHECKING:
    from obsagent.reference.columns import Chunk, Column, Source

SERVICE = "obsagent-truth-import"
ROWS_PER_PART = 1 << 16
BOOLEANS = {"true": "True", "false": "False"}
"""As a model's predictions call them that are true or false."""


class Part(NamedTuple):
    """Rows that have an id, a value and a time, and how many have not; `times` are seconds since the epoch."""

    ids: list[str]
    values: list[float | str]
    times: list[float] | None
    rejected: int


def import_truths(args: Namespace, source: Source) -> dict[str, Any]:
    """What became of the truths of a file; raises `ObsagentError`."""
    for option, name in (("--id", args.id), ("--value", args.value), ("--at", args.at)):
        if name is not None and name not in source.names:
            raise UsageError(f"{option}: {source.name} has no column `{printable(name)}`; {_columns(source)}")
    from obsagent.record.clients import connect

    names = list(dict.fromkeys(name for name in (args.id, args.value, args.at) if name is not None))
    rows, report = 0, TruthReport()
    obs = connect(SERVICE, endpoint=args.endpoint, key=args.key, runtime_metrics=False)
    try:
        model = obs.model(args.model)
        with progress_bar(source.name) as show:
            for chunk in source.chunks(names, ROWS_PER_PART):
                part = part_of(chunk, args.id, args.value, args.at)
                told = model.truths(part.ids, part.values, part.times, timeout=args.timeout)
                report = report.plus(told._replace(rejected=told.rejected + part.rejected))
                rows += chunk.rows
                show("importing", source.done())
    except PendingTruths as error:
        raise PendingTruths(f"{error} ({rows:,} rows of {source.name} are on the agent's disk)") from None
    finally:
        obs.close()
    return {"file": str(args.file), "model": args.model, "rows": rows, **report._asdict()}


def _columns(source: Source) -> str:
    names = ", ".join(map(printable, source.names[:10]))
    return f"there are {names}{', …' if len(source.names) > 10 else ''}"


def part_of(chunk: Chunk, id_name: str, value_name: str, at_name: str | None) -> Part:
    """The truths of some rows."""
    ids = [text if text and _is_id(text) else None for text in chunk.columns[id_name].texts()]
    values = _values(chunk.columns[value_name])
    times = None if at_name is None else _times(chunk.columns[at_name])
    kept = [
        row
        for row in range(chunk.rows)
        if ids[row] is not None and values[row] is not None and (times is None or times[row] is not None)
    ]
    return Part(
        [text for row in kept if (text := ids[row]) is not None],
        [value for row in kept if (value := values[row]) is not None],
        None if times is None else [at for row in kept if (at := times[row]) is not None],
        chunk.rows - len(kept),
    )


def _is_id(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) <= REQUEST_ID_BYTES_MAX


def _values(column: Column) -> list[float | str | None]:
    """Numbers, if all of them are; else classes."""
    texts = column.texts()
    if any(text is not None and text.lower() in BOOLEANS for text in texts):
        return [text if text is None else BOOLEANS.get(text.lower(), text) for text in texts]
    numbers = column.floats()
    if all(text is None or number is not None for text, number in zip(texts, numbers, strict=True)):
        return [number if number is not None and math.isfinite(number) else None for number in numbers]
    return list(texts)


def _times(column: Column) -> list[float | None]:
    """Seconds since the epoch: of numbers as they are, of texts as dates and times."""
    numbers = column.floats()
    texts = column.texts()
    return [
        number if number is not None and math.isfinite(number) else _seconds(text)
        for number, text in zip(numbers, texts, strict=True)
    ]


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
