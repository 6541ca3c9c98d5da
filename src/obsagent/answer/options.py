"""How to answer, beside what is asked: what a reader chooses that is not part of the query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from obsagent.answer.expected import NO_REFERENCES, References
from obsagent.errors import UsageError
from obsagent.samples import SKETCHES

LOGHIST, TDIGEST = SKETCHES


@dataclass(frozen=True, slots=True)
class Options:
    """`sketch` answers quantiles, `zone` is the reader's (None: this machine's), `explain` adds what was read.

    `exemplars` adds to each row the largest observations that have an id. `references` are what features are compared
    with.
    """

    sketch: str = LOGHIST
    explain: bool = False
    zone: tzinfo | None = None
    exemplars: bool = False
    references: References = NO_REFERENCES

    def __post_init__(self) -> None:
        if self.sketch not in SKETCHES:
            raise UsageError(f"there is no sketch `{self.sketch}`: expected {' or '.join(SKETCHES)}")
