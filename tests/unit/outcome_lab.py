"""A store with a real ledger, into which predictions and truths come as clients send them, and what was sent."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from by_id_lab import classes, numbers
from store_lab import Producer, TurnedClock, begin

from obsagent.answer.execute import answer
from obsagent.answer.expected import NO_REFERENCES, References
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.by_id import columns
from obsagent.by_id.batches import Batch, Predictions, Truths, Values
from obsagent.by_id.codec import ids_of
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Records
from obsagent.head.ledger_port import open_ledger
from obsagent.head.store import Store
from obsagent.samples import Kind


class Made(NamedTuple):
    """A prediction as it was sent."""

    id: str
    at_ms: int
    value: Any
    score: float | None
    version: str
    variant: str
    country: str


class OutcomeDesk:
    """One store and one session; `made` and `told` are all that was sent."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = TurnedClock()
        self.producer = Producer("p")
        self.sequence = 0
        self.made: list[Made] = []
        self.told: dict[str, Any] = {}
        self._open()
        begin(self.store, self.producer, [Kind.COUNTER])

    def _open(self) -> None:
        self.store = Store.open(
            self.directory, clock=self.clock, budgets=Budgets(journal_file_bytes=20_000), ledger=open_ledger
        )

    def kill(self) -> None:
        """Nothing is closed; what was synced is there."""
        self.store.sync()
        self.store._store_lock.release()
        self._open()

    def predict(self, model: str, rows: Sequence[Made]) -> None:
        """One batch for each version, variant and slice."""
        apart: dict[tuple[str, str, str], list[Made]] = {}
        for row in rows:
            apart.setdefault((row.version, row.variant, row.country), []).append(row)
        for (version, variant, country), own in apart.items():
            scores = [-1.0 if row.score is None else row.score for row in own]
            batch = Predictions(
                model,
                version,
                variant,
                (("country", country),),
                ids_of([row.id for row in own]),
                columns.pack(columns.TIME, [row.at_ms for row in own]),
                values([row.value for row in own]),
                columns.pack(columns.NUMBER, scores) if own[0].score is not None else b"",
            )
            self._write(batch)
        self.made += rows

    def tell(self, model: str, truths: Iterable[tuple[str, Any]]) -> None:
        """In this order, at rising times."""
        rows = list(truths)
        at_ms = range(self.clock.now_ms, self.clock.now_ms + len(rows))
        ids = ids_of([name for name, _ in rows])
        self._write(Truths(model, ids, columns.pack(columns.TIME, at_ms), values([truth for _, truth in rows])))
        self.clock.now_ms += len(rows)
        self.told |= dict(rows)

    def _write(self, batch: Batch) -> None:
        self.sequence += len(batch.ids)
        self.store.write(Records(self.producer.session, self.sequence, 0, len(batch.ids), batch))

    def ask(self, text: str, references: References = NO_REFERENCES) -> list[Any]:
        """The rows of an answer, as of the clock."""
        found = answer(parse(text), self.store.view(), self.clock.now_ms, Options(references=references))
        return found["series"]

    def joined(self, **labels: str) -> list[tuple[Made, Any]]:
        """What has a truth, of some labels."""
        return [
            (row, self.told[row.id])
            for row in self.made
            if row.id in self.told and all(getattr(row, name) == value for name, value in labels.items())
        ]


def values(given: Sequence[Any]) -> Values:
    return classes(*given) if isinstance(given[0], str) else numbers(*map(float, given))


def in_disorder(chance: random.Random, rows: Sequence[Any], times: int) -> list[list[Any]]:
    """Shuffled, in so many parts."""
    shuffled = list(rows)
    chance.shuffle(shuffled)
    return [shuffled[part::times] for part in range(times)]
