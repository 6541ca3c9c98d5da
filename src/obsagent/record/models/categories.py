"""Features whose categories are nearly all new: ids of requests, of users, of cards.

A category costs memory in this process and travels by its name. One that is never seen again tells nothing, and may be
somebody's. So names are judged as values of labels are (`obsagent.record.near_unique`), though by less: at every 200th
new one, if no more than 2 % of the texts since the 200 before were repetitions, and four of five of them look made up.
New ones then count by their hashes alone: as others, and among the distinct values. What looks like a word is never
refused, and there is room for 1,024 names in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from obsagent.record.near_unique import MADE_UP_SHARE, looks_made_up
from obsagent.record.refusals import NEAR_UNIQUE, Refusal, shortened

if TYPE_CHECKING:
    from obsagent._native.ring import Column, Recorder

Refuse = Callable[[str, Refusal, str, int], None]


class Categories:
    """The columns of one client, as far as new categories are refused in them. Thread-safe."""

    def __init__(self, refuse: Refuse) -> None:
        """`refuse` counts refused values, with what the log says of the first."""
        self._refuse = refuse
        self._lock = threading.Lock()
        self._refusing: dict[int, tuple[Column, Refusal, int]] = {}

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def watch(self, recorder: Recorder, feature: str, number: int) -> None:
        """Judges the categories of a new column."""
        column: Any = recorder.column(number)
        column.watch_names(partial(self._are_refused, column, feature))

    def _are_refused(self, column: Column, feature: str, names: list[str]) -> bool:
        if sum(map(looks_made_up, names)) < MADE_UP_SHARE * len(names):
            return False
        refusal = Refusal(feature, names[-1], NEAR_UNIQUE)
        with self._lock:
            self._refusing[column.series] = column, refusal, column.refused_names
        self._refuse("feature", refusal, _text(refusal), 1)
        return True

    def tell(self) -> None:
        """Once a second: counts what was refused since."""
        for number, (column, refusal, told) in list(self._refusing.items()):
            refused = column.refused_names
            if refused > told:
                self._refusing[number] = column, refusal, refused
                self._refuse("feature", refusal, "", refused - told)


def _text(refusal: Refusal) -> str:
    return (
        f"feature: nearly every category of {refusal.label} is a new one, such as {shortened(refusal.value)}: new ones "
        'count as "other", and are in nothing but the count of distinct values. Leave the feature out, or name it in '
        "`drop` in the agent's [models] configuration"
    )
