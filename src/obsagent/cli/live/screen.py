"""How `obsagent top` looks: a snapshot and the state of the keys as lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from obsagent.answer.durations import format_duration
from obsagent.cli.live.control import HELP, Control
from obsagent.cli.live.readings import Key, Row, Snapshot
from obsagent.cli.sparkline import BLOCKS, sparkline
from obsagent.cli.table import BOLD, DIM, GAP, LEFT, PLAIN, RIGHT, aligned, columns_of
from obsagent.cli.units import MISSING, format_count, format_number, format_quantity, format_share
from obsagent.selfmetrics import SERVICE

COLUMNS_KEPT = 4  # rate, two quantiles and errors are shown however narrow it is
TREND = "trend"
TREND_SHORTEST = 10
TREND_LONGEST = 60
HINTS = "q quit  s sort  r reverse  / filter  e endpoints  space pause  h help"

History = Mapping[Key, Sequence[float]]


class Column(NamedTuple):
    """A column: its key in a row, its header, and how a value is shown. Those not `always` there need a value."""

    key: str
    header: str
    show: Callable[[float], str]
    always: bool = True


def _seconds(value: float) -> str:
    return format_quantity(value, "seconds")


def _bytes(value: float) -> str:
    return format_quantity(value, "bytes")


NAMES = ("service", "version", "endpoint")
COLUMNS = (
    Column("rate", "rate", lambda value: f"{format_number(value)}/s"),
    Column("p50", "p50", _seconds),
    Column("p99", "p99", _seconds),
    Column("errors", "errors", format_share),
    Column("in_flight", "in flight", format_number),
    Column("queue_p99", "queue p99", _seconds),
    Column("cpu", "cpu", format_share, always=False),
    Column("memory", "memory", _bytes, always=False),
    Column("gpu", "gpu", format_share, always=False),
    Column("gpu_memory", "gpu mem", _bytes, always=False),
)


def present_columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of numbers that a table of these rows has."""
    return [each for each in COLUMNS if each.always or any(row.values.get(each.key) is not None for row in rows)]


def sortable(rows: Sequence[Row], control: Control) -> list[str]:
    """What rows can be sorted by, from left to right."""
    return [*_names(rows, control), *(column.key for column in present_columns(rows))]


def chosen(rows: Sequence[Row], control: Control) -> list[Row]:
    """The rows that pass the filter, in the order asked for; what has no value comes last either way."""
    wanted = control.filter.casefold()
    passing = [row for row in rows if wanted in " ".join(row.key).casefold()]
    if control.sort in NAMES:
        return sorted(passing, key=lambda row: (getattr(row, control.sort), row.key), reverse=control.ascending)
    passing.sort(key=lambda row: row.key)
    sign = 1 if control.ascending else -1

    def order(row: Row) -> tuple[bool, float]:
        value = row.values.get(control.sort)
        return value is None, sign * (value or 0.0)

    return sorted(passing, key=order)


def _names(rows: Sequence[Row], control: Control) -> list[str]:
    versions = any(row.version for row in rows)
    return ["service", *(["version"] if versions else []), *(["endpoint"] if control.by_endpoint else [])]


def table(rows: Sequence[Row], control: Control, history: History, width: int | None) -> list[str]:
    """The header and one line a row. What does not fit into `width` is left out: first the last columns, then the
    middle of names; where there is room, the trend of the rate is shown.
    """
    names, numbers = _names(rows, control), present_columns(rows)
    shown = chosen(rows, control)
    lines = _table(shown, names, numbers, control)
    while width is not None and len(numbers) > COLUMNS_KEPT and max(map(columns_of, lines)) > width:
        numbers.pop()
        lines = _table(shown, names, numbers, control)
    if width is not None and max(map(columns_of, lines)) > width:
        lines = _table(shown, names, numbers, control, width)
    return _with_trends(lines, shown, history, width)


def _table(
    rows: list[Row], names: list[str], numbers: list[Column], control: Control, width: int | None = None
) -> list[str]:
    mark = "▲" if control.ascending else "▼"
    titles = [(name, name) for name in names] + [(column.key, column.header) for column in numbers]
    header = [f"{title} {mark}" if key == control.sort else title for key, title in titles]
    cells = [[getattr(row, name) for name in names] + [_cell(row, column) for column in numbers] for row in rows]
    return aligned(header, cells, [LEFT] * len(names) + [RIGHT] * len(numbers), width)


def _cell(row: Row, column: Column) -> str:
    value = row.values.get(column.key)
    return MISSING if value is None else column.show(value)


def _with_trends(lines: list[str], rows: list[Row], history: History, width: int | None) -> list[str]:
    used = max(map(columns_of, lines))
    room = min((width or 0) - used - len(GAP), TREND_LONGEST)
    if room < TREND_SHORTEST:
        return lines
    header, *body = (line + " " * (used - columns_of(line)) + GAP for line in lines)
    trends = [trend(history.get(row.key, ()), room) for row in rows]
    return [(header + TREND).rstrip(), *(f"{line}{bars}".rstrip() for line, bars in zip(body, trends, strict=True))]


def trend(values: Sequence[float], width: int) -> str:
    """The last `width` values, from zero to the largest of them."""
    recent = list(values)[-width:]
    top = max(recent, default=0.0)
    return sparkline(recent, 0.0, top, width) if top > 0 else BLOCKS[0] * len(recent)


def headline(snapshot: Snapshot) -> str:
    """The agent's health, its sessions and its losses in one line."""
    if snapshot.status is None:
        return "no answer yet"
    status, facts = snapshot.status, []
    agent = status.get("agent")
    if agent:
        facts.append(f"agent {agent['health']}")
        facts.append(f"up {format_duration(agent['uptime_ms'])}")
        facts.append(_bytes(agent["resident_bytes"]))
    else:
        facts.append(f"store {status['directory']}, no agent")
    live = sum(session["state"] == "live" and session["service"] != SERVICE for session in status["sessions"])
    facts.append(f"{format_count(live)} session{'' if live == 1 else 's'}")
    return " · ".join([*facts, _losses(status["accounts"]["total"])])


def _losses(total: Mapping[str, Any]) -> str:
    reasons = {**total["dropped"], **total["rejected"]}
    lost = [f"{format_count(count)} {reason}" for reason, count in reasons.items() if count]
    return f"lost {', '.join(lost)}" if lost else "nothing lost"


def frame(
    snapshot: Snapshot, control: Control, history: History, size: tuple[int, int], *, coloured: bool
) -> list[str]:
    """A whole screen of `size` (columns, lines)."""
    width, height = size
    bold, dim, plain = (BOLD, DIM, PLAIN) if coloured else ("", "", "")
    clock = time.strftime("%H:%M:%S", time.localtime(snapshot.at_s)) if snapshot.at_s else ""
    top = _cut(headline(snapshot), width - len(clock) - 1)
    lines = [f"{bold}{top}{plain}{' ' * (width - columns_of(top) - len(clock))}{clock}"]
    lines.append(_cut(_state(snapshot, control), width))
    if control.help:
        body = [f"  {keys:<8}  {what}" for keys, what in HELP]
    elif snapshot.rows:
        header, *body = table(snapshot.rows, control, history, width)
        lines.append(f"{bold}{_cut(header, width)}{plain}")
    else:
        body = [] if snapshot.status is None else ["no service has sent anything yet"]
    room = max(0, height - len(lines) - 1)
    if len(body) > room:
        body = [*body[: max(0, room - 1)], f"… and {len(body) - max(0, room - 1)} more rows"][:room]
    lines += [_cut(line, width) for line in body] + [""] * (room - len(body))
    return [*lines, f"{dim}{_cut(HINTS, width)}{plain}"][:height]


def _state(snapshot: Snapshot, control: Control) -> str:
    if control.typing:
        return f"/{control.filter}█"
    facts = ["PAUSED"] if control.paused else []
    facts += [f"only `{control.filter}`"] if control.filter else []
    return " · ".join([*facts, *([snapshot.trouble] if snapshot.trouble else [])])


def _cut(line: str, width: int) -> str:
    return line if columns_of(line) <= width else line[: max(0, width - 1)] + "…"
