"""Gaps: how they are joined, where their bounds come from, how long they are remembered, and who says them."""

from __future__ import annotations

import errno
import os
from itertools import pairwise
from pathlib import Path

import pytest
from compaction_lab import Lab, blocks_in
from failing_store import Lab as JournalLab
from faulty_fs import flip
from store_lab import BEGIN_MS

from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.clock import window_start
from obsagent.errors import CorruptData
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.limits import GAP_KEEP_MS, GAPS_MAX, SAMPLE_PAST_LIMIT_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment import gaps
from obsagent.segment.gaps import REASON_LENGTH_MAX, SEVERAL, GapBook, merged, overlapping, uncovered
from obsagent.segment.recover import opened, read_at
from obsagent.segment.tables import Gap

A, B = "a block is damaged", "the journal is damaged"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def gaps_of(store: Store | ReadOnlyStore) -> list[tuple[int, int, str]]:
    return [(gap["from_ms"], gap["to_ms"], gap["reason"]) for gap in store.status()["gaps"]]


def reader_of(lab: Lab) -> ReadOnlyStore:
    return Store.open_read_only(lab.directory, clock=lab.clock)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([], []),
        ([Gap(5, 5, A), Gap(7, 3, A)], []),
        ([Gap(20, 30, A), Gap(0, 10, A)], [Gap(0, 10, A), Gap(20, 30, A)]),
        ([Gap(10, 30, A), Gap(0, 10, A)], [Gap(0, 30, A)]),
        ([Gap(0, 30, A), Gap(10, 20, A), Gap(25, 40, A)], [Gap(0, 40, A)]),
        ([Gap(0, 30, A), Gap(10, 20, B)], [Gap(0, 30, A), Gap(10, 20, B)]),
    ],
)
def test_gaps_of_one_reason_that_touch_are_one(gaps: list[Gap], expected: list[Gap]) -> None:
    assert merged(gaps) == expected


def test_of_too_many_gaps_the_nearest_are_joined() -> None:
    gaps = [Gap(0, 10, A), Gap(12, 20, B), Gap(100, 110, A), Gap(111, 120, A), Gap(500, 510, B)]
    assert merged(gaps, 3) == [Gap(0, 20, f"{A} and {B}"), Gap(100, 120, A), Gap(500, 510, B)]
    assert merged(gaps, 1) == [Gap(0, 510, f"{A} and {B}")]


def test_their_number_and_their_words_are_bounded_and_nothing_is_left_out() -> None:
    gaps = [Gap(100 * number, 100 * number + 10, f"reason number {number}") for number in range(1_000)]
    found = merged(gaps)
    assert len(found) == GAPS_MAX
    assert max(len(gap.reason) for gap in found) <= REASON_LENGTH_MAX
    assert SEVERAL in {gap.reason for gap in found}
    assert uncovered(gaps, found) == []


def test_a_gap_that_touches_a_range_is_in_it() -> None:
    gaps = [Gap(0, 10, A), Gap(10, 20, A), Gap(30, 40, A)]
    assert overlapping(gaps, 10, 30) == [Gap(10, 20, A)]


def test_a_book_has_what_is_new_until_it_is_written() -> None:
    book = GapBook([Gap(0, 10, A), Gap(50, 60, A)], [Gap(50, 60, A)])
    book.add(Gap(52, 55, B))  # inside of one that is known
    book.add(Gap(5, 5, B))
    book.add(Gap(70, 80, B))
    assert book.known() == [Gap(0, 10, A), Gap(50, 60, A), Gap(70, 80, B)]
    written = book.unwritten()
    assert written == [Gap(50, 60, A), Gap(70, 80, B)]
    book.add(Gap(90, 99, A))
    book.written(written)
    assert book.unwritten() == [Gap(90, 99, A)]


def test_a_gap_is_forgotten_when_nothing_that_old_is_kept() -> None:
    book = GapBook([Gap(0, 10, A), Gap(50, 60, A)], [])
    book.forget(GAP_KEEP_MS + 20, kept_from_ms=5)
    assert len(book.known()) == 2
    book.forget(GAP_KEEP_MS + 9, kept_from_ms=100)
    assert len(book.known()) == 2
    book.forget(GAP_KEEP_MS + 20, kept_from_ms=20)
    assert book.known() == [Gap(50, 60, A)]


def ask(store: Store | ReadOnlyStore, text: str, now_ms: int) -> dict[str, object]:
    return answer(parse(text), store.view(), now_ms)


@pytest.mark.parametrize("where", ["index", "frame", "tables"])
def test_the_very_answer_that_meets_damage_declares_it(lab: Lab, where: str) -> None:
    path = lab.directory / "segments" / lab.names()[1]
    block = blocks_in(path)[1]
    offset = {"index": block.header.index_offset, "frame": block.header.frames_offset, "tables": 100}[where]
    flip(path, block.offset + offset)
    for store in (lab.store, reader_of(lab)):
        assert "gaps" not in ask(store, "sum m_counter since 10s", lab.clock.now_ms)
        found = ask(store, "m_histogram since 1h", lab.clock.now_ms)
        assert [gap["reason"] for gap in found["gaps"]] == ["a block is damaged"]  # type: ignore[attr-defined]
        again = ask(store, "m_counter since 1h", lab.clock.now_ms)
        assert len(again["gaps"]) >= 1  # type: ignore[arg-type]
        assert len(gaps_of(store)) >= 1


def test_damage_that_was_met_once_is_declared_for_ever(lab: Lab) -> None:
    """After a restart too, and when nobody has read it since; a new file says it at its head."""
    path = lab.directory / "segments" / lab.names()[1]
    block = blocks_in(path)[1]
    flip(path, block.offset + block.header.frames_offset)
    ask(lab.store, "m_histogram since 1h", lab.clock.now_ms)
    found = gaps_of(lab.store)
    assert len(found) == 1
    lab.store.checkpoint()
    for _ in range(2):
        lab.abandon()
        lab.open()
        assert gaps_of(lab.store) == found
        assert gaps_of(reader_of(lab)) == found
        lab.store._segments.give_up()
        lab.store.write(lab.producer.happens(lab.clock.now_ms))
        lab.store.checkpoint()
    for name in lab.names()[:-1]:
        (lab.directory / "segments" / name).unlink()
    assert found[0] in gaps_of(reader_of(lab))


def test_a_compacted_file_says_the_gaps_of_the_old_one(lab: Lab) -> None:
    lab.store._gaps.add(Gap(BEGIN_MS, BEGIN_MS + 5, A))
    lab.store.checkpoint()
    lab.store._segments.give_up()
    lab.store.write(lab.producer.happens(lab.clock.now_ms))
    lab.store.checkpoint()
    lab.compact_all()
    lab.clock.now_ms += KEEP_MS
    lab.compact_all()
    newest = lab.directory / "segments" / lab.names()[-1]
    newest.unlink()
    assert (BEGIN_MS, BEGIN_MS + 5, A) in gaps_of(reader_of(lab))


def test_the_time_of_missing_blocks_is_what_the_blocks_behind_say(lab: Lab) -> None:
    """Every file in turn: exactly what the headers of its blocks said. Two together: no less."""
    directory = lab.directory / "segments"
    names = lab.names()
    whole = {name: (directory / name).read_bytes() for name in names}
    spans = {name: [block.header.covered_ms for block in blocks_in(directory / name)[1:]] for name in names}
    for lost in [*([name] for name in names[1:-1]), *map(list, pairwise(names[1:-1]))]:
        for name in lost:
            (directory / name).unlink()
        (gap,) = gaps_of(reader_of(lab))
        own = [span for name in lost for span in spans[name]]
        first, last = min(span[0] for span in own), max(span[1] for span in own)
        assert gap[:2] == (first, last) if len(lost) == 1 else gap[0] <= first and last <= gap[1]
        assert gap[2] == ("a block is missing" if len(own) == 1 else f"{len(own)} blocks are missing")
        for name in lost:
            (directory / name).write_bytes(whole[name])
    assert gaps_of(reader_of(lab)) == []


def test_without_that_it_is_what_the_times_of_the_neighbours_allow(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    names = lab.names()
    before = blocks_in(lab.directory / "segments" / names[0])[-1]
    after = blocks_in(lab.directory / "segments" / names[2])[1]
    (lab.directory / "segments" / names[1]).unlink()
    monkeypatch.setattr(gaps, "_told", lambda hole, blocks: iter(()))
    (gap,) = gaps_of(reader_of(lab))
    assert gap[0] == window_start(before.header.written_ms - SAMPLE_PAST_LIMIT_MS)
    assert gap[1] == after.header.written_ms + 10_000
    assert gap[1] % WINDOW_MS == 0


def test_a_damaged_entry_of_the_journal_is_a_gap_around_it(tmp_path: Path) -> None:
    lab = JournalLab(tmp_path / "store")
    ends = []
    for _ in range(3):
        ends.append(lab.send())
        lab.clock.now_ms += 1_000
    lab.store.sync()
    lab.store._store_lock.release()
    (path,) = (lab.directory / "journal").iterdir()
    flip(path, path.stat().st_size - (ends[2] - ends[1]) - 5)
    ((from_ms, to_ms, reason),) = gaps_of(Store.open_read_only(lab.directory, clock=lab.clock))
    assert reason == "the journal is damaged"
    assert from_ms <= window_start(BEGIN_MS) < window_start(BEGIN_MS) + WINDOW_MS <= to_ms
    assert to_ms <= lab.clock.now_ms + 2 * WINDOW_MS  # what comes from now on is not in it
    lab.open()
    found = gaps_of(lab.store)
    assert found == [(from_ms, to_ms, reason)]
    lab.store.close()
    lab.open()  # the damaged file has been set aside; the gap is said by a block
    assert gaps_of(lab.store) == found
    assert lab.store.status()["corrupt"] == 0


def test_a_torn_end_of_the_journal_is_no_gap_but_a_damaged_one_is(tmp_path: Path) -> None:
    lab = JournalLab(tmp_path / "store")
    lab.send()
    lab.store.sync()
    lab.store._store_lock.release()
    (path,) = (lab.directory / "journal").iterdir()
    whole = path.read_bytes()
    for tail in (whole[:-1], whole[:-40], whole + b"abc", whole + bytes(4_096)):
        path.write_bytes(tail)
        reader = Store.open_read_only(lab.directory, clock=lab.clock)
        assert (reader.status()["corrupt"], gaps_of(reader)) == (0, [])
    for changed in (-1, -30, -50):
        path.write_bytes(whole)
        flip(path, len(whole) + changed)
        reader = Store.open_read_only(lab.directory, clock=lab.clock)
        assert reader.status()["corrupt"] == 1
        assert len(gaps_of(reader)) == 1


def test_a_store_without_damage_has_no_gaps(lab: Lab) -> None:
    lab.compact_all()
    assert gaps_of(lab.store) == gaps_of(reader_of(lab)) == []
    lab.abandon()
    before = lab.names()
    lab.open()
    assert gaps_of(lab.store) == []
    assert len(lab.names()) <= len(before) + 1


def test_the_id_of_a_series_that_was_lost_is_not_given_again(lab: Lab) -> None:
    """Its rows would be the new one's."""
    lab.store.close()
    for path in (lab.directory / "journal").iterdir():
        path.unlink()
    names = lab.names()
    for name in names:  # no table is left that defines any series, but the frames of all
        path = lab.directory / "segments" / name
        for block in blocks_in(path):
            flip(path, block.offset + layout.BLOCK_HEADER.size + 2)
    lab.open()
    assert len(lab.store.series) == 0
    fresh = lab.store.series.resolve("fresh", lab.producer.defined[0].kind, {"service": "new"})
    assert fresh is not None
    assert fresh.id > max(lab.ids)
    assert any(reason == "definitions of series are lost" for *_, reason in gaps_of(lab.store))


def test_a_sector_that_cannot_be_read_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)

    def refuse(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with opened(path) as descriptor:
        monkeypatch.setattr(os, "pread", refuse)
        with pytest.raises(CorruptData, match="Input/output error"):
            read_at(descriptor, 0, 10)
