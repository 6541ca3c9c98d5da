"""What clients have refused because of their labels, by service, metric and label: in memory, for the status.

Clients tell it again and again, cumulative over their session, so that a restarted agent learns it anew from those that
are there.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from obsagent.limits import REFUSED_LABEL_EXAMPLES, REFUSED_LABELS
from obsagent.wire.frame import RefusedLabel


class Blamed(NamedTuple):
    """The label of a metric of a service, and why it was refused."""

    service: str
    metric: str
    label: str
    reason: str


class Refusals:
    """How often a label was refused over all sessions, and the latest examples."""

    __slots__ = ("examples", "refused")

    def __init__(self) -> None:
        """Nothing yet."""
        self.refused = 0
        self.examples: deque[str] = deque(maxlen=REFUSED_LABEL_EXAMPLES)


class RefusedLabelBook:
    """Belongs to the ingest thread; `rows` may be asked by any."""

    def __init__(self, labels_max: int = REFUSED_LABELS) -> None:
        """Beyond `labels_max` labels those that were told of first are forgotten."""
        self._labels_max = labels_max
        self._book: dict[Blamed, Refusals] = {}
        self._told: dict[bytes, dict[Blamed, int]] = {}

    def tell(self, session: bytes, service: str, rows: list[RefusedLabel]) -> None:
        """What a session has refused so far; a count that fell counts nothing."""
        if not rows:
            return
        before = self._told.get(session, {})
        now: dict[Blamed, int] = {}
        for row in rows:
            blamed = Blamed(service, row.metric, row.label, row.reason)
            now[blamed] = row.refused
            self._add(blamed, row.refused - before.get(blamed, 0), row.examples)
        self._told[session] = now

    def _add(self, blamed: Blamed, refused: int, examples: list[str]) -> None:
        if refused <= 0:
            return
        entry = self._book.get(blamed)
        if entry is None:
            while len(self._book) >= self._labels_max:
                del self._book[next(iter(self._book))]
            entry = self._book[blamed] = Refusals()
        entry.refused += refused
        entry.examples.extend(example for example in examples if example not in entry.examples)

    def forget(self, session: bytes) -> None:
        """The session has ended; what it refused stays."""
        self._told.pop(session, None)

    def rows(self) -> list[dict[str, Any]]:
        """`{"service", "metric", "label", "reason", "refused", "examples"}`, most often refused ones first."""
        rows = [
            {**blamed._asdict(), "refused": entry.refused, "examples": list(entry.examples)}
            for blamed, entry in list(self._book.items())
        ]
        return sorted(rows, key=lambda row: (-row["refused"], row["service"], row["metric"], row["label"]))
