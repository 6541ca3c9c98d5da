"""NumPy's files: .npy is an array, .npz a zip archive of arrays; rows are read as they are needed.

A matrix is a column for each of its columns, f0, f1, … unless they have names; of a .npz archive each array with one
dimension is a column of its name, each matrix `NAME.0`, `NAME.1`, ….
"""

from __future__ import annotations

import importlib
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple, cast

from obsagent.errors import ObsagentError, UsageError, printable
from obsagent.limits import REFERENCE_COLUMNS_MAX
from obsagent.reference.columns import Chunk, Numbers, category_text
from obsagent.reference.feature import CATEGORY, NUMBER

SUFFIX = ".npy"
NUMBER_KINDS = "fiub"
TEXT_KINDS = "US"
BLOCK_BYTES = 1 << 22


def load_numpy() -> Any:
    """numpy; raises `ObsagentError` that says how it is installed."""
    try:
        return importlib.import_module("numpy")
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise ObsagentError("NumPy's files need numpy: pip install 'obsagent[numpy]'") from None


class Array(NamedTuple):
    """An array within a file, as its header describes it; `shape` has one or two dimensions."""

    member: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: Any
    offset: int

    @property
    def width(self) -> int:
        """Its columns."""
        return self.shape[1] if len(self.shape) == 2 else 1


class NumpySource:
    """A .npy or .npz file."""

    def __init__(self, path: Path, names: Sequence[str] | None = None) -> None:
        """Reads the headers; raises `ObsagentError`, and `UsageError` for names that do not fit."""
        self.name = path.name
        self._path = path
        self._numpy = load_numpy()
        self._rows_done = 0
        self.left_out: dict[str, str] = {}
        with self._told():
            self._is_archive = zipfile.is_zipfile(path)
            arrays = [self._described(member) for member in self._members()]
        self._places = {name: place for each in arrays if each for name, place in self._columns(each)}
        if names is not None:
            self._rename(names)
        rows = {each.shape[0] for each in arrays if each}
        if len(rows) > 1:
            raise ObsagentError(
                f"{path}: its arrays have different numbers of rows: {', '.join(map(str, sorted(rows)))}"
            )
        self._rows = max(rows, default=0)
        if len(self._places) > REFERENCE_COLUMNS_MAX:
            raise ObsagentError(f"{path} has {len(self._places):,} columns; {REFERENCE_COLUMNS_MAX:,} are the most")
        self.names = [*self._places]
        self.kinds: dict[str, str] = {
            name: NUMBER if self._dtype(place).kind in NUMBER_KINDS else CATEGORY
            for name, place in self._places.items()
        }

    def _members(self) -> list[str]:
        if not self._is_archive:
            return [""]
        with zipfile.ZipFile(self._path) as archive:
            members = [name for name in archive.namelist() if name.endswith(SUFFIX)]
        if not members:
            raise ObsagentError(f"{self._path} is a zip archive without arrays of NumPy")
        return members

    def _described(self, member: str) -> Array | None:
        """An array's header; None for one that cannot be watched, which is then left out."""
        with self._opened(member) as file:
            read = self._numpy.lib.format
            version = read.read_magic(file)
            header = read.read_array_header_1_0 if version == (1, 0) else read.read_array_header_2_0
            shape, fortran, dtype = header(file)
            found = Array(member, shape, fortran, dtype, file.tell())
        name = member.removesuffix(SUFFIX) or self.name
        if dtype.hasobject:
            raise ObsagentError(
                f"{self._path}: {printable(name)} holds Python objects, which are not read: they could be programs. "
                "Save numbers or texts, or a CSV or Parquet file"
            )
        if not 1 <= len(shape) <= 2 or (len(shape) == 2 and dtype.names):
            if not self._is_archive:
                raise ObsagentError(f"{self._path}: an array of the shape {shape}; expected rows and columns")
            self.left_out[name] = f"it is an array of the shape {shape}"
            return None
        return found

    def _columns(self, found: Array) -> Iterator[tuple[str, tuple[Array, Any]]]:
        """Names and places of an array's columns: a field's name, or a number."""
        base = found.member.removesuffix(SUFFIX)
        if found.dtype.names:
            every = [(f"{base}.{name}" if base else name, name) for name in found.dtype.names]
        elif len(found.shape) == 1:
            every = [(base or "f0", 0)]
        else:
            every = [(f"{base}.{at}" if base else f"f{at}", at) for at in range(found.shape[1])]
        for name, at in every:
            dtype = self._dtype((found, at))
            if dtype.kind in NUMBER_KINDS + TEXT_KINDS and not dtype.shape:
                yield name, (found, at)
            else:
                self.left_out[name] = f"it is of the type {dtype}"

    def _dtype(self, place: tuple[Array, Any]) -> Any:
        found, at = place
        return found.dtype[at] if found.dtype.names else found.dtype

    def _rename(self, names: Sequence[str]) -> None:
        if len(names) != len(self._places):
            raise UsageError(f"--names has {len(names)} names, {self.name} {len(self._places)} columns")
        if len({*names}) < len(names):
            raise UsageError("--names has a name twice")
        self._places = dict(zip(names, self._places.values(), strict=True))

    def chunks(self, names: Sequence[str], rows_max: int) -> Iterator[Chunk]:
        """All rows."""
        self._rows_done = 0
        arrays = {self._places[name][0].member: self._places[name][0] for name in names}
        with self._told(), ExitStack() as stack:
            readers = {member: self._reader(each, stack) for member, each in arrays.items()}
            for begin in range(0, self._rows, rows_max):
                rows = min(rows_max, self._rows - begin)
                parts = {member: read(begin, rows) for member, read in readers.items()}
                self._rows_done = begin + rows
                yield Chunk(rows, {name: self._column(parts, *self._places[name]) for name in names})

    def _column(self, parts: Mapping[str, Any], found: Array, at: Any) -> NumpyColumn:
        part = parts[found.member]
        values = part[at] if found.dtype.names else part[:, at] if len(found.shape) == 2 else part
        return NumpyColumn(self._numpy, values)

    def _reader(self, found: Array, stack: ExitStack) -> Any:
        """A function from first row and number of rows to them; the next rows each time."""
        file = stack.enter_context(self._opened(found.member))
        by_columns = found.fortran and found.width > 1
        if by_columns and self._is_archive:
            whole = stack.enter_context(TemporaryFile())  # noqa: SIM115
            copyfileobj(file, whole, BLOCK_BYTES)
            file = cast("BinaryIO", whole)
        if by_columns:
            return lambda begin, rows: self._read_columns(file, found, begin, rows)
        file.seek(found.offset)
        return lambda _, rows: self._read_rows(file, found, rows)

    def _read_rows(self, file: BinaryIO, found: Array, rows: int) -> Any:
        values = self._read(file, found, rows * found.width)
        return values.reshape(rows, found.width) if len(found.shape) == 2 else values

    def _read_columns(self, file: BinaryIO, found: Array, begin: int, rows: int) -> Any:
        parts = []
        for column in range(found.width):
            file.seek(found.offset + (column * found.shape[0] + begin) * found.dtype.itemsize)
            parts.append(self._read(file, found, rows))
        return self._numpy.stack(parts, axis=1)

    def _read(self, file: BinaryIO, found: Array, count: int) -> Any:
        data = file.read(count * found.dtype.itemsize)
        if len(data) < count * found.dtype.itemsize:
            raise EOFError("it ends before its last row")
        return self._numpy.frombuffer(data, dtype=found.dtype, count=count)

    def done(self) -> float:
        """By rows."""
        return min(1.0, self._rows_done / max(1, self._rows))

    @contextmanager
    def _opened(self, member: str) -> Iterator[BinaryIO]:
        with ExitStack() as stack:
            if not self._is_archive:
                yield stack.enter_context(self._path.open("rb"))
                return
            archive = stack.enter_context(zipfile.ZipFile(self._path))
            yield cast("BinaryIO", stack.enter_context(archive.open(member)))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Within it whatever is wrong with the file is said."""
        try:
            yield
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            if isinstance(error, ObsagentError):
                raise
            raise ObsagentError(
                f"{self._path}: a damaged file of NumPy: {printable(str(error).partition(chr(10))[0])}"
            ) from None
        except OSError as error:
            raise ObsagentError(f"{self._path} cannot be read: {error.strerror or error}") from None


class NumpyColumn:
    """A part of a column as an array with one dimension."""

    def __init__(self, numpy: Any, values: Any) -> None:
        self._numpy = numpy
        self._values = values

    def numbers(self) -> Numbers:
        """All of it, or nothing if it is text."""
        kind, size = self._values.dtype.kind, len(self._values)
        if kind not in NUMBER_KINDS:
            return Numbers(array("d"), 0, 0, size, "null")
        doubles = self._numpy.ascontiguousarray(self._values, dtype=self._numpy.float64)
        return Numbers(doubles, size, 0, 0, "bool" if kind == "b" else "float" if kind == "f" else "int")

    def texts(self) -> list[str | None]:
        """As `category_text` writes them; NaN is a missing value, bytes are UTF-8."""
        return [_text(value) for value in self._values.tolist()]

    def floats(self) -> list[float | None]:
        """None for texts."""
        if self._values.dtype.kind not in NUMBER_KINDS:
            return [None] * len(self._values)
        found: list[float | None] = self._values.astype(self._numpy.float64).tolist()
        return found

    def at(self, rows: Sequence[int]) -> NumpyColumn:
        """The values of some rows."""
        return NumpyColumn(self._numpy, self._values[[*rows]])


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace") or None
    if value == "" or value != value:  # NaN alone differs from itself
        return None
    return category_text(value)
