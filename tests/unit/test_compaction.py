"""Compaction changes no answer: whatever is asked, whenever it is cut short, and whoever is reading meanwhile."""

from __future__ import annotations

import errno
import gc
import random
from pathlib import Path

import plain_reader
import pytest
from compaction_lab import Lab
from faulty_fs import FailingFs
from lossy_fs import LossyFs, some
from store_lab import check_store, contents, make_body

from obsagent._native.codec import Groups
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import Store
from obsagent.head.upkeep import RETRY_AFTER_MS
from obsagent.segment import by_series
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.tables import SessionRow, Tables, add_up


class Stopped(BaseException):
    """Nothing of the process runs any more."""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_every_complete_file_is_rewritten_and_the_old_one_goes_later(lab: Lab) -> None:
    plain = lab.names()
    assert len(plain) > 3
    assert lab.compact_all() == len(plain) - 1
    lab.check()
    assert lab.store.status()["segments"]["compacted"] == len(plain) - 1
    assert set(plain) < set(lab.names())
    lab.clock.now_ms += KEEP_MS
    assert lab.compact_all() == 0
    assert len(lab.names()) == len(plain)
    assert plain[-1] in lab.names()
    assert not {*plain[:-1]} & {*lab.names()}
    lab.check()
    lab.abandon()
    lab.open()
    lab.check()
    assert lab.store.status()["corrupt"] == 0


def test_partials_of_a_window_become_one_row(lab: Lab) -> None:
    lab.compact_all()
    for block in plain_reader.read_store(lab.directory / "segments"):
        rows = [(window, row[0]) for window, rows in block.frames for row in rows]
        if block.kind == plain_reader.COMPACTED:
            assert len(rows) == len(set(rows))
            assert len({window for window, _ in rows}) > 1


def test_a_history_is_read_from_few_frames(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", budgets=Budgets(segment_file_bytes=6_000))
    groups = Groups({lab.ids[0]: 0}, 1)
    before = lab.store.view().collect(0, 1 << 60, groups).reads
    lab.compact_all()
    after = lab.store.view().collect(0, 1 << 60, groups).reads
    assert after.frames < before.frames / 2
    assert after.blocks < before.blocks / 2


def test_a_view_from_before_reads_the_old_file_as_long_as_it_lives(lab: Lab) -> None:
    view = lab.store.view()
    before = contents(view, lab.ids, lab.starts)
    files = len(lab.names())
    lab.compact_all()
    lab.clock.now_ms += 10 * KEEP_MS
    lab.compact_all()
    assert contents(view, lab.ids, lab.starts) == before
    del view
    gc.collect()
    lab.compact_all()
    assert len(lab.names()) == files


def test_a_reader_without_a_lock_reads_again_what_was_compacted(lab: Lab) -> None:
    reader = Store.open_read_only(lab.directory, clock=lab.clock)
    view = reader.view()
    lab.compact_all()
    check_store(reader, [lab.producer])
    contents(view, lab.ids, lab.starts)  # the old files are still there for it
    lab.clock.now_ms += KEEP_MS
    lab.compact_all()
    with pytest.raises(StoreError, match="ask again"):
        contents(view, lab.ids, lab.starts)
    with pytest.raises(StoreError, match="ask again"):
        view.accounts(0, 1 << 60)
    check_store(reader, [lab.producer])


def test_the_next_agent_removes_what_the_last_one_left(lab: Lab) -> None:
    old = {*lab.names()[:-1]}
    lab.compact_all()
    (lab.directory / "segments" / "0000000000000001-0000000000000002.segment.tmp").write_bytes(b"begun")
    lab.abandon()
    lab.open()
    lab.check()
    assert not any(name.endswith(".tmp") for name in lab.names())
    assert old <= {*lab.names()}
    lab.clock.now_ms += KEEP_MS
    lab.compact_all()
    assert not old & {*lab.names()}
    lab.check()


def test_writing_goes_on_during_a_compaction(lab: Lab) -> None:
    def meanwhile(call: str) -> None:
        lab.fs.before = None
        body = make_body(enumerate(lab.producer.defined), random.Random(1))
        lab.store.write(lab.producer.frame(lab.clock.now_ms, *body))
        lab.store.checkpoint()
        lab.check()

    lab.fs.before = meanwhile
    assert lab.store.maybe_compact(lab.clock.now_ms)
    lab.check()


def calls_of_a_compaction(tmp_path: Path) -> int:
    lab = Lab(tmp_path / "counted")
    before = len(lab.fs.log)
    lab.store.maybe_compact(lab.clock.now_ms)
    return len(lab.fs.log) - before


def test_killed_at_every_call_of_the_file_system(tmp_path: Path) -> None:
    calls = calls_of_a_compaction(tmp_path)
    assert calls > 6
    for call in range(calls):
        lab = Lab(tmp_path / str(call))
        stop_after(lab, call)
        lab.abandon()
        lab.open()
        lab.check()
        lab.compact_all()
        lab.clock.now_ms += KEEP_MS
        lab.compact_all()
        lab.check()
        assert lab.store.status()["corrupt"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_power_goes_at_every_call_of_the_file_system(tmp_path: Path, seed: int) -> None:
    calls = calls_of_a_compaction(tmp_path) + 1  # the last time, after the file was removed
    for call in range(calls):
        fs = LossyFs()
        lab = Lab(tmp_path / str(call), fs)
        if call == calls - 1:
            lab.compact_all()
            lab.clock.now_ms += KEEP_MS
            lab.compact_all()
        stop_after(lab, call)
        disk = tmp_path / f"{call} after"
        fs.power_cut(lab.directory, disk, some(random.Random(seed)))
        lab.abandon()
        lab.directory = disk
        lab.fs = FailingFs()
        lab.open()
        lab.check()
        assert lab.store.status()["corrupt"] == 0


def stop_after(lab: Lab, calls: int) -> None:
    """The process ends before call number `calls` of a compaction."""
    left = calls

    def stop(call: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped

    lab.fs.before = stop
    try:
        lab.store.maybe_compact(lab.clock.now_ms)
    except Stopped:
        pass
    lab.fs.before = None


def test_a_disk_that_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    calls = calls_of_a_compaction(tmp_path)
    for call in range(calls):
        lab = Lab(tmp_path / str(call))
        plain = lab.names()
        lab.fs.errno = errno.ENOSPC
        lab.fs.short_writes = True
        first = len(lab.fs.log) + call + 1
        lab.fs.failing = range(first, first + 1)
        with pytest.raises(StoreError, match=r"cannot compact .*No space left"):
            lab.store.maybe_compact(lab.clock.now_ms)
        assert not any(name.endswith(".tmp") for name in lab.names())
        assert set(plain) <= set(lab.names())
        lab.check()
        assert lab.store.maybe_compact(lab.clock.now_ms) is False  # not at once
        lab.clock.now_ms += RETRY_AFTER_MS
        assert lab.compact_all() == len(plain) - 1
        lab.check()


def test_a_stop_gives_up_what_was_begun(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_series, "STRIPE_BYTES", 1)
    plain = lab.names()

    def stop(seconds: float) -> None:
        assert seconds >= 0
        raise Stopped

    with pytest.raises(Stopped):
        lab.store.maybe_compact(lab.clock.now_ms, stop)
    assert lab.names() == plain
    lab.check()


def test_a_file_that_resists_removal_is_tried_again(lab: Lab) -> None:
    lab.compact_all()
    files = len(lab.names())
    lab.clock.now_ms += KEEP_MS
    lab.fs.fail_always = {"remove"}
    lab.compact_all()
    assert len(lab.names()) == files
    lab.fs.fail_always = set()
    lab.compact_all()
    assert len(lab.names()) < files
    lab.check()


def test_a_file_that_was_left_out_is_compacted_later(lab: Lab) -> None:
    first = lab.directory / "segments" / lab.names()[0]
    lab.store._upkeep._left_as_is.add(first)
    files = len(lab.names())
    assert lab.compact_all() == files - 2
    lab.store._upkeep._left_as_is.clear()
    assert lab.compact_all() == 1
    lab.check()


def test_nothing_is_appended_to_a_compacted_file(lab: Lab) -> None:
    lab.compact_all()
    lab.store.close()
    for name in lab.names():
        if layout.FILE_NAME_RANGE not in name:
            (lab.directory / "segments" / name).unlink()
    before = {name: (lab.directory / "segments" / name).read_bytes() for name in lab.names()}
    lab.open()
    lab.store.write(lab.producer.open_entry())
    lab.store.close()
    assert len(lab.names()) == len(before) + 1
    assert all((lab.directory / "segments" / name).read_bytes() == data for name, data in before.items())


def entry(first_series: int, raw_size: int) -> FrameEntry:
    return FrameEntry(0, first_series, first_series, 0, 0, raw_size, 0)


def test_stripes_hold_about_as_much_as_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_series, "STRIPE_BYTES", 100)
    assert list(by_series.stripes([])) == []
    assert list(by_series.stripes([entry(5, 1_000)])) == [(0, by_series.SERIES_MAX)]
    entries = [entry(series, 30) for series in (9, 3, 7, 3, 12)]
    assert list(by_series.stripes(entries)) == [(0, 8), (9, by_series.SERIES_MAX)]
    assert [first for first, _ in by_series.stripes([entry(series, 100) for series in range(4)])] == [0, 1, 2, 3]


def test_stripes_do_not_show(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_series, "STRIPE_BYTES", 500)
    lab.compact_all()
    lab.check()


def row(session: bytes, last_applied: int) -> SessionRow:
    return SessionRow(session, "shop", "host", 1, 2, 0, "v", last_applied, None, 77, False)


def test_tables_add_up_to_what_they_say_one_after_another() -> None:
    one, two = b"1" * 16, b"2" * 16
    tables = [
        Tables(sessions=[row(one, 1), row(two, 1)], accounts=[(10, "shop", [1] * 8)], totals={"shop": [1] * 8}),
        Tables(forgotten=[one], accounts=[(10, "shop", [2] * 8), (10, "bank", [5] * 8)], last_seen={"m": 9}),
        Tables(sessions=[row(two, 3)], totals={"shop": [3] * 8}, refused={"m": 1}, last_seen={"m": 8}),
    ]
    added = add_up(tables)
    assert (added.forgotten, added.sessions) == ([one], [row(two, 3)])
    assert added.accounts == [(10, "bank", [5] * 8), (10, "shop", [3] * 8)]
    assert (added.totals, added.refused, added.last_seen) == ({"shop": [3] * 8}, {"m": 1}, {"m": 9})
    back = add_up([Tables(forgotten=[one]), Tables(sessions=[row(one, 7)])])
    assert (back.forgotten, back.sessions) == ([one], [row(one, 7)])
