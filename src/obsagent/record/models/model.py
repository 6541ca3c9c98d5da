"""One model and version that this process serves: what a program holds after `client.model(...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from obsagent.by_id.report import TruthReport
from obsagent.errors import FeatureError
from obsagent.limits import LABEL_VALUE_BYTES_MAX, RECORDS_PER_BATCH, TRUTHS_TIMEOUT_S
from obsagent.record.models import predictions
from obsagent.record.models.gathered_records import Keep
from obsagent.record.models.given import given, recorded_at_once
from obsagent.record.models.slices import WHOLE

if TYPE_CHECKING:
    from obsagent.record.models.feed import Feed
    from obsagent.record.models.models import Models
    from obsagent.record.models.slices import SliceKey
    from obsagent.wire.rules import Rules

VARIANTS = ("live", "canary", "shadow")


class Model:
    """`client.model("fraud", version="4")`: the same arguments give the same object. Thread-safe.

    `features` and `predictions` count at once and under no slice, as batches and backfills do. What belongs to a
    request is given to that: `request.features(…)`, `request.prediction(…, model=fraud)`.
    """

    __slots__ = ("_models", "feeds", "name", "rules", "seen", "variant", "version")

    def __init__(self, models: Models, name: str, version: str, variant: str) -> None:
        """Use `client.model`."""
        self._models = models
        self.name = name
        self.version = version
        self.variant = variant
        self.rules: Rules | None = None
        """What the agent has told of this model; None until it has."""
        self.feeds: dict[SliceKey, Feed] = {}
        self.seen: frozenset[str] | None = None
        """The names of the features that were given first, for `OBSAGENT_STRICT`."""

    def __repr__(self) -> str:
        return f"<obsagent model {self.name!r} version={self.version!r} variant={self.variant!r}>"

    @property
    def is_shadow(self) -> bool:
        """True if what it serves is no request of anybody's."""
        return self.variant == "shadow"

    @property
    def labels(self) -> dict[str, str]:
        """Of its series and, with `request(model=…)`, of the request's."""
        version = {"version": self.version} if self.version else {}
        return {"model": self.name, **version, "variant": self.variant}

    def features(self, features: Any, *, names: Any = None, ids: Any = None, at: Any = None) -> None:
        """Rows of features, counted column by column; the values do not leave this process one by one.

        A mapping is a row, or, from names to sequences, rows. A sequence or an array of one dimension is a row, one of
        two dimensions rows, with `names=[…]`. Frames of pandas, polars and Arrow bring their names along; there `names`
        chooses columns. What is no number is counted as a category (text), a null (None, NA), or a wrong type. `ids`
        are those of the rows' requests: by them rows are found that the agent's configuration keeps (`keep_rows`). `at`
        is as in `predictions`.

        Never raises for a value. Raises `FeatureError` for what is no row and no rows, names that do not fit it, and,
        with `OBSAGENT_STRICT=1`, features that are unknown or missing.
        """
        feed = self.feeds.get(WHOLE) if at is None else None
        if feed is not None and not feed.rules.keep_rows and recorded_at_once(feed, features, names):
            return
        models = self._models
        if models.is_off:
            return
        found = given(features, names)
        if models.is_strict:
            models.check(self, found)
        keep = Keep(predictions.ids_of_rows(ids, found.rows))
        times_ms, may_wait = models.times_of(at, found.rows), _may_wait(at, found.rows)
        models.record(self, WHOLE, found, times_ms, keep, may_wait=may_wait)

    def prediction(self, value: object, score: object = None, *, id: object = None, at: object = None) -> None:
        """One prediction, outside of a request; as `predictions`."""
        if not self._models.is_off:
            made = predictions.one(value, score, id)
            self._models.predicted(self, WHOLE, made, self._models.times_of(at, 1), may_wait=_may_wait(at, 1))

    def predictions(self, values: Any, scores: Any = None, ids: Any = None, *, at: Any = None) -> None:
        """A batch of predictions: values, their scores, and the ids by which truths will find them.

        A score is the probability of the positive class; of more than two classes, of the predicted one.
        Each is a sequence, an array of one dimension or a series, all of one length. `at` is when they were made: for
        all, or of each, seconds since the epoch or a datetime; by default now. It may be as long ago as the model's
        horizon (30 days, or what the agent's configuration says); what is older than two hours is kept by the hour.
        What is older than the horizon, or ahead of now, is counted as rejected.

        A call with `at`, or of more than 8,192 rows, is no request: where the agent does not keep up it waits, as long
        as the agent goes on taking what is sent, and no more than 5 s for one that does not. No other call waits.

        Never raises for a value. Raises `FeatureError` for columns that are none or of different lengths, and for ids
        that are neither text nor whole numbers.
        """
        if not self._models.is_off:
            made = predictions.many(values, scores, ids)
            times_ms, may_wait = self._models.times_of(at, made.size), _may_wait(at, made.size)
            self._models.predicted(self, WHOLE, made, times_ms, may_wait=may_wait)

    def truths(self, ids: Any, values: Any, at: Any = None, *, timeout: float = TRUTHS_TIMEOUT_S) -> TruthReport:
        """What turned out to be true of requests, by the ids of their predictions, of whichever version and process.

        Ids and values are given as `predictions` takes them; `at` is when it became known: for all, or of each,
        seconds since the epoch or a datetime; by default now. Waits until the agent has all of it on disk and says
        what became of it. A truth may come before its prediction, and another one later for the same id corrects it.
        What is null or NaN is rejected, and so is what lies further back than the model's horizon.

        Raises `PendingTruths` if the agent has not acknowledged it within `timeout` seconds: it may be given again, and
        counts once. Raises `FeatureError` for columns that are none or of different lengths, and for ids that are none.
        """
        models = self._models
        return TruthReport() if models.is_off else models.truths.tell(models, self, ids, values, at, timeout)


def _may_wait(at: object, rows: int) -> bool:
    """Whether a call may wait rather than lose what it brings: a backfill, and what is more than a batch."""
    return at is not None or rows > RECORDS_PER_BATCH


def checked_identity(name: object, version: object, variant: object) -> tuple[str, str, str]:
    """Name, version and variant of a model as text; raises `FeatureError`."""
    texts = str(name), str(version), str(variant)
    if not isinstance(name, str) or not name:
        raise FeatureError(f"a model is called by a text that is not empty, not {name!r}")
    if variant not in VARIANTS:
        raise FeatureError(f"variant={variant!r}; expected one of {', '.join(VARIANTS)}")
    for text in texts:
        if len(text.encode("utf-8", "replace")) > LABEL_VALUE_BYTES_MAX:
            raise FeatureError(f"{text[:40]!r}… is longer than {LABEL_VALUE_BYTES_MAX:,} bytes")
    return texts
