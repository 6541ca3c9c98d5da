"""An answer as a pandas or Arrow table; both libraries are loaded when they are asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from obsagent.results.columns import Answer, Column, columns_of

if TYPE_CHECKING:
    import pandas
    import pyarrow


def to_pandas(answer: Answer) -> pandas.DataFrame:
    """A data frame with the columns of `obsagent.results.columns`."""
    library = _load("pandas", "pandas")
    return library.DataFrame({column.name: _pandas_values(library, column) for column in columns_of(answer)})


def _pandas_values(library: Any, column: Column) -> Any:
    if column.kind == "time":
        return library.to_datetime(column.values, utc=True, format="ISO8601")
    if column.kind == "text":
        return column.values
    if column.kind == "value":
        return library.Series(column.values, dtype="float64")
    return library.Series(column.values, dtype="Int64" if None in column.values else "int64")


def to_arrow(answer: Answer) -> pyarrow.Table:
    """An Arrow table with the columns of `obsagent.results.columns`."""
    library = _load("pyarrow", "arrow")
    return library.table({column.name: _arrow_values(library, column) for column in columns_of(answer)})


def _arrow_values(library: Any, column: Column) -> Any:
    if column.kind == "time":
        from datetime import datetime

        times = [datetime.fromisoformat(text) if text else None for text in column.values]
        return library.array(times, library.timestamp("ms", tz="UTC"))
    if column.kind == "text":
        return library.array(column.values, library.string())
    if column.kind == "value":
        return library.array(column.values, library.float64())
    return library.array(column.values, library.int64())


def _load(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ModuleNotFoundError(
            f"{module} is not installed; it comes with `pip install 'obsagent[{extra}]'`", name=module
        ) from None
