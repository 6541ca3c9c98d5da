"""Bytes to a reference, believing none of them: what was flipped, cut, or made up is refused and says where.

Every method of `Fields` raises `CorruptData` for a value that is not what FORMAT.md says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, TypeVar

import msgpack

from obsagent._native.codec import crc32c
from obsagent.errors import CorruptData, UnsupportedVersion, printable
from obsagent.limits import (
    COUNT_MAX,
    LABEL_VALUE_BYTES_MAX,
    PERFORMANCE_ROWS_MAX,
    REFERENCE_BYTES_MAX,
    REFERENCE_CATEGORIES,
    REFERENCE_CATEGORY_BYTES_MAX,
    REFERENCE_EDGES_MAX,
    REFERENCE_FEATURES_MAX,
    REFERENCE_JOINT_CELLS_MAX,
    REFERENCE_SCORE_BINS,
    REFERENCE_TEXT_BYTES_MAX,
    SQUARE_MAX,
    TIME_MS_MAX,
)
from obsagent.reference import format
from obsagent.reference.errors import Errors, Scatter
from obsagent.reference.feature import CATEGORY, NUMBER, FeatureReference, Joint, Spread
from obsagent.reference.reference import RESERVED_NAMES, Reference

T = TypeVar("T")

NAME_SHOWN = 60
HEAD_BYTES = format.HEADER.size
ROUNDING, SQUARE_MIN = 1e-3, 1e-290
"""So far two ways to add up the same squares are apart at most; lesser ones lose digits."""


def read(data: bytes) -> Reference:
    """The reference that a file's bytes are.

    Raises `CorruptData` for bytes that are none, were changed or say what cannot be, `UnsupportedVersion` for those of
    a newer version.
    """
    version, content, about = _parts(data)
    told = Fields("about", _unpacked("about", about), format.ABOUT_KEYS)
    keys = format.CONTENT_KEYS[:-1] if version == format.WITHOUT_ERRORS else format.CONTENT_KEYS
    found = Fields("content", _unpacked("content", content), keys)
    reference = Reference(
        model=found.text("model", LABEL_VALUE_BYTES_MAX),
        version=found.text("version", LABEL_VALUE_BYTES_MAX, empty=True),
        rows=found.count("rows"),
        features=_features("features", found.table("features", REFERENCE_FEATURES_MAX)),
        outputs=_features("outputs", found.table("outputs", len(RESERVED_NAMES))),
        truth=found.maybe("truth", lambda value: _feature("truth", value)),
        joint=found.maybe("joint", _joint),
        errors=found.maybe("errors", _errors) if "errors" in keys else None,
        left_out=_left_out(found.table("left_out", REFERENCE_FEATURES_MAX)),
        windows=found.count("windows"),
        created_ms=told.count("created_ms", TIME_MS_MAX),
        source=told.text("source", REFERENCE_TEXT_BYTES_MAX, empty=True),
    )
    told.text("writer", REFERENCE_TEXT_BYTES_MAX, empty=True)
    _check_whole(reference)
    return reference


def _parts(data: bytes) -> tuple[int, bytes, bytes]:
    """The version, content and about, whose checksums are right."""
    if data[: len(format.MAGIC)] != format.MAGIC:
        raise CorruptData("this is no reference; obsagent reference fit makes one")
    if len(data) < HEAD_BYTES:
        raise CorruptData("the reference is cut off within its header")
    if len(data) > REFERENCE_BYTES_MAX:
        raise CorruptData(f"the reference is larger than {REFERENCE_BYTES_MAX:,} bytes")
    _, version, reserved, content_size, about_size, digest, *crcs = format.HEADER.unpack_from(data)
    content_crc, about_crc, header_crc = crcs
    if version > format.FORMAT_VERSION:
        raise UnsupportedVersion(
            f"a reference of version {version}; this obsagent reads {format.FORMAT_VERSION}: update it"
        )
    if crc32c(data[: HEAD_BYTES - format.CRC.size]) != header_crc or version == 0 or reserved:
        raise CorruptData("the reference is damaged: its header's checksum does not match")
    if len(data) - HEAD_BYTES - content_size != about_size:
        raise CorruptData(
            f"the reference has {len(data):,} bytes, but {HEAD_BYTES + content_size + about_size:,} in its header"
        )
    content, about = data[HEAD_BYTES : HEAD_BYTES + content_size], data[HEAD_BYTES + content_size :]
    if crc32c(content) != content_crc or crc32c(about) != about_crc:
        raise CorruptData("the reference is damaged: its checksum does not match")
    if sha256(content).digest() != digest:
        raise CorruptData("the reference's id is not that of its content")
    return version, content, about


def _unpacked(place: str, data: bytes) -> object:
    try:
        value: object = msgpack.unpackb(data, strict_map_key=False, use_list=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):  # TypeError: a map is a map's key
        raise CorruptData(f"{place}: not msgpack") from None
    return value


class Fields:
    """The values of a map that has just the expected keys."""

    def __init__(self, place: str, value: object, keys: Sequence[str]) -> None:
        if not isinstance(value, dict) or tuple(value) != tuple(keys):
            raise CorruptData(f"{place}: expected a map with {', '.join(keys)}")
        self._place = place
        self._values: Mapping[str, Any] = value

    def wrong(self, key: str, expected: str) -> CorruptData:
        """An error about one value."""
        return CorruptData(f"{self._place}.{key}: expected {expected}")

    def count(self, key: str, most: int = COUNT_MAX) -> int:
        """A whole number from 0."""
        value = self._values[key]
        if type(value) is not int or not 0 <= value <= most:
            raise self.wrong(key, f"a whole number from 0 to {most}")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._values[key]
        if type(value) is not float or not math.isfinite(value):
            raise self.wrong(key, "a finite number")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._values[key]
        if type(value) is not bool:
            raise self.wrong(key, "true or false")
        return value

    def text(self, key: str, bytes_max: int, *, empty: bool = False) -> str:
        """Text of at most `bytes_max` bytes."""
        return self._text(key, self._values[key], bytes_max, empty=empty)

    def word(self, key: str, words: Sequence[str]) -> str:
        """One of the words."""
        value = self._values[key]
        if not isinstance(value, str) or value not in words:
            raise self.wrong(key, " or ".join(words))
        return value

    def data(self, key: str, bytes_max: int) -> bytes:
        """Bytes."""
        value = self._values[key]
        if not isinstance(value, bytes) or len(value) > bytes_max:
            raise self.wrong(key, f"at most {bytes_max} bytes")
        return value

    def maybe(self, key: str, read: Callable[[object], T]) -> T | None:
        """None, or what `read` reads."""
        value = self._values[key]
        return None if value is None else read(value)

    def table(self, key: str, most: int) -> dict[str, object]:
        """A map from names to something."""
        value = self._values[key]
        if not isinstance(value, dict) or len(value) > most:
            raise self.wrong(key, f"a map of at most {most} names")
        return {self._text(key, name, LABEL_VALUE_BYTES_MAX): each for name, each in value.items()}

    def counts(self, key: str, most: int) -> tuple[int, ...]:
        """Whole numbers from 0."""
        value = self._array(key, most)
        if not all(type(each) is int and 0 <= each <= COUNT_MAX for each in value):
            raise self.wrong(key, "whole numbers from 0")
        return value

    def numbers(self, key: str, most: int) -> tuple[float, ...]:
        """Finite numbers."""
        value = self._array(key, most)
        if not all(type(each) is float and math.isfinite(each) for each in value):
            raise self.wrong(key, "finite numbers")
        return value

    def sums(self, key: str, most: int) -> tuple[float, ...]:
        """Numbers, which may have overflown."""
        value = self._array(key, most)
        if not all(type(each) is float for each in value):
            raise self.wrong(key, "numbers")
        return value

    def scatter(self, key: str, rows: int, *, positive: bool) -> Scatter:
        """At most so many numbers, none below 0 if so said: how many, their mean, and how they scatter."""
        value = self._array(key, len(Scatter._fields))
        if len(value) != len(Scatter._fields) or [type(each) for each in value] != [int, float, float]:
            raise self.wrong(key, "a count and two numbers")
        found = Scatter(*value)
        least = 0.0 if positive else -SQUARE_MAX
        if not (0 <= found.rows <= rows and least <= found.mean <= SQUARE_MAX and 0 <= found.deviations < math.inf):
            raise self.wrong(key, "what numbers can have")
        return found

    def cells(self, key: str, most: int, size: int) -> dict[tuple[int, ...], int]:
        """Counts above 0, each behind its `size` indexes."""
        cells: dict[tuple[int, ...], int] = {}
        for each in self._array(key, most):
            whole = isinstance(each, tuple) and len(each) == size + 1 and all(type(part) is int for part in each)
            if not whole or not 0 < each[size] <= COUNT_MAX or each[:size] in cells:
                raise self.wrong(key, f"different cells of {size} indexes and a count")
            cells[each[:size]] = each[size]
        return cells

    def names(self, key: str, most: int) -> tuple[str, ...]:
        """Different texts, of which one may be empty."""
        value = self._array(key, most)
        names = tuple(self._text(key, each, REFERENCE_CATEGORY_BYTES_MAX, empty=True) for each in value)
        if len(set(names)) < len(names):
            raise self.wrong(key, "different names")
        return names

    def _array(self, key: str, most: int) -> tuple[Any, ...]:
        value = self._values[key]
        if not isinstance(value, tuple) or len(value) > most:
            raise self.wrong(key, f"an array of at most {most}")
        return value

    def _text(self, key: str, value: object, bytes_max: int, *, empty: bool = False) -> str:
        if not isinstance(value, str) or len(value.encode(errors="surrogatepass")) > bytes_max:
            raise self.wrong(key, f"text of at most {bytes_max} bytes")
        if not (value or empty):
            raise self.wrong(key, "text that is not empty")
        return value


def _features(place: str, table: Mapping[str, object]) -> dict[str, FeatureReference]:
    reserved = place == "outputs"
    for name in table:
        if (name in RESERVED_NAMES) != reserved:
            raise CorruptData(f"{place}: `{_shown(name)}` is no name of one")
    return {name: _feature(f"{place}.{_shown(name)}", each) for name, each in table.items()}


def _feature(place: str, value: object) -> FeatureReference:
    fields = Fields(place, value, format.FEATURE_KEYS)
    feature = FeatureReference(
        kind=fields.word("kind", format.KINDS),
        type=fields.word("type", format.TYPES),
        count=fields.count("count"),
        null_count=fields.count("nulls"),
        nan_count=fields.count("nans"),
        positive_infinity_count=fields.count("positive_infinities"),
        negative_infinity_count=fields.count("negative_infinities"),
        wrong_type_count=fields.count("wrong_types"),
        edges=fields.numbers("edges", REFERENCE_EDGES_MAX),
        counts=fields.counts("counts", REFERENCE_EDGES_MAX + 1),
        sums=fields.sums("sums", REFERENCE_EDGES_MAX + 1),
        categories=fields.names("categories", REFERENCE_CATEGORIES),
        category_counts=fields.counts("category_counts", REFERENCE_CATEGORIES + 1),
        distinct=fields.number("distinct"),
        distinct_is_exact=fields.flag("distinct_exact"),
        spread=fields.maybe("spread", lambda value: _spread(place, value)),
        tdigest=fields.data("tdigest", REFERENCE_TEXT_BYTES_MAX),
        kappa0=fields.number("kappa0"),
        importance=fields.maybe("importance", lambda _: fields.number("importance")),
    )
    _check_bins(place, feature)
    _check_digest(place, feature)
    if min(feature.distinct, feature.kappa0, feature.importance or 0.0) < 0:
        raise CorruptData(f"{place}: distinct, kappa0 and importance are not below 0")
    return feature


def _spread(place: str, value: object) -> Spread:
    if (
        not isinstance(value, tuple)
        or len(value) != len(Spread._fields)
        or not all(type(each) is float for each in value)
    ):
        raise CorruptData(f"{place}.spread: expected {len(Spread._fields)} numbers")
    spread = Spread(*value)
    if not (math.isfinite(spread.min) and math.isfinite(spread.max) and spread.min <= spread.max):
        raise CorruptData(f"{place}.spread: expected a finite range")
    return spread


def _check_bins(place: str, feature: FeatureReference) -> None:
    """Bins belong to the kind, ascend, and count what there was."""
    if feature.kind == NUMBER:
        wrong = bool(feature.categories or feature.category_counts)
        expected = len(feature.edges) + 1 if feature.edges else 0
        wrong |= len(feature.edges) == 1 or any(low >= high for low, high in pairwise(feature.edges))
        wrong |= not (len(feature.counts) == len(feature.sums) == expected)
    else:
        wrong = bool(feature.edges or feature.counts or feature.sums or feature.spread or feature.tdigest)
        wrong |= len(feature.category_counts) != len(feature.categories) + 1
    if wrong or (feature.bin_counts and sum(feature.bin_counts) != feature.count):
        raise CorruptData(f"{place}: the bins are not those of a {feature.kind} of {feature.count} values")
    if feature.kind == CATEGORY and (
        feature.nan_count or feature.positive_infinity_count or feature.negative_infinity_count
    ):
        raise CorruptData(f"{place}: categories are neither NaN nor infinite")
    if feature.kind == NUMBER and (feature.spread is None) != (feature.count == 0):
        raise CorruptData(f"{place}: {feature.count} numbers and their spread do not go together")


def _check_digest(place: str, feature: FeatureReference) -> None:
    if feature.tdigest:
        from obsagent.sketches import TDigest

        try:
            TDigest.from_bytes(feature.tdigest)
        except CorruptData as error:
            raise CorruptData(f"{place}.tdigest: {error}") from None


def _joint(value: object) -> Joint:
    fields = Fields("joint", value, format.JOINT_KEYS)
    joint = Joint(
        score_low=fields.number("score_low"),
        score_high=fields.number("score_high"),
        score_bins=fields.count("score_bins", REFERENCE_SCORE_BINS),
        predicted=fields.names("predicted", REFERENCE_EDGES_MAX + 1),
        truths=fields.names("truths", REFERENCE_EDGES_MAX + 1),
        cells=fields.cells("cells", REFERENCE_JOINT_CELLS_MAX, 3),  # type: ignore[arg-type]  # three
    )
    limits = (joint.score_bins, len(joint.predicted) + 1, len(joint.truths) + 1)
    for cell in joint.cells:
        if not all(-1 <= index < limit for index, limit in zip(cell, limits, strict=True)):
            raise CorruptData("joint.cells: a cell of no bin")
    if not joint.score_low <= joint.score_high:
        raise CorruptData("joint: expected score_low up to score_high")
    return joint


def _errors(value: object) -> Errors:
    fields = Fields("errors", value, format.ERRORS_KEYS)
    errors = fields.scatter("errors", PERFORMANCE_ROWS_MAX, positive=False)
    found = Errors(
        errors,
        fields.scatter("truths", errors.rows, positive=False),
        fields.scatter("absolute", errors.rows, positive=True),
        fields.scatter("squares", errors.rows, positive=True),
        fields.scatter("shares", errors.rows, positive=True),
        {place: rows for (place,), rows in fields.cells("bins", 2 * format.ERROR_BIN_MAX + 1, 1).items()},
    )
    _check_errors(found)
    return found


def _check_errors(errors: Errors) -> None:
    """They are all of the same rows, and the squares are those of the errors, within rounding."""
    rows = errors.rows
    square = errors.errors.mean**2 + errors.errors.deviations / max(rows, 1)
    is_square = math.isclose(errors.squares.mean, square, rel_tol=ROUNDING, abs_tol=SQUARE_MIN)
    total = errors.squares.mean * rows
    is_square &= errors.squares.deviations <= total * total * (1 + ROUNDING) + SQUARE_MIN
    is_binned = sum(errors.bins.values()) == rows and all(abs(at) <= format.ERROR_BIN_MAX for at in errors.bins)
    if not rows or {errors.truths.rows, errors.absolute.rows, errors.squares.rows} != {rows}:
        raise CorruptData("errors: expected as many truths and errors, and one at least")
    if not is_square or not is_binned:
        raise CorruptData("errors: the squares or the bins are not those of the errors")


def _left_out(table: Mapping[str, object]) -> dict[str, str]:
    for name, reason in table.items():
        if not isinstance(reason, str) or len(reason) > REFERENCE_TEXT_BYTES_MAX:
            raise CorruptData(f"left_out.{_shown(name)}: expected a reason")
    return dict(table)  # type: ignore[arg-type]  # each is text


def _check_whole(reference: Reference) -> None:
    """What must hold between the parts."""
    columns = [*reference.columns.items(), *([("truth", reference.truth)] if reference.truth else [])]
    for name, feature in columns:
        if feature.samples > reference.rows:
            raise CorruptData(f"{_shown(name)}: {feature.samples} samples in {reference.rows} rows")
    if reference.errors and (reference.truth is None or reference.errors.rows > reference.rows):
        raise CorruptData("errors: more rows than there are, or no truth")
    if reference.joint and (reference.truth is None or sum(reference.joint.cells.values()) > reference.rows):
        raise CorruptData("joint: more rows than there are, or no truth")


def _shown(name: str) -> str:
    return printable(name[:NAME_SHOWN])
