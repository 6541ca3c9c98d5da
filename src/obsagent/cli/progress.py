"""A bar on stderr for what reads a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, float], None]
"""What is being done, and how much of it is, in [0, 1]."""


@contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """Shows what becomes of the file `name`, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _doing, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(doing: str, done: float) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(f"{name}: {doing}", total=1.0)
            bar.update(tasks[doing], completed=done)

        yield show
