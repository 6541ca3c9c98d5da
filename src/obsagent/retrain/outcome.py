"""What became of a command or of a call."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """`says` is a sentence's end for people: `exited with 0 after 3s`."""

    worked: bool
    says: str
    code: int | None = None
    """The command's exit status, below 0 a signal's; or the status of HTTP."""
    may_try_again: bool = False
    """True if the same could work later."""
