"""An answer (`obsagent.answer.execute`) for people."""

from __future__ import annotations

from obsagent.cli.footer import SEPARATOR, footer
from obsagent.cli.layouts import Layout, layout_of
from obsagent.cli.table import Style, joined
from obsagent.cli.times import Clock
from obsagent.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from obsagent.cli.columns import Answer


def write_table(answer: Answer, stream: TextIO, style: Style | None = None) -> None:
    """The rows, a line that says how good they are, and what was read if the answer says so.

    `style` is how it will be shown, if not on `stream` itself.
    """
    print(*table_lines(answer, style or Style(stream)), sep="\n", file=stream)


def table_lines(answer: Answer, style: Style) -> list[str]:
    """The same as lines."""
    clock = Clock(answer["query"])
    layout = Layout([])
    if answer["series"]:
        layout = layout_of(answer, style, clock)
        lines = _shown(layout, style)
    else:
        lines = joined(printable(answer.get("empty", "no samples")).split(" "), " ", style.width)
    if any("exemplars" in row for row in answer["series"]):
        from obsagent.cli.exemplars import exemplar_lines

        lines += [*exemplar_lines(answer, clock, style.width), ""]
    told = joined(footer(answer, clock, layout.notes), SEPARATOR, style.width)
    if "explain" in answer:
        from obsagent.cli.explained import explained

        told += ["", *explained(answer["explain"], style.width)]
    return [*lines, *(style.dim(line) if line else "" for line in told)]


def _shown(layout: Layout, style: Style) -> list[str]:
    """Each block with an empty line below it."""
    lines = [layout.above, ""] if layout.above else []
    for header, *rows in layout.blocks:
        lines += [style.bold(header), *rows, ""]
    return lines
