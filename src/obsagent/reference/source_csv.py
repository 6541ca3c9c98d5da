"""Delimited text, plain or gzipped, a chunk of rows at a time."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from obsagent.errors import ObsagentError, UsageError, printable
from obsagent.limits import REFERENCE_COLUMNS_MAX
from obsagent.reference.columns import Cells, Chunk, is_number

DELIMITERS = ",\t;|"
GZIP_MAGIC = b"\x1f\x8b"
HEADER_CHARACTERS_MAX = 16 << 20
CELLS_MAX = 1 << 18
"""How many cells a chunk has at most, whatever the number of columns: some tens of megabytes."""


class CsvSource:
    """A CSV file whose first line names the columns, unless `names` does."""

    def __init__(
        self,
        path: Path,
        *,
        delimiter: str | None = None,
        encoding: str = "utf-8-sig",
        names: Sequence[str] | None = None,
        missing: Sequence[str] = (),
    ) -> None:
        """Reads the header; raises `ObsagentError` if there is none, `UsageError` for an unknown encoding."""
        self.name = path.name
        self.kinds: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self._path = path
        self._encoding = encoding
        self._missing = frozenset(missing)
        self._size = max(1, path.stat().st_size)
        self._position = 0
        self._has_header = names is None
        header = self._first_line()
        self._delimiter = delimiter or max(DELIMITERS, key=lambda each: len(self._split(header, each, strict=False)))
        first = self._split(header, self._delimiter)
        self._header = list(names) if names is not None else first
        if len(self._header) != len(first):
            raise UsageError(f"--names has {len(self._header)} names, {self.name} {len(first)} columns")
        self._check_header()
        self.names = [name for name in self._header if name]

    def _check_header(self) -> None:
        if len(self._header) > REFERENCE_COLUMNS_MAX:
            raise ObsagentError(
                f"{self._path} has {len(self._header):,} columns; {REFERENCE_COLUMNS_MAX:,} are the most"
            )
        if self._has_header and all(map(is_number, self._header)):
            raise ObsagentError(
                f"{self._path}: the first line has only numbers: if columns have no names, give them with --names a,b,c"
            )
        seen: set[str] = set()
        for number, name in enumerate(self._header, 1):
            if not name:
                self.left_out[f"(column {number})"] = "it has no name"
            elif name in seen:
                raise ObsagentError(f"{self._path}: two columns are called `{printable(name)}`")
            seen.add(name)

    def chunks(self, names: Sequence[str], rows_max: int) -> Iterator[Chunk]:
        """All rows; a row of another width than the header is an error, an empty line is none."""
        wanted = [(name, self._header.index(name)) for name in names]
        width = len(self._header)
        rows_max = max(1, min(rows_max, CELLS_MAX // width))
        with self._open() as (file, text):
            reader = csv.reader(text, delimiter=self._delimiter, strict=True)
            with self._told(lambda: reader.line_num):
                if self._has_header:
                    next((row for row in reader if row), None)
                while block := [*islice(reader, rows_max)]:
                    rows = block if all(block) else [row for row in block if row]
                    if {*map(len, rows)} - {width}:
                        self._complain_of_width(rows, width, reader.line_num)
                    self._position = file.tell()
                    if rows:
                        columns = [*zip(*rows, strict=True)]
                        yield Chunk(len(rows), {name: Cells(columns[at], self._missing) for name, at in wanted})

    def done(self) -> float:
        """By bytes of the file."""
        return min(1.0, self._position / self._size)

    def _complain_of_width(self, rows: Sequence[Sequence[str]], width: int, line: int) -> NoReturn:
        row = next(row for row in rows if len(row) != width)
        raise ObsagentError(
            f"{self._path}: a row of {len(row)} cells where the header has {width}, up to line {line}: "
            f"{printable(self._delimiter.join(row))[:80]}"
        )

    def _first_line(self) -> str:
        with self._open() as (_, text), self._told(lambda: 1):
            line = ""
            while not line.strip():
                line = text.readline(HEADER_CHARACTERS_MAX)
                if not line:
                    raise ObsagentError(f"{self._path} is empty")
            while line.count('"') % 2 and (more := text.readline(HEADER_CHARACTERS_MAX)):  # a name of several lines
                line += more
        return line

    def _split(self, line: str, delimiter: str, *, strict: bool = True) -> list[str]:
        with self._told(lambda: 1):
            return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter, strict=strict), [])

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, io.TextIOWrapper]]:
        """The file, and what is in it as text."""
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise ObsagentError(f"{self._path} cannot be read: {error.strerror}") from None
        with file:
            packed = file.peek(2)[:2] == GZIP_MAGIC
            data = cast("BinaryIO", gzip.GzipFile(fileobj=file) if packed else file)
            try:
                text = io.TextIOWrapper(data, encoding=self._encoding, newline="")
            except LookupError:
                raise UsageError(
                    f"there is no encoding {self._encoding!r}; expected one such as utf-8 or latin-1"
                ) from None
            with text:
                yield file, text

    @contextmanager
    def _told(self, line: Callable[[], int]) -> Iterator[None]:
        """Within it whatever is wrong with the file is said with its place."""
        try:
            yield
        except UnicodeError as error:
            raise ObsagentError(
                f"{self._path}: behind line {line()}: not {self._encoding.removesuffix('-sig')} "
                f"({error.reason if isinstance(error, UnicodeDecodeError) else error}); "
                "--encoding names another, such as latin-1"
            ) from None
        except csv.Error as error:
            raise ObsagentError(f"{self._path}: line {line()}: {error}") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ObsagentError(f"{self._path}: damaged gzip: {error}") from None
        except OSError as error:
            raise ObsagentError(f"{self._path} cannot be read: {error.strerror}") from None
