"""Files of a store that has lived for hours, one after another lost: of what is kept nothing is missing unsaid.

The 10 s windows have expired for the most part: what a rolled-up file held is nowhere else, or in longer windows.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from store_lab import Truth
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, TierLab

from obsagent._native.codec import Groups
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.verify import verify
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.gaps import overlapping
from obsagent.segment.recover import window_ms_of


class Lived(NamedTuple):
    """A store whose agent is gone, what was sent to it, and the windows (start, ms) of which it keeps everything."""

    lab: TierLab
    truth: Truth
    kept: frozenset[int]

    def read(self, directory: Path) -> ReadOnlyStore:
        return Store.open_read_only(directory, clock=self.lab.clock)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    lab = TierLab(tmp_path_factory.mktemp("lived") / "store", seed=3)
    lab.live(6 * HOUR_MS)
    truth = lab.truth()
    lab.leave()
    view = lab.reader().view()
    assert view.gaps(0, 1 << 60) == []
    kept = frozenset(start for start in truth.windows if is_read(view, start))
    assert len(kept) > 100
    return Lived(lab, truth, kept)


def is_read(view: View, start_ms: int) -> bool:
    pieces = view.tiers.pieces(NOON_MS, 1 << 60)
    return any(piece.from_ms <= start_ms < piece.to_ms for piece in pieces)


def names(lived: Lived) -> list[str]:
    return [path.name for path in sorted((lived.lab.directory / "segments").iterdir())]


def rolled(lived: Lived, window_ms: int) -> list[str]:
    return [name for name in names(lived) if window_ms_of(Path(name)) == window_ms]


def check(lived: Lived, view: View) -> int:
    """Nothing is invented; what is missing lies in a gap, as far as windows are read. Returns how much is missing."""
    gaps = view.gaps(0, 1 << 60)
    for start in lived.kept:
        assert is_read(view, start) or overlapping(gaps, start, start + WINDOW_MS)
    lacking = 0
    for from_ms in range(NOON_MS, lived.lab.clock.now_ms, HOUR_MS):
        for step_ms in (0, WINDOW_MS, MINUTE_MS):
            if view.window_ms_from(from_ms) <= step_ms or not step_ms:
                lacking += check_question(lived, view, from_ms, from_ms + HOUR_MS, step_ms)
    return lacking


def check_question(lived: Lived, view: View, from_ms: int, to_ms: int, step_ms: int) -> bool:
    pieces = view.tiers.pieces(from_ms, to_ms, step_ms)
    ids = {series_id: index for index, series_id in enumerate(lived.lab.ids)}
    found, wanted = Groups(ids, len(ids)), Groups(ids, len(ids))
    view.collect(from_ms, to_ms, found, step_ms)
    for piece in pieces:
        for start in lived.kept:
            if piece.from_ms <= start < piece.to_ms:
                lived.truth.windows[start].collect(wanted, start)
    counts = [(found.samples(index), wanted.samples(index)) for index in range(len(ids))]
    assert all(left <= right for left, right in counts)
    if all(left == right for left, right in counts):
        return False
    gaps = view.gaps(0, 1 << 60)
    assert any(overlapping(gaps, piece.from_ms, piece.to_ms) for piece in pieces)
    return True


@pytest.fixture
def copy(lived: Lived, tmp_path: Path) -> Path:
    directory = tmp_path / "copy"
    shutil.copytree(lived.lab.directory, directory)
    return directory


def test_there_are_several_files_of_each_tier_and_nothing_is_missing(lived: Lived) -> None:
    assert all(len(rolled(lived, window_ms)) >= 2 for window_ms in TIER_WINDOWS_MS)
    assert rolled(lived, MINUTE_MS)[0] > rolled(lived, HOUR_MS)[0]  # the first have expired
    assert check(lived, lived.read(lived.lab.directory).view()) == 0


@pytest.mark.parametrize("left", [0, 60], ids=lambda left: f"{left} bytes left")
def test_a_file_that_is_cut_off(lived: Lived, tmp_path: Path, left: int) -> None:
    lacking = 0
    for name in names(lived)[:-1]:
        directory = tmp_path / name
        shutil.copytree(lived.lab.directory, directory)
        path = directory / "segments" / name
        path.write_bytes(path.read_bytes()[:left])
        lacking += check(lived, lived.read(directory).view()) > 0
    assert lacking > 2


def test_a_file_that_is_gone_between_others(lived: Lived, tmp_path: Path) -> None:
    lacking = 0
    for window_ms in TIER_WINDOWS_MS:
        for name in rolled(lived, window_ms)[1:-1]:
            directory = tmp_path / name
            shutil.copytree(lived.lab.directory, directory)
            (directory / "segments" / name).unlink()
            lacking += check(lived, lived.read(directory).view()) > 0
    assert lacking > 2


def test_what_only_the_last_tier_had_is_declared_and_stays_so(lived: Lived, copy: Path) -> None:
    first = rolled(lived, HOUR_MS)[0]
    path = copy / "segments" / first
    data = bytearray(path.read_bytes())
    data[layout.FILE_HEADER.size + 10] ^= 1  # the block's header
    path.write_bytes(data)
    view = lived.read(copy).view()
    assert not all(is_read(view, start) for start in lived.kept)
    check(lived, view)
    report = verify(copy, lived.lab.clock)
    assert not report["sound"]
    assert [file["name"] for file in report["files"] if file["problems"]] == [f"segments/{first}"]
    assert report["missing"]
    for _ in range(2):
        store = Store.open(copy, clock=lived.lab.clock, budgets=lived.lab.budgets)
        gaps = store.view().gaps(0, 1 << 60)
        assert len(gaps) == 1
        check(lived, store.view())
        store.close()
    assert verify(copy, lived.lab.clock)["missing"] == []
    path.unlink()
    assert lived.read(copy).view().gaps(0, 1 << 60) == gaps


def test_a_file_whose_checkpoints_a_coarser_tier_has_is_no_loss(lived: Lived, copy: Path) -> None:
    """The first of its tier: its time is read in longer windows."""
    for window_ms in TIER_WINDOWS_MS[:-1]:
        (copy / "segments" / rolled(lived, window_ms)[0]).write_bytes(b"")
    view = lived.read(copy).view()
    assert view.gaps(0, 1 << 60) == []
    assert check(lived, view) == 0
