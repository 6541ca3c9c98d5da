"""Compaction and damage: it touches no damaged file, and what it wrote notices any flip."""

from __future__ import annotations

from pathlib import Path

import plain_reader
import pytest
from compaction_lab import Lab, blocks_in
from faulty_fs import flip

from obsagent._native.codec import Groups
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.catalog import scan_directory
from obsagent.segment.reader import BlockReader, read_index
from obsagent.segment.recover import Damage, opened


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


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
