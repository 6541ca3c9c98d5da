"""One thread applies, one keeps up, one asks: nobody sees half of a batch, and nothing is lost between them."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from ledger_lab import Oracle, all_outcomes, apply, at_ms, check_classes, predictions, reopened, truths

from obsagent.ledger import upkeep
from obsagent.ledger.ledger import Ledger

BATCHES, ROWS = 60, 30


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEDGER_MERGED_RUNS", 2)


class Keeper(threading.Thread):
    """Flushes at a position only while nobody applies, as the store does, and merges whenever it likes."""

    def __init__(self, ledger: Ledger, store_lock: threading.Lock) -> None:
        super().__init__()
        self.ledger, self.store_lock = ledger, store_lock
        self.position = 0
        self.ended = threading.Event()
        self.flushes = 0

    def run(self) -> None:
        while not self.ended.is_set():
            with self.store_lock:
                self.ledger.flush(self.position, at_ms(60))
            self.flushes += 1
            self.ledger.upkeep()


class Asker(threading.Thread):
    """Every batch of predictions has so many rows: a view that had half of one would count others."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.ended = threading.Event()
        self.seen: list[int] = []
        self.wrong: list[int] = []

    def run(self) -> None:
        while not self.ended.is_set():
            for (outcomes,) in all_outcomes(self.ledger).values():
                self.seen.append(outcomes.predictions)
                assert outcomes.classes is not None
                if outcomes.predictions % ROWS or outcomes.joined != outcomes.classes.confusion.sum():
                    self.wrong.append(outcomes.predictions)


def test_threads_get_along(tmp_path: Path) -> None:
    ledger, store_lock, chance, oracle = reopened(tmp_path), threading.Lock(), random.Random(2), Oracle()
    keeper, asker = Keeper(ledger, store_lock), Asker(ledger)
    keeper.start()
    asker.start()
    for position in range(BATCHES):
        names = [f"r{chance.randrange(200)}" for _ in range(ROWS)]
        with store_lock:
            if position % 2:
                told = [(name, position, float(chance.randrange(2))) for name in names]
                assert apply(ledger, truths(told), position) == oracle.tell(told)
            else:
                rows = [(name, position % 50, float(chance.randrange(2)), chance.random()) for name in names]
                apply(ledger, predictions(rows), position)
                oracle.predict("1", rows)
            keeper.position = position + 1
    for thread in (keeper, asker):
        thread.ended.set()
        thread.join()
    assert asker.seen == sorted(asker.seen)
    assert asker.wrong == []
    assert keeper.flushes > 3
    ledger.flush(BATCHES, at_ms(60))
    for (outcomes,) in all_outcomes(reopened(tmp_path)).values():
        check_classes(outcomes, oracle.joined("1"))
