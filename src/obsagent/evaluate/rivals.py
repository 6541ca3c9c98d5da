"""Versions of a model on the same truths: which one is wrong where the other is right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from obsagent.answer.of_outcomes import MODEL
from obsagent.answer.outcome_metrics import NUMBERS
from obsagent.answer.outcomes import Ledger, Pairs
from obsagent.answer.ranges import Span
from obsagent.answer.select import Group
from obsagent.performance import paired_test
from obsagent.performance.counts import CONFIDENCE
from obsagent.performance.intervals import around

Report = dict[str, Any]

CHAMPION = ("live", "")
SIDE = ("version", "variant")


def rivals(ledger: Ledger, groups: Sequence[tuple[Group, str]], span: Span) -> list[Report]:
    """Each version or variant beside the one that is live, of the same model and slice.

    `groups` are the rows of a report with the model's task; the first of a model and slice stands in for a live one.
    """
    found = []
    for _, members in groupby(sorted(groups, key=lambda each: _apart(each[0])), key=lambda each: _apart(each[0])):
        rows = list(members)
        champion = next((row for row in rows if row[0].labels["variant"] in CHAMPION), rows[0])
        found += [_compared(ledger, champion, row, span) for row in rows if row is not champion]
    return [report for report in found if report["truths"]]


def _apart(group: Group) -> tuple[tuple[str, str], ...]:
    """What two sides must have in common."""
    return tuple(pair for pair in group.key if pair[0] not in SIDE)


def _compared(ledger: Ledger, first: tuple[Group, str], second: tuple[Group, str], span: Span) -> Report:
    ours, theirs = ([series.id for series in group.series] for group, _ in (first, second))
    pairs = ledger.pairs(ours, theirs, span.read_from_ms, span.to_ms)
    labels = first[0].labels
    return {
        "model": labels[MODEL],
        "labels": {label: value for label, value in labels.items() if label not in (MODEL, *SIDE)},
        **{
            side: {name: group.labels[name] for name in SIDE}
            for side, (group, _) in (("first", first), ("second", second))
        },
        "truths": pairs.rows,
        **(_of_numbers(pairs) if first[1] == NUMBERS else _of_classes(pairs)),
    }


def _of_classes(pairs: Pairs) -> Report:
    found = paired_test(pairs.first_wrong, pairs.second_wrong, pairs.rows)
    better = None
    if found.anytime_p_value < 1 - CONFIDENCE:
        better = "first" if pairs.second_wrong > pairs.first_wrong else "second"
    return {
        "first_wrong": pairs.first_wrong,
        "second_wrong": pairs.second_wrong,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "anytime_p_value": found.anytime_p_value,
        "better": better,
    }


def _of_numbers(pairs: Pairs) -> Report:
    """The normal interval of the mean difference of paired rows."""
    rows = max(pairs.rows, 1)
    mean = pairs.difference / rows
    variance = max(pairs.difference_squared / rows - mean * mean, 0.0)
    low, high = around(mean, math.sqrt(variance / max(rows - 1, 1)), CONFIDENCE) if pairs.rows > 1 else (None, None)
    sides: Iterable[tuple[str, bool]] = (
        ("first", low is not None and low > 0),
        ("second", high is not None and high < 0),
    )
    return {
        "first_wrong": None,
        "second_wrong": None,
        "difference": mean,
        "low": low,
        "high": high,
        "p_value": None,
        "anytime_p_value": None,
        "better": next((side for side, is_better in sides if is_better), None),
    }
