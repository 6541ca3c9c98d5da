"""Files by what is in them, not by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from obsagent.errors import ObsagentError
from obsagent.reference.columns import Source
from obsagent.reference.format import MAGIC
from obsagent.reference.source_csv import CsvSource

PARQUET = b"PAR1"
NPY = b"\x93NUMPY"
ZIP = b"PK\x03\x04"
OTHERS = {
    b"ARROW1": "an Arrow or Feather file",
    b"SQLite": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    MAGIC: "a reference already: obsagent reference show shows it",
}
"""What is recognised in order to say that it is not read."""


def open_source(
    path: Path,
    *,
    delimiter: str | None = None,
    encoding: str = "utf-8-sig",
    names: Sequence[str] | None = None,
    missing: Sequence[str] = (),
) -> Source:
    """The data of a file; the options are those of text files, `names` of NumPy's too.

    Raises `ObsagentError` for a file that cannot be read.
    """
    begin = _begin(path)
    if begin.startswith(PARQUET):
        from obsagent.reference.source_parquet import ParquetSource

        return ParquetSource(path)
    if begin.startswith((NPY, ZIP)):
        from obsagent.reference.source_numpy import NumpySource

        return NumpySource(path, names)
    for magic, what in OTHERS.items():
        if begin.startswith(magic):
            raise ObsagentError(f"{path} is {what}; expected CSV (also gzipped), Parquet, .npy or .npz")
    return CsvSource(path, delimiter=delimiter, encoding=encoding, names=names, missing=missing)


def _begin(path: Path) -> bytes:
    try:
        if not path.is_file() and path.exists():
            raise ObsagentError(f"{path} is no file; data is read twice, which a directory or a pipe does not allow")
        with path.open("rb") as file:
            begin = file.read(8)
    except OSError as error:
        raise ObsagentError(f"{path} cannot be read: {error.strerror}") from None
    if not begin:
        raise ObsagentError(f"{path} is empty")
    return begin
