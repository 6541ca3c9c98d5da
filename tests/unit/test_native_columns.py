"""Columns of the recorder: every value that is observed is one sample, of the sort that it is, and nothing raises."""

from __future__ import annotations

import array
import os
import threading
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest

from obsagent._native import ring
from obsagent._native.codec import Groups, SeriesMap, Window, check_body
from obsagent._native.ring import Recorder
from obsagent._native.sketch import Column as Summary
from obsagent.samples import Kind


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(7)
    yield recorder
    recorder.stop()


@pytest.fixture
def numbers(recorder: Recorder) -> ring.Column:
    """Expects numbers, with bins [0, 1) [1, 2) [2, 4]."""
    series = recorder.define(Kind.COLUMN)
    recorder.set_edges(series, [0, 1, 2, 4])
    return recorder.column(series)


@pytest.fixture
def categories(recorder: Recorder) -> ring.Column:
    """Expects categories, two of which have a bin."""
    series = recorder.define(Kind.COLUMN)
    recorder.set_categories(series, ["DE", "3"])
    return recorder.column(series)


@pytest.fixture
def anything(recorder: Recorder) -> ring.Column:
    return recorder.column(recorder.define(Kind.COLUMN))


def summary(recorder: Recorder, column: ring.Column) -> Summary:
    """What came of everything observed since the last time, in this column alone."""
    return summaries(recorder, [column.series])[0]


def summaries(recorder: Recorder, series: list[int]) -> list[Summary]:
    """What came of everything observed since the last time, in these columns; the accounts balance."""
    assert recorder.seal(1_000)
    window, series_map = Window(), SeriesMap()
    for number, each in enumerate(series):
        series_map.set(each, number, Kind.COLUMN)
    while batch := recorder.take(0):
        assert check_body(batch.body) == batch.samples
        window.apply(batch.body, series_map, 0)
    groups = Groups({number: number for number in range(len(series))}, len(series))
    window.collect(groups)
    found = []
    for number in range(len(series)):
        compact = groups.column(number)
        assert compact is not None
        found.append(Summary._from_compact(compact))
        assert found[-1].samples == groups.samples(number)
    assert sum(each.samples for each in found) == window.sample_count
    return found


class NAType:
    """As pandas' own is called."""


class Hostile:
    """Raises whatever is asked of it."""

    def __float__(self) -> float:
        raise KeyboardInterrupt

    def __str__(self) -> str:
        raise SystemExit

    def __iter__(self) -> Iterator[float]:
        raise RuntimeError


class Country(str, Enum):  # noqa: UP042  (a StrEnum is another case: its text is its value)
    GERMANY = "DE"


NUMBERS = [1.5, 2, True, np.float32(0.5), np.int8(3), np.bool_(True), Decimal("1.5"), Fraction(1, 2), nan, inf, -inf]
NULLS = [None, NAType(), np.datetime64("NaT"), np.timedelta64("NaT")]
WRONG = [b"DE", object(), [1], {}, 1j, Hostile(), 10**400, np.zeros(3)]


def test_each_value_is_what_it_is(recorder: Recorder, anything: ring.Column) -> None:
    for value in [*NUMBERS, *NULLS, *WRONG, "DE", "", "DE", Country.GERMANY]:
        anything.observe(value)
    found = summary(recorder, anything)
    assert found.hist.count == found.moments.count == 8
    assert (found.moments.nan_count, found.moments.positive_infinity_count) == (1, 1)
    assert found.null_count == len(NULLS)
    assert found.wrong_type_count == len(WRONG)
    assert found.category_count == 4
    assert found.topk is not None
    assert dict(found.topk.items()) == {"DE": 3, "": 1}
    assert recorder.observed == found.samples
    assert recorder.rejected_value == recorder.dropped_ring == 0


def test_text_is_no_number(recorder: Recorder, numbers: ring.Column) -> None:
    for value in ("1.5", "DE", 1.5, None, -1, 4, 5, 1):
        numbers.observe(value)
    numbers.observe_many(["2", 2.0])
    numbers.observe_categories(["DE", 3])
    found = summary(recorder, numbers)
    assert (found.wrong_type_count, found.null_count, found.category_count) == (4, 1, 0)
    assert found.edge_counts == (1, 0, 2, 3, 1)
    assert found.edge_sums == (-1.0, 0.0, 2.5, 9.0, 5.0)


def test_a_number_is_the_category_that_it_reads_as(recorder: Recorder, categories: ring.Column) -> None:
    for value in (3, 3.0, np.float32(3), np.int64(3), "3", 0.5, np.float32(0.1), True, nan, None, Country.GERMANY):
        categories.observe(value)
    categories.observe_many(np.array([3.0, nan, 4.0]))
    categories.observe_many(["DE", None])
    categories.observe_many(np.array(["DE", "XX"]))
    found = summary(recorder, categories)
    assert found.null_count == 4
    assert found.hist.count == found.wrong_type_count == 0
    assert found.edge_counts == (3, 6, 5)
    assert found.topk is not None
    assert dict(found.topk.items()) == {"3": 6, "DE": 3, "0.5": 1, "0.1": 1, "True": 1, "4": 1, "XX": 1}


MATRIX = np.arange(30_000, dtype=float).reshape(10_000, 3) % 7


@pytest.mark.parametrize(
    "values",
    [
        MATRIX[:, 1],
        MATRIX[::-1, 1],
        MATRIX[:, 1].copy(),
        MATRIX.T.copy()[1],
        MATRIX.astype("f4")[:, 1],
        MATRIX.astype(">f8")[:, 1],
        MATRIX.astype("f2")[:, 1],
        MATRIX.astype("i2")[:, 1],
        MATRIX.astype("u1")[:, 1],
        MATRIX.astype(object)[:, 1],
        list(MATRIX[:, 1]),
        memoryview(array.array("d", MATRIX[:, 1])),
        MATRIX[:, 1].reshape(100, 100),
        MATRIX[:, 1].reshape(10, 10, 100)[:, ::-1],
    ],
    ids=lambda values: f"{type(values).__name__} {getattr(values, 'dtype', '')} {getattr(values, 'strides', '')}",
)
def test_columns_of_any_layout_are_the_same(recorder: Recorder, numbers: ring.Column, values: object) -> None:
    numbers.observe_many(values)  # type: ignore[arg-type]
    found = summary(recorder, numbers)
    expected = MATRIX[:, 1]
    assert found.samples == found.moments.count == expected.size
    assert found.hist.sum == expected.sum()
    counts = np.histogram(expected, [0, 1, 2, 4])[0]
    assert found.edge_counts == (0, *counts, (expected > 4).sum())


@pytest.mark.parametrize("count", [0, 1, 510, 511, 512, 1 << 16, 300_000])
def test_columns_of_any_length(recorder: Recorder, numbers: ring.Column, count: int) -> None:
    values = np.resize(MATRIX, (count, 3))
    numbers.observe(1.0)
    for column in range(3):
        numbers.observe_many(values[:, column])
    assert recorder.observed == 3 * count + 1
    found = summary(recorder, numbers)
    assert found.samples == 3 * count + 1
    assert found.moments.mean == pytest.approx((values.sum() + 1) / (3 * count + 1))


def test_nothing_is_dropped_if_the_ring_is_full() -> None:
    recorder = Recorder(6, ring_bytes=1 << 16)
    column = recorder.column(recorder.define(Kind.COLUMN))
    for _ in range(50):
        column.observe_many(MATRIX[:, 2])
    assert summary(recorder, column).samples == 500_000
    assert recorder.dropped_ring == 0
    recorder.stop()


TABLE = MATRIX + np.array([0, 10, 20])


@pytest.mark.parametrize(
    "matrix",
    [TABLE, TABLE.astype(np.float32), TABLE.astype(">f4"), np.asfortranarray(TABLE), TABLE[::-1], TABLE[:, ::-1]],
    ids=lambda matrix: f"{matrix.dtype} {matrix.strides}",
)
@pytest.mark.parametrize("ring_bytes", [1 << 16, 1 << 23], ids=["full", "roomy"])
@pytest.mark.parametrize("has_category", [False, True])
def test_a_matrix_is_its_columns(matrix: np.ndarray, ring_bytes: int, has_category: bool) -> None:
    """Whether its rows travel together or not, and whether or not there is room for all of them."""
    recorder = Recorder(6, ring_bytes=ring_bytes)
    series = [recorder.define(Kind.COLUMN) for _ in range(3)]
    if has_category:
        recorder.set_categories(series[0], ["3"])
    ring.observe_matrix(tuple(map(recorder.column, series)), matrix)
    assert recorder.observed == matrix.size
    found = summaries(recorder, series)
    assert recorder.dropped_ring == 0 or has_category  # a category has no other way than the ring
    for column in range(1 if has_category else 0, 3):
        assert found[column].samples == len(matrix)
        assert found[column].hist.sum == matrix[:, column].astype(float).sum()
    if has_category:
        assert found[0].category_count + recorder.dropped_ring == len(matrix)
    recorder.stop()


def test_the_rows_of_many_columns_go_in_pieces(recorder: Recorder) -> None:
    series = [recorder.define(Kind.COLUMN) for _ in range(600)]
    rows = np.arange(1_800.0).reshape(3, 600)
    columns = tuple(map(recorder.column, series))
    ring.observe_matrix(columns, rows)
    ring.observe_matrix(columns, rows[0])
    assert recorder.observed == 2_400
    found = summaries(recorder, series)
    assert [each.hist.sum for each in found] == (rows.sum(axis=0) + rows[0]).tolist()


def test_an_array_is_observed_if_its_names_are_known(recorder: Recorder) -> None:
    column, rows = recorder.column(recorder.define(Kind.COLUMN)), recorder.counter(recorder.define(Kind.COUNTER))
    plans = {("a",): (column,), ("a", "b"): (column, column)}
    matrix = np.ones((5, 2))
    for names in (["a", "b"], ("a", "b")):
        assert ring.observe_array(plans, names, matrix, rows)
    assert ring.observe_array(plans, ["a", "b"], matrix[0], rows)
    assert recorder.observed == 2 * 10 + 2 + 3
    for names in (["b", "a"], ["a"], [["a"], "b"], "ab", None, 5):
        assert not ring.observe_array(plans, names, matrix, rows)
    others = [[[1.0, 2.0]], matrix[None], np.float64(1), np.ma.ones((1, 2)), matrix.astype(object)]
    others += [matrix.astype("M8[s]"), matrix.astype(complex), np.zeros((1, 2), "S1"), memoryview(matrix), None]
    for other in others:
        assert not ring.observe_array(plans, ["a", "b"], other, rows)
    assert recorder.observed == 25


@pytest.mark.parametrize("values", ["text", 5, None, object(), Hostile()])
def test_what_are_no_values_is_rejected(recorder: Recorder, anything: ring.Column, values: object) -> None:
    anything.observe_many(values)  # type: ignore[arg-type]
    anything.observe_categories(values)  # type: ignore[arg-type]
    assert (recorder.observed, recorder.rejected_value) == (2, 2)


def test_nulls_by_their_number(recorder: Recorder, anything: ring.Column) -> None:
    for count in (0, 1, 5, True, np.int64(7), 2**32):
        anything.add_nulls(count)  # type: ignore[arg-type]
    for wrong in (-1, 0.5, nan, "3", None, 2**32 + 1):
        anything.add_nulls(wrong)  # type: ignore[arg-type]
    found = summary(recorder, anything)
    assert found.samples == found.null_count == 14 + 2**32
    assert recorder.rejected_value == 6


def test_a_million_categories_take_the_memory_of_a_thousand(recorder: Recorder, categories: ring.Column) -> None:
    for start in range(0, 20_000, 1_000):
        categories.observe_categories([f"user {number}" for number in range(start, start + 1_000)])
    categories.observe("DE")
    categories.observe("x" * 300)
    categories.observe("\ud800")
    found = summary(recorder, categories)
    assert found.samples == found.category_count == 20_003
    assert found.edge_counts == (1, 0, 20_002)
    assert found.hll is not None
    assert found.hll.count() == pytest.approx(20_003, rel=0.06)
    assert found.topk is not None
    assert found.topk.total == 20_003


def test_a_reference_is_set_once(recorder: Recorder, numbers: ring.Column, categories: ring.Column) -> None:
    free = recorder.define(Kind.COLUMN)
    for edges in ([1], [2, 1], [1, 1], [0, nan], [0, inf], range(300)):
        with pytest.raises(ValueError, match="2 to 256"):
            recorder.set_edges(free, edges)
    for names in (["a", "a"], ["x" * 257], [str(number) for number in range(300)]):
        with pytest.raises(ValueError, match="categor"):
            recorder.set_categories(free, names)
    for series in (numbers.series, categories.series):
        with pytest.raises(ValueError, match="already"):
            recorder.set_edges(series, [1, 2])
        with pytest.raises(ValueError, match="already"):
            recorder.set_categories(series, ["a"])
    with pytest.raises(ValueError, match="another kind"):
        recorder.set_edges(recorder.define(Kind.COUNTER), [1, 2])
    recorder.set_edges(free, [])
    column = recorder.column(free)
    column.observe("text")
    column.observe(1.0)
    found = summary(recorder, column)
    assert (found.wrong_type_count, found.edge_counts) == (1, None)


def test_instruments_of_one_series_share_their_categories(recorder: Recorder, categories: ring.Column) -> None:
    other = recorder.column(categories.series)
    for number in range(3):
        categories.observe(f"c{number}")
        other.observe(f"c{number}")
    found = summary(recorder, categories)
    assert found.topk is not None
    assert dict(found.topk.items()) == {"c0": 2, "c1": 2, "c2": 2}


def test_threads_observe_at_the_same_time(recorder: Recorder, numbers: ring.Column, categories: ring.Column) -> None:
    recorder.start()

    def observe(worker: int) -> None:
        for step in range(200):
            numbers.observe_many(MATRIX[:100, 0])
            numbers.observe(worker)
            categories.observe(f"c{step % 30}")
            categories.add_nulls(2)

    threads = [threading.Thread(target=observe, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.seal(5_000)
    samples = 0
    while batch := recorder.take(0):
        samples += batch.samples
    assert recorder.observed == 4 * 200 * 104 == samples


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_goes_on_with_the_same_reference(recorder: Recorder, numbers: ring.Column) -> None:
    words = recorder.column(recorder.define(Kind.COLUMN))
    words.observe("before")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            recorder.abandon()
            numbers.observe(1.5)
            words.observe("before")
            words.observe("after")
            of_numbers = summary(recorder, numbers)
            code = 0 if of_numbers.edge_counts == (0, 0, 1, 0, 0) and recorder.observed == 3 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert summary(recorder, words).samples == 1
