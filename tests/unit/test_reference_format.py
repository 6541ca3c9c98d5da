"""Reference files: FORMAT.md against the constants and the writer, files of version 1, and files that are none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from format_tables import check_layout, tables
from reference_lab import category, nan_sums, number, whole

from obsagent import limits, reference
from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, ObsagentError, UnsupportedVersion
from obsagent.reference import Joint, Reference, format
from obsagent.reference.reader import read
from obsagent.reference.writer import pack, pack_content

FORMAT = Path(reference.__file__).with_name("FORMAT.md")
GOLDEN = Path(__file__).parents[1] / "golden" / "reference_1.ref"


def keys_of(heading: str) -> tuple[str, ...]:
    """The keys of the table below a heading."""
    text = FORMAT.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return tuple(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def sealed(content: bytes, about: bytes | None = None, version: int = 1) -> bytes:
    """A file whose checksums and hash are right, whatever is in it."""
    from hashlib import sha256

    about = msgpack.packb({"created_ms": 0, "source": "", "writer": ""}) if about is None else about
    head = format.HEADER.pack(
        *(format.MAGIC, version, 0, len(content), len(about), sha256(content).digest()),
        *(crc32c(content), crc32c(about), 0),
    )[:-4]
    return head + crc32c(head).to_bytes(4, "little") + content + about


def test_the_header_is_as_it_is_described() -> None:
    (header,) = tables(FORMAT)
    check_layout(header, format.HEADER)
    values = {field.name: field.value for field in header}
    assert values["magic"].strip("`") == format.MAGIC.decode().replace("\n", "\\n")
    assert values["version"] == str(format.FORMAT_VERSION)


def test_the_keys_are_as_they_are_described() -> None:
    assert keys_of("About") == format.ABOUT_KEYS
    assert keys_of("Content") == format.CONTENT_KEYS
    assert keys_of("Feature") == format.FEATURE_KEYS
    assert keys_of("Joint") == format.JOINT_KEYS
    assert keys_of("Errors") == format.ERRORS_KEYS


def test_the_numbers_are_as_they_are_described() -> None:
    text = FORMAT.read_text()
    for words, value in {
        r"at most (\d+) bytes. A reader": limits.REFERENCE_BYTES_MAX,
        r"name → feature, at most (\d+)": limits.REFERENCE_FEATURES_MAX,
        r"no finite number; at most (\d+)": limits.REFERENCE_EDGES_MAX,
        r"frequent first; at most (\d+)": limits.REFERENCE_CATEGORIES,
        r"each at most (\d+) bytes": limits.REFERENCE_CATEGORY_BYTES_MAX,
        r"at most (\d+) different numbers": limits.REFERENCE_BINS,
        r"\| (\d+), halved": limits.REFERENCE_SCORE_BINS,
        r"at most (\d+) cells": limits.REFERENCE_JOINT_CELLS_MAX,
        r"at most (\d+), and 0 below 2": format.ERROR_BIN_MAX,
        r"first (\d+) hexadecimal digits of the hash": format.ID_DIGITS,
        r"the first (\d+) the value of the label": format.LABEL_DIGITS,
    }.items():
        found = re.search(words, text.replace("\n", " "))
        assert found is not None, words
        assert int(found[1]) == value, words
    assert [each for each in format.KINDS if f"`{each}`" not in text] == []
    assert [each for each in format.TYPES if f"`{each}`" not in text] == []


def test_a_reference_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "fraud.ref"
    whole().save(path)
    found = Reference.load(path)
    assert found == whole()
    assert (found.id, found.label) == (whole().id, whole().id[:8])
    assert (found.created_ms, found.source) == (whole().created_ms, "train.csv")
    assert list(found.features) == ["amount", "country", "nothing"]
    assert [*path.parent.iterdir()] == [path]


def test_the_file_of_version_1_reads_as_ever() -> None:
    """`python tests/unit/test_reference_format.py` writes it anew, which only a new version may ask for."""
    assert GOLDEN.read_bytes() == pack(whole())
    assert Reference.load(GOLDEN) == whole()
    assert whole().id == "2af18caacebd5069"


def test_the_id_is_that_of_what_was_learned() -> None:
    assert whole(created_ms=1, source="other.csv").id == whole().id
    assert whole(version="5").id != whole().id
    changed = {**whole().features, "amount": number(counts=(0, 2, 4, 0))}
    assert whole(features=changed).id != whole().id


def test_sums_that_have_overflown_are_kept() -> None:
    found = read(pack(whole(features={"amount": nan_sums()}))).features["amount"]
    assert found.sums[1] == float("inf")
    assert found.sums[2] != found.sums[2]


def test_every_flipped_bit_is_refused() -> None:
    data = pack(whole())
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptData):
            read(bytes(flipped))


def test_every_cut_is_refused_and_so_is_what_follows() -> None:
    data = pack(whole())
    for size in range(len(data)):
        with pytest.raises(CorruptData):
            read(data[:size])
    with pytest.raises(CorruptData, match="bytes, but"):
        read(data + b"\0")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "this is no reference; obsagent reference fit makes one"),
        (b"amount,country\n1,DE\n", "this is no reference"),
        (format.MAGIC + b"\1", "cut off within its header"),
        (sealed(b"\x80", version=3), "a reference of version 3; this obsagent reads 2: update it"),
        (sealed(b"\x80", version=0), "its header's checksum does not match"),
        (sealed(b"\x80"), "content: expected a map with model"),
        (sealed(b"\xc1"), "content: not msgpack"),
        (sealed(pack_content(whole()), b"\x80"), "about: expected a map with created_ms"),
    ],
)
def test_what_is_no_reference_says_so(data: bytes, says: str) -> None:
    with pytest.raises(CorruptData, match=re.escape(says)):
        read(data)
    if "update" in says:
        with pytest.raises(UnsupportedVersion):
            read(data)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": ""}, "content.model: expected text that is not empty"),
        ({"rows": 9}, "amount: 10 samples in 9 rows"),
        ({"rows": -1}, "content.rows: expected a whole number"),
        (
            {"features": {"amount": number(edges=(1.0, 1.0, 3.0))}},
            "features.amount: the bins are not those of a number",
        ),
        ({"features": {"amount": number(counts=(0, 3, 4, 0))}}, "the bins are not those of a number of 6 values"),
        ({"features": {"amount": number(sums=(0.0, 1.0))}}, "the bins are not those"),
        ({"features": {"amount": number(edges=(0.5, float("inf"), 3.0))}}, "features.amount.edges: expected finite"),
        ({"features": {"amount": number(kind="money")}}, "features.amount.kind: expected number or category"),
        ({"features": {"amount": number(spread=None)}}, "6 numbers and their spread do not go together"),
        ({"features": {"amount": number(tdigest=b"OBTD")}}, "features.amount.tdigest: not the bytes"),
        ({"features": {"amount": number(kappa0=-1.0)}}, "not below 0"),
        ({"features": {"country": category(categories=("a", "a", "b"))}}, "country.categories: expected different"),
        ({"features": {"country": category(nan_count=1, null_count=0)}}, "categories are neither NaN nor infinite"),
        ({"features": {"prediction.value": number()}}, "features: `prediction.value` is no name of one"),
        ({"outputs": {"score": number()}}, "outputs: `score` is no name of one"),
        ({"truth": None}, "joint: more rows than there are, or no truth"),
        ({"joint": Joint(0.0, 1.0, 4, ("0",), ("0",), {(4, 0, 0): 1})}, "joint.cells: a cell of no bin"),
        ({"joint": Joint(0.0, 1.0, 2048, ("0",), ("0",), {})}, "joint.score_bins: expected a whole number"),
        ({"joint": Joint(1.0, 0.0, 4, ("0",), ("0",), {})}, "expected score_low up to score_high"),
    ],
)
def test_what_cannot_be_is_refused_behind_a_sound_checksum(changed: dict[str, object], says: str) -> None:
    with pytest.raises(CorruptData, match=re.escape(says)):
        read(pack(replace(whole(), **changed)))


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObsagentError, match=r"none\.ref cannot be read: No such file"):
        Reference.load(tmp_path / "none.ref")
    with pytest.raises(ObsagentError, match="cannot be read: Is a directory"):
        Reference.load(tmp_path)
    with pytest.raises(ObsagentError, match=r"nowhere/x\.ref cannot be written: No such file"):
        whole().save(tmp_path / "nowhere" / "x.ref")
    (tmp_path / "x.ref").write_bytes(b"nothing")
    with pytest.raises(CorruptData, match=r"x\.ref: this is no reference"):
        Reference.load(tmp_path / "x.ref")


def test_a_reference_that_would_be_too_large_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obsagent.reference.writer.REFERENCE_BYTES_MAX", 100)
    with pytest.raises(ObsagentError, match="leave some out with --drop"):
        pack(whole())


if __name__ == "__main__":
    GOLDEN.write_bytes(pack(whole()))
    print(whole().id)
