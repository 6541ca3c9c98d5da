"""What a client has refused because of its labels: counted for the agent's `status`, and said once in the log."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from obsagent.errors import printable
from obsagent.limits import LABEL_VALUE_BYTES_MAX, REFUSED_LABEL_EXAMPLES, REFUSED_LABELS_PER_MESSAGE
from obsagent.record.metric_series import MetricSeries
from obsagent.wire.frame import RefusedLabel

EXAMPLE_LETTERS = 40
NEAR_UNIQUE, LENGTH, PER_METRIC, TOTAL = "near-unique", "length", "metric", "total"


class Refusal(NamedTuple):
    """Why a set of label values gets no series of its own: the label to blame, its value, and the reason."""

    label: str
    value: str
    reason: str


class Refused:
    """What was refused of one metric because of one label: how often in this session, and the latest values."""

    __slots__ = ("count", "examples")

    def __init__(self) -> None:
        """Nothing yet."""
        self.count = 0
        self.examples: deque[str] = deque(maxlen=REFUSED_LABEL_EXAMPLES)


class Refusals:
    """Counts by metric, label and reason, cumulative over the session; the registry's lock is its lock.

    The sender's thread reads: `version` changes with every refusal.
    """

    def __init__(self) -> None:
        """Nothing was refused."""
        self.version = 0
        self._refused: dict[tuple[str, str, str], Refused] = {}

    def begin_session(self) -> None:
        """Counts from nothing again; what has been said in the log is not said again."""
        self.version = 0
        for refused in self._refused.values():
            refused.count = 0

    def count(self, metric: str, refusal: Refusal, times: int = 1) -> bool:
        """One more, or several; True for the first of its metric, label and reason in this process."""
        key = metric, refusal.label, refusal.reason
        refused = self._refused.get(key)
        is_first = refused is None
        if refused is None:
            refused = self._refused[key] = Refused()
        refused.count += times
        example = shortened(refusal.value)
        if example not in refused.examples:
            refused.examples.append(example)
        self.version += 1
        return is_first

    def rows(self) -> list[RefusedLabel]:
        """What to tell the agent; if a message does not take all, the same ones each time: it compares the counts."""
        rows = [
            RefusedLabel(*key, refused.count, list(refused.examples))
            for key, refused in list(self._refused.items())
            if refused.count
        ]
        return rows[:REFUSED_LABELS_PER_MESSAGE]


def shortened(value: str) -> str:
    """A label's value, fit for a log and a table."""
    text = printable(value[: EXAMPLE_LETTERS + 1])
    return text if len(text) <= EXAMPLE_LETTERS else f"{text[: EXAMPLE_LETTERS - 1]}…"


class Crowd(NamedTuple):
    """The metric that has most series in this process, and how many all have together."""

    metric: str
    series: MetricSeries
    total: int


def warning(metric: str, refusal: Refusal, series: MetricSeries, crowd: Crowd) -> str:
    """What the log says of the first refusal: which label, some of its values, and what to do."""
    to = f'{metric}{{overflow="true"}}'
    if refusal.reason == LENGTH:
        return (
            f"{metric}: a value of the label {refusal.label} is longer than {LABEL_VALUE_BYTES_MAX:,} bytes, "
            f"{shortened(refusal.value)}: such ones go to {to}"
        )
    if refusal.reason == NEAR_UNIQUE:
        examples = _examples(refusal.label, series, refusal.value)
        found = f"{metric}: nearly every value of the label {refusal.label} is a new one, such as {examples}"
    elif refusal.reason == PER_METRIC:
        found = f"{metric} has {len(series):,} series, as many as a metric may have; {_values(series)}"
    else:
        found = (
            f"this process has {crowd.total:,} series, as many as it may have; "
            f"{crowd.metric} has {len(crowd.series):,} of them, and {_values(crowd.series)}"
        )
    return (
        f"{found}: new ones go to {to}. Leave the label out, or give it few values (the route instead of the path, "
        "the kind of user instead of the user); what belongs to one request belongs into its logs"
    )


def _values(series: MetricSeries) -> str:
    label = series.largest_label()
    return f"its label {label} has {len(series.values_of(label)):,} values, such as {_examples(label, series)}"


def _examples(label: str, series: MetricSeries, *first: str) -> str:
    newest = series.values_of(label).newest(REFUSED_LABEL_EXAMPLES - len(first))
    return ", ".join(map(shortened, [*first, *newest]))
