"""The series of a store: their identities, and how many a metric may have.

Resolving is where the budget is decided; it happens before an entry is written. What has been decided is
*planned* until the entry that says so is applied, and known from then on; a planned series is given again
to whoever asks for the same one. New series beyond a budget go to the metric's overflow series (labels
`service` and `overflow="true"`), existing ones are untouched.

What a series is never changes, but for its sketch: the last definition says whether a t-digest is kept, so that a
program that begins to ask for one gets it. An adopted change counts as news of the series, as its first mention did.

Identity is kept as a 16-byte digest instead of a tuple of tuples: half of the memory of a series.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from sys import intern

from obsagent.limits import FEATURE_SERIES
from obsagent.samples import Kind, Series

OVERFLOW_LABEL = "overflow"
DIGEST_BYTES = 16
OVERFLOW_SHARE = 10
"""One tenth of the total on top of it, for overflow series: metrics times services is not bounded either."""


OF_FEATURES = frozenset({"drift_evalue", "drift_alarms"})
"""Metrics that the agent derives of every feature."""


class SeriesTable:
    """Series by id and by identity."""

    def __init__(self, per_metric: int, total: int) -> None:
        self._per_metric = per_metric
        self._total = total
        self._by_id: dict[int, Series] = {}
        self._by_digest: dict[bytes, int] = {}
        self._planned: dict[int, Series] = {}
        self._order = array("I")
        self._ids_of_metric: dict[str, array[int]] = {}
        self._next_id = 0
        self.refused: dict[str, int] = {}
        self.has_columns = False
        """True once a column is known."""
        self.wall_ms: Callable[[], int] = lambda: 0
        """The time of which new series are."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Series]:
        return iter(list(self._by_id.values()))

    def get(self, series_id: int) -> Series | None:
        """The series with this id, once the entry that defines it has been applied."""
        return self._by_id.get(series_id)

    def metrics(self) -> list[str]:
        """The names of all metrics."""
        return list(self._ids_of_metric)

    def ids_of(self, metric: str) -> array[int]:
        """The ids of a metric's series, planned ones included."""
        return self._ids_of_metric.get(metric, array("I"))

    def resolve(
        self,
        metric: str,
        kind: Kind,
        labels: Mapping[str, str],
        unit: str = "",
        help: str = "",
        scale: int = 6,
        across: str = "sum",
        sketch: str = "loghist",
        reserved: bool = False,
    ) -> Series | None:
        """The series for a definition: a known one, with this sketch, a new one, the metric's overflow series.

        None if it is refused: the series has another kind, or not even an overflow series is left. What is `reserved`
        (the agent's own) finds room where overflow series do, and needs none of these.
        """
        found = self._find(metric, labels)
        if found is None and not (self._has_room(metric, kind) or (reserved and self._has_reserve())):
            labels = _overflow_labels(labels)
            found = self._find(metric, labels)
            if found is None and not self._has_reserve():
                return None
        if found is not None:
            return _sketched(found, sketch) if found.kind == kind else None
        words = {intern(name): intern(value) for name, value in labels.items()}
        name, shown_unit, shown_help = intern(metric), intern(unit), intern(help)
        created_ms = self.wall_ms()
        series = Series(
            self._next_id, name, kind, words, shown_unit, shown_help, scale, across, intern(sketch), created_ms
        )
        self._index(series)
        self._planned[series.id] = series
        return series

    def adopt(self, series: Series) -> bool:
        """Make a series known, because an entry or a checkpoint says so; False if its id is another's."""
        known = self._by_id.get(series.id)
        if known is not None and (known.metric != series.metric or known.labels != series.labels):
            return False
        if known is None and self._planned.pop(series.id, None) is None:
            self._index(series)
        if known is None or known.sketch != series.sketch:
            self._by_id[series.id] = series
            self._order.append(series.id)
            self.has_columns = self.has_columns or series.kind is Kind.COLUMN
        return True

    def says(self, series: Series) -> bool:
        """True if an entry or a checkpoint has made the series known as it is."""
        known = self._by_id.get(series.id)
        return known is not None and known.sketch == series.sketch

    def reserve(self, next_id: int) -> None:
        """Give no id below this one to a new series: one that was lost may have had it."""
        self._next_id = max(self._next_id, next_id)

    def count_refused(self, metric: str) -> None:
        """One more definition of this metric went to its overflow series or nowhere."""
        self.refused[metric] = self.refused.get(metric, 0) + 1

    @property
    def is_full(self) -> bool:
        """True if there is no room for a new series of any metric, not even for an overflow series."""
        return not self._has_reserve()

    @property
    def news(self) -> int:
        """How often a series became known or changed."""
        return len(self._order)

    def known_since(self, news: int) -> list[Series]:
        """The series that became known, or changed, after the first `news` times, in that order."""
        return [self._by_id[series_id] for series_id in dict.fromkeys(self._order[news:])]

    def _find(self, metric: str, labels: Mapping[str, str]) -> Series | None:
        series_id = self._by_digest.get(digest(metric, labels))
        if series_id is None:
            return None
        return self._by_id.get(series_id) or self._planned[series_id]

    def _has_room(self, metric: str, kind: Kind) -> bool:
        """Models have 1,000 features and more: columns, and what is judged of each, have a cap of their own."""
        is_of_features = kind is Kind.COLUMN or metric in OF_FEATURES
        per_metric = max(self._per_metric, FEATURE_SERIES) if is_of_features else self._per_metric
        return len(self._by_digest) < self._total and len(self.ids_of(metric)) < per_metric

    def _has_reserve(self) -> bool:
        return len(self._by_digest) < self._total + self._total // OVERFLOW_SHARE

    def _index(self, series: Series) -> None:
        self._by_digest[digest(series.metric, series.labels)] = series.id
        self._ids_of_metric.setdefault(series.metric, array("I")).append(series.id)
        self._next_id = max(self._next_id, series.id + 1)


def digest(metric: str, labels: Mapping[str, str]) -> bytes:
    """The identity of a series: the metric and its labels in a fixed order, each with its length before it."""
    words = [metric]
    for label in sorted(labels.items()):
        words += label
    encoded = [word.encode("utf-8", "surrogatepass") for word in words]
    lengths = ",".join(str(len(word)) for word in encoded).encode()
    return blake2b(b"".join([lengths, b":", *encoded]), digest_size=DIGEST_BYTES).digest()


def is_overflow(series: Series) -> bool:
    """True for the series that takes what a budget refused, the store's own or a client's."""
    return series.labels.get(OVERFLOW_LABEL) == "true"


def is_own_overflow(series: Series) -> bool:
    """True if the budget is the store's: a client's overflow series has the labels of its session."""
    return is_overflow(series) and series.labels.keys() <= {"service", OVERFLOW_LABEL}


def _sketched(series: Series, sketch: str) -> Series:
    return series if series.sketch == sketch else replace(series, sketch=intern(sketch))


def _overflow_labels(labels: Mapping[str, str]) -> dict[str, str]:
    service = {"service": labels["service"]} if "service" in labels else {}
    return {**service, OVERFLOW_LABEL: "true"}
