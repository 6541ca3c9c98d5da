"""How often which score, prediction and truth came together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from obsagent.limits import REFERENCE_JOINT_CELLS_MAX, REFERENCE_SCORE_BINS
from obsagent.reference.feature import Joint


class JointCounter:
    """Counts cells; where there get to be too many, pairs of score bins become one."""

    def __init__(
        self, predicted: Sequence[str], truths: Sequence[str], score_range: tuple[float, float] | None
    ) -> None:
        """The names of the bins, and the least and the greatest finite score; None without scores."""
        low, high = score_range or (0.0, 0.0)
        if score_range and low >= 0.0 and high <= 1.0:
            low, high = 0.0, 1.0
        self._low, self._high = low, high
        self._bins = REFERENCE_SCORE_BINS if score_range else 0
        self._predicted, self._truths = tuple(predicted), tuple(truths)
        self._cells: Counter[tuple[int, int, int]] = Counter()

    def add(self, scores: Sequence[float | None], predicted: Sequence[int], truths: Sequence[int]) -> None:
        """Rows: scores, and the bins of predictions and truths."""
        self._cells.update(zip(map(self._score_bin, scores), predicted, truths, strict=True))
        while len(self._cells) > REFERENCE_JOINT_CELLS_MAX and self._bins > 1:
            self._halve()

    def _score_bin(self, score: float | None) -> int:
        if score is None or not self._low <= score <= self._high or not self._bins:
            return -1
        width = self._high - self._low
        return min(int((score - self._low) / width * self._bins), self._bins - 1) if width > 0 else 0

    def _halve(self) -> None:
        self._bins //= 2
        halved: Counter[tuple[int, int, int]] = Counter()
        for (score, predicted, truth), rows in self._cells.items():
            halved[score >> 1, predicted, truth] += rows  # −1 stays −1
        self._cells = halved

    def result(self) -> Joint:
        """What the reference keeps."""
        return Joint(
            self._low, self._high, self._bins, self._predicted, self._truths, dict(sorted(self._cells.items()))
        )
