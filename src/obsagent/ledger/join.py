"""What batches do to the ledger: predictions and truths meet by their keys, whichever comes first.

Nothing is changed before everything was looked up, so that a batch that met a damaged run can be applied once more.
Whatever is decided follows from the batches before and the marks, never from a clock or from which runs there are:
a replay of the journal decides the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgpack
import numpy as np
import zstandard

from obsagent._native.codec import crc32c
from obsagent.by_id.batches import Ids, Predictions, Rows, Truths
from obsagent.by_id.report import TruthReport
from obsagent.ledger import outcomes
from obsagent.ledger.keys import Hasher, Keys
from obsagent.ledger.names import NO_TIME_MS, Model, Names, number_of, values_of
from obsagent.ledger.settings import CLASSIFICATION, LedgerSettings
from obsagent.ledger.sources import Masks, Sources, find_all, find_newest
from obsagent.ledger.standing import Came, Standing, for_predictions
from obsagent.ledger.tables import (
    ARRIVALS,
    PREDICTIONS,
    ROWS,
    TRUTHS,
    Array,
    Block,
    Table,
    normal,
    only,
    row_count,
    sort_order,
    take,
)
from obsagent.limits import LEDGER_MERGE_ROWS

ZSTD_LEVEL = 3


@dataclass(slots=True)
class Changes:
    """What a batch adds to the tables."""

    report: TruthReport = field(default_factory=TruthReport)
    blocks: list[tuple[Table, Block]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    blobs: tuple[bytes, ...] = ()
    """What is kept beside the rows of a block of the table of rows."""

    def add(self, blocks: dict[Table, Block]) -> None:
        """More rows; many are added up at once."""
        for table, block in blocks.items():
            is_much = row_count(block) > LEDGER_MERGE_ROWS // 2
            self.blocks.append((table, normal(table, [block]) if is_much else block))


class Joiner:
    """Looks up and decides; the ledger adds what comes of it."""

    def __init__(self, sources: Sources, names: Names, hasher: Hasher, settings: LedgerSettings) -> None:
        """`settings` may be replaced; what was decided stays."""
        self.settings = settings
        self.masks = Masks()
        self.cutoffs_ms: tuple[int, ...] = ()
        """Of each model: predictions from before are expired."""
        self._sources = sources
        self._names = names
        self._hasher = hasher

    def cutoff_ms(self, model: Model) -> int:
        """Predictions of a model from before are expired."""
        return self.cutoffs_ms[model.number] if model.number < len(self.cutoffs_ms) else NO_TIME_MS

    def predictions(self, batch: Predictions, position: int) -> Changes:
        """They wait, and those whose truth has come already are joined. Raises DamagedRun."""
        changes = Changes(counted=Counter(predictions=len(batch.ids)))
        model = self._names.model(batch.model)
        if model is None:
            changes.counted["without_model"] += len(batch.ids)
            return changes
        block, is_class = self._predicted(model, batch, changes.counted)
        block = take(block, sort_order(PREDICTIONS, block))
        if row_count(block) == 0:
            return changes
        changes.add(outcomes.of_predictions(block, is_class=is_class))
        self._join_waiting(model, block, position, changes)
        changes.blocks.append((PREDICTIONS, block))
        return changes

    def _predicted(self, model: Model, batch: Predictions, counted: Counter[str]) -> tuple[Block, bool]:
        values, names = values_of(batch.values), batch.values.names
        scores = np.frombuffer(batch.scores, "<f8") if batch.scores else np.full(len(values), np.nan)
        is_sound = np.ones(len(values), bool) if names is not None else np.isfinite(values)
        is_scored = not np.isnan(scores[is_sound]).all()
        model.learn(values[is_sound] if names is None else None, has_scores=is_scored)
        task = model.task(self.settings)
        is_class = task == CLASSIFICATION
        value = _classes(model, values, names) if is_class else _numbers(values, names)
        if is_class and is_scored:
            model.learn_scores(value, scores)
        at_ms = np.frombuffer(batch.at_ms, "<i8")
        is_sound &= np.isfinite(value)
        is_late = is_sound & (at_ms < self.cutoff_ms(model))
        counted["rejected_predictions"] += int((~is_sound).sum())
        counted["expired_predictions"] += int(is_late.sum())
        counted["clipped_scores"] += int(((scores < 0) | (scores > 1)).sum())
        keys = self._hasher.keys(model.name, batch.ids)
        series = self._names.series_of(model, batch.version, batch.variant, batch.slice, task)
        block = {
            "hi": keys.hi,
            "lo": keys.lo,
            "at_ms": at_ms,
            "value": value,
            "score": np.clip(scores, 0, 1) if is_class else np.full(len(value), np.nan),
            "series": np.full(len(value), series.number, "u4"),
        }
        return only(block, is_sound & ~is_late), is_class

    def _join_waiting(self, model: Model, block: Block, position: int, changes: Changes) -> None:
        keys = Keys(block["hi"], block["lo"])
        is_known, truths = find_newest(TRUTHS, self._sources.of(TRUTHS), keys, self.masks)
        is_known &= truths["keep_ms"] >= self.cutoff_ms(model)
        if not is_known.any():
            return
        block, truths = take(block, is_known), take(truths, is_known)
        self._outcomes(model, block, truths, 1, changes, position)
        changes.counted["joined_later"] += row_count(block)
        longer = np.flatnonzero(block["at_ms"] > truths["keep_ms"])
        longer = longer[np.argsort(block["at_ms"][longer], kind="stable")]
        changes.blocks.append((TRUTHS, {**take(truths, longer), "keep_ms": block["at_ms"][longer]}))

    def truths(self, batch: Truths, position: int) -> Changes:
        """They are joined with the predictions that wait, or wait themselves. Raises DamagedRun."""
        changes = Changes(counted=Counter(truths=len(batch.ids)))
        model = self._names.model(batch.model)
        if model is None:
            changes.counted["without_model"] += len(batch.ids)
            changes.report = TruthReport(rejected=len(batch.ids))
            return changes
        told = self._told(model, batch)
        if row_count(told):
            self._join(model, Came.of(take(told, sort_order(TRUTHS, told))), position, changes)
        changes.report = changes.report._replace(rejected=len(batch.ids) - row_count(told))
        return changes

    def _told(self, model: Model, batch: Truths) -> Block:
        values, names = values_of(batch.values), batch.values.names
        is_sound = np.ones(len(values), bool) if names is not None else np.isfinite(values)
        keys, at_ms = self._hasher.keys(model.name, batch.ids), np.frombuffer(batch.at_ms, "<i8")
        value = values if names is None else _classes(model, values, names)
        block = {
            "hi": keys.hi,
            "lo": keys.lo,
            "at_ms": at_ms,
            "keep_ms": at_ms,
            "value": value.astype("f8"),
            "is_class": np.full(len(values), names is not None, "u1"),
            "model": np.full(len(values), model.number, "u4"),
        }
        return only(block, is_sound)

    def _join(self, model: Model, came: Came, position: int, changes: Changes) -> None:
        is_known, known = find_newest(TRUTHS, self._sources.of(TRUTHS), came.keys, self.masks)
        is_known &= known["keep_ms"] >= self.cutoff_ms(model)
        standing = Standing.of(model, came, is_known, known)
        is_other = standing.is_other
        asked = np.flatnonzero(is_other)
        keep_ms, is_joined = standing.keep_ms, np.zeros(len(is_known), bool)
        for found, rows in find_all(PREDICTIONS, self._sources.of(PREDICTIONS), came.keys.take(asked), self.masks):
            is_open = rows["at_ms"] >= self.cutoff_ms(model)
            joined, predictions = asked.take(found[is_open]), only(rows, is_open)
            is_joined[joined] = True
            np.maximum.at(keep_ms, joined, predictions["at_ms"])
            self._correct(standing, joined, predictions, position, changes)
        changes.report = standing.report(is_joined)
        changes.blocks.append((TRUTHS, standing.rows(is_other, keep_ms)))

    def _correct(self, standing: Standing, joined: Array, predictions: Block, position: int, changes: Changes) -> None:
        """Takes back what truths did that count no more, and adds what those do that count now."""
        had_truth = standing.is_known.take(joined)
        news, again = np.flatnonzero(~had_truth), np.flatnonzero(had_truth)
        if len(again):
            corrected, of_keys = take(predictions, again), joined.take(again)
            self._outcomes(standing.model, corrected, _said(standing.before, of_keys), -1, changes)
            self._outcomes(standing.model, corrected, _said(standing.after, of_keys), 1, changes)
        if len(news):
            told = _said(standing.after, joined.take(news))
            self._outcomes(standing.model, only(predictions, ~had_truth), told, 1, changes, position)

    def _outcomes(
        self,
        model: Model,
        predictions: Block,
        truths: Block,
        weight: int,
        changes: Changes,
        position: int | None = None,
    ) -> None:
        """What comes of predictions with a truth each; with a position it is news, and an arrival."""
        tasks = np.array([series.task == CLASSIFICATION for series in self._names.series])
        of_class = tasks.take(predictions["series"])
        at_ms, series, value, score = (predictions[name] for name in ("at_ms", "series", "value", "score"))
        truth = for_predictions(model, of_class, truths)
        joined = outcomes.Joined(at_ms, series, value, score, truth, np.full(len(truth), weight, "i8"))
        is_comparable = ~np.isnan(truth)
        changes.counted["incomparable"] += int((~is_comparable).sum())
        newest_ms = int(np.maximum(at_ms, truths["at_ms"]).max())
        for is_class, mask in ((True, of_class), (False, ~of_class & is_comparable)):
            if not mask.any():
                continue
            some = joined if mask.all() else joined.where(mask)
            changes.add(outcomes.of_classes(some) if is_class else outcomes.of_numbers(some))
            if position is not None:
                positive = model.positive_code(self.settings)
                arrived = outcomes.arrivals(some, position, newest_ms, positive, is_class=is_class)
                changes.add({ARRIVALS: arrived})

    def rows(self, batch: Rows) -> Changes:
        """Whole rows, by the id of their request."""
        changes = Changes(counted=Counter(rows=len(batch.ids)))
        model = self._names.model(batch.model)
        if model is None:
            changes.counted["without_model"] += len(batch.ids)
            return changes
        series = self._names.series_of(model, batch.version, batch.variant, batch.slice, model.task(self.settings))
        keys = self._hasher.keys(model.name, batch.ids)
        compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress
        changes.blobs = tuple(
            compress(msgpack.packb([id_, row])) for id_, row in zip(each_id(batch.ids), batch.rows, strict=True)
        )
        block = {
            "hi": keys.hi,
            "lo": keys.lo,
            "at_ms": np.frombuffer(batch.at_ms, "<i8"),
            "series": np.full(len(batch.ids), series.number, "u4"),
            "offset": np.zeros(len(batch.ids), "u8"),
            "size": np.array([len(blob) for blob in changes.blobs], "u4"),
            "crc": np.array([crc32c(blob) for blob in changes.blobs], "u4"),
        }
        changes.blocks.append((ROWS, block))
        return changes


def each_id(ids: Ids) -> list[bytes]:
    """The ids of a batch, one by one."""
    ends = np.cumsum(np.frombuffer(ids.lengths, "u1"), dtype=np.int64).tolist()
    return [ids.text[end - length : end] for end, length in zip(ends, ids.lengths, strict=True)]


def _said(truths: Block, rows: Array) -> Block:
    """What some truths say, and since when."""
    return {name: truths[name].take(rows) for name in ("at_ms", "value", "is_class")}


def _classes(model: Model, values: Array, names: tuple[str, ...] | None) -> Array:
    if names is not None:
        return model.codes_of_names(names)[values].astype("f8")
    codes = np.full(len(values), np.nan)
    is_sound = np.isfinite(values)
    codes[is_sound] = model.codes_of_numbers(values[is_sound])
    return codes


def _numbers(values: Array, names: tuple[str, ...] | None) -> Array:
    if names is None:
        return values.astype("f8")
    return np.array([number_of(name) for name in names], "f8")[values]
