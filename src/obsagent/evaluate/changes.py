"""What has changed with a feature within the time that is asked for, step by step: pure.

stopped        it came, and does not come any more, though rows do
stale          it has one value now, and had others before
type_change    it came as numbers, or the reference has it as such, and comes as text; or the other way round

All are claimed of the steps at the end of the time only, and beyond chance: what is seen has odds of 1 to e²⁰ at most
if steps are as they were before, and it lasts for three times as long as ever before in the time. So a feature that is
constant by nature for an hour is not stale within the hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from obsagent.answer.expected import Expected
from obsagent.answer.feature_counts import Counted
from obsagent.answer.feature_metrics import is_constant
from obsagent.evaluate.asked import FeatureRow, Step
from obsagent.evaluate.findings import HIGH, MEDIUM, Finding, percent

LOG_ODDS = 20.0
STEPS_MIN = 2
"""Of fewer steps nothing is said: the last one may not be over."""
BEFORE_MIN = 3
TIMES_LONGER = 3
VALUES_MIN = 10
"""A step of fewer values says nothing about them."""
SAMPLES_MIN = 100
MOST = 0.9

_T = TypeVar("_T")

NUMBERS, TEXT, NEITHER = "numbers", "text", "neither numbers nor text"


@dataclass(frozen=True, slots=True)
class Change:
    """A finding, and since when; None if it was so before the time."""

    finding: Finding
    since_ms: int | None


def changes(row: FeatureRow, rows: Sequence[int]) -> Iterator[Change]:
    """Those of one feature; `rows` are how many there were in each step, with the feature or without it."""
    yield from _stopped(row.steps, rows)
    yield from _type_change(row)
    yield from _stale(row.steps)


def _stopped(steps: Sequence[Step], rows: Sequence[int]) -> Iterator[Change]:
    given = [(step, count) for step, count in zip(steps, rows, strict=True) if count]
    before, tail = _split(given, lambda item: item[0].row is None)
    if not _lasts(len(tail), before, lambda item: item[0].row is None):
        return
    came, were = sum(step.row.every.samples for step, _ in before if step.row), sum(count for _, count in before)
    absent = sum(count for _, count in tail)
    if absent * -math.log1p(-min(came, were) / (were + 1)) < LOG_ODDS:
        return
    usual = f"; before, {percent(min(1.0, came / were))} of them had it"
    says = f"it has stopped: none of {absent:,} rows has it{usual}"
    yield Change(Finding("stopped", HIGH, absent / (were + absent), 0.0, says, "missing_share"), _begin(tail[0][0]))


def _stale(steps: Sequence[Step]) -> Iterator[Change]:
    full = [(step, step.row.every) for step in steps if step.row and _values(step.row.every) >= VALUES_MIN]
    if not full:
        return
    stuck = _value(full[-1][1])
    before, tail = _split(full, lambda item: stuck is not None and _value(item[1]) == stuck)
    samples = sum(_values(every) for _, every in tail)
    if samples < SAMPLES_MIN or not _lasts(len(tail), before, lambda item: is_constant(item[1])):
        return
    if _log_odds([every for _, every in before], [every for _, every in tail], samples) < LOG_ODDS:
        return
    last = tail[-1][1]
    value = f": {last.low:g}" if last.finite else ""
    says = f"it does not change any more: the last {samples:,} values are the same{value}; before, it varied"
    yield Change(Finding("stale", MEDIUM, 1.0, 0.0, says, "constant"), _begin(tail[0][0]))


def _values(every: Counted) -> int:
    return every.samples - every.nulls


def _value(every: Counted) -> float | int | None:
    """The one value that a step has, or the bin of its category; None if there are several, or it is not known."""
    if not is_constant(every):
        return None
    if every.finite:
        return every.low
    filled = [place for place, count in enumerate(every.counts or ()) if count]
    return filled[0] if len(filled) == 1 and filled[0] + 1 < len(every.counts or ()) else None


def _log_odds(before: Sequence[Counted], tail: Sequence[Counted], samples: int) -> float:
    """Against one value at a stretch, if it is as frequent as it was; it is no more frequent than its bin.

    Where there are no bins: against its being at the end that the steps are which have one value.
    """
    bins = tail[-1].counts
    alike = [every.counts for every in before if every.counts is not None and bins and len(every.counts) == len(bins)]
    if bins and alike:
        place = max(range(len(bins)), key=bins.__getitem__)
        seen, total = sum(counts[place] for counts in alike), sum(map(sum, alike))
        return samples * -math.log((seen + 1) / (total + 1))
    return math.log(math.comb(len(before) + len(tail), len(tail)))


def _type_change(row: FeatureRow) -> Iterator[Change]:
    full = [(step, step.row.every) for step in row.steps if step.row and _values(step.row.every) >= VALUES_MIN]
    if not full:
        return
    now = _type(full[-1][1])
    before, tail = _split(full, lambda item: _type(item[1]) == now)
    samples = sum(_values(every) for _, every in tail)
    usual = _expected_type(row.row.expected) or _type_before([every for _, every in before])
    if now is None or usual is None or now == usual or samples < SAMPLES_MIN:
        return
    share = sum(_of_type(every)[now] for _, every in tail) / samples
    of_last = f"{percent(share)} of the last {samples:,} values are"
    says = f"it came as {usual}, and {of_last} {now}"
    if row.row.expected:  # over whose bins text is of a wrong type where numbers belong, and no text
        says = f"the reference has it as {usual}, and {of_last} no {usual}"
    metric = "wrong_type_share" if row.row.expected else "distinct"
    yield Change(Finding("type_change", HIGH, share, 0.0, says, metric), _begin(tail[0][0]) if before else None)


def _expected_type(expected: Expected | None) -> str | None:
    return None if expected is None else NUMBERS if expected.is_number else TEXT


def _type_before(before: Sequence[Counted]) -> str | None:
    """What nearly all values were, in every one of several steps."""
    types = {_type(every) for every in before}
    return types.pop() if len(before) >= BEFORE_MIN and len(types) == 1 else None


def _of_type(every: Counted) -> dict[str, int]:
    return {NUMBERS: every.numbers + every.nans, TEXT: every.categories, NEITHER: every.wrong_types}


def _type(every: Counted) -> str | None:
    """What nearly all values are; None if there is no such type."""
    kind, count = max(_of_type(every).items(), key=lambda item: item[1])
    return kind if count >= MOST * _values(every) else None


def _split(items: Sequence[_T], has_it: Callable[[_T], bool]) -> tuple[Sequence[_T], Sequence[_T]]:
    """What is before, and those at the end that all have it."""
    end = len(items)
    while end and has_it(items[end - 1]):
        end -= 1
    return items[:end], items[end:]


def _lasts(count: int, before: Sequence[_T], has_it: Callable[[_T], bool]) -> bool:
    """True if so many steps are more than there ever were at a stretch before."""
    longest = max((len(list(run)) for is_run, run in groupby(before, has_it) if is_run), default=0)
    return len(before) >= BEFORE_MIN and count >= max(STEPS_MIN, TIMES_LONGER * longest)


def _begin(step: Step) -> int:
    return step.span.from_ms
