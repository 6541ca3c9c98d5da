"""Records in a store: journalled, applied to the ledger once, replayed after a kill, kept until they are flushed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import by_id_lab as lab
import pytest
from filed_ledger import FiledLedger
from store_lab import Producer, TurnedClock, begin, make_body

from obsagent.by_id.batches import Forgotten
from obsagent.by_id.codec import ids_of
from obsagent.by_id.report import TruthReport
from obsagent.errors import CorruptData, StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.entries import NO_SESSION, Records, decode, encode
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind


class Desk:
    """A store, one session, and its records."""

    def __init__(self, directory: Path, **budgets: int) -> None:
        self.directory = directory
        self.clock = TurnedClock()
        self.budgets = Budgets(**budgets)
        self.producer = Producer("p")
        self.sequence = 0
        self.open()
        begin(self.store, self.producer, [Kind.COUNTER])

    def open(self) -> None:
        self.ledgers: list[FiledLedger] = []

        def open_ledger(*where: Any) -> FiledLedger:
            self.ledgers.append(FiledLedger(*where))
            return self.ledgers[-1]

        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, ledger=open_ledger)

    def kill(self) -> None:
        """Nothing is closed; what was synced is there."""
        self.store._store_lock.release()
        self.open()

    @property
    def ledger(self) -> FiledLedger:
        (ledger,) = self.ledgers
        return ledger

    def write(self, batch: Any, dropped: int = 0) -> None:
        self.sequence += dropped + len(batch.ids)
        self.store.write(Records(self.producer.session, self.sequence, dropped, len(batch.ids), batch))

    def samples(self) -> None:
        body = make_body(enumerate(self.producer.defined), random.Random(1))
        self.store.write(self.producer.frame(self.clock.now_ms, *body))

    @property
    def journal_files(self) -> int:
        return len(list((self.directory / "journal").iterdir()))

    def truths(self) -> dict[str, Any]:
        return {text: known.truth for (_, text), known in self.ledger.known.items()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "store", journal_file_bytes=4_000)


def test_a_store_without_records_opens_no_ledger(desk: Desk) -> None:
    desk.samples()
    desk.store.close()
    assert desk.ledgers == []
    assert not desk.store._directory.ledger.exists()
    assert desk.store.records.status() is None
    assert desk.store.records.view() is None


def test_records_are_applied_once_and_reported(desk: Desk) -> None:
    desk.write(lab.predictions(["a", "b"]))
    entry = Records(desk.producer.session, 3, 0, 1, lab.truths(["a"]))
    for _ in range(2):
        desk.store.write(entry)
    assert desk.store.records.session(desk.producer.session) == (3, TruthReport(matched=1))
    assert len(desk.ledger.applied) == 2


def test_what_was_synced_is_replayed_after_a_kill(desk: Desk) -> None:
    desk.write(lab.predictions(["a"]))
    desk.write(lab.truths(["a"]), dropped=4)
    desk.store.sync()
    desk.kill()
    assert len(desk.ledger.applied) == 2
    state = desk.ledger.session(desk.producer.session)
    assert (state.last_record, state.dropped, state.report) == (6, 4, TruthReport(matched=1))


def test_what_was_flushed_is_not_applied_again(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    desk.store.records.flush()
    desk.write(lab.truths(["b"]))
    desk.store.sync()
    for _ in range(2):
        desk.kill()
        assert len(desk.ledger.applied) == 1
        assert desk.truths() == {"a": 1.0, "b": 1.0}


def test_the_journal_is_kept_until_its_records_are_flushed(desk: Desk) -> None:
    """Though checkpoints have all else: of files that only the ledger needs, nothing but records is applied."""
    for number in range(20):
        desk.write(lab.truths([f"id-{number}-{n}" for n in range(20)]))
        desk.samples()
        desk.store.sync()
        desk.clock.now_ms += WINDOW_MS
        desk.store.checkpoint()
    kept = desk.journal_files
    assert kept > 3
    total = desk.store.accounts()["shop"].stored
    desk.kill()
    assert len(desk.ledger.applied) == 20
    assert len(desk.truths()) == 400
    assert desk.store.accounts()["shop"].stored == total
    assert desk.journal_files >= kept
    assert desk.store.status()["corrupt"] == 0
    desk.store.records.flush()
    desk.store.checkpoint(anew=True)
    assert desk.journal_files <= 2


def test_nothing_but_idle_records_holds_the_journal(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    desk.store.records.flush()
    for _ in range(20):
        desk.samples()
        desk.store.sync()
        desk.clock.now_ms += WINDOW_MS
        desk.store.checkpoint()
    assert desk.journal_files <= 2


def test_a_flush_that_fails_loses_nothing(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    desk.ledger.fails = True
    with pytest.raises(StoreError, match="ledger"):
        desk.store.records.flush()
    desk.write(lab.truths(["b"]))
    assert desk.store.records.needed_from < desk.store.position()
    desk.store.sync()
    desk.kill()
    assert desk.truths() == {"a": 1.0, "b": 1.0}
    desk.store.records.flush()
    assert desk.ledger.position == desk.store.position()


def test_others_apply_while_it_is_written(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    began = desk.store.position()
    desk.ledger.while_writing = lambda: desk.write(lab.truths(["b"]))
    desk.store.records.flush()
    assert desk.store.records.needed_from >= began
    desk.store.sync()
    desk.kill()
    assert len(desk.ledger.applied) == 1
    assert desk.truths() == {"a": 1.0, "b": 1.0}


def test_it_is_flushed_when_it_wants_to_be_and_at_the_end(desk: Desk) -> None:
    assert not desk.store.records.maybe_flush()
    desk.write(lab.truths(["a"]))
    assert not desk.store.records.maybe_flush()
    desk.ledger.wants = True
    assert desk.store.records.maybe_flush()
    desk.write(lab.truths(["b"]))
    desk.store.close()
    desk.open()
    assert desk.ledger.applied == []
    assert desk.truths() == {"a": 1.0, "b": 1.0}


def test_records_of_a_session_that_was_never_opened_are_refused(desk: Desk) -> None:
    with pytest.raises(CorruptData):
        desk.store.write(Records(bytes(16), 1, 0, 1, lab.truths(["a"])))
    assert desk.ledger.applied == []


def test_what_is_to_be_forgotten_is_nobodys(desk: Desk) -> None:
    desk.write(lab.truths(["a", "b"]))
    desk.store.write(Records(NO_SESSION, 0, 0, 1, Forgotten("", ids_of(["a"]))))
    desk.store.sync()
    desk.kill()
    assert desk.truths() == {"b": 1.0}


def test_a_damaged_journal_is_set_aside_with_its_records_flushed(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    desk.store.sync()
    desk.write(lab.truths(["b"]))
    desk.store.sync()
    desk.write(lab.truths(["c"]))
    desk.store.sync()
    (path,) = (desk.directory / "journal").iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(b"b" + lab.times(lab.NOW_MS))] ^= 1
    path.write_bytes(data)
    desk.kill()
    assert desk.truths() == {"a": 1.0, "c": 1.0}
    desk.kill()
    assert desk.truths() == {"a": 1.0, "c": 1.0}
    assert desk.ledger.applied == []


def test_readers_need_no_ledger(desk: Desk) -> None:
    desk.write(lab.truths(["a"]))
    desk.store.sync()
    assert Store.open_read_only(desk.directory, clock=desk.clock).status()["corrupt"] == 0


def test_entries_of_records_are_written_and_read_alike() -> None:
    for batch in lab.golden_batches().values():
        entry = Records(bytes(range(16)), 7, 2, 3, batch)
        encoded = encode(entry)
        assert encode(decode(encoded.type, encoded.head + bytes(encoded.body))) == encoded
    with pytest.raises(CorruptData):
        decode(encoded.type, encoded.head)
