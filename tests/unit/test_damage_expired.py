"""Files of a store that has lived for hours, one after another lost: of what is kept nothing is missing unsaid.

The 10 s windows have expired for the most part: what a rolled-up file held is nowhere else, or in longer windows.
`make damage` tries some hundred times as many files together.
"""

from __future__ import annotations

import os
import random
import shutil
from copy import copy, deepcopy
from pathlib import Path
from typing import NamedTuple

import pytest
from faulty_fs import FailingFs
from store_lab import Truth
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, TierLab

from obsagent._native.codec import Groups
from obsagent.head.repair import repair
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.head.verify import verify
from obsagent.head.view import View
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment import format as layout
from obsagent.segment.gaps import overlapping
from obsagent.segment.recover import window_ms_of

SHARE = int(os.environ.get("OBSAGENT_DAMAGE_SHARE", "97"))


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
        for start, window in lived.truth.windows.items():
            if piece.from_ms <= start < piece.to_ms:
                window.collect(wanted, start)
    counts = [(found.samples(index), wanted.samples(index)) for index in range(len(ids))]
    assert all(left <= right for left, right in counts)
    if all(left == right for left, right in counts):
        return False
    gaps = view.gaps(0, 1 << 60)
    assert any(overlapping(gaps, piece.from_ms, piece.to_ms) for piece in pieces)
    return True


@pytest.fixture
def directory(lived: Lived, tmp_path: Path) -> Path:
    """A copy of the store."""
    return Path(shutil.copytree(lived.lab.directory, tmp_path / "copy"))


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


def test_what_only_the_last_tier_had_is_declared_and_stays_so(lived: Lived, directory: Path) -> None:
    first = rolled(lived, HOUR_MS)[0]
    path = directory / "segments" / first
    data = bytearray(path.read_bytes())
    data[layout.FILE_HEADER.size + 10] ^= 1  # the block's header
    path.write_bytes(data)
    view = lived.read(directory).view()
    assert not all(is_read(view, start) for start in lived.kept)
    check(lived, view)
    report = verify(directory, lived.lab.clock)
    assert not report["sound"]
    assert [file["name"] for file in report["files"] if file["problems"]] == [f"segments/{first}"]
    assert report["missing"]
    for _ in range(2):
        store = Store.open(directory, clock=lived.lab.clock, budgets=lived.lab.budgets)
        gaps = store.view().gaps(0, 1 << 60)
        assert len(gaps) == 1
        check(lived, store.view())
        store.close()
    assert verify(directory, lived.lab.clock)["missing"] == []
    path.unlink()
    assert lived.read(directory).view().gaps(0, 1 << 60) == gaps


def test_a_file_whose_checkpoints_a_coarser_tier_has_is_no_loss(lived: Lived, directory: Path) -> None:
    """The first of its tier: its time is read in longer windows."""
    for window_ms in TIER_WINDOWS_MS[:-1]:
        (directory / "segments" / rolled(lived, window_ms)[0]).write_bytes(b"")
    view = lived.read(directory).view()
    assert view.gaps(0, 1 << 60) == []
    assert check(lived, view) == 0


def damage_some(lived: Lived, directory: Path, chance: random.Random) -> None:
    """Some files are cut, or empty, or have another bit."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(lived.lab.directory, directory)
    for name in chance.sample(names(lived)[:-1], chance.choice((1, 2, 2, 3, 5))):
        path = directory / "segments" / name
        data = bytearray(path.read_bytes())
        action = chance.randrange(3)
        if action == 0:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        else:
            del data[chance.randrange(len(data)) if action == 1 else 0 :]
        path.write_bytes(data)


def test_files_that_are_damaged_together(lived: Lived, tmp_path: Path) -> None:
    chance = random.Random(11)
    for _ in range(max(20, 2_000 // SHARE)):
        damage_some(lived, tmp_path / "store", chance)
        check(lived, lived.read(tmp_path / "store").view())


def test_a_repaired_store_is_sound_and_still_says_what_is_lost(lived: Lived, tmp_path: Path) -> None:
    chance = random.Random(13)
    for _ in range(max(5, 200 // SHARE)):
        damage_some(lived, tmp_path / "store", chance)
        report = repair(tmp_path / "store", lived.lab.clock)
        assert report["sound"]
        check(lived, lived.read(tmp_path / "store").view())


def test_an_agent_lives_on_with_what_is_left(lived: Lived, tmp_path: Path) -> None:
    """Compacts it, rolls it up, lets it expire; and what was lost stays declared as long as its time is kept."""
    chance = random.Random(12)
    for _ in range(max(5, 200 // SHARE)):
        damage_some(lived, tmp_path / "store", chance)
        lab = copy(lived.lab)
        lab.directory, lab.fs, lab.chance = tmp_path / "store", FailingFs(), chance
        lab.clock, lab.producer = copy(lab.clock), deepcopy(lab.producer)
        lab.open()
        for _ in range(3):
            lab.live(HOUR_MS)
            lab.crash()
        truth = lab.truth()
        all_kept = lived.kept | (truth.windows.keys() - lived.truth.windows.keys())
        oldest_ms = lab.clock.now_ms - lab.budgets.retention_of(HOUR_MS) + HOUR_MS
        later = Lived(lab, truth, frozenset(start for start in all_kept if start >= oldest_ms))
        check(later, lab.store.view())
        lab.leave()
        check(later, later.read(lab.directory).view())
