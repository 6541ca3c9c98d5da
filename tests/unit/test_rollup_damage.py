"""A damaged file is rolled up as far as it is whole, and the new file says of which time something is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_fs import flip
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, TierLab

from obsagent._native.codec import Groups
from obsagent.head.shelf import KEEP_MS
from obsagent.limits import WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.block import FrameEntry
from obsagent.segment.catalog import scan_directory
from obsagent.segment.reader import each_opened, read_index
from obsagent.segment.recover import BlockRef
from obsagent.segment.tables import Gap


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TierLab]:
    """An hour in files that were not rewritten yet."""
    lab = TierLab(tmp_path / "store")
    lab.live(HOUR_MS, upkeep=False)
    yield lab
    lab.leave()


def middle_file(lab: TierLab) -> list[BlockRef]:
    """The checkpoint blocks of the largest file, not the newest."""
    catalog = scan_directory(lab.directory / "segments")
    path = max(catalog.files[:-1], key=lambda file: len(file.blocks)).path
    return [block for block in catalog.blocks if block.path == path and block.header.kind == layout.BLOCK_CHECKPOINT]


def rolled(lab: TierLab) -> list[Gap]:
    """Reopens the store, rolls up what there is, and lets its files expire; the gaps that are known then."""
    lab.crash()
    lab.look()
    lab.clock.now_ms += 100 * MINUTE_MS
    lab.send()
    lab.store.checkpoint()
    lab.look()
    lab.clock.now_ms += KEEP_MS
    lab.look()
    assert lab.store.view().window_ms_from(NOON_MS) == MINUTE_MS
    lab.crash()
    return list(lab.store.view().gaps(0, 1 << 60))


def lost(lab: TierLab) -> set[int]:
    """The minutes of which something is lost."""
    truth = lab.truth()
    ids = lab.ids
    mapping = {series_id: index for index, series_id in enumerate(ids)}
    view = lab.store.view()
    found = set()
    for start in range(NOON_MS, NOON_MS + HOUR_MS, MINUTE_MS):
        left, right = (Groups(mapping, len(ids)) for _ in range(2))
        view.collect(start, start + MINUTE_MS, left, MINUTE_MS)
        for at_ms, window in truth.windows.items():
            if start <= at_ms < start + MINUTE_MS:
                window.collect(right)
        for index in range(len(ids)):
            assert left.samples(index) <= right.samples(index)
            if left.samples(index) < right.samples(index):
                found.add(start)
    return found


def check(lab: TierLab, gaps: list[Gap], reason: str) -> None:
    assert gaps
    assert all(reason in gap.reason for gap in gaps)
    for start in lost(lab):
        assert any(gap.from_ms < start + MINUTE_MS and start < gap.to_ms for gap in gaps)


def test_a_damaged_frame_is_a_gap_of_its_window(lab: TierLab) -> None:
    block = middle_file(lab)[0]
    entry = _entries(block)[0]
    flip(block.path, block.offset + entry.offset + entry.size // 2)
    gaps = rolled(lab)
    check(lab, gaps, "a block is damaged")
    assert [(gap.from_ms, gap.to_ms) for gap in gaps] == [(entry.window_ms, entry.window_ms + WINDOW_MS)]
    assert any(entry.window_ms - entry.window_ms % MINUTE_MS == start for start in lost(lab))


def _entries(block: BlockRef) -> list[FrameEntry]:
    return [entry for descriptor, each in each_opened([block]) for entry in read_index(descriptor, each)]


def test_a_damaged_index_is_a_gap_of_the_block(lab: TierLab) -> None:
    block = middle_file(lab)[0]
    flip(block.path, block.offset + block.header.index_offset + 3)
    gaps = rolled(lab)
    check(lab, gaps, "a block is damaged")
    assert (block.header.first_window_ms, block.header.last_window_ms + WINDOW_MS) in [gap[:2] for gap in gaps]


def test_a_block_that_is_missing_is_a_gap_between_its_neighbours(lab: TierLab) -> None:
    before, block, *_ = middle_file(lab)
    flip(block.path, block.offset + 20)  # its header
    gaps = rolled(lab)
    check(lab, gaps, "missing")
    assert all(gap.from_ms <= block.header.first_window_ms < gap.to_ms for gap in gaps)
    assert before.header.sequence + 1 == block.header.sequence
