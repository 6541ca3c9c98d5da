"""ADWIN: a window of values that is as long as their mean stays the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, TypeAlias

from obsagent.drift.detector import Detector

Bucket: TypeAlias = list[float]

_SUM, _DEVIATIONS = range(2)  # of a bucket: the sum of its values, and of their squared deviations from their mean


class ADWIN(Detector):
    """Whether the mean of the older part of the window differs from that of the newer: O(log n) a value, and in memory.

    Bifet, Gavaldà, Learning from time-changing data with adaptive windowing (SDM 2007), with the bound for a variance
    and the buckets of ADWIN2. As in river, which looks once in `clock` values. Row i holds buckets of 2ⁱ values, the
    oldest first; with more than `max_buckets` two become one of the next row.
    """

    SETTINGS: ClassVar[tuple[str, ...]] = ("delta", "clock", "max_buckets", "min_window_length", "grace_period")
    STATISTICS: ClassVar[tuple[str, ...]] = ("_rows", "_seen", "width", "total", "_deviations")

    block = 1
    """Values of a bucket of row 0."""

    def __init__(
        self,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = 5,
        min_window_length: int = 5,
        grace_period: int = 10,
    ) -> None:
        """`delta`: how likely a false detection is at a look; `min_window_length`: values on either side of a cut."""
        self.delta = delta
        self.clock = clock
        self.max_buckets = max_buckets
        self.min_window_length = min_window_length
        self.grace_period = grace_period
        super().__init__()

    @property
    def estimation(self) -> float:
        """The mean of the window; 0 if it is empty."""
        return self.total / self.width if self.width else 0.0

    @property
    def variance(self) -> float:
        """The variance of the window; 0 if it is empty."""
        return self._deviations / self.width if self.width else 0.0

    def _begin(self) -> None:
        self._rows: list[list[Bucket]] = [[]]
        self._seen, self.width = 0, 0
        self.total, self._deviations = 0.0, 0.0

    def _take(self, x: float) -> None:
        self._insert(x)
        self._seen += 1
        self.drift_detected = False
        if self._seen % self.clock == 0 and self.width > self.grace_period:
            while self._has_cut():
                self.drift_detected = True
                self._drop_oldest()

    def _insert(self, x: float) -> None:
        if self.width:
            self._deviations += self.width * (x - self.total / self.width) ** 2 / (self.width + 1)
        self.width += 1
        self.total += x
        self._append([x, 0.0])

    def _append(self, bucket: Bucket) -> None:
        self._rows[0].append(bucket)
        for index, row in enumerate(self._rows):
            if len(row) <= self.max_buckets:
                break
            if index + 1 == len(self._rows):
                self._rows.append([])
            self._rows[index + 1].append(_merged(row.pop(0), row.pop(0), self.block << index))

    def _drop_oldest(self) -> None:
        size = self.block << (len(self._rows) - 1)
        total, deviations = self._rows[-1].pop(0)
        self.width -= size
        self.total -= total
        difference = total / size - self.total / self.width
        self._deviations -= deviations + size * self.width * difference * difference / (size + self.width)
        if not self._rows[-1]:
            self._rows.pop()

    def _has_cut(self) -> bool:
        """Whether the means on both sides of any cut differ by more than chance allows."""
        confidence = math.log(2 * math.log(self.width) / self.delta)
        spread = 2 * max(0.0, self.variance) * confidence
        least, older, older_total, newer, newer_total = self.min_window_length, 0, 0.0, self.width, self.total
        for size, total in self._cuts():
            older, older_total = older + size, older_total + total
            newer, newer_total = newer - size, newer_total - total
            if older < least or newer < max(least, 1):
                continue
            difference = older_total / older - newer_total / newer
            inverse = 1 / (older - least + 1) + 1 / (newer - least + 1)
            if abs(difference) > math.sqrt(spread * inverse) + 2 / 3 * confidence * inverse:
                return True
        return False

    def _cuts(self) -> Iterator[tuple[int, float]]:
        """Size and sum of the buckets that cuts follow, the oldest first."""
        for index in range(len(self._rows) - 1, -1, -1):
            for bucket in self._rows[index]:
                yield self.block << index, bucket[_SUM]


def _merged(older: Bucket, newer: Bucket, size: int) -> Bucket:
    """One bucket of two with `size` values each."""
    difference = (older[_SUM] - newer[_SUM]) / size
    deviations = older[_DEVIATIONS] + newer[_DEVIATIONS] + size / 2 * difference * difference
    return [older[_SUM] + newer[_SUM], deviations]
