"""ADWIN for streams of which only sums over some values at a time are known, and for those that are fast."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from obsagent.drift.adwin import ADWIN
from obsagent.errors import DriftError
from obsagent.limits import ADWIN_LENGTH_MAX, ADWIN_LEVELS_MAX, ADWIN_SUM_MAX


class BlockADWIN(ADWIN):
    """ADWIN whose smallest bucket holds `block` values, so that it is cut between blocks only.

    Cuts are a part of ADWIN's, with the same bound, and every block costs what a value does there. It is looked for
    cuts once a call. After a detection the window goes on with what was kept, as in the paper, and not anew.
    """

    SETTINGS: ClassVar[tuple[str, ...]] = ("delta", "max_buckets", "min_window_length", "grace_period", "block")
    STATISTICS: ClassVar[tuple[str, ...]] = ("_rows", "_seen", "width", "total", "_deviations", "_open")

    _open: list[float]
    """Of values that are not a block yet: how many, their sum, that of their squares."""

    def __init__(
        self,
        delta: float = 0.002,
        max_buckets: int = 5,
        min_window_length: int = 32,
        grace_period: int = 64,
        block: int = 32,
    ) -> None:
        """As `ADWIN`; lengths are numbers of values."""
        self.block = int(block)
        super().__init__(delta, 1, max_buckets, min_window_length, grace_period)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `to_state` gave, going on where it was. Raises `DriftError` for anything else."""
        try:
            found = super().from_state(state)
            if not (found._has_settings() and found._has_window()):
                raise ValueError("its window is none")
        except (TypeError, ValueError, OverflowError) as error:
            raise DriftError(f"this is no state of a {cls.__name__}: {error}") from None
        return found

    def _has_settings(self) -> bool:
        lengths = (self.block, self.max_buckets, self.min_window_length, self.grace_period)
        return 0 < self.delta < 1 and all(type(length) is int and 0 < length <= ADWIN_LENGTH_MAX for length in lengths)

    def _has_window(self) -> bool:
        """Whether the buckets are those of a window of its width, and what is not a block yet is less than one."""
        rows = self._rows
        buckets = [bucket for row in rows for bucket in row]
        if len(self._open) != 3 or any(len(bucket) != 2 for bucket in buckets):
            return False
        if not 0 < len(rows) <= ADWIN_LEVELS_MAX or (len(rows) > 1 and not rows[-1]):
            return False
        totals = (self.total, *self._open[:2], *(bucket[0] for bucket in buckets))
        squares = (self._deviations, self._open[2], *(bucket[1] for bucket in buckets))
        return (
            all(abs(each) <= math.sqrt(ADWIN_SUM_MAX) for each in totals)
            and all(abs(each) <= ADWIN_SUM_MAX for each in squares)
            and all(len(row) <= self.max_buckets for row in rows)
            and self.width == sum(len(row) * (self.block << index) for index, row in enumerate(rows))
            and 0 <= self._open[0] < self.block
            and self._seen == 0  # values are counted by blocks here
        )

    def update_many(self, total: float, squares: float, count: int) -> bool:
        """Takes so many values by their sum and the sum of their squares; True if the mean has changed.

        Values that come together count as evenly mixed. Raises `DriftError`, and nothing has changed then.
        """
        if count < 0 or not (math.isfinite(total) and math.isfinite(squares)):
            raise DriftError(f"sums of values are finite numbers, not {total!r} and {squares!r} of {count!r}")
        self.drift_detected = False
        open_count, open_total, open_squares = self._open
        while open_count + count >= self.block:
            room = self.block - int(open_count)
            share = room / count
            self._insert_block(open_total + total * share, open_squares + squares * share)
            count, total, squares = count - room, total * (1 - share), squares * (1 - share)
            open_count = open_total = open_squares = 0.0
        self._open = [open_count + count, open_total + total, open_squares + squares]
        while self.width > self.grace_period and self._has_cut():
            self.drift_detected = True
            self._drop_oldest()
        return self.drift_detected

    def update(self, x: float) -> bool:
        """Takes the next value. Raises `DriftError` for what is no finite number."""
        return self.update_many(float(x), float(x) ** 2, 1)

    def _begin(self) -> None:
        super()._begin()
        self._open = [0.0, 0.0, 0.0]

    def _insert_block(self, total: float, squares: float) -> None:
        deviations = max(0.0, squares - total * total / self.block)
        if self.width:
            difference = total / self.block - self.total / self.width
            self._deviations += difference * difference * self.block * self.width / (self.block + self.width)
        self._deviations += deviations
        self.width += self.block
        self.total += total
        self._append([total, deviations])
