"""Columns of NumPy, pandas, polars and Arrow, recognised without importing any of these.

An object can only be one of theirs if its library is loaded: so that is what is asked. Missing values are nulls where
the library tells them from NaN, as nullable columns, polars and Arrow do; a float column of pandas or NumPy does not.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from obsagent.errors import FeatureError

if TYPE_CHECKING:
    from obsagent.record.models.columns import ColumnLike

SCALARS = frozenset({float, int, str, bool, type(None)})
"""What is one value, and needs no closer look."""
NUMBERS = frozenset("?bBhHiIlLqQnNefdg")


def _is(value: object, library: str, *names: str) -> bool:
    """True if it is an object of a class of a library."""
    loaded = sys.modules.get(library)
    if loaded is None:
        return False
    for name in names:
        class_ = getattr(loaded, name, None)
        if isinstance(class_, type) and isinstance(value, class_):
            return True
    return False


# Whole frames


def columns_of(frame: Any) -> tuple[Sequence[object], list[Any]] | None:
    """Names and columns of a frame; None if it is none. Raises `FeatureError` for one that is not computed yet."""
    if _is(frame, "pandas", "DataFrame"):
        return list(frame.columns), [frame.iloc[:, index] for index in range(frame.shape[1])]
    if _is(frame, "polars", "DataFrame"):
        return frame.columns, frame.get_columns()
    if _is(frame, "pyarrow", "Table", "RecordBatch"):
        return frame.schema.names, frame.columns
    if _is(frame, "polars", "LazyFrame"):
        raise FeatureError("a LazyFrame has no values yet: give frame.collect()")
    if hasattr(frame, "__arrow_c_stream__") and not is_series(frame) and "pyarrow" in sys.modules:
        table = sys.modules["pyarrow"].table(frame)
        return table.schema.names, table.columns
    return None


def is_series(value: Any) -> bool:
    """True for one column of a frame."""
    return (
        _is(value, "pandas", "Series")
        or _is(value, "polars", "Series")
        or _is(value, "pyarrow", "Array", "ChunkedArray")
    )


def index_of(series: Any) -> Sequence[object] | None:
    """The names in a row of a frame of pandas; None of any other series."""
    return list(series.index) if _is(series, "pandas", "Series") else None


def items_of(series: Any) -> list[object]:
    """The values of a series, one by one."""
    found: list[object] = series.to_pylist() if hasattr(series, "to_pylist") else series.to_list()
    return found


# One column


def is_column(value: Any) -> bool:
    """True if it holds the values of many rows, rather than one."""
    if isinstance(value, (list, tuple)) or is_series(value):
        return True
    array = as_array(value)
    return array is not None and getattr(array, "ndim", 1) == 1


def as_column(value: Any) -> Any:
    """The column as `observe` takes it."""
    return value if isinstance(value, (list, tuple)) or is_series(value) else as_array(value)


def as_array(value: Any) -> Any:
    """A buffer, or what NumPy makes of it (a tensor); None of anything else."""
    if isinstance(value, (str, bytes, bytearray)):
        return None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return None
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value if value.ndim else None
    if numpy is not None and hasattr(value, "__array__") and not is_series(value):
        try:
            array = numpy.asarray(value)
        except Exception as error:  # a tensor on a GPU, say
            raise FeatureError(f"a {type(value).__name__} cannot be read here: {error}") from None
        return array if array.ndim else None
    try:
        view = memoryview(value)
    except TypeError:
        return None
    return value if view.ndim else None


def shape_of_numbers(value: Any) -> tuple[int, ...] | None:
    """The shape of a plain array of NumPy that holds numbers; None of anything else. Quick."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.dtype.char not in NUMBERS:
        return None
    shape: tuple[int, ...] = value.shape
    return shape or None


def numbers_of(array: Any) -> memoryview | None:
    """Its buffer, if that holds nothing but numbers."""
    if _is(array, "numpy", "ndarray") and _is_masked(array):
        return None
    try:
        view = memoryview(array)
    except (TypeError, ValueError, BufferError):  # a date, say
        return None
    return view if view.format.lstrip("@=<>!") in NUMBERS else None


def _is_masked(array: Any) -> bool:
    numpy: Any = sys.modules["numpy"]
    return isinstance(array, numpy.ma.MaskedArray) if "numpy.ma" in sys.modules else False


def fields_of(array: Any) -> tuple[Sequence[object], list[Any]] | None:
    """Names and columns of a structured array; None of any other."""
    names = getattr(getattr(array, "dtype", None), "names", None)
    if not names:
        return None
    if array.ndim != 1:
        raise FeatureError(f"a structured array of {array.ndim} dimensions; rows have one")
    return names, [array[name] for name in names]


def copied(source: Any) -> Any:
    """The column as it is now; those of polars and Arrow never change."""
    if type(source) is list:
        return source.copy()
    return source.copy() if _is(source, "pandas", "Series") else copy.copy(source)


def chosen(source: Any, indices: Sequence[int]) -> Any:
    """These values of a column."""
    if type(source) is list:
        return [source[index] for index in indices]
    if _is(source, "pandas", "Series"):
        return source.iloc[list(indices)]
    if _is(source, "pyarrow", "Array", "ChunkedArray"):
        return source.take(sys.modules["pyarrow"].array(indices))
    if _is(source, "polars", "Series") or _is(source, "numpy", "ndarray"):
        return source[list(indices)]
    return [source[index] for index in indices]


def observe(column: ColumnLike, source: Any) -> None:
    """Observes every value of a column."""
    if isinstance(source, (list, tuple)):
        _observe_each(column, source)
    elif _is(source, "pandas", "Series"):
        _observe_pandas(column, source)
    elif _is(source, "polars", "Series"):
        _observe_polars(column, source)
    elif _is(source, "pyarrow", "Array", "ChunkedArray"):
        _observe_arrow(column, source)
    elif numbers_of(source) is not None:
        column.observe_many(source)
    else:
        _observe_each(column, source.tolist())


def _observe_each(column: ColumnLike, values: Iterable[object]) -> None:
    observe_one = column.observe
    for value in values:
        observe_one(value)


def _observe_pandas(column: ColumnLike, series: Any) -> None:
    dtype = series.dtype
    if _is(dtype, "numpy", "dtype"):
        if dtype.kind in "iufb":
            column.observe_many(series.to_numpy())
        else:
            _observe_unless(column, series.tolist(), series.isna().tolist())
    elif dtype.name == "category":
        names = [*series.cat.categories.tolist(), None]  # the code of what is missing is -1
        _observe_each(column, [names[code] for code in series.cat.codes.tolist()])
    elif dtype.kind in "iufb":
        missing = series.isna()
        column.add_nulls(int(missing.sum()))
        column.observe_many(series[~missing].to_numpy(dtype="float64"))
    else:
        _observe_unless(column, series.tolist(), series.isna().tolist())


def _observe_unless(column: ColumnLike, values: list[object], missing: list[bool]) -> None:
    _observe_each(column, [None if is_missing else value for value, is_missing in zip(values, missing, strict=True)])


def _observe_polars(column: ColumnLike, series: Any) -> None:
    polars: Any = sys.modules["polars"]
    if not (series.dtype.is_numeric() or series.dtype == polars.Boolean):
        _observe_each(column, series.to_list())
        return
    column.add_nulls(series.null_count())
    numbers = series.drop_nulls().cast(polars.Float64)
    if "numpy" in sys.modules:
        column.observe_many(numbers.to_numpy())
    else:
        _observe_each(column, numbers.to_list())


def _observe_arrow(column: ColumnLike, array: Any) -> None:
    types: Any = sys.modules["pyarrow"].types
    kind = array.type
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    if not is_number:
        _observe_each(column, array.to_pylist())
        return
    column.add_nulls(array.null_count)
    for chunk in array.chunks if hasattr(array, "chunks") else [array]:
        numbers = chunk.drop_null()
        if "numpy" in sys.modules and not types.is_boolean(kind):
            column.observe_many(numbers.cast("float64", safe=False).to_numpy(zero_copy_only=False))
        else:
            _observe_each(column, numbers.to_pylist())
