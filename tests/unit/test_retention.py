"""What expires, what a full disk costs, and what neither may take."""

from __future__ import annotations

import dataclasses
import errno
import gc
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_fs import FailingFs
from lossy_fs import LossyFs, some
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, SHORT, TierLab, check_question

from obsagent.errors import StoreError
from obsagent.head import retention
from obsagent.head.budgets import FILES_MIN, Budgets
from obsagent.head.shelf import KEEP_MS
from obsagent.head.upkeep import RETRY_AFTER_MS
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.recover import window_ms_of

LONG = (900 * HOUR_MS,) * 3
FOREVER = 1 << 60


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TierLab]:
    lab = TierLab(tmp_path / "store")
    yield lab
    lab.leave()


def sizes(lab: TierLab) -> dict[int, int]:
    """Bytes by tier, of all files that lie there."""
    found = dict.fromkeys(TIER_WINDOWS_MS, 0)
    for path in (lab.directory / "segments").iterdir():
        found[window_ms_of(path)] += path.stat().st_size
    return found


def test_an_expired_file_stays_as_long_as_a_view_may_read_it(lab: TierLab) -> None:
    lab.live(50 * MINUTE_MS)
    lab.look()
    view, truth = lab.store.view(), lab.truth()
    lab.clock.now_ms += 2 * HOUR_MS
    lab.look()
    lab.clock.now_ms += KEEP_MS
    lab.look()
    fine = (NOON_MS, NOON_MS + HOUR_MS, WINDOW_MS)
    check_question(view, truth, lab.ids, *fine)
    assert lab.store.view().window_ms_from(NOON_MS) == MINUTE_MS
    before = lab.names()
    del view
    gc.collect()
    lab.look()
    assert len(lab.names()) < len(before)
    lab.check()


def test_a_reader_without_a_lock_reads_again_when_files_have_expired(lab: TierLab) -> None:
    lab.live(HOUR_MS)
    lab.look()
    reader = lab.reader()
    truth = lab.truth()
    check_question(reader.view(), truth, lab.ids, NOON_MS, NOON_MS + HOUR_MS, WINDOW_MS)
    for pause in (100 * MINUTE_MS, KEEP_MS):
        lab.clock.now_ms += pause
        lab.look()
    check_question(reader.view(), truth, lab.ids, NOON_MS, NOON_MS + HOUR_MS, WINDOW_MS)
    assert reader.view().window_ms_from(NOON_MS) == MINUTE_MS


def test_the_finest_tier_pays_for_the_budget_and_the_newest_file_stays(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", budgets=dataclasses.replace(SHORT, retention_ms=LONG))
    lab.live(8 * HOUR_MS)
    lab.look()
    full = sizes(lab)
    lab.crash()  # leaves nothing but the files
    for budget in (full[WINDOW_MS] // 2 + full[60_000] + full[3_600_000], full[3_600_000] * 2, 1):
        lab.budgets = dataclasses.replace(lab.budgets, disk_bytes=budget)
        lab.crash()
        lab.look()
        lab.clock.now_ms += KEEP_MS
        lab.look()
        lab.check(4)
        status = lab.store.status()
        assert status["segments"]["budget_bytes"] == budget
        now = sizes(lab)
        if budget > 1:
            assert sum(now.values()) + status["journal"]["bytes"] <= budget
            assert now[3_600_000] == full[3_600_000]
            assert (now[60_000] == full[60_000]) == (now[WINDOW_MS] > full[WINDOW_MS] // 4)
    assert len(lab.names()) == 1  # the state of the store is in it
    check_question(lab.store.view(), lab.truth(), lab.ids, lab.clock.now_ms - HOUR_MS, lab.clock.now_ms, 0)


def test_a_file_that_no_coarser_tier_holds_does_not_go(lab: TierLab) -> None:
    lab.live(8 * HOUR_MS, upkeep=False)
    lab.budgets = dataclasses.replace(SHORT, disk_bytes=1)
    lab.crash()
    files = lab.names()
    assert not lab.store.maybe_retire(lab.clock.now_ms)
    while lab.store.maybe_compact(lab.clock.now_ms):
        assert not lab.store.maybe_retire(lab.clock.now_ms)
    lab.check(4)
    assert len(files) > 4
    lab.store.maybe_roll_up(lab.clock.now_ms)
    assert lab.store.maybe_retire(lab.clock.now_ms)
    lab.check(4)


def test_a_full_disk_takes_only_what_is_held_twice_and_at_once(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", budgets=dataclasses.replace(SHORT, retention_ms=LONG))
    lab.live(4 * HOUR_MS)
    lab.look()
    lab.clock.now_ms += KEEP_MS
    lab.look()
    files = lab.names()
    lab.send()
    lab.fs.errno = errno.ENOSPC
    lab.fs.fail_always = {"write"}
    with pytest.raises(StoreError):
        lab.store.sync()
    lab.fs.fail_always = set()
    assert lab.store.maybe_retire(lab.clock.now_ms)
    assert len(lab.names()) == len(files) - 1
    assert lab.names(".3600s.") == [name for name in files if ".3600s." in name]
    lab.store.sync()
    assert not lab.store.maybe_retire(lab.clock.now_ms)
    lab.check()


def test_a_clock_that_was_ahead_keeps_nothing_from_expiring(lab: TierLab) -> None:
    lab.live(30 * MINUTE_MS)
    year_ms = 365 * 24 * HOUR_MS
    lab.clock.now_ms += year_ms
    lab.send()
    lab.store.checkpoint()
    lab.clock.now_ms -= year_ms
    lab.live(3 * HOUR_MS)
    lab.look()
    assert lab.store.view().window_ms_from(lab.clock.now_ms - 10 * MINUTE_MS) == WINDOW_MS
    assert lab.store.view().tiers.begins(WINDOW_MS) > NOON_MS
    lab.crash()
    lab.check()


def test_what_a_finer_tier_still_has_stays_in_the_coarser_ones(lab: TierLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be rolled up again, and removed as that which expired: a clock that was stepped makes it so."""
    lab.live(50 * MINUTE_MS)
    lab.look()
    rolled = lab.names("s.segment")
    monkeypatch.setattr(retention, "_end_ms", lambda _file, _next, window_ms: FOREVER if window_ms == WINDOW_MS else 0)
    for _ in range(2):
        lab.look()
        lab.clock.now_ms += KEEP_MS
    assert lab.names("s.segment") == rolled
    monkeypatch.undo()
    lab.check(4)
    lab.clock.now_ms += 2 * HOUR_MS
    lab.live(2 * HOUR_MS)
    assert lab.store.view().tiers.begins(WINDOW_MS) > NOON_MS


def test_a_file_that_is_written_again_is_not_removed_for_the_one_before(lab: TierLab) -> None:
    lab.live(50 * MINUTE_MS)
    lab.look()
    shelf = lab.store._shelf
    (block, *_) = shelf.tiers.rolled[MINUTE_MS]
    shelf.retire(MINUTE_MS, [block.path], 0)
    shelf.add(MINUTE_MS, block, 1)
    shelf.remove_leftovers(10 * KEEP_MS, at_once=True)
    assert block.path.exists()
    lab.check(4)


class Stopped(BaseException):
    """Nothing of the process runs any more."""


def upkeep(lab: TierLab) -> None:
    """Compaction, roll-ups, merges, retirement and removal."""
    lab.clock.now_ms += HOUR_MS
    lab.look()
    lab.clock.now_ms += KEEP_MS
    lab.look()


def prepared(directory: Path, fs: FailingFs | None = None) -> TierLab:
    """A store with files to compact, to roll up, to retire and to remove."""
    retention_ms = (30 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS)
    budgets = dataclasses.replace(
        SHORT, segment_file_bytes=30_000, segment_file_age_ms=HOUR_MS, retention_ms=retention_ms
    )
    lab = TierLab(directory, 5, budgets, fs)
    lab.live(150 * MINUTE_MS, upkeep=False)
    return lab


def calls_of_upkeep(directory: Path) -> int:
    lab = prepared(directory)
    before = len(lab.fs.log)
    files = len(lab.names())
    upkeep(lab)
    assert {"create", "write", "rename", "remove"} <= set(lab.fs.log[before:])
    assert len(lab.names()) <= files + 2
    lab.leave()
    return len(lab.fs.log) - before


def stop_after(lab: TierLab, calls: int) -> None:
    """The process ends before call number `calls` of the upkeep."""
    left = calls

    def stop(call: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped

    lab.fs.before = stop
    try:
        upkeep(lab)
    except Stopped:
        pass
    lab.fs.before = None


def test_killed_at_every_call_of_the_file_system(tmp_path: Path) -> None:
    calls = calls_of_upkeep(tmp_path / "counted")
    assert calls > 30
    for call in range(calls):
        lab = prepared(tmp_path / str(call))
        stop_after(lab, call)
        lab.crash()
        lab.check(1)
        upkeep(lab)
        lab.check(1)
        assert lab.store.status()["corrupt"] == 0
        assert not lab.names(".tmp")
        lab.leave()


def test_the_power_goes_at_every_call_of_the_file_system(tmp_path: Path) -> None:
    for call in range(calls_of_upkeep(tmp_path / "counted") + 1):
        fs = LossyFs()
        lab = prepared(tmp_path / str(call), fs)
        stop_after(lab, call)
        disk = tmp_path / f"{call} after"
        fs.power_cut(lab.directory, disk, some(random.Random(call)))
        lab.directory, lab.fs = disk, FailingFs()
        lab.crash()
        lab.check(1)
        assert lab.store.status()["corrupt"] == 0
        lab.leave()


def test_a_disk_that_refuses_is_tried_again_a_minute_later(tmp_path: Path) -> None:
    for call in range(calls_of_upkeep(tmp_path / "counted")):
        lab = prepared(tmp_path / str(call))
        lab.fs.errno = errno.EIO
        first = len(lab.fs.log) + call + 1
        lab.fs.failing = range(first, first + 1)
        try:
            upkeep(lab)
        except StoreError as error:
            assert "Input/output error" in str(error)  # noqa: PT017
            assert not lab.store.maybe_roll_up(lab.clock.now_ms)  # not at once
            assert not lab.store.maybe_compact(lab.clock.now_ms)
        lab.check(1)
        assert not lab.names(".tmp")
        lab.clock.now_ms += RETRY_AFTER_MS
        upkeep(lab)
        lab.check(1)
        lab.leave()


def test_files_are_small_enough_for_what_may_be_kept() -> None:
    small = Budgets(disk_bytes=64_000_000, retention_ms=(10 * MINUTE_MS, HOUR_MS, HOUR_MS)).within_disk()
    assert small.segment_file_bytes == small.journal_file_bytes == 64_000_000 // FILES_MIN
    assert small.segment_file_age_ms == 10 * MINUTE_MS // FILES_MIN
    assert Budgets().within_disk() == Budgets()


def test_a_clock_that_is_wrong_for_an_hour_makes_nothing_expire(lab: TierLab) -> None:
    lab.live(50 * MINUTE_MS)
    lab.look()
    lab.clock.now_ms += KEEP_MS  # what was compacted is not waited for any more
    lab.look()
    files = lab.names()
    monotonic_ms = lab.clock.now_ms
    lab.clock.monotonic_ms = lambda: monotonic_ms  # type: ignore[method-assign]
    lab.clock.now_ms += 9 * HOUR_MS  # all would be gone
    for _ in range(5):
        lab.clock.now_ms += MINUTE_MS
        monotonic_ms += MINUTE_MS
        assert not lab.store.maybe_retire(lab.clock.now_ms)
    assert lab.names() == files
    lab.clock.now_ms = monotonic_ms
    assert not lab.store.maybe_retire(lab.clock.now_ms)
    lab.clock.now_ms += 9 * HOUR_MS  # and now it stays there
    for _ in range(62):
        lab.clock.now_ms += MINUTE_MS
        monotonic_ms += MINUTE_MS
        lab.store.maybe_retire(lab.clock.now_ms)
    assert len(lab.names()) < len(files)
