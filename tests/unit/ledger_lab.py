"""Batches for a ledger, and what must come of them: an oracle that keeps every record in plain dicts."""

from __future__ import annotations

import math
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from obsagent.by_id.batches import Batch, Forgotten, Ids, Predictions, Rows, Truths, Values
from obsagent.by_id.report import TruthReport
from obsagent.fs import Fs
from obsagent.ledger.answer import Outcomes
from obsagent.ledger.encoding import Encoding
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.settings import LedgerSettings
from obsagent.ledger.tables import Array

BEGIN_MS = 1_700_000_000_000
KEY = bytes(range(32))
SESSION = bytes(16)
EPSILON = float(np.finfo(float).eps)


def ids(names: Iterable[str]) -> Ids:
    texts = [name.encode() for name in names]
    return Ids(bytes(map(len, texts)), b"".join(texts))


def doubles(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def longs(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def named(values: Sequence[str]) -> Values:
    names = tuple(dict.fromkeys(values))
    return Values(struct.pack(f"<{len(values)}H", *map(names.index, values)), names)


def values_of(values: Sequence[float | str]) -> Values:
    return named(values) if isinstance(values[0], str) else Values(doubles(values))  # type: ignore[arg-type]


def predictions(
    rows: Sequence[tuple[str, int, float | str, float]], model: str = "m", version: str = "1", slice_: str = ""
) -> Predictions:
    """Of (id, seconds after the beginning, value, score)."""
    where = (("country", slice_),) if slice_ else ()
    names, at, values, scores = zip(*rows, strict=True)
    scored = b"" if all(math.isnan(score) for score in scores) else doubles(scores)
    return Predictions(model, version, "", where, ids(names), longs([*map(at_ms, at)]), values_of(values), scored)


def truths(rows: Sequence[tuple[str, int, float | str]], model: str = "m") -> Truths:
    """Of (id, seconds after the beginning, value)."""
    names, at, values = zip(*rows, strict=True)
    return Truths(model, ids(names), longs([*map(at_ms, at)]), values_of(values))


def kept_rows(rows: Sequence[tuple[str, int, bytes]], model: str = "m") -> Rows:
    names, at, packed = zip(*rows, strict=True)
    return Rows(model, "1", "", (), ids(names), longs([*map(at_ms, at)]), tuple(packed))


def forgotten(names: Sequence[str], model: str = "m") -> Forgotten:
    return Forgotten(model, ids(names))


def at_ms(seconds: int) -> int:
    return BEGIN_MS + 1_000 * seconds


def written_and_read(encoding: Encoding, values: Array) -> Array:
    """As the only column of a run of one group."""
    stored = encoding.encode(values).tobytes() if encoding.width else b""
    read = np.empty(len(values), encoding.kind)
    encoding.column(stored, 0, len(values), len(values), len(stored)).slice(0, read.data)
    return read


def apply(ledger: Ledger, batch: Batch, position: int) -> TruthReport:
    return ledger.apply(batch, session=SESSION, sequence=position, rows=len(batch.ids), dropped=0, position=position)


def reopened(directory: Path, fs: Fs | None = None, settings: LedgerSettings | None = None) -> Ledger:
    return Ledger.open(directory / "ledger", fs or Fs(), KEY, settings)


def all_outcomes(ledger: Ledger, seconds: int = 10_000, step_s: int = 0) -> dict[str, list[Outcomes]]:
    """By version."""
    view = ledger.view()
    return {
        series.version: view.outcomes([series.number], at_ms(0) - 10_000_000, at_ms(seconds), step_s * 1_000)
        for series in view.series()
    }


@dataclass
class Oracle:
    """Joins by comparing everything with everything; of one model."""

    predictions: dict[str, list[tuple[str, int, float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Id → (version, at, value, score)."""
    truths: dict[str, tuple[int, float]] = field(default_factory=dict)
    made: Counter[tuple[str, int]] = field(default_factory=Counter)
    """All predictions, by version and window."""
    gone: list[tuple[str, int, float, float, float]] = field(default_factory=list)
    """What was joined when it was forgotten."""

    def predict(self, version: str, rows: Sequence[tuple[str, int, float, float]]) -> None:
        for name, at, value, score in rows:
            self.predictions[name].append((version, at, value, score))
            self.made[version, at // 10] += 1

    def tell(self, rows: Sequence[tuple[str, int, float]]) -> TruthReport:
        report = TruthReport()
        for name, at, value in rows:
            report = report.plus(self._tell(name, at, value))
        return report

    def _tell(self, name: str, at: int, value: float) -> TruthReport:
        if not math.isfinite(value):
            return TruthReport(rejected=1)
        known = self.truths.get(name)
        if known is None:
            self.truths[name] = at, value
            return TruthReport(matched=1) if self.predictions.get(name) else TruthReport(unmatched=1)
        if at < known[0]:
            return TruthReport(duplicate=1)
        self.truths[name] = at, value
        return TruthReport(duplicate=1) if known[1] == value else TruthReport(corrected=1)

    def forget(self, names: Iterable[str]) -> None:
        for name in set(names):
            self.gone += self._joined_of(name)
            self.predictions.pop(name, None)
            self.truths.pop(name, None)

    def _joined_of(self, name: str) -> list[tuple[str, int, float, float, float]]:
        if name not in self.truths:
            return []
        return [(*each, self.truths[name][1]) for each in self.predictions.get(name, ())]

    def joined(self, version: str, window: int | None = None) -> list[tuple[str, int, float, float, float]]:
        """(version, at, value, score, truth) of a version, and of one window of 10 s."""
        everything = [*self.gone, *(each for name in self.predictions for each in self._joined_of(name))]
        return [each for each in everything if each[0] == version and window in (None, each[1] // 10)]


def check_classes(found: Outcomes, joined: Sequence[tuple[str, int, float, float, float]]) -> None:
    """Counts are the same, sums to within rounding."""
    assert found.joined == len(joined)
    if not joined and found.classes is None:
        return
    assert found.classes is not None
    classes = found.classes.classes
    confusion = np.zeros((len(classes), len(classes)), int)
    scores = np.zeros((len(classes), 1024), int)
    sums = np.zeros((5, len(classes), len(classes)))
    for _, _, value, score, truth in joined:
        cell = classes.index(class_name(truth)), classes.index(class_name(value))
        confusion[cell] += 1
        if not math.isnan(score):
            scores[cell[0], min(int(score * 1024), 1023)] += 1
            inside = min(max(score, EPSILON), 1 - EPSILON)
            sums[(slice(None), *cell)] += (1, score, score**2, math.log(inside), math.log1p(-inside))
    assert (found.classes.confusion == confusion).all()
    assert (found.classes.scores == scores).all()
    got = np.array([*found.classes.score_sums.values()])
    np.testing.assert_allclose(got, sums, rtol=1e-9, atol=1e-9)


def check_numbers(found: Outcomes, joined: Sequence[tuple[str, int, float, float, float]]) -> None:
    assert found.joined == len(joined)
    if found.numbers is None:
        assert not joined
        return
    error = np.array([value - truth for _, _, value, _, truth in joined])
    truth = np.array([truth for *_, truth in joined])
    numbers = found.numbers
    assert numbers.count == len(joined) == numbers.error_bins.sum()  # type: ignore[union-attr]
    assert numbers.relative_count == (truth != 0).sum()
    got = numbers.error, numbers.absolute, numbers.squared, numbers.relative, numbers.truth, numbers.truth_squared
    ratio = np.abs(error[truth != 0] / truth[truth != 0])
    wanted = error.sum(), abs(error).sum(), (error**2).sum(), ratio.sum(), truth.sum(), (truth**2).sum()
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def class_name(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
