"""From data to a reference, in bounded memory: one pass to learn where the bins are to be, one to count exactly.

A third pass is needed for columns whose first rows were not like the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from obsagent.errors import ObsagentError
from obsagent.limits import REFERENCE_WINDOWS
from obsagent.reference import remarks
from obsagent.reference.columns import Chunk, Source
from obsagent.reference.counting import CategoryCounter, NumberCounter
from obsagent.reference.errors import ErrorCounter
from obsagent.reference.feature import CATEGORY, FeatureReference
from obsagent.reference.importance import Sample, load_sklearn
from obsagent.reference.joint import JointCounter
from obsagent.reference.learning import CategoryLearner, Learner, NumberLearner
from obsagent.reference.options import FitOptions, features_of, shares_of
from obsagent.reference.reference import PREDICTION, SCORE, Reference

Progress = Callable[[str, float], None]
"""Is told what is being done, and how much of it is done in [0, 1]."""
Counter = NumberCounter | CategoryCounter

CHUNK_ROWS = 4_096
WINDOW_ROWS_MIN = 50
WINDOWS_MIN = 10
CLASSES_OF_TWO = 2
WINDOWS_KEPT_MAX = 20_000
"""Windows of all columns that are kept at once: some 20 MB."""


def fit(
    source: Source, options: FitOptions, progress: Progress = lambda _doing, _done: None
) -> tuple[Reference, list[str]]:
    """The reference of the data, and remarks on it that somebody should read.

    Raises `UsageError` for options that do not fit the data, `ObsagentError` for data that cannot be read.
    """
    return Fit(source, options, progress).run()


class Fit:
    """One fit under way."""

    def __init__(self, source: Source, options: FitOptions, progress: Progress) -> None:
        self._source = source
        self._options = options
        self._progress = progress
        self._features = features_of(options, source)
        self._importances = shares_of(options.importances, self._features) if options.importances else {}
        self._roles = [name for name in (options.prediction, options.score, options.truth) if name is not None]
        if options.permutation:
            load_sklearn()
        self._rows = 0
        self._windows = 0
        self._remarks: list[str] = []

    def run(self) -> tuple[Reference, list[str]]:
        """All passes."""
        learned = self._learn()
        counters: dict[str, Counter] = {
            name: NumberCounter(each) if isinstance(each, NumberLearner) else CategoryCounter(each)
            for name, each in learned.items()
        }
        joint, errors = self._joint(counters, learned), self._errors(counters)
        sample = Sample(self._rows, self._features, self._options) if self._options.permutation else None
        self._count(counters, joint, errors, sample)
        if sample is not None:
            self._importances, remark = sample.importances(lambda done: self._progress("permuting", done))
            self._remarks += [remark] if remark else []
        found = {name: each.result(self._rows, self._importances.get(name)) for name, each in counters.items()}
        reference = self._reference(found, joint, errors)
        return reference, remarks.on(reference, self._source) + self._remarks

    def _reference(
        self, found: Mapping[str, FeatureReference], joint: JointCounter | None, errors: ErrorCounter | None
    ) -> Reference:
        options = self._options
        outputs = {PREDICTION: options.prediction, SCORE: options.score}
        dropped = {name: "it is not among the features" for name in self._source.names if name not in found}
        return Reference(
            model=options.model,
            version=options.version,
            rows=self._rows,
            features={name: found[name] for name in self._features},
            outputs={name: found[column] for name, column in outputs.items() if column is not None},
            truth=None if options.truth is None else found[options.truth],
            joint=None if joint is None else joint.result(),
            errors=None if errors is None else errors.result(),
            left_out={**self._source.left_out, **dropped},
            windows=self._windows,
            created_ms=time.time_ns() // 1_000_000,
            source=self._source.name,
        )

    def _learn(self) -> dict[str, NumberLearner | CategoryLearner]:
        options = self._options
        kinds = {**self._source.kinds, **dict.fromkeys(options.categories, CATEGORY)}
        learners = {name: Learner(kinds.get(name) or None) for name in [*self._features, *self._roles]}
        classes = {name: CategoryLearner() for name in (options.prediction, options.truth) if name is not None}
        self._rows = self._read("learning", learners, classes)
        if not self._rows:
            raise ObsagentError(f"{self._source.name} has no rows")
        again = {name: Learner(each.kind) for name, each in learners.items() if not each.is_settled}
        if again:
            self._read("learning again what was of another kind at first", again, {})
        learned = {name: each.learned for name, each in (learners | again).items()}
        if are_quantities([learned[name] for name in classes]):
            return learned
        return learned | {name: each for name, each in classes.items() if _is_class(learned[name])}

    def _read(self, doing: str, learners: Mapping[str, Learner], classes: Mapping[str, CategoryLearner]) -> int:
        rows = 0
        for chunk in self._chunks(doing, [*learners], CHUNK_ROWS):
            rows += chunk.rows
            for name, learner in learners.items():
                learner.add(chunk.columns[name])
            for name, each in classes.items():
                each.add(chunk.columns[name])
        return rows

    def _count(
        self,
        counters: Mapping[str, Counter],
        joint: JointCounter | None,
        errors: ErrorCounter | None,
        sample: Sample | None,
    ) -> None:
        self._windows = windows_of(self._rows, len(counters))
        window_rows = math.ceil(self._rows / max(1, self._windows))
        chunk_rows = math.ceil(window_rows / math.ceil(window_rows / CHUNK_ROWS))
        rows = ended = 0
        for chunk in self._chunks("counting", [*counters], chunk_rows):
            rows += chunk.rows
            for name, counter in counters.items():
                counter.add(chunk.columns[name])
            if joint is not None:
                self._add_joint(joint, chunk, counters)
            if errors is not None:
                self._add_errors(errors, chunk)
            if sample is not None:
                sample.add(chunk, counters)
            if self._windows and (rows - ended >= window_rows or rows == self._rows):
                ended = rows
                for counter in counters.values():
                    counter.end_window()
        if rows != self._rows:
            raise ObsagentError(f"{self._source.name} has changed while it was read")

    def _chunks(self, doing: str, names: Sequence[str], rows_max: int) -> Iterator[Chunk]:
        for chunk in self._source.chunks(names, rows_max):
            yield chunk
            self._progress(doing, self._source.done())

    def _joint(
        self, counters: Mapping[str, Counter], learned: Mapping[str, NumberLearner | CategoryLearner]
    ) -> JointCounter | None:
        options = self._options
        scores = learned[options.score] if options.score is not None else None
        if isinstance(scores, CategoryLearner):
            raise ObsagentError(f"the score, {options.score}, holds texts; expected numbers")
        if options.truth is None:
            return None
        ranged = scores is not None and scores.moments.count > 0
        return JointCounter(
            counters[options.prediction].names() if options.prediction is not None else (),
            counters[options.truth].names(),
            (scores.moments.min, scores.moments.max) if scores is not None and ranged else None,
        )

    def _errors(self, counters: Mapping[str, Counter]) -> ErrorCounter | None:
        """Of predictions and truths that are numbers, and no classes."""
        names = self._options.prediction, self._options.truth
        are_numbers = all(name is not None and isinstance(counters[name], NumberCounter) for name in names)
        return ErrorCounter() if are_numbers else None

    def _add_errors(self, errors: ErrorCounter, chunk: Chunk) -> None:
        predicted, truths = self._options.prediction, self._options.truth
        assert predicted is not None
        assert truths is not None
        errors.add(chunk.columns[predicted].floats(), chunk.columns[truths].floats())

    def _add_joint(self, joint: JointCounter, chunk: Chunk, counters: Mapping[str, Counter]) -> None:
        options, absent = self._options, [-1] * chunk.rows
        scores: Sequence[float | None] = [None] * chunk.rows
        if options.score is not None:
            scores = chunk.columns[options.score].floats()
        predicted, truths = (
            counters[name].places(chunk.columns[name]) if name is not None else absent
            for name in (options.prediction, options.truth)
        )
        joint.add(scores, predicted, truths)


def windows_of(rows: int, columns: int) -> int:
    """How many windows the rows are cut into to see how alike they are; 0 where that would say nothing."""
    windows = min(REFERENCE_WINDOWS, rows // WINDOW_ROWS_MIN, max(2 * WINDOWS_MIN, WINDOWS_KEPT_MAX // columns))
    return windows if windows >= WINDOWS_MIN else 0


def _is_class(learned: NumberLearner | CategoryLearner) -> bool:
    """Whether a prediction or a truth is one of a few: a class, not a quantity."""
    if isinstance(learned, CategoryLearner):
        return True
    return learned.type in ("bool", "int") and bool(learned.few)


def are_quantities(learned: Sequence[NumberLearner | CategoryLearner]) -> bool:
    """Whether predictions and truths are numbers though one of them has few different ones, as counts do.

    That is so if the other is no class: where it is a share, and this one only ever 0 or 1, it is.
    """
    return not all(map(_is_class, learned)) and all(map(_may_be_quantity, learned))


def _may_be_quantity(learned: NumberLearner | CategoryLearner) -> bool:
    if not isinstance(learned, NumberLearner) or learned.type == "bool":
        return False
    return learned.few is None or len(learned.few) > CLASSES_OF_TWO
