"""What the models of a test have predicted, one by one: an agent keeps columns, a test wants to see each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.record.models.predictions import items

if TYPE_CHECKING:
    from obsagent.record.models.model import Model
    from obsagent.record.models.predictions import Predictions
    from obsagent.record.models.slices import SliceKey


class Prediction(NamedTuple):
    """One prediction; `slice` are the labels of its request, `at` seconds since the epoch, None for now."""

    model: str
    version: str
    variant: str
    value: Any
    score: Any = None
    id: str | None = None
    slice: dict[str, str] = {}  # noqa: RUF012
    at: float | None = None


class Truth(NamedTuple):
    """What was told of one request to a model; `at` is when it became known, seconds since the epoch, None for now."""

    model: str
    id: str
    value: Any
    at: float | None = None


def truths_of(
    model: Model, ids: Sequence[str], values: Sequence[Any], times_ms: Sequence[int] | None
) -> Iterator[Truth]:
    """The truths of one call."""
    for index, (text, value) in enumerate(zip(ids, values, strict=True)):
        yield Truth(model.name, text, value, times_ms[index] / 1000 if times_ms is not None else None)


def each_of(
    model: Model, slice_key: SliceKey, made: Predictions, times_ms: Sequence[int] | None
) -> Iterator[Prediction]:
    """The predictions of one call."""
    values = [made.values] if made.is_one else items(made.values, made)
    scores = items(made.scores, made)
    for index in range(made.size):
        yield Prediction(
            model.name,
            model.version,
            model.variant,
            values[index],
            scores[index] if scores else None,
            made.ids[index] if made.ids else None,
            dict(slice_key),
            times_ms[index] / 1000 if times_ms is not None else None,
        )
