"""Batches by id: encoded and decoded, malformed ones refused, and as FORMAT.md says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import by_id_lab as lab
import msgpack
import pytest
from format_tables import check_layout, tables
from hypothesis import given, settings

from obsagent import by_id, limits
from obsagent.by_id import format
from obsagent.by_id.batches import Batch, Forgotten, Kind, Predictions, Truths, Values
from obsagent.by_id.codec import decode, encode, encoded_size, ids_of, kind_of, texts_of
from obsagent.by_id.report import TruthReport
from obsagent.errors import CorruptData, UnsupportedVersion

DESCRIBED = Path(by_id.__file__).with_name("FORMAT.md")
GOLDEN = Path(__file__).parents[1] / "golden" / "by_id"


@settings(max_examples=50, deadline=None)
@given(lab.any_batch)
def test_what_is_encoded_is_decoded(batch: Batch) -> None:
    assert decode(encode(batch)) == batch
    assert encoded_size(batch) == len(encode(batch))


@settings(max_examples=50, deadline=None)
@given(lab.any_batch)
def test_a_batch_that_is_cut_or_longer_is_refused(batch: Batch) -> None:
    data = encode(batch)
    for size in range(len(data)):
        with pytest.raises(CorruptData):
            decode(data[:size])
    with pytest.raises(CorruptData, match="behind"):
        decode(data + b"\0")


@pytest.mark.parametrize("name", lab.golden_batches())
def test_batches_stay_readable(name: str) -> None:
    data = (GOLDEN / name).read_bytes()
    batch = lab.golden_batches()[name]
    assert encode(batch) == data
    assert encode(decode(data)) == data  # NaN is not equal to itself


def test_the_constants_are_those_of_the_description() -> None:
    text = DESCRIBED.read_text()
    (fixed,) = tables(DESCRIBED)
    check_layout(fixed, format.FIXED)
    assert f"# Batches by id, version {format.VERSION}\n" in text
    kinds = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", fixed[1].value)}
    assert kinds == {kind.name.lower(): kind for kind in Kind}
    assert fixed[2].value.startswith(f"at most {limits.RECORDS_PER_BATCH_MAX:,};")
    assert f"1 … {limits.RECORD_CLASSES_MAX:,} different texts of at most {limits.CATEGORY_BYTES_MAX} bytes" in text
    assert f"lengths u8 of each (1 … {limits.REQUEST_ID_BYTES_MAX})" in text
    assert limits.RECORD_NAMES_BYTES_MAX == 1 << 20
    assert limits.RECORD_ROW_BYTES_MAX == 64 << 10


def with_names(batch: Batch, names: object) -> bytes:
    """The batch with other names before the same columns."""
    data = encode(batch)
    _, kind, rows, size = format.FIXED.unpack_from(data)
    packed = msgpack.packb(names)
    columns = data[format.FIXED.size + size :]
    return format.FIXED.pack(format.VERSION, kind, rows, len(packed)) + packed + columns


MADE = lab.predictions(["a", "b"], lab.classes("x", "y"))
NAMES = ["fraud", "4", "live", [], ["x", "y"], False]
WRONG_NAMES = {
    "no array": "fraud",
    "too few": NAMES[:5],
    "no model": ["", *NAMES[1:]],
    "a number": [7, *NAMES[1:]],
    "a long model": ["m" * (limits.LABEL_VALUE_BYTES_MAX + 1), *NAMES[1:]],
    "slice no array": [*NAMES[:3], {"a": "b"}, *NAMES[4:]],
    "slice not sorted": [*NAMES[:3], [["b", "1"], ["a", "1"]], *NAMES[4:]],
    "a label twice": [*NAMES[:3], [["a", "1"], ["a", "2"]], *NAMES[4:]],
    "many labels": [*NAMES[:3], [[f"l{n}", ""] for n in range(limits.SLICES_MAX + 1)], *NAMES[4:]],
    "a class twice": [*NAMES[:4], ["x", "x"], False],
    "too few classes": [*NAMES[:4], ["x"], False],
    "no class": [*NAMES[:4], [], False],
    "not said if scored": [*NAMES[:5], 1],
}


@pytest.mark.parametrize("what", WRONG_NAMES)
def test_names_that_are_none_are_refused(what: str) -> None:
    with pytest.raises(CorruptData):
        decode(with_names(MADE, WRONG_NAMES[what]))


def test_names_as_they_should_be_are_taken() -> None:
    assert decode(with_names(MADE, NAMES)) == MADE


@pytest.mark.parametrize("lengths", [b"\x01\x00", b"\x01\x81", b"\x01\xff"])
def test_ids_of_a_wrong_length_are_refused(lengths: bytes) -> None:
    wrong = replace(MADE, ids=replace(MADE.ids, lengths=lengths, text=b"x" * sum(lengths)))
    with pytest.raises(CorruptData, match="1 to 128"):
        decode(encode(wrong))


def test_ids_that_are_no_utf_8_are_refused() -> None:
    split = ids_of(["é", "a"])
    wrong = replace(MADE, ids=replace(split, lengths=b"\x01\x02"))
    with pytest.raises(CorruptData, match="UTF-8"):
        decode(encode(wrong))


ROWS = {
    "no map": [1],
    "a list in it": {"a": [1]},
    "true": {"a": True},
    "a number's name": {1: 1},
    "long": {"a": "x" * limits.RECORD_ROW_BYTES_MAX},
}


@pytest.mark.parametrize("what", ROWS)
def test_rows_that_are_none_are_refused(what: str) -> None:
    with pytest.raises(CorruptData):
        decode(encode(lab.rows(["a"], [ROWS[what]])))  # type: ignore[list-item]


def test_counts_and_versions_that_are_not_known_are_refused() -> None:
    data = encode(MADE)
    with pytest.raises(CorruptData, match="at most 65536"):
        decode(format.FIXED.pack(1, 8, limits.RECORDS_PER_BATCH_MAX + 1, 0) + data[10:])
    for version, kind in ((2, 8), (1, 10), (0, 8)):
        with pytest.raises(UnsupportedVersion):
            decode(format.FIXED.pack(version, kind, 2, 0) + data[10:])
    with pytest.raises(CorruptData, match="bytes of names"):
        decode(format.FIXED.pack(1, 8, 2, 0xFFFFFFFF) + data[10:])


def test_names_of_any_depth_are_refused_without_a_crash() -> None:
    deep = b"\x91" * 100_000
    with pytest.raises(CorruptData, match="msgpack"):
        decode(format.FIXED.pack(1, Kind.TRUTHS, 1, len(deep)) + deep)


def test_ids_come_back_as_texts() -> None:
    texts = ["r-1", "é" * 64, "żółw"]
    assert texts_of(ids_of(texts)) == texts
    assert len(ids_of(texts)) == 3


def test_kinds_are_known() -> None:
    batches = [MADE, lab.truths(["a"]), lab.rows(["a"], [{}]), Forgotten("", ids_of(["a"]))]
    assert [kind_of(each) for each in batches] == [8, 9, 7, 28]
    assert isinstance(decode(encode(batches[0])), Predictions)
    assert isinstance(decode(encode(batches[1])), Truths)


def test_values_of_an_index_beyond_the_classes_are_refused() -> None:
    wrong = replace(MADE, values=Values(b"\x00\x00\x02\x00", ("x", "y")))
    with pytest.raises(CorruptData, match="none of its classes"):
        decode(encode(wrong))


def test_reports_are_added_and_subtracted() -> None:
    assert TruthReport(1, 2, 3, 4, 5).plus(TruthReport(1, 1, 1, 1, 1)) == (2, 3, 4, 5, 6)
    assert TruthReport(1, 2, 3, 4, 5).minus(TruthReport(1, 1, 1, 1, 1)) == (0, 1, 2, 3, 4)
