"""Compaction changes no answer: whatever is asked, whenever it is cut short, and whoever is reading meanwhile."""

from __future__ import annotations

import errno
import gc
import random
from pathlib import Path

import plain_reader
import pytest
from faulty_fs import FailingFs, PowerCutFs
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, check_store, contents, make_body, resolve

from obsagent._native.codec import Groups
from obsagent.clock import window_start
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.compaction import KEEP_MS, RETRY_AFTER_MS
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind
from obsagent.segment import compact
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.catalog import scan_directory
from obsagent.segment.reader import BlockReader, read_index
from obsagent.segment.recover import BlockRef, Damage, opened
from obsagent.segment.tables import SessionRow, Tables, add_up

SMALL = Budgets(segment_file_bytes=3_000, frame_bytes=400)
WINDOWS = 14


class Stopped(BaseException):
    """Nothing of the process runs any more."""


class Lab:
    """A store with several segment files, windows in memory, and one producer."""

    def __init__(self, directory: Path, fs: FailingFs | None = None, budgets: Budgets = SMALL) -> None:
        self.directory = directory
        self.budgets = budgets
        self.clock = TurnedClock(window_start(BEGIN_MS))
        self.producer = Producer("p")
        directory.mkdir(exist_ok=True)
        self.fs = fs or FailingFs()
        self.open()
        chance = random.Random(9)
        begin(self.store, self.producer, list(Kind))
        more = [resolve(self.store, f"n_{kind.word}", kind, service="shop") for kind in Kind]
        self.producer.defined += more
        self.store.write(self.producer.define_all())
        for _ in range(WINDOWS):
            for late in (0, 2 * WINDOW_MS):
                at_ms = max(window_start(BEGIN_MS), self.clock.now_ms - late)
                body = make_body(enumerate(self.producer.defined), chance)
                self.store.write(self.producer.frame(at_ms, *body))
            self.clock.now_ms += WINDOW_MS
            self.store.checkpoint(self.clock.now_ms - WINDOW_MS)
        self.store.sync()

    def open(self) -> None:
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def abandon(self) -> None:
        self.store._store_lock.release()
        self.store._journal.close()
        self.store._segments.give_up()

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "segments").iterdir())

    def compact_all(self) -> int:
        count = 0
        while self.store.maybe_compact(self.clock.now_ms):
            count += 1
        return count

    def check(self) -> None:
        check_store(self.store, [self.producer])
        check_store(Store.open_read_only(self.directory, clock=self.clock), [self.producer])

    @property
    def ids(self) -> list[int]:
        return [series.id for series in self.producer.defined]

    @property
    def starts(self) -> range:
        return range(window_start(BEGIN_MS), self.clock.now_ms + WINDOW_MS, WINDOW_MS)


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
        lab = Lab(tmp_path / str(call), PowerCutFs())
        assert isinstance(lab.fs, PowerCutFs)
        for folder in (lab.directory, lab.directory / "segments", lab.directory / "journal"):
            lab.fs.sync_directory(folder)
        if call == calls - 1:
            lab.compact_all()
            lab.clock.now_ms += KEEP_MS
            lab.compact_all()
        stop_after(lab, call)
        disk = tmp_path / f"{call} after"
        lab.fs.power_cut(lab.directory, disk, random.Random(seed))
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
    monkeypatch.setattr(compact, "STRIPE_BYTES", 1)
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


def blocks_in(path: Path) -> list[BlockRef]:
    return [block for block in scan_directory(path.parent).blocks if block.path == path]


@pytest.mark.parametrize("where", ["tables", "index", "frame", "totals"])
def test_a_damaged_file_is_left_as_it_is(lab: Lab, where: str) -> None:
    path = lab.directory / "segments" / lab.names()[0]
    head, _, block, *_ = blocks_in(path)
    offsets = {
        "tables": block.offset + layout.BLOCK_HEADER.size,
        "index": block.offset + block.header.index_offset,
        "frame": block.offset + block.header.frames_offset,
        "totals": head.offset + layout.BLOCK_HEADER.size,
    }
    flip(path, offsets[where])
    plain = lab.names()
    assert lab.compact_all() == len(plain) - 2
    assert lab.compact_all() == 0
    assert [name for name in lab.names() if name.startswith(plain[0][:16])] == [plain[0]]
    assert lab.store.status()["corrupt"] > 0
    assert Store.open_read_only(lab.directory).status()["segments"]["compacted"] == len(plain) - 2


def flip(path: Path, offset: int, bit: int = 3) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def test_a_file_in_which_a_block_is_missing_is_left_as_it_is(lab: Lab) -> None:
    path = lab.directory / "segments" / lab.names()[0]
    flip(path, blocks_in(path)[2].offset)
    lab.abandon()
    lab.open()
    before = lab.store.status()["corrupt"]
    assert before > 0
    lab.compact_all()
    assert path.name in lab.names()
    assert Store.open_read_only(lab.directory).status()["corrupt"] == before


def test_what_is_known_can_be_recovered_from_compacted_files_alone(lab: Lab) -> None:
    """The newest file is lost: what the others say is the same before and after."""
    for _ in range(2):
        lab.store.write(lab.producer.happens(lab.clock.now_ms))
        lab.store._segments.give_up()
        lab.store.checkpoint()
    newest = lab.directory / "segments" / lab.names()[-1]
    newest.rename(lab.directory / newest.name)
    before = scan_directory(lab.directory / "segments").checkpoint()
    (lab.directory / newest.name).rename(newest)
    lab.compact_all()
    lab.clock.now_ms += KEEP_MS
    lab.compact_all()
    newest.unlink()
    assert all(layout.FILE_NAME_RANGE in name for name in lab.names())
    assert scan_directory(lab.directory / "segments").checkpoint() == before
    assert before.sequence > 10
    assert [event.name for event in before.events] == ["e1"]


def test_a_file_that_was_left_out_is_compacted_later(lab: Lab) -> None:
    first = lab.directory / "segments" / lab.names()[0]
    lab.store._compaction._left_as_is.add(first)
    files = len(lab.names())
    assert lab.compact_all() == files - 2
    lab.store._compaction._left_as_is.clear()
    assert lab.compact_all() == 1
    lab.check()


def test_an_older_build_refuses_a_compacted_store(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.compact_all()
    monkeypatch.setattr(layout, "FORMAT_VERSION", 1)
    with pytest.raises(StoreError, match="newer obsagent"):
        Store.open_read_only(lab.directory)


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lab]:
    """A directory with one small compacted file, and the lab that made it."""
    lab = Lab(tmp_path_factory.mktemp("lab") / "store", budgets=Budgets(segment_file_bytes=2_000, frame_bytes=150))
    lab.store.maybe_compact(lab.clock.now_ms)
    directory = tmp_path_factory.mktemp("compacted")
    name = next(name for name in lab.names() if layout.FILE_NAME_RANGE in name)
    (directory / name).write_bytes((lab.directory / "segments" / name).read_bytes())
    return directory, lab


def counters_in(directory: Path, lab: Lab) -> tuple[dict[tuple[int, int], tuple[int, float]], int]:
    """(window, series) → counter as the reader finds them, and how many damaged or lost places it met."""
    catalog = scan_directory(directory)
    catalog.checkpoint()
    damage: set[Damage] = set()
    reader = BlockReader(damage.add)
    ids = lab.ids
    first_ms, count = lab.starts[0], len(lab.starts)
    groups = Groups({each: index for index, each in enumerate(ids)}, len(ids), first_ms, WINDOW_MS, count)
    reader.collect(catalog.blocks, 0, 1 << 60, groups)
    reader.accounts(catalog.blocks, 0, 1 << 60)
    reader.last_windows(catalog.blocks, ids, 0, {})
    places = ((step, index) for step in range(count) for index in range(len(ids)) if groups.counter(index, step)[0])
    found = {(lab.starts[step], ids[index]): groups.counter(index, step) for step, index in places}
    return found, catalog.corrupt + len(damage)


def frames_of_counters(path: Path) -> list[tuple[int, int, dict[tuple[int, int], tuple[int, float]]]]:
    """(begin, end, what a flip in between costs) of each frame of the compacted block."""
    block = blocks_in(path)[-1]
    (plain,) = [block for block in plain_reader.read_segment(path) if block.kind == plain_reader.COMPACTED]
    found = []
    with opened(path) as descriptor:
        entries: list[FrameEntry] = list(read_index(descriptor, block))
    rows = iter(plain.frames)
    for entry in entries:
        windows = []
        while not windows or windows[-1][0] < entry.window_ms + entry.span_ms:
            windows.append(next(rows))
        only = plain_reader.Block(plain_reader.COMPACTED, 0, 0, 0, 0, 0, [], windows)
        begin = block.offset + entry.offset
        found.append((begin, begin + entry.size, plain_reader.counters_of([only])))
    assert next(rows, None) is None
    return found


def test_a_flip_of_any_byte_is_noticed_and_costs_what_it_hit(compacted: tuple[Path, Lab]) -> None:
    directory, lab = compacted
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    everything = plain_reader.counters_of(plain_reader.read_segment(path))
    frames = frames_of_counters(path)
    head, block = blocks_in(path)
    index_begin = block.offset + block.header.index_offset
    undamaged, corrupt = counters_in(directory, lab)
    assert (undamaged, corrupt) == (everything, 0)
    assert len(frames) > 5
    for offset in range(len(whole)):
        flip(path, offset, offset % 8)
        found, corrupt = counters_in(directory, lab)
        path.write_bytes(whole)
        if (
            head.offset + layout.BLOCK_HEADER.size <= offset < block.offset
            and offset >= head.offset + head.header.frames_offset
        ):
            assert found == everything  # a total, which nobody has asked for
            continue
        assert corrupt > 0, offset
        lost = [lost for begin, end, lost in frames if begin <= offset < end]
        if lost:
            assert found == {key: value for key, value in everything.items() if key not in lost[0]}
        elif block.offset <= offset < block.offset + layout.BLOCK_HEADER.size or offset >= index_begin:
            assert found == {}
        elif offset < block.offset:
            assert found == everything


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_compacted_file_that_is_cut_short_is_damage(compacted: tuple[Path, Lab], share: float) -> None:
    directory, lab = compacted
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    found, corrupt = counters_in(directory, lab)
    path.write_bytes(whole)
    assert found == {}
    assert corrupt > 0


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
    monkeypatch.setattr(compact, "STRIPE_BYTES", 100)
    assert list(compact.stripes([])) == []
    assert list(compact.stripes([entry(5, 1_000)])) == [(0, compact.SERIES_MAX)]
    entries = [entry(series, 30) for series in (9, 3, 7, 3, 12)]
    assert list(compact.stripes(entries)) == [(0, 8), (9, compact.SERIES_MAX)]
    assert [first for first, _ in compact.stripes([entry(series, 100) for series in range(4)])] == [0, 1, 2, 3]


def test_stripes_do_not_show(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "STRIPE_BYTES", 500)
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
