"""What answers ask of the ledger: which models it has predictions of, and how often what was predicted came true.

`obsagent.ledger` implements this; a view hands it in, so that an answer can be made from any. Arrays are numpy's, which
nothing here loads.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

CLASSIFICATION, REGRESSION = "classification", "regression"

OTHER, NUMBER, NONE = 1_024, 1_025, 1_026
"""Codes in place of a class: one of those that a model has no room for; a number; all predictions, with a truth or not.
"""

NO_BIN = -1
"""The bin of a prediction without a score."""

ERROR_OCTAVES = 64
"""So many octaves below and above 1 have bins for magnitudes of errors: those of `obsagent.performance`, and more."""


class OutcomeModel(Protocol):
    """What the ledger knows of a model."""

    @property
    def name(self) -> str:
        """The model."""
        ...

    @property
    def task(self) -> str:
        """`CLASSIFICATION` or `REGRESSION`; empty while nothing is known."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The names of its classes, by code."""
        ...

    @property
    def positive(self) -> str:
        """The class whose probability the scores are; empty while that is not known."""
        ...

    @property
    def negative(self) -> str:
        """The other one of two classes, whatever truths name besides; empty of more, and while that is not known."""
        ...


class OutcomeSeries(Protocol):
    """Predictions of one version of a model, in one combination of slices."""

    @property
    def number(self) -> int:
        """What it is called in arrays."""
        ...

    @property
    def model(self) -> str:
        """The model."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def variant(self) -> str:
        """Its role: live, canary, shadow."""
        ...

    @property
    def slice(self) -> Mapping[str, str]:
        """Labels and values of the slice."""
        ...

    @property
    def task(self) -> str:
        """What was predicted: classes or numbers."""
        ...


class Outcomes(Protocol):
    """Counts and sums of a time, arrays of one length by the name of a column.

    `window_ms` is the start of the step, or of the whole time without steps, that the PREDICTION lies in; `predicted`
    and `truth` are codes of classes, or those above.
    """

    @property
    def counts(self) -> Mapping[str, Any]:
        """`window_ms series predicted truth bin count`: how many predictions; `bin` is that of the score, of [0, 1] in
        `SCORE_BINS`, and of numbers that of the error. Under the truth `NONE` all predictions are counted.
        """
        ...

    @property
    def class_sums(self) -> Mapping[str, Any]:
        """`window_ms series predicted truth count score score_squared log_score log_rest`: sums over scores."""
        ...

    @property
    def number_sums(self) -> Mapping[str, Any]:
        """`window_ms series count error absolute squared relative_count relative truth truth_squared`: sums over errors
        (prediction − truth), over |error / truth| where the truth is not 0, and over truths.
        """
        ...


class Pairs(Protocol):
    """Requests that two sides predicted, whose truth is known: each side's newest prediction of each."""

    @property
    def rows(self) -> int:
        """How many."""
        ...

    @property
    def first_wrong(self) -> int:
        """Of classes, those that only the first side got wrong."""
        ...

    @property
    def second_wrong(self) -> int:
        """Those that only the second side got wrong."""
        ...

    @property
    def difference(self) -> float:
        """Σ of the second side's loss less the first's: 1 for a wrong class; of numbers |error|."""
        ...

    @property
    def difference_squared(self) -> float:
        """Σ of the squares of these."""
        ...


class Gap(Protocol):
    """A time of which something that was acknowledged may be missing."""

    @property
    def from_ms(self) -> int:
        """Its begin."""
        ...

    @property
    def to_ms(self) -> int:
        """Its end, which is not in it."""
        ...

    @property
    def reason(self) -> str:
        """What is damaged or missing, in words."""
        ...


class Ledger(Protocol):
    """A consistent snapshot. Times are milliseconds since the epoch, UTC."""

    def models(self) -> Sequence[OutcomeModel]:
        """Every model with predictions that carry ids."""
        ...

    def series(self) -> Sequence[OutcomeSeries]:
        """Every series, whenever it was predicted."""
        ...

    def window_ms_from(self, from_ms: int) -> int:
        """The length of the longest windows in which outcomes are kept from that time on."""
        ...

    def outcomes(self, numbers: Collection[int], from_ms: int, to_ms: int, step_ms: int = 0) -> Outcomes:
        """Of some series, what was predicted in windows that start in `[from_ms, to_ms)`, merged by step."""
        ...

    def gaps(self) -> Sequence[Gap]:
        """The times of which outcomes are lost, with what was found out by reading; so ask after that."""
        ...

    def pairs(self, first: Collection[int], second: Collection[int], from_ms: int, to_ms: int) -> Pairs:
        """What two sides, each some series of one model, made of the same requests, both in windows of the time."""
        ...
