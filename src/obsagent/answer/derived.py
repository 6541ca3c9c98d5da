"""Metrics that are computed from others, over the asked range: from merged counts, never from windows' values."""

from __future__ import annotations

from typing import NamedTuple

from obsagent.answer.stats import Stat


class Operand(NamedTuple):
    """A statistic of a metric."""

    metric: str
    stat: Stat


class Quotient(NamedTuple):
    """A derived metric: one statistic by another. A numerator that was never counted is 0."""

    numerator: Operand
    denominator: Operand
    unit: str
    help: str


SUM = Stat("sum")

DERIVED = {
    "error_rate": Quotient(
        Operand("errors", SUM),
        Operand("requests", SUM),
        "ratio",
        "share of the requests that raised or ended with a status of 500 or more",
    ),
}
