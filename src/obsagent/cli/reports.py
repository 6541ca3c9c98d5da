"""What `obsagent drift` and `obsagent quality` have in common: their arguments, and the lines around a report."""

from __future__ import annotations

from obsagent.cli.sources import add_source_arguments
from obsagent.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any

FORMATS = ("table", "json", "csv")
SEPARATOR = " · "


def add_report_arguments(parser: ArgumentParser) -> None:
    """Filters and range, where to ask, how to print."""
    parser.usage = "%(prog)s [options] [FILTER ...] [by LABEL,...] [RANGE] [top COUNT]"
    parser.add_argument("words", nargs="*", metavar="WORD", help="filters, range and top, as of `obsagent query`")
    add_source_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="how to print (default: table)")


def words_of(args: Namespace) -> str:
    """What was typed; raises `UsageError` for bytes that are no text."""
    text = " ".join(args.words)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError("the words are not valid UTF-8")
    return text


def name_of(row: dict[str, Any]) -> str:
    """`fraud/4 canary`: the model, its version, and what role it has if it is not live."""
    name = "/".join(filter(None, (row["model"], row["version"])))
    return name if row["variant"] in ("", "live") else f"{name} {row['variant']}"


def labels_of(row: dict[str, Any]) -> str:
    """`country=DE`, where a row is of a slice."""
    return " ".join(f"{label}={value or '(none)'}" for label, value in row["labels"].items())
