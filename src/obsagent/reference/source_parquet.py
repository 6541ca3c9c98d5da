"""Parquet files, a batch of rows at a time, by pyarrow."""

from __future__ import annotations

import importlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from obsagent.errors import ObsagentError, printable
from obsagent.limits import REFERENCE_COLUMNS_MAX
from obsagent.reference.columns import Chunk, Numbers, category_text
from obsagent.reference.feature import CATEGORY, NUMBER

BUFFER_BYTES = 1 << 20
"""How much of a column is read at once; else a row group is read as a whole."""


def load_pyarrow(module: str = "pyarrow") -> Any:
    """pyarrow or a module of it; raises `ObsagentError` that says how it is installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise ObsagentError("Parquet files need pyarrow: pip install 'obsagent[arrow]'") from None


class ParquetSource:
    """A Parquet file. Dates, times, bytes and what is nested is left out."""

    def __init__(self, path: Path) -> None:
        """Reads the schema; raises `ObsagentError`."""
        self.name = path.name
        self._path = path
        self._arrow = load_pyarrow()
        self._parquet = load_pyarrow("pyarrow.parquet")
        self._rows = 1
        self._rows_done = 0
        with self._told(), self._open() as file:
            schema = file.schema_arrow
            self._rows = max(1, file.metadata.num_rows)
        if len(schema) > REFERENCE_COLUMNS_MAX:
            raise ObsagentError(f"{path} has {len(schema):,} columns; {REFERENCE_COLUMNS_MAX:,} are the most")
        seen: set[str] = set()
        for name in schema.names:
            if name in seen:
                raise ObsagentError(f"{path}: two columns are called `{printable(name)}`")
            seen.add(name)
        kinds = {field.name: self._kind(field.type) for field in schema}
        self.kinds: dict[str, str] = {name: kind for name, kind in kinds.items() if kind}
        self.names = [name for name in schema.names if kinds[name] is not None]
        self.left_out: dict[str, str] = {
            field.name: f"it is of the type {field.type}" for field in schema if kinds[field.name] is None
        }

    def _kind(self, type_: Any) -> str | None:
        """`number`, `category`, empty for a column of nulls, None for what cannot be watched."""
        types = self._arrow.types
        if types.is_dictionary(type_):
            return self._kind(type_.value_type)
        if types.is_null(type_):
            return ""
        if types.is_boolean(type_) or types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
            return NUMBER
        view = getattr(types, "is_string_view", lambda _: False)
        return CATEGORY if types.is_string(type_) or types.is_large_string(type_) or view(type_) else None

    def chunks(self, names: Sequence[str], rows_max: int) -> Iterator[Chunk]:
        """All rows."""
        self._rows_done = 0
        with self._told(), self._open() as file:
            for batch in file.iter_batches(batch_size=rows_max, columns=[*names], use_threads=False):
                self._rows_done += batch.num_rows
                if batch.num_rows:
                    columns = {name: ArrowColumn(self._arrow, batch.column(name)) for name in names}
                    yield Chunk(batch.num_rows, columns)

    def done(self) -> float:
        """By rows."""
        return min(1.0, self._rows_done / float(self._rows))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        options = {"buffer_size": BUFFER_BYTES, "pre_buffer": False, "page_checksum_verification": True}
        file = self._parquet.ParquetFile(self._path, **options)
        with file:
            yield file

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Within it whatever is wrong with the file is said."""
        try:
            yield
        except (self._arrow.ArrowException, OSError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ObsagentError(f"{self._path} cannot be read as Parquet: {printable(reason[0])}") from None


class ArrowColumn:
    """A part of a column as an Arrow array."""

    def __init__(self, arrow: Any, values: Any) -> None:
        """`arrow` is pyarrow."""
        self._arrow = arrow
        self._values = values.dictionary_decode() if arrow.types.is_dictionary(values.type) else values

    def numbers(self) -> Numbers:
        """The values that are not null; texts and others are no numbers."""
        size, nulls, types = len(self._values), self._values.null_count, self._arrow.types
        if not self._is_number() or nulls == size:
            return Numbers(array("d"), 0, nulls, size - nulls, "null")
        known = self._values.drop_null().cast(self._arrow.float64(), safe=False)
        data = memoryview(known.buffers()[1]).cast("B")
        doubles = data[known.offset * 8 : (known.offset + len(known)) * 8].cast("d")
        whole = types.is_integer(self._values.type)
        boolean = types.is_boolean(self._values.type)
        return Numbers(doubles, len(known), nulls, 0, "bool" if boolean else "int" if whole else "float")

    def texts(self) -> list[str | None]:
        """As `category_text` writes them."""
        return [None if value is None else category_text(value) for value in self._values.to_pylist()]

    def floats(self) -> list[float | None]:
        """None for what is no number."""
        if not self._is_number():
            return [None] * len(self._values)
        found: list[float | None] = self._values.cast(self._arrow.float64(), safe=False).to_pylist()
        return found

    def at(self, rows: Sequence[int]) -> ArrowColumn:
        """The values of some rows."""
        return ArrowColumn(self._arrow, self._values.take(self._arrow.array(rows, self._arrow.int64())))

    def _is_number(self) -> bool:
        types, type_ = self._arrow.types, self._values.type
        return bool(
            types.is_boolean(type_) or types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_)
        )
