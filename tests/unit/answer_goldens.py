"""Every case of `answer_cases` as it is printed; `python tests/unit/answer_goldens.py` writes the golden files anew."""

from __future__ import annotations

import io
import os
import time
from datetime import date
from pathlib import Path
from unittest.mock import patch

from answer_cases import CASES, Answer

from obsagent.cli.answer_csv import write_csv
from obsagent.cli.answers import write_table
from obsagent.cli.times import Clock

DIRECTORY = Path(__file__).parent.parent / "golden" / "answers"
TODAY = date(2026, 1, 31)
ZONE = "CET-1"
CSV_LINES = 8


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(answer: Answer, columns: int | None) -> str:
    """On a terminal of so many columns, or into a pipe."""
    stream = io.StringIO() if columns is None else Terminal()
    with (
        patch.dict(os.environ, {"NO_COLOR": "1", "COLUMNS": str(columns or "")}),
        patch.object(Clock, "_today", return_value=TODAY),
    ):
        write_table(answer, stream)
    return stream.getvalue()


def csv_of(answer: Answer) -> str:
    stream = io.StringIO()
    write_csv(answer, stream)
    return stream.getvalue()


def golden(answer: Answer) -> str:
    """All that a golden file holds."""
    parts = {"pipe": printed(answer, None), "80 columns": printed(answer, 80), "200 columns": printed(answer, 200)}
    same = {title: text for title, text in parts.items() if text != parts["pipe"] or title == "pipe"}
    texts = [f"==== {title}\n{text}" for title, text in same.items()]
    lines = csv_of(answer).splitlines(keepends=True)
    rest = f"… {len(lines) - CSV_LINES} more\n" if len(lines) > CSV_LINES else ""
    return "".join([f"$ obsagent query {answer['query']}\n", *texts, "==== csv\n", *lines[:CSV_LINES], rest])


if __name__ == "__main__":
    os.environ["TZ"] = ZONE
    time.tzset()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, answer in CASES.items():
        (DIRECTORY / f"{name}.txt").write_text(golden(answer), encoding="utf-8")
