"""Slices: labels of the part of the data that a row belongs to, such as `country="DE"`.

Each combination of values makes a series of every feature. So values that are nearly all new (a user's id) are refused
as near-unique labels are: such a row counts with all its features, under `overflow="true"` instead of the slice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from obsagent.errors import FeatureError
from obsagent.limits import LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, SLICES_MAX
from obsagent.record.instruments import OVERFLOW_LABELS
from obsagent.record.metric_series import TURN_SERIES
from obsagent.record.near_unique import LabelWatch
from obsagent.record.refusals import LENGTH, NEAR_UNIQUE, Refusal, shortened
from obsagent.record.registry import LABEL_NAME, SET_BY_AGENT

SliceKey = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""
WHOLE: SliceKey = ()
"""The slice of rows that belong to none."""
RESERVED = SET_BY_AGENT | {"endpoint", "feature", "reference", "status"}


def slice_key(labels: Mapping[str, object]) -> SliceKey:
    """The slice of these labels, whose values are turned into text; raises `FeatureError` for a name that is none."""
    if len(labels) > SLICES_MAX:
        raise FeatureError(f"a slice of {len(labels)} labels; at most {SLICES_MAX} are allowed")
    for name in labels:
        if not LABEL_NAME.fullmatch(name) or len(name) > LABEL_NAME_BYTES_MAX:
            raise FeatureError(f"{name!r} is no name for a slice: letters, digits, _ and . are allowed")
        if name in RESERVED:
            raise FeatureError(f"the label {name!r} is set by obsagent; choose another name for the slice")
    return tuple(sorted((name, str(value)) for name, value in labels.items()))


class Slices:
    """The slices of one client's models, as far as they are told apart. Thread-safe."""

    def __init__(self, refuse: Callable[[Refusal, str], None]) -> None:
        """`refuse` counts a refused value, with what the log says of the first of its kind."""
        self._refuse = refuse
        self._lock = threading.Lock()
        self._watches: dict[str, LabelWatch] = {}
        self._new = 0

    def renew_lock(self) -> None:
        """After a fork, in the child: another thread may have held the lock."""
        self._lock = threading.Lock()

    def admit(self, key: SliceKey) -> tuple[dict[str, str], bool]:
        """The labels of rows of this slice, and whether it is time to ask for every slice again.

        That is so each 50 times: who asks again has come back. The caller remembers what it was told until then.
        """
        with self._lock:
            refusal = self._refusal(key)
            if refusal is None:
                for name, value in key:
                    self._watch(name).see(value)
                self._new += 1
                is_turn = self._new % TURN_SERIES == 0
                if is_turn:
                    self._turn()
        if refusal is None:
            return dict(key), is_turn
        self._refuse(refusal, _text(refusal))
        return dict(OVERFLOW_LABELS), False

    def _watch(self, name: str) -> LabelWatch:
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = LabelWatch()
        return watch

    def _refusal(self, key: SliceKey) -> Refusal | None:
        for name, value in key:
            if len(value.encode("utf-8", "replace")) > LABEL_VALUE_BYTES_MAX:
                return Refusal(name, value, LENGTH)
            if not self._watch(name).takes(value):
                return Refusal(name, value, NEAR_UNIQUE)
        return None

    def _turn(self) -> None:
        for watch in self._watches.values():
            if watch.seems_near_unique():
                watch.refuse_new()


def _text(refusal: Refusal) -> str:
    if refusal.reason == LENGTH:
        found = f"a value of the slice {refusal.label} is longer than {LABEL_VALUE_BYTES_MAX:,} bytes"
    else:
        found = f"nearly every value of the slice {refusal.label} is a new one, such as {shortened(refusal.value)}"
    return (
        f'feature: {found}: such rows count under {{overflow="true"}}. Give a slice few values: the country, not the '
        "user"
    )
