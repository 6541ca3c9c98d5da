"""An answer for people: the shell's table as text, and a table for notebooks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import escape

from obsagent.cli.answers import write_table
from obsagent.cli.footer import footer_text
from obsagent.cli.units import format_count, format_value
from obsagent.results.columns import Answer, Column, columns_of, lines_of

HTML_LINES_MAX = 60
RIGHT = ' style="text-align: right"'
LEFT = ' style="text-align: left"'


def as_text(answer: Answer) -> str:
    """What `obsagent query` prints."""
    stream = io.StringIO()
    write_table(answer, stream)
    return stream.getvalue().rstrip("\n")


def as_html(answer: Answer) -> str:
    """A table, and below it the line that says how good it is; why there is none, if there is none."""
    return "\n".join(["<div>", *_body(answer), f"<p><small>{escape(footer_text(answer))}</small></p>", "</div>"])


def _body(answer: Answer) -> Iterator[str]:
    columns = columns_of(answer)
    if not answer["series"]:
        yield f"<p>{escape(answer.get('empty', 'no samples'))}</p>"
        return
    cells = [_cells(answer, column) for column in columns]
    sides = [LEFT if column.kind in ("text", "time") else RIGHT for column in columns]
    yield "<table>"
    yield _line("th", [column.name for column in columns], sides)
    for line in list(zip(*cells, strict=True))[:HTML_LINES_MAX]:
        yield _line("td", line, sides)
    yield "</table>"
    hidden = len(cells[0]) - HTML_LINES_MAX
    if hidden > 0:
        yield f"<p>and {format_count(hidden)} more lines</p>"


def _line(tag: str, cells: list[str] | tuple[str, ...], sides: list[str]) -> str:
    marked = (f"<{tag}{side}>{escape(cell)}</{tag}>" for cell, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(marked)}</tr>"


def _cells(answer: Answer, column: Column) -> list[str]:
    if column.kind in ("text", "time"):
        return [value or "" for value in column.values]
    metrics = {metric["name"]: metric for metric in answer.get("metrics", [answer["metric"]])}
    names = [line.row.get("metric", answer["metric"]["name"]) for line in lines_of(answer)]
    return [
        format_value(value, column.stat, metrics[name]["unit"], metrics[name]["kind"])
        for name, value in zip(names, column.values, strict=True)
    ]
