"""Batches of what is kept by the id of a request: predictions, truths, whole rows, and what is to be forgotten.

Columns are bytes, little-endian, so that a model's process needs no numpy; whoever reads many of them has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a batch is; the numbers stand in the journal and are those of the wire's messages."""

    ROWS = 7
    PREDICTIONS = 8
    TRUTHS = 9
    FORGOTTEN = 28  # in the journal only: control asks for it


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of requests: UTF-8 texts of 1 to 128 bytes, one behind the other."""

    lengths: bytes
    """u8 of each."""
    text: bytes

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Values:
    """One value of each: numbers, or with `names` classes."""

    data: bytes
    """f64 of each; with `names` u16 indices into them."""
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one version of a model predicted, in one slice."""

    model: str
    version: str
    variant: str
    slice: tuple[tuple[str, str], ...]
    """Labels and values, sorted by label."""
    ids: Ids
    at_ms: bytes
    """i64 of each: milliseconds since the epoch, by the agent's clock."""
    values: Values
    scores: bytes = b""
    """f64 of each, NaN where there is none; empty if there is none at all."""


@dataclass(frozen=True, slots=True)
class Truths:
    """What turned out to be true of requests to a model, whichever version answered them."""

    model: str
    ids: Ids
    at_ms: bytes
    """i64 of each: when it became known."""
    values: Values


@dataclass(frozen=True, slots=True)
class Rows:
    """Whole rows of features that were asked to be kept (`keep_rows`)."""

    model: str
    version: str
    variant: str
    slice: tuple[tuple[str, str], ...]
    ids: Ids
    at_ms: bytes
    rows: tuple[bytes, ...]
    """Of each a msgpack map: feature → nil, number, or text."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Ids of which nothing is to be kept any more; `model` may be empty: of every model."""

    model: str
    ids: Ids


Batch = Predictions | Truths | Rows | Forgotten
