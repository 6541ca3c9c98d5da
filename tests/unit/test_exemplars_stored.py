"""An exemplar that was taken is there whatever becomes of the agent and of the files, and what is written of it is as
FORMAT.md says."""

from __future__ import annotations

import random
from pathlib import Path
from unittest.mock import Mock

import plain_reader
import pytest
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, check_store, make_body, make_exemplars
from tier_lab import TierLab

from obsagent.errors import CorruptData, StoreError
from obsagent.head import journal_format
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Frame, decode, encode
from obsagent.head.store import Store
from obsagent.head.verify import verify
from obsagent.limits import EXEMPLAR_BYTES, TIER_WINDOWS_MS, WINDOW_MS
from obsagent.samples import Exemplar, Kind
from obsagent.segment.tables import Tables, pack_exemplars, unpack_exemplars

SEEDS = (1, 2)


class Lab:
    """A store with one producer whose frames bring exemplars along."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.clock, self.chance = directory, TurnedClock(), random.Random(3)
        self.producer = Producer("p")
        self.open()
        begin(self.store, self.producer, list(Kind))

    def open(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=Budgets(segment_file_age_ms=3 * WINDOW_MS))

    def send(self, *, exemplars: bool = True) -> Frame:
        body = make_body(enumerate(self.producer.defined), self.chance)
        found = make_exemplars(self.producer.defined, self.clock.now_ms, self.chance) if exemplars else ()
        frame = self.producer.frame(self.clock.now_ms, *body, exemplars=found)
        self.store.write(frame)
        return frame

    def kill(self) -> None:
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def check(self) -> None:
        for store in (self.store, Store.open_read_only(self.directory, clock=self.clock)):
            assert check_store(store, [self.producer])


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_they_survive_kills_checkpoints_and_what_is_left_open(lab: Lab) -> None:
    for step in range(24):
        for _ in range(3):
            lab.send()
        lab.store.sync()
        if step % 3 == 0:
            lab.store.checkpoint(lab.clock.now_ms - lab.clock.now_ms % WINDOW_MS)  # leaves the newest window open
        if step % 4 == 3:
            lab.kill()
            lab.open()
        lab.check()
        lab.clock.now_ms += WINDOW_MS // 3
    assert len({each.window_ms for each in lab.store.view().collect_exemplars([0], 0, 1 << 60)}) >= 8
    assert verify(lab.directory, lab.clock)["sound"]


def test_a_checkpoint_that_fails_gives_them_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.send()
    with monkeypatch.context() as patch:
        patch.setattr("obsagent.head.store.write_checkpoint", Mock(side_effect=StoreError("the disk is full")))
        with pytest.raises(StoreError):
            lab.store.checkpoint()
    lab.send()
    lab.store.sync()
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_compaction_roll_ups_and_retention_keep_the_largest(tmp_path: Path, seed: int) -> None:
    lab = TierLab(tmp_path / "store", seed)
    for _ in range(4):
        lab.live(50 * 60_000)
        lab.look()
        lab.check(6)
        lab.crash()
    lab.check(6)
    assert {"60s", "3600s"} <= {name.split(".")[1] for name in lab.names() if name.count(".") == 2}
    assert verify(lab.directory, lab.clock)["sound"]


def test_what_is_written_is_what_the_description_says(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", 3)
    lab.live(40 * 60_000, upkeep=False)
    lab.store.checkpoint()
    for compacted in (False, True):
        if compacted:
            while lab.store.maybe_compact(lab.clock.now_ms) or lab.store.maybe_roll_up(lab.clock.now_ms):
                pass
            assert lab.names("-")
            assert lab.names(".3600s.")
        for window_ms in TIER_WINDOWS_MS:
            found = plain_reader.exemplars_of(plain_reader.read_store(lab.directory / "segments", window_ms), window_ms)
            wanted: dict[tuple[int, int], list[object]] = {}
            for (start, series), each in lab.truth().exemplars.items():
                row = [each.value, each.time_ms, each.trace_id, each.request_id]
                key = start - start % window_ms, series
                wanted[key] = max(wanted.get(key, row), row)
            assert found == wanted


def test_the_journal_is_as_the_description_says(lab: Lab) -> None:
    frames = [lab.send(), lab.send(exemplars=False), lab.send()]
    lab.store.sync()
    (path,) = (lab.directory / "journal").glob("*.journal")
    found = [entry for entry in plain_reader.read_journal(path)[1] if entry.type in (3, 8)]
    assert [entry.type for entry in found] == [8 if frame.exemplars else 3 for frame in frames]
    for entry, frame in zip(found, frames, strict=True):
        assert entry.fields[6] == frame.body
        rows = [
            [each.series_id, each.window_ms, each.value, each.time_ms, each.trace_id, each.request_id]
            for each in frame.exemplars
        ]
        assert entry.fields[7:] == ([rows] if rows else [])


def test_memory_and_cost_count_them(lab: Lab) -> None:
    lab.send(exemplars=False)
    before = lab.store.head_bytes()
    lab.producer.defined = lab.producer.defined[:1]
    while not lab.send().exemplars:
        pass
    assert lab.store.head_bytes() >= before + EXEMPLAR_BYTES
    lab.store.checkpoint()
    cost = lab.store.status()["cost"]["metrics"]["m_histogram"]
    assert cost["bytes"] > 100


FRAME = Frame(b"s" * 16, 1, 1, BEGIN_MS, BEGIN_MS + 9, Producer("x").accounts, b"the body", ())
EXEMPLAR = Exemplar(4, BEGIN_MS - BEGIN_MS % WINDOW_MS, 0.5, BEGIN_MS, "trace", "")


def journalled(exemplars: bytes, size: int | None = None) -> bytes:
    """The payload of a frame with these bytes for its exemplars."""
    packed = journal_format.EXEMPLARS_SIZE.pack(len(exemplars) if size is None else size)
    return encode(FRAME).head + packed + exemplars + b"the body"


def test_an_entry_without_exemplars_is_what_it_was() -> None:
    assert encode(FRAME).type == journal_format.FRAME_TYPE
    encoded = encode(Frame(*[getattr(FRAME, name) for name in list(Frame.__slots__)[:7]], (EXEMPLAR,)))
    assert encoded.type == journal_format.FRAME_WITH_EXEMPLARS
    again = decode(encoded.type, encoded.head + bytes(encoded.body))
    assert isinstance(again, Frame)
    assert again.exemplars == (EXEMPLAR,)
    assert bytes(again.body) == b"the body"


@pytest.mark.parametrize(
    "exemplars",
    [
        b"\xc1",
        b"\x01",
        b"\x91\x90",
        pack_exemplars([EXEMPLAR])[:-1],
        pack_exemplars([Exemplar(4, 0, 0.5, BEGIN_MS, "of another window", "")]),
        pack_exemplars([Exemplar(4, EXEMPLAR.window_ms, float("nan"), BEGIN_MS, "t", "")]),
        pack_exemplars([Exemplar(4, EXEMPLAR.window_ms, 0.5, BEGIN_MS, "t" * 129, "")]),
        pack_exemplars([Exemplar(-1, EXEMPLAR.window_ms, 0.5, BEGIN_MS, "t", "")]),
    ],
)
def test_an_entry_with_wrong_exemplars_is_damage(exemplars: bytes) -> None:
    with pytest.raises(CorruptData):
        decode(journal_format.FRAME_WITH_EXEMPLARS, journalled(exemplars))


def test_an_entry_that_ends_in_its_exemplars_is_damage() -> None:
    for payload in (journalled(b"", 2**32 - 1), encode(FRAME).head, encode(FRAME).head + b"\x01\0"):
        with pytest.raises(CorruptData):
            decode(journal_format.FRAME_WITH_EXEMPLARS, payload)


def test_tables_say_what_they_said() -> None:
    tables = Tables(exemplars=pack_exemplars([EXEMPLAR]))
    again = Tables.from_bytes(tables.to_bytes())
    assert unpack_exemplars(again.exemplars) == [EXEMPLAR]
    assert list(again.dated_ms()) == [EXEMPLAR.window_ms]
    assert unpack_exemplars(Tables.from_bytes(Tables().to_bytes()).exemplars) == []
    for wrong in (b"\xc1", b"\x91\x90", b"\x80\x80"):
        with pytest.raises(CorruptData):
            unpack_exemplars(wrong)
    with pytest.raises(CorruptData):
        Tables.from_bytes(Tables(exemplars="text").to_bytes())  # type: ignore[arg-type]
