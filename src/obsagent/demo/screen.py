"""What a person sees while the demo runs: steps with a spinner, a progress bar and a live table; or plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from obsagent.demo.replay import Replay
from obsagent.demo.vitals import Vitals

PLAIN_INTERVAL_S = 5.0
UNKNOWN = "–"


class Screen(Protocol):
    """Shows what goes on; everything goes to one stream, standard error."""

    def say(self, text: str = "") -> None:
        """One line."""
        ...

    def step(self, doing: str) -> AbstractContextManager[None]:
        """Shows what is being done, for the length of a `with`."""
        ...

    def watch(self, replay: Replay) -> AbstractContextManager[None]:
        """Shows the replay, for the length of a `with`; `show` brings what the agent says."""
        ...

    def show(self, replay: Replay, vitals: Sequence[Vitals]) -> None:
        """Shows how far the replay is and how the endpoints do."""
        ...


def screen_on(stream: TextIO) -> Screen:
    """The live screen on a terminal, plain lines elsewhere."""
    console = Console(file=stream, highlight=False)
    return TerminalScreen(console) if console.is_terminal and not console.is_dumb_terminal else PlainScreen(stream)


class TerminalScreen:
    """A screen that redraws itself."""

    def __init__(self, console: Console) -> None:
        """`console` is a terminal."""
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[flights]} flights"),
            TimeRemainingColumn(),
            console=console,
        )
        self._live: Live | None = None
        self._vitals: Sequence[Vitals] = []

    def say(self, text: str = "") -> None:
        """One line."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """A spinner, then a line that says how long it took."""
        started_at = time.monotonic()
        with self._console.status(f"{doing} …"):
            yield
        self.say(f"{doing}: {time.monotonic() - started_at:.1f} s")

    @contextmanager
    def watch(self, replay: Replay) -> Iterator[None]:
        """The progress bar and the table, until the `with` ends; the last state stays on the screen."""
        task = self._progress.add_task(date_of(replay), total=len(replay.flights), flights="0")
        with Live(console=self._console, auto_refresh=False) as self._live:
            self.show(replay, [])
            yield
            self.show(replay, self._vitals)
        self._progress.remove_task(task)

    def show(self, replay: Replay, vitals: Sequence[Vitals]) -> None:
        """Redraws."""
        self._vitals = vitals
        for task in self._progress.task_ids:
            done, flights = replay.pace.position, f"{replay.pace.taken:,}"
            self._progress.update(task, completed=done, description=date_of(replay), flights=flights)
        if self._live is not None:
            self._live.update(Group(self._progress, vitals_table(vitals)), refresh=True)


class PlainScreen:
    """A line now and then."""

    def __init__(self, stream: TextIO) -> None:
        """`stream` is a file or a pipe."""
        self._stream = stream
        self._shown_at = 0.0

    def say(self, text: str = "") -> None:
        """One line."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Says it once."""
        self.say(f"{doing} …")
        yield

    @contextmanager
    def watch(self, replay: Replay) -> Iterator[None]:
        """Nothing to prepare."""
        self._shown_at = time.monotonic()
        yield

    def show(self, replay: Replay, vitals: Sequence[Vitals]) -> None:
        """A line if the last one is some seconds old."""
        if time.monotonic() - self._shown_at < PLAIN_INTERVAL_S:
            return
        self._shown_at = time.monotonic()
        done = f"{date_of(replay)}  {replay.pace.taken:>7,} flights"
        self.say(f"{replay.elapsed_s:4.0f} s  {done}  {plain_vitals(vitals)}")


def date_of(replay: Replay) -> str:
    """The day of 2013 that the replay has come to."""
    last = min(replay.pace.position, len(replay.flights) - 1)
    return f"{replay.flights.departure(last):%b %d}"


def vitals_table(vitals: Sequence[Vitals]) -> Table:
    """One row an endpoint."""
    table = Table(caption="asked of the agent, the last 10 to 20 seconds", caption_justify="left", expand=False)
    table.add_column("endpoint", no_wrap=True)
    for column in ("requests/s", "p50", "p99", "4xx", "5xx"):
        table.add_column(column, justify="right", min_width=9)
    for row in vitals:
        latencies = milliseconds(row.p50_s), milliseconds(row.p99_s)
        table.add_row(row.endpoint, f"{row.rate:,.0f}", *latencies, str(row.refused), str(row.failed))
    return table


def plain_vitals(vitals: Sequence[Vitals]) -> str:
    """The same in one line."""
    cells = (
        f"{row.endpoint} {row.rate:,.0f}/s p50 {milliseconds(row.p50_s)} p99 {milliseconds(row.p99_s)}"
        for row in vitals
    )
    return "  ".join(cells)


def milliseconds(value_s: float | None) -> str:
    """`1.74 ms`; a dash for what is not known."""
    return UNKNOWN if value_s is None else f"{value_s * 1000:.2f} ms"
