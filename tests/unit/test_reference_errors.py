"""What references keep of the errors of predicted numbers: as scikit-learn says, exactly, and back from a file."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import numpy as np
import pytest
from reference_lab import errors_of, of_numbers, whole
from test_reference_format import sealed

from obsagent.errors import CorruptData
from obsagent.limits import ERROR_MAX
from obsagent.performance import RegressionSums, error_bins
from obsagent.reference import NUMBER, Reference, format
from obsagent.reference.errors import ErrorCounter, bin_of
from obsagent.reference.fit import fit
from obsagent.reference.options import FitOptions
from obsagent.reference.reader import read
from obsagent.reference.source import open_source
from obsagent.reference.writer import pack, pack_content

GOLDEN = Path(__file__).parents[1] / "golden" / "reference_2.ref"


def fitted(directory: Path, predicted: Sequence[Any], truths: Sequence[Any]) -> Reference:
    """Of a CSV file, by way of a reference's file."""
    path = directory / "data.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["predicted", "truth"])
        writer.writerows(zip(predicted, truths, strict=True))
    reference, _ = fit(open_source(path), FitOptions("price", prediction="predicted", truth="truth"))
    return read(pack(reference))


def test_errors_are_those_of_scikit_learn(tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(1)
    truths = chance.normal(1e4, 30, 9_000)
    predicted = truths + chance.standard_t(3, 9_000) * 5 + 1
    found = fitted(tmp_path, predicted.tolist(), truths.tolist()).errors
    assert found is not None
    assert found.rows == 9_000
    assert found.absolute.mean == pytest.approx(metrics.mean_absolute_error(truths, predicted), rel=1e-12)
    assert found.squares.mean == pytest.approx(metrics.mean_squared_error(truths, predicted), rel=1e-12)
    assert found.shares.mean == pytest.approx(metrics.mean_absolute_percentage_error(truths, predicted), rel=1e-12)
    assert found.r2 == pytest.approx(metrics.r2_score(truths, predicted), rel=1e-9)
    assert found.errors.mean == pytest.approx(float((predicted - truths).mean()), rel=1e-9)


def test_moments_and_bins_are_those_of_the_library(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    truths = np.concatenate([chance.normal(0, 3, 5_000), np.zeros(10)])
    predicted = truths + np.concatenate([chance.lognormal(0, 2, 5_000), chance.normal(0, 1e-12, 10)])
    wanted = RegressionSums()
    wanted.update(truths, predicted)
    found = fitted(tmp_path, predicted.tolist(), truths.tolist()).errors
    assert found is not None
    assert found.shares.rows == 5_000
    for name in ("errors", "truths", "absolute", "squares", "shares"):
        assert list(getattr(found, name)) == pytest.approx(getattr(wanted, name).to_state(), rel=1e-9), name
    codes = np.flatnonzero(wanted.bins)
    assert {int(code) - error_bins.LAST: int(wanted.bins[code]) for code in codes} == dict(found.bins)


def test_bins_are_those_of_the_library_at_their_ends_too() -> None:
    assert (format.ERROR_BINS_PER_OCTAVE, format.ERROR_OCTAVES) == (error_bins.PER_OCTAVE, error_bins.OCTAVES)
    assert format.ERROR_BIN_MAX == error_bins.LAST
    errors = [0.0, 2.0**-40, math.nextafter(2.0**-40, 0), 1.0, -1.0, 2.0**40, 1e60, -1e60, 0.3, -5e-324]
    assert [bin_of(error) for error in errors] == error_bins.bin_of(np.array(errors)).tolist()


@pytest.mark.parametrize(
    ("truth", "prediction", "are_kept"),
    [
        (lambda chance: chance.randrange(6), lambda chance: chance.gauss(3, 1), True),  # counts of something
        (lambda chance: chance.gauss(3, 1), lambda chance: chance.randrange(6), True),  # rounded predictions
        (lambda chance: chance.randrange(2), lambda chance: chance.random(), False),  # a probability of a class
        (lambda chance: chance.random() < 0.5, lambda chance: chance.random(), False),
        (lambda chance: chance.choice("ab"), lambda chance: chance.random(), False),
        (lambda chance: chance.randrange(6), lambda chance: chance.randrange(6), False),  # one of six classes
    ],
)
def test_numbers_are_told_from_classes(
    tmp_path: Path, truth: Callable[[Random], Any], prediction: Callable[[Random], Any], are_kept: bool
) -> None:
    chance = Random(3)
    reference = fitted(tmp_path, *zip(*((prediction(chance), truth(chance)) for _ in range(2_000)), strict=True))
    assert (reference.errors is not None) == are_kept
    if are_kept:
        assert reference.truth is not None
        assert reference.truth.kind == reference.outputs["prediction.value"].kind == NUMBER


def test_rows_that_lack_one_of_the_two_say_nothing(tmp_path: Path) -> None:
    infinite = float("inf")
    predicted = [1.5, None, 2.5, infinite, math.nan, 1.0, 2 * ERROR_MAX, 7.5]
    truths = [1.0, 1.0, None, 1.0, 1.0, -infinite, 1.0, 7.5]
    assert errors_of(predicted, truths).rows == 2
    assert errors_of(predicted, truths).absolute.mean == 0.25
    counter = ErrorCounter()
    counter.add([None], [1.0])
    assert counter.result() is None
    assert errors_of([1.0, 3.0], [2.0, 2.0]).r2 is None


def test_a_reference_with_errors_comes_back_as_it_was() -> None:
    assert read(pack(of_numbers())) == of_numbers()
    assert of_numbers().id != of_numbers(errors=None).id


def test_one_without_errors_is_a_file_of_version_1() -> None:
    assert [pack(each)[8] for each in (whole(), of_numbers(), of_numbers(errors=None))] == [1, 2, 1]


def test_the_file_of_version_2_reads_as_ever() -> None:
    """`python tests/unit/test_reference_errors.py` writes it anew, which only a new version may ask for."""
    assert GOLDEN.read_bytes() == pack(of_numbers())
    assert Reference.load(GOLDEN) == of_numbers()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("errors", [0, 0.0, 0.0], "errors.truths: expected what numbers can have"),
        ("errors", [4, 0.0], "errors.errors: expected a count and two numbers"),
        ("errors", [4, 0, 0.0], "errors.errors: expected a count and two numbers"),
        ("errors", [4, math.nan, 0.0], "errors.errors: expected what numbers can have"),
        ("errors", [4, 0.0, -1.0], "errors.errors: expected what numbers can have"),
        ("truths", [3, 1.0, 1.0], "errors: expected as many truths"),
        ("truths", [5, 1.0, 1.0], "errors.truths: expected what numbers can have"),
        ("absolute", [4, -1.0, 1.0], "errors.absolute: expected what numbers can have"),
        ("squares", [4, 99.0, 1.0], "errors: the squares or the bins"),
        ("squares", [4, 2.3125, 1e9], "errors: the squares or the bins"),
        ("errors", [1 << 54, 0.0, 0.0], "errors.errors: expected what numbers can have"),
        ("bins", [[0, 3]], "errors: the squares or the bins"),
        ("bins", [[9_999, 4]], "errors: the squares or the bins"),
        ("bins", [[0, 2], [0, 2]], "errors.bins: expected different cells"),
        ("bins", [[0, 0, 4]], "errors.bins: expected different cells"),
    ],
)
def test_errors_that_cannot_be_are_refused(key: str, value: Any, says: str) -> None:
    content = msgpack.unpackb(pack_content(of_numbers()), strict_map_key=False)
    content["errors"][key] = value
    with pytest.raises(CorruptData, match=re.escape(says)):
        read(sealed(msgpack.packb(content), version=2))


def test_there_are_no_more_errors_than_rows_and_none_without_a_truth() -> None:
    more = errors_of([1.0] * 11, [2.0] * 11)
    for wrong in (of_numbers(errors=more), of_numbers(truth=None)):
        with pytest.raises(CorruptData, match="errors: more rows than there are, or no truth"):
            read(pack(wrong))


if __name__ == "__main__":
    GOLDEN.write_bytes(pack(of_numbers()))
