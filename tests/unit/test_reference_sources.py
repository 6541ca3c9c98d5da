"""The same data in every kind of file, and files that are not what they seem."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obsagent.errors import ObsagentError, UsageError
from obsagent.reference import Reference
from obsagent.reference.fit import fit
from obsagent.reference.options import FitOptions
from obsagent.reference.source import open_source

ROWS = 3_000
CHANCE = Random(11)
AMOUNTS = [round(CHANCE.lognormvariate(2, 1), 3) for _ in range(ROWS)]
AGES = [CHANCE.randint(18, 80) for _ in range(ROWS)]
COUNTRIES = [CHANCE.choice(["DE", "FR", "NA", "日本"]) for _ in range(ROWS)]


def table() -> dict[str, list[Any]]:
    return {"amount": AMOUNTS, "age": AGES, "country": COUNTRIES}


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table())
        writer.writerows(zip(*table().values(), strict=True))


def write_gzip(path: Path) -> None:
    plain = path.with_name("plain.csv")
    write_csv(plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))


def write_tabs(path: Path) -> None:
    path.write_text(
        "".join("\t".join(map(str, row)) + "\n" for row in [(*table(),), *zip(*table().values(), strict=True)])
    )


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table(table()), path, row_group_size=700)


def write_dictionaries(path: Path) -> None:
    columns = {**table(), "country": pa.array(COUNTRIES).dictionary_encode(), "age": pa.array(AGES, pa.int8())}
    pq.write_table(pa.table(columns), path, compression="zstd")


def write_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **{name: np.array(values) for name, values in table().items()})


def write_packed_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **{name: np.array(values) for name, values in table().items()})


def write_records(path: Path) -> None:
    rows = [*zip(*table().values(), strict=True)]
    with path.open("wb") as file:
        np.save(file, np.array(rows, dtype=[("amount", "f8"), ("age", ">i4"), ("country", "U4")]))


WRITERS = {
    "gzip": write_gzip,
    "tabs": write_tabs,
    "parquet": write_parquet,
    "dictionaries": write_dictionaries,
    "npz": write_npz,
    "packed_npz": write_packed_npz,
    "records": write_records,
}


def reference_of(path: Path, names: list[str] | None = None, **options: Any) -> Reference:
    reference, _ = fit(open_source(path, names=names), FitOptions("fraud", **options))
    return reference


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_data_gives_the_same_reference(name: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv")
    WRITERS[name](tmp_path / "data")
    reference = reference_of(tmp_path / "data")
    assert reference.features == reference_of(tmp_path / "data.csv").features
    assert [each.type for each in reference.features.values()] == ["float", "int", "text"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_matrix_is_read_by_rows_however_it_lies(order: Any, packed: bool, tmp_path: Path) -> None:
    matrix = np.array([AMOUNTS, AGES], dtype=np.float32).T.copy(order=order)
    path = tmp_path / "matrix"
    with path.open("wb") as file:
        np.savez_compressed(file, x=matrix) if packed else np.save(file, matrix)
    reference = reference_of(path)
    assert list(reference.features) == (["x.0", "x.1"] if packed else ["f0", "f1"])
    named = reference_of(path, names=["amount", "age"], truth="age", prediction="amount")
    assert list(named.outputs) == ["prediction.value"]
    assert named.joint is not None
    assert sum(named.joint.cells.values()) == ROWS
    first, second = reference.features.values()
    assert first.counts == (0, *np.histogram(matrix[:, 0].astype(float), first.edges)[0].tolist(), 0)
    assert second.counts[1:-1] == tuple(np.unique(AGES, return_counts=True)[1].tolist())


def test_what_no_column_can_be_is_left_out(tmp_path: Path) -> None:
    now = datetime.datetime(2026, 1, 1)
    columns = {
        "x": pa.array([1.5, None, float("nan")]),
        "flag": pa.array([True, None, False]),
        "price": pa.array([1, 2, None], pa.decimal128(9, 2)),
        "when": pa.array([now] * 3),
        "day": pa.array([now.date()] * 3),
        "parts": pa.array([[1], [2], []]),
        "raw": pa.array([b"a", b"b", None]),
        "nothing": pa.nulls(3),
        "big": pa.array([2**64 - 1, 1, None], pa.uint64()),
    }
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    reference, remarks = fit(open_source(tmp_path / "data.parquet"), FitOptions("fraud"))
    features = reference.features
    assert {name: each.type for name, each in features.items()} == {
        "x": "float",
        "flag": "bool",
        "price": "int" if features["price"].type == "int" else "float",
        "nothing": "null",
        "big": "int",
    }
    assert (features["x"].null_count, features["x"].nan_count, features["x"].count) == (1, 1, 1)
    assert features["flag"].counts == (0, 1, 1, 0)
    assert features["nothing"].null_count == 3
    assert {*reference.left_out} == {"when", "day", "parts", "raw"}
    assert "`when` is left out: it is of the type timestamp[us]" in remarks
    with pytest.raises(UsageError, match="the column `parts` cannot be watched: it is of the type list"):
        reference_of(tmp_path / "data.parquet", features=["parts"])


def test_times_of_numpy_are_left_out_and_objects_refused(tmp_path: Path) -> None:
    times = np.array(["2026-01-01", "2026-01-02"], dtype="M8[D]")
    np.savez(tmp_path / "data.npz", x=[1, 2], t=times, cube=np.zeros((2, 2, 2)), b=np.array([b"a", b""]))
    reference = reference_of(tmp_path / "data.npz")
    assert list(reference.features) == ["x", "b"]
    assert {*reference.left_out} == {"t", "cube"}
    assert (reference.features["b"].categories, reference.features["b"].null_count) == (("a",), 1)
    np.save(tmp_path / "objects.npy", np.array([1, "a"], dtype=object))
    with pytest.raises(ObsagentError, match="holds Python objects, which are not read"):
        open_source(tmp_path / "objects.npy")
    np.savez(tmp_path / "rows.npz", a=[1, 2], b=[1, 2, 3])
    with pytest.raises(ObsagentError, match="its arrays have different numbers of rows: 2, 3"):
        open_source(tmp_path / "rows.npz")


def zipped(names: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return data.getvalue()


def npy(values: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, values)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"PAR1" + bytes(100), "cannot be read as Parquet"),
        (b"ARROW1\0\0" + bytes(50), "is an Arrow or Feather file; expected CSV"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (zipped({"xl/workbook.xml": b"<x/>"}), "is a zip archive without arrays of NumPy"),
        (b"PK\3\4" + bytes(60), "a damaged file of NumPy"),
        (npy(np.arange(1_000.0))[:-4], "a damaged file of NumPy: it ends before its last row"),
        (npy(np.arange(10.0))[:60], "a damaged file of NumPy"),
        (npy(np.zeros((2, 2, 2))), r"an array of the shape \(2, 2, 2\); expected rows and columns"),
        (npy(np.array(5.0)), r"an array of the shape \(\); expected rows and columns"),
        (npy(np.zeros((0, 3))), "data has no rows"),
        (b"OBSREFR\n" + bytes(80), "is a reference already: obsagent reference show shows it"),
    ],
)
def test_files_that_are_something_else(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(data)
    with pytest.raises(ObsagentError, match=says) as caught:
        reference_of(tmp_path / "data")
    assert caught.value.exit_code == 1
    assert str(caught.value).isprintable()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ObsagentError, match=r"none\.csv cannot be read: No such file"):
        open_source(tmp_path / "none.csv")
    with pytest.raises(ObsagentError, match="is no file; data is read twice"):
        open_source(tmp_path)


def test_a_damaged_row_group_is_said(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"x": [*range(50_000)]}), path, use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[1_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(ObsagentError, match=r"data\.parquet cannot be read as Parquet"):
        reference_of(path)


def test_how_much_is_read_is_told(tmp_path: Path) -> None:
    for name, write in (WRITERS | {"csv": write_csv}).items():
        write(tmp_path / name)
        told: list[tuple[str, float]] = []
        fit(
            open_source(tmp_path / name), FitOptions("fraud"), lambda doing, done, told=told: told.append((doing, done))
        )
        assert {doing for doing, _ in told} == {"learning", "counting"}
        counted = [done for doing, done in told if doing == "counting"]
        assert counted == sorted(counted)
        assert counted[-1] == 1.0, name
        assert min(counted) >= 0


def modules_after(program: str) -> set[str]:
    code = f"{program}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*done.stdout.split()}


def test_a_reference_is_read_and_fitted_from_csv_without_heavy_libraries(tmp_path: Path) -> None:
    write_csv(tmp_path / "data.csv")
    reference_of(tmp_path / "data.csv").save(tmp_path / "data.ref")
    loaded = modules_after(
        f"from obsagent.reference import Reference; Reference.load({str(tmp_path / 'data.ref')!r}).id"
    )
    assert not loaded & {"numpy", "pandas", "pyarrow", "rich", "sklearn", "zmq", "csv"}
    program = f"""
from pathlib import Path
from obsagent.reference.fit import fit
from obsagent.reference.options import FitOptions
from obsagent.reference.source import open_source
fit(open_source(Path({str(tmp_path / "data.csv")!r})), FitOptions("fraud"))
"""
    assert not modules_after(program) & {"numpy", "pandas", "pyarrow", "rich", "sklearn", "zmq"}


@pytest.mark.parametrize(
    ("module", "writer", "says"),
    [
        ("pyarrow", write_parquet, "Parquet files need pyarrow: pip install 'obsagent[arrow]'"),
        ("numpy", write_npz, "NumPy's files need numpy: pip install 'obsagent[numpy]'"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    module: str, writer: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer(tmp_path / "data")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ObsagentError) as caught:
        open_source(tmp_path / "data")
    assert str(caught.value) == says
