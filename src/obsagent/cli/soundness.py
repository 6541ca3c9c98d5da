"""What `obsagent fsck` has found (`obsagent.head.verify`) as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, TextIO

from obsagent.cli.accounts import size
from obsagent.cli.table import FIXED, LEFT, RIGHT, Style, aligned
from obsagent.cli.units import MISSING, format_count
from obsagent.errors import printable

Report = dict[str, Any]

HEADER = ("file", "kind", "version", "size", "holds", "from", "to", "")
SIDES = (LEFT, FIXED, RIGHT, RIGHT, FIXED, FIXED, FIXED, FIXED)
PROBLEMS_SHOWN = 10
"""Of one file; --format json has all."""


def write_report(report: Report, stream: TextIO) -> None:
    """The files, then what is wrong with each, what is missing, and the gaps."""
    style = Style(stream)
    print(f"store   {printable(report['directory'])}   {report['store_id'] or 'without identity'}\n", file=stream)
    header, *lines = aligned(HEADER, [_row(file) for file in report["files"]], SIDES, style.width)
    print(style.bold(header), *lines, sep="\n", file=stream)
    for title, found in (("wrong", [*_wrong(report)]), ("noted", [*_noted(report)]), ("gaps", [*_gaps(report)])):
        if found:
            print("", style.bold(title), *found, sep="\n", file=stream)
    print("", _verdict(report), sep="\n", file=stream)


def _row(file: Report) -> list[str]:
    holds = ", ".join(_counted(count, what) for what, count in file["holds"].items() if count)
    times = [_at(file[key]) if key in file else MISSING for key in ("from", "to")]
    version = MISSING if file["version"] is None else str(file["version"])
    problems = len(file["problems"])
    state = _counted(problems, "problems") if problems else "sound"
    return [file["name"], file["kind"], version, size(file["bytes"]), holds or MISSING, *times, state]


def _wrong(report: Report) -> Iterator[str]:
    for file in report["files"]:
        problems = file["problems"]
        for problem in problems[:PROBLEMS_SHOWN]:
            place = f"{file['name']}, byte {problem['offset']:,}, {problem['size']:,} bytes"
            time = f" (windows of {_span(problem)})" if "from" in problem else ""
            yield printable(f"{place}: {problem['what']}{time}")
        if len(problems) > PROBLEMS_SHOWN:
            yield f"{file['name']}: {format_count(len(problems) - PROBLEMS_SHOWN)} more"
    for lost in report["missing"]:
        yield printable(f"{lost['what']} (windows of {_span(lost)})")


def _noted(report: Report) -> Iterator[str]:
    for file in report["files"]:
        yield from (printable(f"{file['name']}: {note}") for note in file["notes"])


def _gaps(report: Report) -> Iterator[str]:
    for gap in report["gaps"]:
        recorded = "" if gap["recorded"] else " (not recorded yet)"
        yield printable(f"{_span(gap)}: {gap['reason']}{recorded}")


def _verdict(report: Report) -> str:
    if report["sound"]:
        return "sound"
    count = sum(len(file["problems"]) for file in report["files"]) + len(report["missing"])
    way_out = "with the agent stopped, `obsagent fsck --repair` keeps what is whole and declares the rest a gap"
    return f"{_counted(count, 'problems')}: {way_out}"


def _counted(count: int, what: str) -> str:
    return f"{format_count(count)} {what.removesuffix('s') if count == 1 else what}"


def _span(span: Report) -> str:
    return f"{_at(span['from'])} – {_at(span['to'])}"


def _at(at_ms: int) -> str:
    """A local time, in seconds."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return f"{at_ms} ms"
