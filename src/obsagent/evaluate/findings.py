"""What is wrong with the data of one feature: pure, from what was counted and what a reference expects.

A share is a finding where it is more than the reference's beyond chance (four standard deviations, and one sample) and
more than half a point; of what the reference has none of at all, from the first sample on. Without a reference nulls
are a finding from a twentieth on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from obsagent.answer.expected import Expected
from obsagent.answer.feature_metrics import is_constant
from obsagent.answer.of_features import Compared

HIGH, MEDIUM, LOW = "high", "medium", "low"
SEVERITIES = (HIGH, MEDIUM, LOW)
DEVIATIONS = 4.0
POINTS = 0.005
NULLS_WITHOUT_REFERENCE = 0.05
CONSTANT_SAMPLES = 100
"""Fewer values that are all the same say nothing."""
HIGH_SHARE, MEDIUM_SHARE = 0.2, 0.02


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `share` of the samples (`missing`: of the rows) have it, `expected` the reference's."""

    what: str
    severity: str
    share: float
    expected: float | None
    says: str
    metric: str
    """What to ask for to look closer."""


def findings(row: Compared, rows: int) -> Iterator[Finding]:
    """Everything that is wrong with a feature of which something came; `rows` were given, with it or without."""
    found, expected = row.every, row.expected
    samples = found.samples
    yield from _missing(rows, samples)
    yield from _nulls(found.nulls, samples, expected)
    total = expected.samples if expected else 0.0
    nans = expected.nans / total if expected and total else 0.0
    infinities = (expected.positive_infinities + expected.negative_infinities) / total if expected and total else 0.0
    wrong = expected.wrong_types / total if expected and total else 0.0
    yield from _share("nan", "are NaN", "nan_share", found.nans, samples, nans)
    yield from _share("infinite", "are infinite", "infinite_share", found.infinities, samples, infinities)
    yield from _share("wrong_type", _types(expected), "wrong_type_share", found.wrong_types, samples, wrong, HIGH)
    yield from _outside(row)
    is_varied = expected is None or not expected.is_constant
    if is_varied and is_constant(found) and samples - found.nulls >= CONSTANT_SAMPLES:
        value = f": {found.low:g}" if found.finite else ""
        says = f"all {samples - found.nulls:,} values are the same{value}"
        yield Finding("constant", MEDIUM, 1.0, None, says, "constant")


def _missing(rows: int, samples: int) -> Iterator[Finding]:
    absent = rows - samples
    if absent > 0:
        share = absent / rows
        says = f"{percent(share)} of {rows:,} rows do not have it"
        yield Finding("missing", graded(share), share, 0.0, says, "missing_share")


def _nulls(nulls: int, samples: int, expected: Expected | None) -> Iterator[Finding]:
    if expected is not None and expected.samples:
        yield from _share("null", "are null", "null_share", nulls, samples, expected.nulls / expected.samples)
    elif samples and nulls / samples >= NULLS_WITHOUT_REFERENCE:
        share = nulls / samples
        says = f"{percent(share)} of {samples:,} values are null; there is no reference to say whether that is right"
        yield Finding("null", LOW, share, None, says, "null_share")


def _outside(row: Compared) -> Iterator[Finding]:
    """Beyond what the reference has seen: a sample of it does not know its own extremes better than to two of all."""
    expected, found = row.expected, row.found
    if expected is None or found is None or found.counts is None or len(found.counts) != len(expected.counts):
        return
    seen = math.fsum(expected.counts)
    inside = sum(found.counts)
    if expected.is_number:
        share = (expected.counts[0] + expected.counts[-1]) / seen if seen else 0.0
        by_nature = max(share, 2 / seen) if seen else 0.0
        outside = found.counts[0] + found.counts[-1]
        lows = f"{expected.edges[0]:g} … {expected.edges[-1]:g}" if expected.edges else "the reference's range"
        yield from _share(
            "out_of_range", f"are outside {lows}", "out_of_range_share", outside, inside, by_nature, known=share
        )
    else:
        share = expected.counts[-1] / seen if seen else 0.0
        by_nature = max(share, 1 / seen) if seen else 0.0
        yield from _share(
            "unseen", "are categories that are new", "unseen_share", found.counts[-1], inside, by_nature, known=share
        )


def _share(
    what: str,
    says: str,
    metric: str,
    count: int,
    samples: int,
    expected: float,
    worst: str | None = None,
    *,
    known: float | None = None,
) -> Iterator[Finding]:
    """`known` is the reference's own share, where more than that is `expected` by nature."""
    if not samples or not count or not is_more(count, samples, expected, POINTS if known is None else 0.0):
        return
    share = count / samples
    of_reference = expected if known is None else known
    compared = f", {percent(of_reference)} in the reference" if of_reference else ""
    text = f"{percent(share)} of {samples:,} values {says}{compared}"
    severity = worst if worst and share >= MEDIUM_SHARE else graded(share - expected)
    yield Finding(what, severity, share, of_reference, text, metric)


def is_more(count: int, samples: int, expected: float, points: float = POINTS) -> bool:
    """True if so many of the samples are more than the expected share, chance and what matters to nobody aside."""
    if not expected:
        return count > 0
    mean = samples * expected
    spread = math.sqrt(mean * max(0.0, 1 - expected))
    return count - mean > DEVIATIONS * spread + 1 and count / samples - expected > points


def graded(excess: float) -> str:
    """How grave it is that so many more have something than should."""
    return HIGH if excess >= HIGH_SHARE else MEDIUM if excess >= MEDIUM_SHARE else LOW


def _types(expected: Expected | None) -> str:
    if expected is None:
        return "are neither numbers nor text"
    return "are no numbers" if expected.is_number else "are no text"


def percent(share: float) -> str:
    """A share for people."""
    return f"{share * 100:.3g} %"
