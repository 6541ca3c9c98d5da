"""What truths that have come say beside those that are known: which are news, which corrections, which nothing new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsagent.by_id.report import TruthReport
from obsagent.ledger.keys import Keys
from obsagent.ledger.names import NO_TIME_MS, Model
from obsagent.ledger.succession import Succession, succession
from obsagent.ledger.tables import TRUTHS, Array, Block, only, take


@dataclass(frozen=True, slots=True)
class Came:
    """Truths of one model, sorted by id, those of one id in order of arrival."""

    truths: Block
    ids: Array
    """Whose each of them is: an index into the keys."""
    keys: Keys
    """Of each id, sorted."""

    @classmethod
    def of(cls, truths: Block) -> Came:
        """Of sorted rows of the table of truths; there is at least one."""
        hi, lo = truths["hi"], truths["lo"]
        is_first = np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1]))
        return cls(truths, np.cumsum(is_first) - 1, Keys(hi[is_first], lo[is_first]))


@dataclass(frozen=True, slots=True)
class Standing:
    """Which truth counts of each id, before and after."""

    model: Model
    came: Came
    is_known: Array
    before: Block
    """Zeros where none is known."""
    after: Block
    order: Succession

    @classmethod
    def of(cls, model: Model, came: Came, is_known: Array, known: Block) -> Standing:
        """Of what came, and of what is known of the same ids."""
        times = came.truths["at_ms"], len(came.keys.hi), is_known, known["at_ms"]
        order = succession(came.ids, *times)
        is_new = order.last >= 0
        after = take(came.truths, order.last)
        if not is_new.all():
            after = {name: np.where(is_new, after[name], known[name]) for name in TRUTHS.columns}
        return cls(model, came, is_known, known, after, order)

    @property
    def is_other(self) -> Array:
        """Of each id: is there a truth now where none was, or another one?"""
        return (self.order.last >= 0) & ~same(self.model, self.after, self.before, self.is_known)

    @property
    def keep_ms(self) -> Array:
        """Of each id how long its truth is to be kept at least."""
        return np.maximum(self.after["at_ms"], np.where(self.is_known, self.before["keep_ms"], NO_TIME_MS))

    def rows(self, is_other: Array, keep_ms: Array) -> Block:
        """What is to be written down: truths that are others, or newer."""
        is_newer = (self.order.last >= 0) & (self.after["at_ms"] > self.before["at_ms"])
        return only({**self.after, "keep_ms": keep_ms}, is_other | is_newer)

    def report(self, has_prediction: Array) -> TruthReport:
        """What became of each truth that came, by whether its id has predictions."""
        ids, earlier = self.came.ids, self.order.before
        is_first = (earlier < 0) & ~self.is_known.take(ids)
        is_news = self.order.counts & is_first
        matched = int((is_news & has_prediction.take(ids)).sum())
        news, corrected = int(is_news.sum()), self._corrected(np.flatnonzero(self.order.counts & ~is_first))
        return TruthReport(matched, news - matched, corrected, len(ids) - news - corrected)

    def _corrected(self, rows: Array) -> int:
        """How many of some truths that came, each in place of another, say something else than that one."""
        came, ids, earlier = self.came.truths, self.came.ids.take(rows), self.order.before.take(rows)
        beside = {
            name: np.where(earlier >= 0, came[name].take(earlier), self.before[name].take(ids))
            for name in ("value", "is_class")
        }
        return int((~same(self.model, take(came, rows), beside, np.ones(len(rows), bool))).sum())


def for_predictions(model: Model, of_class: Array, truths: Block) -> Array:
    """Truths as the predictions that they belong to want them: codes of classes where `of_class`, else numbers.

    NaN where a class names no number.
    """
    value, is_class = truths["value"], truths["is_class"] != 0
    wanted = value.copy()
    to_code, to_number = of_class & ~is_class, ~of_class & is_class
    if to_code.any():
        wanted[to_code] = model.codes_of_numbers(value[to_code])
    if to_number.any():
        wanted[to_number] = model.numbers_of_codes(value[to_number])
    return wanted


def same(model: Model, one: Block, other: Block, is_known: Array) -> Array:
    """Row by row, whether truths say the same as others that are known; a number says the class that it names."""
    is_same: Array = is_known & (one["value"] == other["value"])
    mixed = np.flatnonzero(is_known & (one["is_class"] != other["is_class"]))  # what is not known names no class
    if len(mixed):
        of_class = np.ones(len(mixed), bool)
        is_same[mixed] = np.equal(*(for_predictions(model, of_class, take(each, mixed)) for each in (one, other)))
    return is_same
