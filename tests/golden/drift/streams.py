"""Streams of values whose mean or rate changes, the same on every machine: river's detections on them are golden.

Python promises that `random()` of a seeded `Random` is the same in every version, and no more; so the numbers are made
of it alone.
"""

from __future__ import annotations

from itertools import chain
from random import Random


def errors(seed: int, *parts: tuple[int, float]) -> list[int]:
    """1 for an error, 0 for none: so many values at such a rate, and so on."""
    chance = Random(seed)
    return [int(chance.random() < rate) for count, rate in parts for _ in range(count)]


def numbers(seed: int, *parts: tuple[int, float, float]) -> list[float]:
    """Sums of four uniform numbers, to three digits: so many values of such a mean and width, and so on."""
    chance = Random(seed)
    return [
        round(mean + width * (sum(chance.random() for _ in range(4)) - 2), 3)
        for count, mean, width in parts
        for _ in range(count)
    ]


def ramp(seed: int, count: int, rates: tuple[float, float]) -> list[int]:
    """Errors whose rate changes evenly."""
    chance = Random(seed)
    first, last = rates
    return [int(chance.random() < first + (last - first) * index / count) for index in range(count)]


ERRORS = {
    "steady errors": errors(1, (6_000, 0.1)),
    "more errors": errors(2, (2_000, 0.1), (2_000, 0.25), (1_000, 0.1)),
    "many more errors": errors(3, (1_500, 0.05), (1_500, 0.6)),
    "fewer errors": errors(4, (2_000, 0.4), (2_000, 0.1)),
    "slowly more errors": [*errors(5, (2_000, 0.1)), *ramp(6, 4_000, (0.1, 0.4))],
    "no errors, then some": errors(7, (300, 0.0), (700, 0.02)),
    "nothing but errors": errors(8, (200, 1.0), (200, 0.5)),
}

NUMBERS = {
    "steady": numbers(11, (6_000, 0.0, 1.0)),
    "a step": numbers(12, (2_000, 0.0, 1.0), (2_000, 0.4, 1.0), (1_000, 0.0, 1.0)),
    "a large step": numbers(13, (1_500, 10.0, 2.0), (1_500, 25.0, 2.0)),
    "a step down": numbers(14, (2_000, 3.0, 1.0), (2_000, 1.0, 1.0)),
    "wider": numbers(15, (2_000, 0.0, 1.0), (2_000, 0.0, 6.0)),
    "all the same, then not": list(chain([5.0] * 700, numbers(16, (700, 5.5, 0.1)))),
}
