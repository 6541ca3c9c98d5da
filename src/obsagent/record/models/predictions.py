"""What `prediction()` and `predictions()` were given: values, scores, and what finds them again when truths come."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.errors import FeatureError
from obsagent.limits import REQUEST_ID_BYTES_MAX as ID_BYTES
from obsagent.record.models import frames

if TYPE_CHECKING:
    from obsagent.record.models.feed import Taking

VALUE_BYTES = 16
SHORT_NUMBER = 10**20


class Predictions(NamedTuple):
    """Predictions of one call. `values` and `scores` are columns, or each one value if `is_one`."""

    values: Any
    scores: Any
    ids: Sequence[str] | None
    size: int
    is_one: bool

    @property
    def samples(self) -> int:
        """Of the columns, and the counter."""
        return self.size * (1 if self.scores is None else 2)

    @property
    def byte_size(self) -> int:
        """About."""
        return VALUE_BYTES * self.samples

    def copied(self) -> Predictions:
        """The same, which whoever gave it cannot change any more."""
        if self.is_one:
            return self
        scores = None if self.scores is None else frames.copied(self.scores)
        return self._replace(values=frames.copied(self.values), scores=scores)

    def chosen(self, indices: Sequence[int]) -> Predictions:
        """These of them, without their ids."""
        if len(indices) == self.size:
            return self
        scores = None if self.scores is None else frames.chosen(self.scores, indices)
        return Predictions(frames.chosen(self.values, indices), scores, None, len(indices), False)

    def record(self, feed: Taking) -> None:
        """Observes every value and score."""
        feed.predicted.inc(self.size)
        if self.is_one:
            feed.value.observe(self.values)
            if self.scores is not None:
                feed.score.observe(self.scores)
            return
        frames.observe(feed.value, self.values)
        if self.scores is not None:
            frames.observe(feed.score, self.scores)


def one(value: object, score: object, id: object) -> Predictions:
    """One prediction; raises `FeatureError` for columns, and for an id that is none."""
    for what, given in (("value", value), ("score", score)):
        if type(given) not in frames.SCALARS and frames.is_column(given):
            raise FeatureError(f"the {what} of a prediction is a {type(given).__name__}: predictions() takes many")
    return Predictions(value, score, None if id is None else [checked_id(id)], 1, True)


def many(values: Any, scores: Any = None, ids: Any = None) -> Predictions:
    """A batch of predictions; raises `FeatureError` unless the columns are of one length, and each id is one."""
    found = _column("values", values)
    count = len(found)
    found_scores = None if scores is None else _column("scores", scores)
    if found_scores is not None and len(found_scores) != count:
        raise FeatureError(f"{len(found_scores)} scores for {count} predictions")
    found_ids = None if ids is None else checked_ids(ids)
    if found_ids is not None and len(found_ids) != count:
        raise FeatureError(f"{len(found_ids)} ids for {count} predictions")
    return Predictions(found, found_scores, found_ids, count, False)


def _column(what: str, values: Any) -> Any:
    if frames.is_column(values):
        return frames.as_column(values)
    array = frames.as_array(values)
    if array is not None:
        raise FeatureError(
            f"{what} in {array.ndim} dimensions; a number for each prediction, such as scores[:, 1], "
            f"or scores.max(axis=1) of more than two classes"
        )
    return column_items(what, values)


def column_items(what: str, values: Any) -> list[Any]:
    """The items of a sequence, an array or a series; raises `FeatureError` for what is none of these."""
    if isinstance(values, (str, bytes)):
        raise FeatureError(f"{what} must be a sequence, one of each prediction, not a {type(values).__name__}")
    if frames.is_series(values):
        return frames.items_of(values)
    array = frames.as_array(values)
    try:
        return array.tolist() if array is not None else list(values)
    except TypeError:
        raise FeatureError(
            f"{what} must be a sequence, one of each prediction, not a {type(values).__name__}"
        ) from None


def checked_ids(ids: Any) -> list[str]:
    """Ids as texts; raises `FeatureError` unless each is one."""
    found = column_items("ids", ids)
    kinds = set(map(type, found))
    if kinds == {str} and "".join(found).isascii() and 0 < min(map(len, found)) <= max(map(len, found)) <= ID_BYTES:
        return found
    return list(map(str, found)) if kinds == {int} and _are_short(found) else list(map(checked_id, found))


def ids_of_rows(ids: Any, rows: int) -> list[str] | None:
    """An id for each of some rows, None if none are given; raises `FeatureError` unless there are as many."""
    if ids is None:
        return None
    found = [checked_id(ids)] if rows == 1 and isinstance(ids, (str, int)) else checked_ids(ids)
    if len(found) != rows:
        raise FeatureError(f"{len(found)} ids for {rows} rows")
    return found


def _are_short(numbers: list[int]) -> bool:
    return -SHORT_NUMBER < min(numbers) <= max(numbers) < SHORT_NUMBER


def items(column: Any, made: Predictions) -> list[Any]:
    """The values of a column of predictions, one by one."""
    if column is None:
        return []
    if made.is_one:
        return [column]
    if isinstance(column, (list, tuple)):
        return list(column)
    found: list[Any] = frames.items_of(column) if frames.is_series(column) else column.tolist()
    return found


def checked_id(value: object) -> str:
    """An id as text; raises `FeatureError` unless it is text, a whole number or a UUID of at most 128 bytes."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
    elif isinstance(value, str) or type(value).__name__ == "UUID":
        text = str(value)
    else:
        try:
            text = str(operator.index(value))  # type: ignore[arg-type]
        except TypeError:
            raise FeatureError(f"an id must be text or a whole number, not {value!r:.100}") from None
    if not text or len(text.encode("utf-8", "replace")) > ID_BYTES:
        raise FeatureError(f"an id must have 1 to {ID_BYTES} bytes, not {len(text)}: {text[:40]!r}")
    return text
