"""One stream of losses, of a version or of one of its slices: how large the risk is, and whether it does harm.

The truths of a minute are judged together, when it is over: within it their order says nothing. So a batch of truths
that is sorted, by slice or by class, is judged as the mixture that it is.

Losses of classes lie between 0 and 1. Those of numbers have no bound: x is one of them in units of a scale (`allowed`),
and the loss that is judged is min(x, 1). Only sums are known, and x − x² / 4 ≤ min(x, 1): what is judged is
Σx − Σx² / 4, which says too little of large errors and never too much, so that one of them is no harm. What is known of
the reference is not cut in that way: harm is said where the risk, however large single errors are, is above it.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any, Self

from obsagent.drift.block_adwin import BlockADWIN
from obsagent.harm.allowed import FIRST_TRUTHS, POWERS, Known
from obsagent.harm.marks import Marks
from obsagent.limits import ERROR_MAX, HARM_FIRST_TRUTHS, HARM_MINUTE_ROWS_MAX, PERFORMANCE_SUM_MAX
from obsagent.performance.harm import Harm, HarmDetector
from obsagent.performance.intervals import wilson, z_of
from obsagent.performance.risk import risk_interval
from obsagent.state_file import count, flag, number, text, whole

DAY_MS = 86_400_000
MOMENT_MS = 60_000
"""Truths of so long are judged together."""
SETTLE_MS = 2_000
"""So much later a moment is over, if nothing of a later one has come."""
CONFIDENCE = 0.95
KNOWN_CONFIDENCE = 0.99
"""Of the upper bound of a risk that is known from so many rows."""
RECOVERED_ALPHA = 1e-4
"""That harm is over is said falsely once in so many truths at most."""
LIMIT_MARGIN = 1e-6
"""The risk that is allowed is at least so far from 0 and 1."""
ROWS_MIN = 100_000
"""A false recommendation comes at most once in so many truths, however few come in a day."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Rows and the sums of their losses and of the squares of these."""

    rows: int
    total: float
    squares: float
    at_ms: int

    @property
    def sums(self) -> tuple[float, float, float]:
        """What adds up: finite, and so are its squares, however large an error is."""
        most = self.rows * ERROR_MAX
        return self.rows, min(most, self.total), min(most * ERROR_MAX, self.squares)


@dataclass(frozen=True, slots=True)
class Rule:
    """By what a stream is judged: `share` is its part of the rate of false alarms, of one in `every_ms`.

    `known` is None where the first truths are to say what the risk may be.
    """

    loss: str
    tolerance: float
    every_ms: int
    share: float
    known: Known | None = None
    bound: float = 0.0
    """Of errors of numbers; 0: it is learnt."""


class Track:
    """Takes losses in the order in which they come."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.known: Known | None = rule.known
        self.rows = 0
        self.is_harmful = False
        self.changed_ms = 0
        """Since when the mean loss is another than before (ADWIN); 0 if it never changed."""
        self._first = [0.0, 0.0, 0.0]
        self._open = [0.0, 0.0, 0.0]
        self._open_ms = self._moment_ms = 0
        self._marks = Marks()
        self._adwin = BlockADWIN()
        self._day_ms = self._day_rows = self._most_rows = 0
        self._weighed = 0
        """Rows that the evidence is of."""
        self._harm: HarmDetector | None = None
        self._recovery: HarmDetector | None = None
        if self.known:
            self._begin(self.known)

    @property
    def rule(self) -> Rule:
        """By what it is judged."""
        return self._rule

    @property
    def scale(self) -> float:
        """What a loss of 1 stands for; 0 while the first truths have not come."""
        return self.known.scale if self.known else 0.0

    @property
    def truths(self) -> int:
        """All that have come, those of the moment in hand too."""
        return self.rows + int(self._open[0])

    @property
    def limit(self) -> float | None:
        """The risk above which harm is done; None while nobody knows."""
        return None if self._harm is None else self._harm.limit * self.scale

    @property
    def upper(self) -> float | None:
        """The upper bound of the known risk; None while nobody knows."""
        return None if self._harm is None else self._harm.reference_risk_upper * self.scale

    @property
    def log_e_value(self) -> float:
        """ln of an e-value of harm: the evidence since it may have begun, in the mean over all moments at which it may.

        It is 1 in the mean at most where there is no harm.
        """
        return self._harm.log_evidence - math.log(self._weighed) if self._harm and self._weighed else 0.0

    @property
    def alpha(self) -> float:
        """1 / the rows in which one false alarm may come: those of the fullest day so far, times the days."""
        rows = max(ROWS_MIN, max(self._most_rows, self._day_rows) * self._rule.every_ms / DAY_MS)
        return self._rule.share / rows

    def current(self) -> tuple[float, float, float, int] | None:
        """The risk since it last changed, its lower and upper bound (95 %), and of how many rows it is."""
        rows, losses = self._adwin.width, self._adwin.total
        if not rows:
            rows, losses = int(self._first[0]), self._first[1]
            return (losses / rows, 0.0, float("inf"), rows) if rows else None
        low, high = risk_interval(min(max(losses, 0.0), rows), rows, 1 - CONFIDENCE)
        return losses / rows * self.scale, low * self.scale, high * self.scale, rows

    def since(self, rows: int) -> int:
        """When the latest so many rows began to come."""
        return self._marks.after(self.rows - rows)

    def judge_by(self, rule: Rule) -> bool:
        """Goes on by another rule; False if that is not possible, since losses or the reference are others."""
        if (rule.loss, rule.known, rule.bound) != (self._rule.loss, self._rule.known, self._rule.bound):
            return False
        before, self._rule = self._rule, rule
        if rule.tolerance != before.tolerance and self.known:
            self.is_harmful = False
            self._begin(self.known)
        return True

    def take(self, new: Losses) -> Harm | None:
        """The next rows; if they belong to a later moment than those before, what these show, as `close`."""
        if new.rows <= 0:
            return None
        moment_ms = new.at_ms - new.at_ms % MOMENT_MS
        harm = self.close() if moment_ms > self._moment_ms else None
        self._moment_ms = max(moment_ms, self._moment_ms)
        self._open = [before + more for before, more in zip(self._open, new.sums, strict=True)]
        self._open_ms = max(self._open_ms, new.at_ms)
        return harm

    def is_due(self, now_ms: int) -> bool:
        """True if there is a moment that is over."""
        return bool(self._open[0]) and now_ms >= self._moment_ms + MOMENT_MS + SETTLE_MS

    def close(self) -> Harm | None:
        """Judges the moment in hand; what it shows if the risk is above what is allowed."""
        (rows, total, squares), at_ms = self._open, self._open_ms
        self._open, self._open_ms = [0.0, 0.0, 0.0], 0
        return self._judge(Losses(int(rows), total, squares, at_ms)) if rows else None

    def _judge(self, new: Losses) -> Harm | None:
        self.rows += new.rows
        self._marks.add(self.rows, new.at_ms)
        self._count_day(new)
        if self._harm is None or self._recovery is None:
            self._learn(new)
            return None
        total, squares = new.total / self.scale, new.squares / self.scale / self.scale
        losses = min(max(total - squares / 4 if self._is_of_numbers else total, 0.0), float(new.rows))
        if self._adwin.update_many(total, squares, new.rows):
            self.changed_ms = self.since(self._adwin.width)
        self._harm.alpha = self.alpha
        self._weighed = new.rows + (0 if self._harm.retraining_recommended else self._weighed)
        if self._harm.update(losses, new.rows):
            self.is_harmful = True
            self._recovery.reset()
            return self._scaled(self._harm.harm)
        if self.is_harmful and self._recovery.update(new.rows - losses, new.rows):
            self.is_harmful = False  # the risk is below the limit as surely as it was above
        return None

    @property
    def _is_of_numbers(self) -> bool:
        return self._rule.loss in POWERS

    def _scaled(self, harm: Harm | None) -> Harm | None:
        """In the loss's own unit, and with the e-value as its evidence."""
        if harm is None:
            return None
        scale = self.scale
        return Harm(harm.rows, harm.risk * scale, harm.lower * scale, harm.limit * scale, self.log_e_value)

    def _count_day(self, new: Losses) -> None:
        day_ms = new.at_ms - new.at_ms % DAY_MS
        if day_ms > self._day_ms:
            self._most_rows, self._day_ms, self._day_rows = max(self._most_rows, self._day_rows), day_ms, 0
        self._day_rows += new.rows

    def _learn(self, new: Losses) -> None:
        self._first = [before + more for before, more in zip(self._first, new.sums, strict=True)]
        rows, losses, squares = int(self._first[0]), *self._first[1:]
        if rows < HARM_FIRST_TRUTHS:
            return
        self.known = self._first_known(rows, losses, squares)
        self._begin(self.known)

    def _first_known(self, rows: int, losses: float, squares: float) -> Known:
        if not self._is_of_numbers:
            return Known(min(losses, float(rows)), rows, FIRST_TRUTHS)
        variance = squares / rows - (losses / rows) ** 2
        return Known.of_numbers(self._rule.loss, self._rule.bound, rows, losses / rows, variance, FIRST_TRUTHS)

    def _begin(self, known: Known) -> None:
        """Of numbers the tolerance is a share of the risk."""
        tolerance = self._rule.tolerance * (known.risk if self._is_of_numbers else 1.0)
        if self._is_of_numbers:
            upper = known.risk + z_of(KNOWN_CONFIDENCE) * known.spread / math.sqrt(known.rows)
        else:
            upper = wilson(known.losses, known.rows, KNOWN_CONFIDENCE)[1]
        tolerance = max(tolerance, LIMIT_MARGIN)
        upper = min(upper, 1 - LIMIT_MARGIN - tolerance)
        self._weighed = 0
        self._harm = HarmDetector(upper, tolerance, self.alpha)
        self._recovery = HarmDetector(1 - self._harm.limit, 0.0, RECOVERED_ALPHA)

    def to_plain(self) -> dict[str, Any]:
        """All of it, as JSON takes it, but for the rule."""
        known = self.known
        return {
            "known": [*astuple(known)] if known else None,
            "rows": self.rows,
            "is_harmful": self.is_harmful,
            "changed_ms": self.changed_ms,
            "first": self._first,
            "open": [*self._open, self._open_ms, self._moment_ms],
            "marks": self._marks.to_plain(),
            "day": [self._day_ms, self._day_rows, self._most_rows],
            "weighed": self._weighed,
            "adwin": self._adwin.to_state(),
            "harm": self._harm.to_state() if self._harm else None,
            "recovery": self._recovery.to_state() if self._recovery else None,
        }

    @classmethod
    def from_plain(cls, rule: Rule, plain: dict[str, Any]) -> Self:
        """What `to_plain` gave; raises what wrong values do."""
        found = cls(rule)
        found.known = known_of(plain["known"], plain.get("scale", 1.0))
        found.rows, found.is_harmful = count(plain["rows"]), flag(plain["is_harmful"])
        found.changed_ms = whole(plain["changed_ms"])
        found._first = _sums(plain["first"])
        *sums, at_ms, moment_ms = plain["open"]
        found._open = _sums(sums)
        found._open_ms, found._moment_ms = whole(at_ms), whole(moment_ms)
        found._marks = Marks((count(rows), whole(at_ms)) for rows, at_ms in plain["marks"])
        day_ms, *day_rows = plain["day"]
        found._day_ms, (found._day_rows, found._most_rows) = whole(day_ms), map(count, day_rows)
        found._weighed = count(plain["weighed"])
        found._adwin = BlockADWIN.from_state(plain["adwin"])
        found._harm = HarmDetector.from_state(plain["harm"]) if plain["harm"] else None
        found._recovery = HarmDetector.from_state(plain["recovery"]) if plain["recovery"] else None
        if len({found.known is not None, found._harm is not None, found._recovery is not None}) != 1:
            raise ValueError("a part of a stream is missing")
        return found


def known_of(plain: Any, scale: Any = 1.0) -> Known | None:
    """Of what `astuple` gave, or None; raises what wrong values do. In version 1 the scale stood elsewhere."""
    if plain is None:
        return None
    losses, rows, source, spread, *more = plain
    (scale,) = more or (scale,)
    return Known(number(losses), whole(rows), text(source), number(spread), number(scale))


def _sums(plain: Any) -> list[float]:
    rows, total, squares = map(number, plain)
    are_sums = 0 <= total <= PERFORMANCE_SUM_MAX and 0 <= squares <= PERFORMANCE_SUM_MAX
    if not (0 <= rows <= HARM_MINUTE_ROWS_MAX and rows == int(rows) and are_sums):
        raise ValueError("sums of no losses")
    return [rows, total, squares]
