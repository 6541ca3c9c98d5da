"""What was entered, run: queries and backslash commands. Knows no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from obsagent.errors import ObsagentError, UsageError
from obsagent.shell.lines import entries

FORMATS = ("table", "json", "csv")
SWITCHES = {"--exemplars": "exemplars", "--explain": "explain"}
"""What may stand behind a query, as behind `obsagent query`, and the option of it."""
CATALOGUE_AGE_S = 5.0

Answer = dict[str, Any]


class Source(Protocol):
    """Where answers come from. Each question raises `ObsagentError`s."""

    def query(self, text: str, *, explain: bool = False, exemplars: bool = False) -> Answer:
        """The answer to one query, with what was read, with the slowest requests."""
        ...

    def catalogue(self) -> Answer:
        """What there is to ask about."""
        ...

    def close(self) -> None:
        """Ends the conversation."""
        ...


class Surroundings(Protocol):
    """What the command line lends to the shell."""

    def open(self, agent: str | None) -> Source:
        """A source: that of the command line, or another agent."""
        ...

    def name(self, agent: str | None) -> str:
        """What the source is called."""
        ...

    def show(self, answer: Answer, form: str) -> None:
        """Prints an answer as table, json or csv."""
        ...

    def command(self, words: list[str], agent: str | None) -> int:
        """Runs a command of obsagent on the source and returns its exit code; it reports its errors itself."""
        ...


class Session:
    """One run of the shell. `exit_code` is that of the first entry that failed, 0 if none did."""

    def __init__(self, surroundings: Surroundings, form: str = "table", *, exemplars: bool = False) -> None:
        """Nothing is asked yet. With `exemplars` every answer has them."""
        self.surroundings = surroundings
        self.form = form
        self.exemplars = exemplars
        self.timing = False
        self.agent: str | None = None
        self.exit_code = 0
        self.ended = False
        self.took_s: float | None = None
        self._source: Source | None = None
        self._catalogue: tuple[float, Answer] = (0.0, {})

    def run_lines(self, lines: Iterable[str]) -> int:
        """Runs every entry of a file or pipe; an error is reported with its line, and the next entry is run.

        Returns the exit code of the first entry that failed, else 0.
        """
        for number, entry in entries(lines):
            try:
                self.run(entry)
            except ObsagentError as error:
                self.failed(error)
                sys.stdout.flush()
                print(f"line {number}: {error}", file=sys.stderr)
            if self.ended:
                break
        self.close()
        return self.exit_code

    def run(self, entry: str) -> None:
        """Runs one entry; raises `ObsagentError` for one that is wrong or fails."""
        if entry.startswith("\\"):
            from obsagent.shell.commands import run_command

            run_command(self, entry)
        else:
            self.ask(entry)

    def ask(self, text: str) -> None:
        """Prints the answer to one query, behind which switches may stand."""
        query, options = _without_switches(text)
        if self.exemplars:
            options["exemplars"] = True
        began = time.monotonic()
        answer = self.source().query(query, **options)
        self.took_s = time.monotonic() - began
        self.surroundings.show(answer, self.form)
        if self.timing:
            sys.stdout.flush()
            print(f"Time: {self.took_s * 1000:.1f} ms", file=sys.stderr)

    def failed(self, error: ObsagentError) -> None:
        """Remembers the exit code of the first failure."""
        self.failed_with(error.exit_code)

    def failed_with(self, code: int) -> None:
        """The same for a command that has reported its error itself; 0 is none."""
        self.exit_code = self.exit_code or code

    def source(self) -> Source:
        """The open source."""
        if self._source is None:
            self._source = self.surroundings.open(self.agent)
        return self._source

    def connect(self, agent: str) -> None:
        """Asks another agent from now on; raises `UsageError` for a malformed endpoint."""
        other = self.surroundings.open(agent)
        self.close()
        self.agent, self._source, self._catalogue = agent, other, (0.0, {})

    def close(self) -> None:
        """Ends the conversation; the next question begins another."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def catalogue(self) -> Answer:
        """What there is to ask about, a few seconds old at most; {} if nobody answers. For any thread."""
        read_s, catalogue = self._catalogue
        if read_s and time.monotonic() - read_s < CATALOGUE_AGE_S:
            return catalogue
        source: Source | None = None
        try:
            source = self.surroundings.open(self.agent)  # one of its own: conversations belong to one thread
            catalogue = source.catalogue()
        except ObsagentError:
            catalogue = {}
        finally:
            if source is not None:
                source.close()
        self._catalogue = time.monotonic(), catalogue
        return catalogue

    def set_form(self, form: str) -> None:
        """How answers are printed from now on."""
        if form not in FORMATS:
            raise UsageError(f"`{form}` is no format: expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
        self.form = form


def _without_switches(text: str) -> tuple[str, dict[str, bool]]:
    """A query, and the options of the switches behind it."""
    options: dict[str, bool] = {}
    while True:
        head, _, last = text.rpartition(" ")
        if last not in SWITCHES or not head.strip():
            return text, options
        text, options[SWITCHES[last]] = head.rstrip(), True


Command = Callable[[Session, str], None]
