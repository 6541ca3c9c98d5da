"""What a ledger holds at one moment, for those who ask: outcomes of a stretch of time, and all about one id.

A view never changes. What it holds on to are sorted pieces that nobody changes and open files; a run that turns out to
be damaged while it is read is left out, and said in `gaps`.

Thread safety: one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack
import numpy as np
import zstandard

from obsagent.by_id.batches import Ids
from obsagent.errors import CorruptData
from obsagent.ledger.alive import Alive
from obsagent.ledger.answer import Outcomes, outcomes_of
from obsagent.ledger.keys import Hasher, Keys
from obsagent.ledger.names import LedgerSeries, Model, Names
from obsagent.ledger.pairs import Pairs, pairs_of
from obsagent.ledger.run import DamagedRun, Run
from obsagent.ledger.settings import CLASSIFICATION, Gap
from obsagent.ledger.sources import Source, matches
from obsagent.ledger.tables import (
    ARRIVALS,
    OUTCOMES,
    PREDICTIONS,
    ROWS,
    TRUTHS,
    Array,
    Block,
    Table,
    normal,
    row_count,
    take,
)
from obsagent.limits import LEDGER_ROW_BYTES_MAX, TIER_WINDOWS_MS


class FoundPrediction(NamedTuple):
    """A prediction that waits for truths, or has one."""

    series: LedgerSeries
    at_ms: int
    value: float | str
    score: float | None


class FoundTruth(NamedTuple):
    """The truth that counts."""

    model: str
    at_ms: int
    value: float | str


class FoundRow(NamedTuple):
    """A row that was kept."""

    series: LedgerSeries
    at_ms: int
    row: dict[str, Any]


class Found(NamedTuple):
    """All that is known of one id."""

    predictions: tuple[FoundPrediction, ...]
    truths: tuple[FoundTruth, ...]
    """One of each model."""
    rows: tuple[FoundRow, ...]
    """One of each model."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Predictions whose first truth has come, added up by batch and series, in order; arrays of one length."""

    position: Array
    """i64: where in the journal the batch lies that brought the truth, or the prediction to a truth that waited."""
    series: Array
    """u32: the number of the series that predicted."""
    at_ms: Array
    """i64: the newest time of the batch."""
    count: Array
    """i64: how many predictions."""
    errors: Array
    """i64: of classes, how many were wrong."""
    loss: Array
    """f64: Σ of (s − y)² with a score, else of 1 for a wrong class; of numbers Σ |e|."""
    loss_squared: Array
    """f64: Σ of the squares of these."""
    loss_fourth: Array
    """f64: Σ of their fourth powers; NaN of what was written before version 2."""


class LedgerView:
    """Made by `Ledger.view`."""

    def __init__(
        self,
        sources: Mapping[Table, tuple[Source, ...]],
        names: Names,
        alive: Alive,
        hasher: Hasher,
        gaps: tuple[Gap, ...],
        lose: Callable[[DamagedRun], None],
    ) -> None:
        """Of what does not change any more."""
        self._sources = dict(sources)
        self._names = names
        self._alive = alive
        self._hasher = hasher
        self._lose = lose
        self.gaps = gaps
        """Times of which something is lost."""

    def series(self) -> list[LedgerSeries]:
        """All that ever predicted; a number is the index."""
        return [*self._names.series]

    def models(self) -> list[Model]:
        """All models, as they were at that moment."""
        return [*self._names.models]

    def classes(self, model: str) -> tuple[str, ...]:
        """The names of a model's classes, in order of arrival."""
        known = self._names.known_model(model)
        return tuple(known.classes) if known else ()

    def outcomes(self, numbers: Iterable[int], from_ms: int, to_ms: int, step_ms: int = 0) -> list[Outcomes]:
        """What came of the predictions of some series of one model, from a time to before another.

        One for each step, or one for all; windows belong where they begin. Raises ValueError if the series are of
        several models.
        """
        numbers = sorted(set(numbers))
        series = [self._names.series[number] for number in numbers]
        model = self._one_model(series)
        blocks = {table: self.counted(table, numbers, from_ms, to_ms) for table in OUTCOMES}
        tasks = {each.task for each in series}
        step = step_ms or max(to_ms - from_ms, 1)
        return [
            outcomes_of(model, tasks, within, (begin, end), self._resolution_ms(begin, end, within))
            for begin in range(from_ms, to_ms, step)
            for end in [min(begin + step, to_ms)]
            for within in [{table: _between(block, begin, end) for table, block in blocks.items()}]
        ]

    def _one_model(self, series: list[LedgerSeries]) -> Model:
        models = {each.model for each in series}
        if len(models) != 1:
            raise ValueError(f"outcomes are those of one model, not of {len(models)}")
        model = self._names.known_model(models.pop())
        assert model is not None
        return model

    def counted(self, table: Table, numbers: Iterable[int], from_ms: int, to_ms: int, *, as_one: bool = False) -> Block:
        """The rows of a table of outcomes, of some series, in windows that begin in that time; equal ones are added.

        `as_one` makes one window of all, which begins with the time.
        """
        wanted = np.zeros(len(self._names.series), bool)
        wanted[[*numbers]] = True

        def read(source: Source) -> Block:
            begin, end = source.lower_bound(np.array([from_ms, to_ms], "i8"))
            block = source.slice(int(begin), int(end))
            block = take(block, wanted[block["series"]])
            return {**block, "window_ms": np.full(row_count(block), from_ms)} if as_one else block

        return normal(table, [*self._read_each(table, read, from_ms, to_ms)])

    def pairs(self, first: Iterable[int], second: Iterable[int], from_ms: int, to_ms: int) -> Pairs:
        """What two sides, each some series of one model, made of the same requests, in windows of that time."""
        sides = np.zeros(len(self._names.series), np.int8)
        sides[[*first]] = 1
        sides[[*second]] = 2
        window_ms = TIER_WINDOWS_MS[0]
        span_ms = from_ms - from_ms % window_ms, -(-to_ms // window_ms) * window_ms
        while True:
            try:
                return pairs_of(self._sources, self._alive, self._names, sides, span_ms)
            except DamagedRun as error:
                self._leave_out(error.run.table, error.run, error)

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows from that time on."""
        window, minute, hour = TIER_WINDOWS_MS
        marks = self._alive.marks
        return hour if from_ms < marks.hour_before_ms else minute if from_ms < marks.minute_before_ms else window

    def _resolution_ms(self, begin_ms: int, end_ms: int, blocks: Mapping[Table, Block]) -> int:
        """By the marks up to which windows were to be made coarser: some may still be finer."""
        if all(row_count(block) == 0 for block in blocks.values()) or end_ms <= begin_ms:
            return 0
        return self.window_ms_from(begin_ms)

    def _read_each(self, table: Table, read: Callable[[Source], Any], *span_ms: int) -> Iterator[Any]:
        """What is read of each source of a table; those that are damaged are left out."""
        for source in self._sources[table]:
            if span_ms and (source.last_ms < span_ms[0] or source.first_ms >= span_ms[1]):
                continue
            try:
                yield read(source)
            except DamagedRun as error:
                self._leave_out(table, source, error)

    def _leave_out(self, table: Table, source: Source, error: DamagedRun) -> None:
        self._sources[table] = tuple(each for each in self._sources[table] if each is not source)
        self.gaps = (*self.gaps, Gap(table.name, source.first_ms, source.last_ms, source.rows, str(error)))
        self._lose(error)

    def arrivals(self, after_position: int = -1) -> Arrivals:
        """Predictions whose first truth came in batches behind a position, in order; kept for 7 days.

        A reader that remembers the last position it saw reads everything exactly once, whatever restarts between:
        a batch that is applied again has the same position, and a view has the whole of a batch or nothing of it.
        """

        def read(source: Source) -> Block:
            begin = int(source.lower_bound(np.array([after_position + 1], "i8"))[0])
            return source.slice(begin, source.rows)

        block = normal(ARRIVALS, [*self._read_each(ARRIVALS, read)])
        return Arrivals(**block)

    def find(self, model: str | None, id_: str) -> Found:
        """All that is known of one id, of one model or of all; expired predictions are shown while they are there."""
        text = id_.encode()
        models = [each for each in self._names.models if model in (None, each.name)]
        predictions: list[FoundPrediction] = []
        truths: list[FoundTruth] = []
        rows: list[FoundRow] = []
        for each in models if 0 < len(text) < 256 else ():
            keys = self._hasher.keys(each.name, Ids(bytes([len(text)]), text))
            predictions += map(self._prediction, self._rows_of(PREDICTIONS, keys))
            truths += [self._truth(each, row) for row in self._rows_of(TRUTHS, keys)[-1:]]
            rows += self._kept_row(keys)
        return Found(tuple(predictions), tuple(truths), tuple(rows))

    def _rows_of(self, table: Table, keys: Keys) -> list[dict[str, Any]]:
        """Rows of a key, oldest first."""
        found: list[dict[str, Any]] = []

        def read(source: Source) -> list[dict[str, Any]]:
            _, rows = matches(source, keys, self._alive.masks)
            columns = {name: source.take(name, rows).tolist() for name in table.columns}
            return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

        for rows in self._read_each(table, read):
            found.extend(rows)
        return found

    def _prediction(self, row: Mapping[str, Any]) -> FoundPrediction:
        series = self._names.series[row["series"]]
        model = self._names.known_model(series.model)
        is_class = series.task == CLASSIFICATION and model is not None
        value = _class_name(model, row["value"]) if is_class and model else row["value"]
        return FoundPrediction(series, row["at_ms"], value, None if np.isnan(row["score"]) else row["score"])

    def _truth(self, model: Model, row: Mapping[str, Any]) -> FoundTruth:
        value = _class_name(model, row["value"]) if row["is_class"] else row["value"]
        return FoundTruth(model.name, row["at_ms"], value)

    def _kept_row(self, keys: Keys) -> list[FoundRow]:
        def read(source: Source) -> list[FoundRow]:
            _, rows = matches(source, keys, self._alive.masks)
            return [self._unpacked(source, int(row)) for row in rows[-1:]]

        found = [row for rows in self._read_each(ROWS, read) for row in rows]
        return found[-1:]

    def _unpacked(self, source: Source, row: int) -> FoundRow:
        at = np.array([row])
        series = self._names.series[int(source.take("series", at)[0])]
        try:
            blob = source.blob(row)
            if zstandard.frame_content_size(blob) > LEDGER_ROW_BYTES_MAX:  # else so much memory is asked for at once
                raise ValueError("larger than any row")
            data = zstandard.ZstdDecompressor().decompress(blob, max_output_size=LEDGER_ROW_BYTES_MAX)
            _, packed = msgpack.unpackb(data)
            return FoundRow(series, int(source.take("at_ms", at)[0]), msgpack.unpackb(packed))
        except (zstandard.ZstdError, ValueError, TypeError) as error:
            if isinstance(source, Run):
                raise DamagedRun(source, f"row {row} cannot be unpacked") from error
            raise CorruptData(f"a kept row cannot be unpacked: {error}") from error


def _between(block: Block, begin_ms: int, end_ms: int) -> Block:
    first, last = np.searchsorted(block["window_ms"], [begin_ms, end_ms])
    return take(block, slice(int(first), int(last)))


def _class_name(model: Model, code: float) -> str:
    return model.name_of(int(code)) or "(other)"
