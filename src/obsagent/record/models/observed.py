"""What one request was given: kept until its end, when its slice and its models are known, then counted.

So the order of `slice`, `features` and `prediction` does not matter, features that belong to the models which made the
request's predictions need not be told so, and a request that raises delivers what it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from obsagent.errors import FeatureError
from obsagent.limits import OBSERVED_AT_ONCE_VALUES
from obsagent.record.models.gathered_records import Keep
from obsagent.record.models.given import Given, Row, given
from obsagent.record.models.predictions import Predictions, checked_id, many, one
from obsagent.record.models.slices import WHOLE, slice_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obsagent.record.models.model import Model
    from obsagent.record.models.models import Models


class Part(NamedTuple):
    """Rows that were given together: whose they are, if that was said, and of when, if not of now (ms)."""

    model: Model | None
    given: Given
    times_ms: list[int] | None


class Observed:
    """Of one request; any thread of it may call."""

    __slots__ = ("_features", "_is_over", "_model", "_models", "_predictions", "_slice")

    def __init__(self, models: Models, model: Model | None, *, is_over: bool) -> None:
        """`model` is that of the request. What comes when it `is_over` is counted at once."""
        self._models = models
        self._model = model
        self._slice: dict[str, object] = {}
        self._features: list[Part] = []
        self._predictions: list[tuple[Model, Predictions, list[int] | None]] = []
        self._is_over = is_over

    def slice(self, labels: dict[str, object]) -> None:
        """The request belongs to a slice; a label that was given before is given anew."""
        joined = {**self._slice, **labels}
        slice_key(joined)
        self._slice = joined

    def features(self, features: Any, names: Any, model: Model | None, at: Any = None) -> None:
        """Rows of the model, else of that of the request, else of those that predict in it."""
        found = given(features, names)
        model = model or self._model
        if self._models.is_strict and (model or self._models.only):
            self._models.check(model or self._models.only, found)  # type: ignore[arg-type]
        is_large = found.values > OBSERVED_AT_ONCE_VALUES and model is not None
        times_ms = self._models.times_of(at, found.rows)
        self._features.append(Part(model, found if is_large or self._is_over else found.copied(), times_ms))
        if is_large or self._is_over:
            self.deliver()

    def prediction(self, value: object, score: object, id: object, model: Model | None, at: object) -> None:
        """One prediction of the model, else of that of the request, else of the only one that there is."""
        self._predicted(one(value, score, id), model, at)

    def predictions(self, values: Any, scores: Any, ids: Any, model: Model | None, at: object) -> None:
        """A batch of them."""
        self._predicted(many(values, scores, ids), model, at)

    def _predicted(self, made: Predictions, model: Model | None, at: object) -> None:
        model = model or self._model or self._models.only
        if model is None:
            raise FeatureError("which model has predicted this? Give prediction(…, model=…) or request(…, model=…)")
        times_ms = self._models.times_of(at, made.size)
        self._predictions.append((model, made if self._is_over else made.copied(), times_ms))
        if self._is_over:
            self.deliver()

    def end(self, request_id: str | None, *, has_failed: bool) -> None:
        """The request is over, however it ended."""
        self._is_over = True
        self.deliver(request_id, has_failed=has_failed)

    def deliver(self, request_id: str | None = None, *, has_failed: bool = False) -> None:
        """Counts what has come so far, and keeps what is to be kept of it."""
        features, made = self._features, self._predictions
        self._features, self._predictions = [], []
        key = slice_key(self._slice) if self._slice else WHOLE
        for model, rows, of_ms in self._by_model(features, made):
            keep = Keep(_ids_of(rows, model, made, request_id), has_failed)
            self._models.record(model, key, rows, of_ms, keep)
        for model, batch, times_ms in made:
            self._models.predicted(model, key, batch, times_ms)

    def _by_model(
        self,
        features: list[Part],
        made: list[tuple[Model, Predictions, list[int] | None]],
    ) -> list[tuple[Model, Given, list[int] | None]]:
        predicting = list(dict.fromkeys(model for model, _, _ in made))
        if not predicting and (only := self._models.only):
            predicting = [only]
        if len(features) == 1 and len(owners := predicting if features[0].model is None else [features[0].model]) == 1:
            return [(owners[0], features[0].given, features[0].times_ms)]  # as most requests do
        rows: dict[Model, list[Part]] = {}
        for part in features:
            owners = predicting if part.model is None else [part.model]
            if not owners:
                self._models.lost(part.given.values + part.given.rows)
            for owner in owners:
                rows.setdefault(owner, []).append(part)
        return [(model, part.given, part.times_ms) for model, of_model in rows.items() for part in joined(of_model)]


def _ids_of(
    rows: Given, model: Model, made: list[tuple[Model, Predictions, list[int] | None]], request_id: str | None
) -> Sequence[str] | None:
    """Those of the predictions that the model made of these rows, where there are as many; of one row the request's."""
    for each, predictions, _ in made:
        if each is model and predictions.ids is not None and predictions.size == rows.rows:
            return predictions.ids
    if rows.rows != 1 or not request_id:
        return None
    try:
        return [checked_id(request_id)]
    except FeatureError:  # at its end a request raises nothing
        return None


def joined(parts: list[Part]) -> list[Part]:
    """Rows that came in parts, put together: they follow each other, are of one time and share no name."""
    whole: list[Part] = []
    for part in parts:
        last = whole[-1] if whole else None
        if last is not None and _belong_together(last, part):
            whole[-1] = last._replace(given=Row({**last.given.mapping, **part.given.mapping}))  # type: ignore[attr-defined]
        else:
            whole.append(part)
    return whole


def _belong_together(one: Part, other: Part) -> bool:
    if not isinstance(one.given, Row) or not isinstance(other.given, Row) or one.times_ms != other.times_ms:
        return False
    return not one.given.mapping.keys() & other.given.mapping.keys()
