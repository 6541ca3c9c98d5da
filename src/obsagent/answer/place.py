"""Where in the grammar the words before a cursor have led, and what may come there.

A state machine over single words. It forgives everything and leads somewhere for any words; at a place where only
a value that nobody can guess may stand, nothing is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from obsagent.answer.outcome_metrics import figure_of
from obsagent.answer.outcome_words import OF_OUTCOMES
from obsagent.answer.words import CLAUSES, DERIVED, OTHERS, STATS, Word, sources_of

Catalogue = Mapping[str, Any]

DURATIONS = ("5m", "15m", "1h", "6h", "1d", "7d")
STEPS = ("10s", "1m", "5m", "1h")
AGO = ("1h", "1d", "1w")
COUNTS = ("5", "10", "20")
LIMITS = ("100ms", "250ms", "500ms", "1s")
RANGES = frozenset({"since", "from", "today", "yesterday"})
VALUES_DESCRIBED = 3

_STAT = re.compile(r"p[0-9]{1,3}(\.[0-9]*)?")


def is_stat(word: str) -> bool:
    """True for the name of a stat, any quantile included."""
    return word in STATS or _STAT.fullmatch(word) is not None


class Place:
    """Where in the grammar the words so far have led: `state` names what is expected next."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.state = "expression"
        self._stats: list[str] = []
        self._metrics: list[str] = []
        self._by: list[str] = []
        self._filtered: list[str] = []
        self._values: list[str] = []
        self._label = ""
        self._used: set[str] = set()

    # --- one word further

    def take(self, word: str) -> None:
        """The next word, comma or operator."""
        getattr(self, f"_after_{self.state}", self._after_clause)(word)

    def _after_expression(self, word: str) -> None:
        if word in ("under", "over"):
            self._stats.append(word)
            self.state = "threshold"
        elif is_stat(word):
            self._stats.append(word)
            self.state = "stat"
        elif word != ",":
            self._metrics.append(word)
            self.state = "metric"

    def _after_threshold(self, word: str) -> None:
        self._stats[-1] += f" {word}"
        self.state = "stat"

    def _after_stat(self, word: str) -> None:
        self.state = "expression"
        if word != ",":
            self._metrics.append(word)
            self.state = "metric"

    def _after_metric(self, word: str) -> None:
        if word in (",", "/"):
            self.state = "more_metrics" if word == "," else "expression"
        else:
            self._after_clause(word)

    def _after_more_metrics(self, word: str) -> None:
        self._metrics.append(word)
        self.state = "metric"

    def _after_clause(self, word: str) -> None:
        if word in CLAUSES:
            self._used.add(word)
            self.state = _EXPECTED_AFTER[word]
        else:
            self._label, self._values = word, []
            self.state = "operator"

    def _after_operator(self, word: str) -> None:
        if word in ("=", "!=", "not", "matches"):
            self._filtered.append(self._label)
            self.state = "value" if word != "matches" else "pattern"
        else:
            self._after_clause(word)

    def _after_value(self, word: str) -> None:
        self._values.append(word)
        self.state = "more_values"

    def _after_more_values(self, word: str) -> None:
        if word == ",":
            self.state = "value"
        else:
            self._after_clause(word)

    def _after_label(self, word: str) -> None:
        self._by.append(word)
        self.state = "more_labels"

    def _after_more_labels(self, word: str) -> None:
        if word == ",":
            self.state = "label"
        else:
            self._after_clause(word)

    def _after_versus(self, word: str) -> None:
        if word[:1].isdigit():
            self.state = "ago"
        else:
            self._after_clause(word)

    def _after_where(self, word: str) -> None:
        self.state = "where_threshold" if word in ("under", "over") else "comparison"

    def _after_where_threshold(self, _word: str) -> None:
        self.state = "comparison"

    def _after_comparison(self, _word: str) -> None:
        self.state = "limit"

    def _after_argument(self, _word: str) -> None:
        self.state = "clause"

    _after_since = _after_time = _after_step = _after_ago = _after_limit = _after_count = _after_argument
    _after_pattern = _after_argument

    # --- what may come

    def expected(self) -> Iterator[tuple[str, str]]:
        """Names with their descriptions."""
        yield from getattr(self, f"_expected_{self.state}", self._expected_clause)()

    def _expected_expression(self) -> Iterator[tuple[str, str]]:
        yield from _described({name: word for name, word in STATS.items() if name not in self._stats})
        if not self._stats or self._metrics:
            yield from self._expected_stat()

    def _expected_stat(self) -> Iterator[tuple[str, str]]:
        for metric in self._catalogue.get("metrics", ()):
            if metric["name"] not in self._metrics:
                yield metric["name"], _metric_description(metric)
        there = {metric["name"] for metric in self._catalogue.get("metrics", ())}
        judged = {name for model in self._judged() for name in model["outcomes"]["metrics"]}
        known = {
            name: word
            for name, word in DERIVED.items()
            if (name in judged if name in OF_OUTCOMES else there.issuperset(sources_of(name)))
        }
        yield from _described({name: word for name, word in known.items() if name not in self._metrics})

    _expected_more_metrics = _expected_stat

    def _expected_clause(self) -> Iterator[tuple[str, str]]:
        if "from" in self._used and "to" not in self._used:
            yield from _described({"to": CLAUSES["to"]})
            return
        for name, word in CLAUSES.items():
            ranged = name in RANGES and self._used & RANGES
            if name not in self._used and name != "to" and not ranged:
                yield name, word.short
        for label, values in self._labels().items():
            if label not in self._filtered:
                yield f"{label}=", _values_description(values)

    def _expected_operator(self) -> Iterator[tuple[str, str]]:
        yield from _described({name: OTHERS[name] for name in ("not", "matches")})

    def _expected_value(self) -> Iterator[tuple[str, str]]:
        values = self._labels().get(self._label, {"values": ()})["values"]
        yield from ((value, "") for value in values if value not in self._values)
        if self._label == "status":
            classes = sorted({value[0] for value in values if re.fullmatch(r"[1-5][0-9][0-9]", value)})
            yield from ((f"{digit}xx", f"{digit}00 to {digit}99") for digit in classes)

    def _expected_label(self) -> Iterator[tuple[str, str]]:
        for label, values in self._labels().items():
            if label not in self._by:
                yield label, _values_description(values)

    def _expected_since(self) -> Iterator[tuple[str, str]]:
        yield from ((duration, "") for duration in DURATIONS)
        yield from ((event["name"], "event") for event in self._catalogue.get("events", ()))

    def _expected_step(self) -> Iterator[tuple[str, str]]:
        yield from ((step, "") for step in STEPS)

    def _expected_versus(self) -> Iterator[tuple[str, str]]:
        yield from ((duration, "ago") for duration in AGO)
        for label, values in self._labels().items():
            yield f"{label}=", _values_description(values)

    def _expected_ago(self) -> Iterator[tuple[str, str]]:
        yield from _described({"ago": OTHERS["ago"]})

    def _expected_where(self) -> Iterator[tuple[str, str]]:
        asked = [stat for stat in self._stats if stat in STATS]
        derived = {name: DERIVED[name] for name in self._metrics if name in DERIVED}
        if derived:
            derived["count"] = STATS["count"]
        yield from _described(derived or {name: STATS[name] for name in asked or STATS})

    def _expected_comparison(self) -> Iterator[tuple[str, str]]:
        yield from _described({name: OTHERS[name] for name in ("above", "below")})

    def _expected_threshold(self) -> Iterator[tuple[str, str]]:
        yield from ((limit, "") for limit in LIMITS)

    def _expected_count(self) -> Iterator[tuple[str, str]]:
        yield from ((count, "rows") for count in COUNTS)

    def _expected_nothing(self) -> Iterator[tuple[str, str]]:
        yield from ()

    _expected_time = _expected_limit = _expected_pattern = _expected_where_threshold = _expected_nothing

    def _judged(self) -> list[Mapping[str, Any]]:
        """The models whose predictions have ids."""
        return [model for model in self._catalogue.get("models", ()) if model.get("outcomes")]

    def _labels(self) -> dict[str, Any]:
        """The labels of the metrics that were named, with their values; of all metrics if none is known."""
        metrics = self._catalogue.get("metrics", ())
        asked = {source for name in self._metrics for source in (sources_of(name) if name in DERIVED else (name,))}
        named = [metric for metric in metrics if metric["name"] in asked]
        if any(figure_of(name) for name in self._metrics):
            named += [model["outcomes"] for model in self._judged()]
        found: dict[str, Any] = {}
        for metric in named or metrics:
            for label, values in metric["labels"].items():
                found[label] = _joined(found[label], values) if label in found else values
        return found


_EXPECTED_AFTER = {
    "by": "label",
    "since": "since",
    "from": "time",
    "to": "time",
    "today": "clause",
    "yesterday": "clause",
    "step": "step",
    "vs": "versus",
    "where": "where",
    "top": "count",
    "bottom": "count",
}


def _described(words: Mapping[str, Word]) -> Iterator[tuple[str, str]]:
    return ((name, word.short) for name, word in words.items())


def _metric_description(metric: Mapping[str, Any]) -> str:
    kind = ", ".join(filter(None, (metric["kind"], metric["unit"])))
    return f"{kind}: {metric['help']}" if metric["help"] else kind


def _values_description(values: Mapping[str, Any]) -> str:
    shown: Iterable[str] = values["values"][:VALUES_DESCRIBED]
    more = ", …" if values["count"] > VALUES_DESCRIBED else ""
    return f"{', '.join(shown)}{more}"


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    values = sorted({*one["values"], *other["values"]})
    return {"values": values, "count": max(len(values), one["count"], other["count"])}
