"""The first pass over a column: what kind it is, where its bins are to be, and what it is like as a whole."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from obsagent.limits import REFERENCE_BINS, REFERENCE_CATEGORIES, REFERENCE_CATEGORY_BYTES_MAX
from obsagent.reference.columns import Column, Numbers, is_number
from obsagent.reference.feature import CATEGORY, NUMBER
from obsagent.sketches import HyperLogLog, Moments, TDigest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WRONG_SHARE_MAX = 0.01
"""Up to which share of other values a column of texts that are numbers is a column of numbers."""
FINE_COMPRESSION = 1_000
KEPT_COMPRESSION = 100
CATEGORIES_COUNTED = 4_096
"""How many categories are counted while the most frequent are looked for."""
GLANCE = 4 * REFERENCE_BINS
TYPES = ("null", "bool", "int", "float")
"""Types of numbers; those of two parts of a column are together the later one."""


class NumberLearner:
    """Sketches of a column of numbers."""

    def __init__(self) -> None:
        self.nulls = self.others = 0
        self.type = "null"
        self.moments = Moments()
        self.digest = TDigest(FINE_COMPRESSION)
        self._hll = HyperLogLog()
        self.few: set[float] | None = set()
        """The different finite numbers, None where there are more than bins."""

    def add(self, column: Column) -> None:
        """The next rows."""
        self.take(column.numbers())

    def take(self, numbers: Numbers) -> None:
        """The numbers of the next rows."""
        self.nulls += numbers.nulls
        self.others += numbers.others
        if not numbers.size:
            return
        self.type = max(self.type, numbers.type, key=TYPES.index)
        self.moments.add_many(numbers.values)
        self.digest.add_many(numbers.values)
        self._hll.add_many(numbers.values)
        self._look_for_few(cast("Any", numbers.values))

    def _look_for_few(self, values: Any) -> None:
        if self.few is None:
            return
        for part in (values[:GLANCE], values[GLANCE:]):  # most columns have many values at first glance
            self.few.update(filter(math.isfinite, part.tolist()))
            if len(self.few) > REFERENCE_BINS:
                self.few = None
                return

    @property
    def wrong_share(self) -> float:
        """Of what was not missing."""
        taken = self.moments.count + self.moments.nan_count
        taken += self.moments.positive_infinity_count + self.moments.negative_infinity_count
        return self.others / (taken + self.others) if self.others else 0.0

    @property
    def distinct(self) -> tuple[float, bool]:
        """How many different values, and whether that is exact."""
        if self.few is not None and not self.moments.nan_count:
            infinities = (self.moments.positive_infinity_count > 0) + (self.moments.negative_infinity_count > 0)
            return float(len(self.few) + infinities), True
        return self._hll.count(), False

    def edges(self) -> tuple[float, ...]:
        """Where the bins are to be: FORMAT.md says how; none without a finite number."""
        if self.few is not None:
            return edges_of_few(self.few)
        from obsagent.drift.binning import isolated

        steps = [step / REFERENCE_BINS for step in range(REFERENCE_BINS + 1)]
        return tuple(isolated([value + 0.0 for value in self.digest.quantiles(steps)]))

    def kept_digest(self) -> bytes:
        """The t-digest as a reference keeps it."""
        if not self.moments.count:
            return b""
        digest = TDigest(KEPT_COMPRESSION)
        digest.merge(self.digest)
        return digest.to_bytes()


def edges_of_few(values: Iterable[float]) -> tuple[float, ...]:
    """Edges that give each value a bin of its own."""
    cuts = sorted({value + 0.0 for value in values})
    if cuts:
        above = math.nextafter(cuts[-1], math.inf)
        cuts.append(above if math.isfinite(above) else math.nextafter(cuts[-1], 0.0))
    return tuple(sorted(cuts))


class CategoryLearner:
    """The most frequent categories of a column, by a Misra-Gries summary.

    Misra, Gries (1982), in batches as Agarwal et al. merge it (Mergeable Summaries, 2012): exact up to 4,096
    categories; beyond, none that is more than one of 4,097 values is missed.
    """

    def __init__(self) -> None:
        self.nulls = self.count = 0
        self._counts: Counter[str] = Counter()
        self._hll = HyperLogLog()
        self._is_exact = True

    def add(self, column: Column) -> None:
        """The next rows."""
        self.take(column.texts())

    def take(self, texts: Sequence[str | None]) -> None:
        """The categories of the next rows."""
        found = Counter(texts)
        nulls = found.pop(None, 0)
        self.nulls += nulls
        self.count += len(texts) - nulls
        self._hll.add_many(cast("Counter[str]", found).keys())
        self._counts.update(cast("Counter[str]", found))
        if len(self._counts) > CATEGORIES_COUNTED:
            self._cut()

    def _cut(self) -> None:
        self._is_exact = False
        least = sorted(self._counts.values(), reverse=True)[CATEGORIES_COUNTED]
        self._counts = Counter({text: count - least for text, count in self._counts.items() if count > least})

    @property
    def distinct(self) -> tuple[float, bool]:
        """How many different categories, and whether that is exact."""
        return (float(len(self._counts)), True) if self._is_exact else (self._hll.count(), False)

    @property
    def number_share(self) -> float:
        """How many of the values, as far as they are known, look like numbers."""
        known = self._counts.total()
        return sum(count for text, count in self._counts.items() if is_number(text)) / known if known else 0.0

    def categories(self) -> tuple[str, ...]:
        """The most frequent, the first of them first; those of equal frequency by name."""
        ranked = sorted(self._counts.items(), key=lambda each: (-each[1], each[0]))
        fitting = (text for text, _ in ranked if len(text.encode(errors="replace")) <= REFERENCE_CATEGORY_BYTES_MAX)
        return tuple(text for _, text in zip(range(REFERENCE_CATEGORIES), fitting, strict=False))


class Learner:
    """One column, whose kind may not be known at first."""

    def __init__(self, kind: str | None) -> None:
        self.is_certain = kind is not None
        self.sketch: NumberLearner | CategoryLearner | None = None
        self._nulls = 0
        if kind is not None:
            self.sketch = NumberLearner() if kind == NUMBER else CategoryLearner()

    def add(self, column: Column) -> None:
        """The next rows: the first that have values say what kind it seems to be."""
        if self.sketch is not None:
            self.sketch.add(column)
            return
        numbers = column.numbers()
        if not numbers.size and not numbers.others:
            self._nulls += numbers.nulls
            return
        seems_number = numbers.others <= WRONG_SHARE_MAX * (numbers.size + numbers.others)
        self.sketch = NumberLearner() if seems_number else CategoryLearner()
        self.sketch.nulls = self._nulls
        self.sketch.add(column)

    @property
    def learned(self) -> NumberLearner | CategoryLearner:
        """What was learned; a column without any value is one of numbers."""
        if self.sketch is None:
            self.sketch = NumberLearner()
            self.sketch.nulls = self._nulls
        return self.sketch

    @property
    def kind(self) -> str:
        """What it is after all: another than that of `learned` if the first rows were not like the others."""
        learned = self.learned
        if isinstance(learned, NumberLearner):
            return CATEGORY if not self.is_certain and learned.wrong_share > WRONG_SHARE_MAX else NUMBER
        return NUMBER if not self.is_certain and learned.number_share >= 1 - WRONG_SHARE_MAX else CATEGORY

    @property
    def is_settled(self) -> bool:
        """False if the column must be read again as what it is."""
        return isinstance(self.learned, NumberLearner) == (self.kind == NUMBER)
