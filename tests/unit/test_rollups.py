"""Tiers say the same as the windows that they were made from, whatever came late, expired, or was cut short."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, SHORT, TierLab, check_question

from obsagent.head.rollups import complete_files
from obsagent.head.shelf import KEEP_MS
from obsagent.limits import MERGED_FILES, TIER_WINDOWS_MS, WINDOW_MS


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TierLab]:
    lab = TierLab(tmp_path / "store")
    yield lab
    lab.leave()


@pytest.mark.parametrize("seed", range(3))
def test_every_question_has_the_answer_of_the_truth_all_the_time(tmp_path: Path, seed: int) -> None:
    lab = TierLab(tmp_path / "store", seed)
    for _ in range(6):
        lab.live(2 * HOUR_MS)
        lab.check()
    lab.crash()
    lab.check()
    tiers = lab.store.view().tiers
    assert set(tiers.rolled) == set(TIER_WINDOWS_MS[1:])
    begins = [tiers.begins(window_ms) for window_ms in TIER_WINDOWS_MS]
    assert begins[0] > begins[1] > begins[2] > NOON_MS
    assert lab.store.status()["corrupt"] == 0


def test_each_tier_is_kept_as_long_as_it_should_be(lab: TierLab) -> None:
    lab.live(12 * HOUR_MS)
    lab.look()
    for tier in lab.store.status()["segments"]["tiers"]:
        kept_ms = lab.clock.now_ms - tier["from_ms"]
        assert tier["retention_ms"] <= kept_ms + 30 * MINUTE_MS
        assert kept_ms < tier["retention_ms"] + 3 * HOUR_MS  # whole files, with samples two hours late
    assert lab.clock.now_ms - NOON_MS > 11 * HOUR_MS


def test_a_roll_up_makes_no_difference_but_to_what_is_read(lab: TierLab) -> None:
    lab.live(100 * MINUTE_MS, upkeep=False)
    while lab.store.maybe_compact(lab.clock.now_ms):
        pass
    truth = lab.truth()
    span = NOON_MS, lab.clock.now_ms
    before = lab.store.view()
    check_question(before, truth, lab.ids, *span, 0)
    while lab.store.maybe_roll_up(lab.clock.now_ms):
        pass
    for view in (before, *lab.views()):
        check_question(view, truth, lab.ids, *span, 0)
        check_question(view, truth, lab.ids, *span, WINDOW_MS)
    lab.check()
    names = lab.names()
    assert sum(".60s." in name for name in names) == sum(".3600s." in name for name in names) > 3


def test_late_samples_count_in_every_tier(lab: TierLab) -> None:
    """A late partial is in a later checkpoint than the roll-up of its time."""
    lab.live(100 * MINUTE_MS)
    lab.look()
    hour = (NOON_MS, NOON_MS + HOUR_MS, HOUR_MS)
    for _ in range(3):
        lab.send(late_ms=80 * MINUTE_MS)
        check_question(lab.store.view(), lab.truth(), lab.ids, *hour)
        lab.store.checkpoint()
        check_question(lab.store.view(), lab.truth(), lab.ids, *hour)
        lab.clock.now_ms += 11 * MINUTE_MS
        lab.send()
        lab.store.checkpoint()
        lab.look()
        check_question(lab.store.view(), lab.truth(), lab.ids, *hour)
        lab.check(4)


def test_small_files_are_merged(tmp_path: Path) -> None:
    budgets = dataclasses.replace(SHORT, segment_file_bytes=1, retention_ms=(HOUR_MS, 90 * HOUR_MS, 900 * HOUR_MS))
    lab = TierLab(tmp_path / "store", budgets=budgets)  # a file for each checkpoint
    lab.live(6 * HOUR_MS)
    lab.look()
    tiers = lab.store.view().tiers
    files = complete_files(tiers, HOUR_MS)
    assert len(files) < 2 * MERGED_FILES
    assert max(file.range_.last - file.range_.first for file in files) >= MERGED_FILES - 1
    assert all(before.range_.last + 1 == after.range_.first for before, after in pairwise(files))
    assert files[0].range_.first == 1
    lab.check()
    lab.clock.now_ms += KEEP_MS
    lab.look()
    rolled = len(complete_files(tiers, MINUTE_MS)) + len(files)
    assert len([name for name in lab.names() if "s.segment" in name]) == rolled  # what was merged is gone
    lab.crash()
    lab.check()


def test_a_file_that_may_not_be_merged_that_far_stays(tmp_path: Path) -> None:
    budgets = dataclasses.replace(SHORT, segment_file_bytes=1, retention_ms=(HOUR_MS, HOUR_MS, 900 * HOUR_MS))
    lab = TierLab(tmp_path / "store", budgets=budgets)
    lab.live(3 * HOUR_MS)
    lab.look()
    spans = [
        block.header.last_window_ms - block.header.first_window_ms for block in lab.store.view().tiers.rolled[60_000]
    ]
    assert max(spans) < 2 * HOUR_MS + HOUR_MS / 4  # single files: late samples are two hours old


def test_a_month_reads_hours(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", budgets=dataclasses.replace(SHORT, retention_ms=(90 * HOUR_MS,) * 3))
    lab.live(20 * HOUR_MS)
    lab.look()
    from obsagent._native.codec import Groups

    view = lab.store.view()
    span = NOON_MS, lab.clock.now_ms
    hours = view.collect(*span, Groups({lab.ids[0]: 0}, 1)).reads
    windows = view.collect(*span, Groups({lab.ids[0]: 0}, 1, NOON_MS, WINDOW_MS, 20 * 360), WINDOW_MS).reads
    assert hours.raw_bytes * 3 < windows.raw_bytes
    assert hours.frames < windows.frames


def test_without_short_windows_the_answer_says_what_it_covers(lab: TierLab) -> None:
    lab.live(6 * HOUR_MS)
    lab.look()
    view = lab.store.view()
    from_ms, to_ms = NOON_MS + 61 * MINUTE_MS, NOON_MS + 67 * MINUTE_MS  # only hours are kept
    assert view.window_ms_from(from_ms) == HOUR_MS
    from obsagent._native.codec import Groups

    coverage = view.collect(from_ms, to_ms, Groups({}, 0))
    assert (coverage.first_ms, coverage.last_ms) == (NOON_MS + HOUR_MS, NOON_MS + 2 * HOUR_MS)
    assert coverage.to_ms == NOON_MS + 2 * HOUR_MS
    assert view.window_ms_from(lab.clock.now_ms - MINUTE_MS) == WINDOW_MS


def test_the_last_sample_is_found_in_whatever_tier_it_is(lab: TierLab) -> None:
    gone = lab.producer.defined.pop()
    lab.producer.defined.append(gone)
    lab.send()
    lab.store.checkpoint()
    kept = lab.producer.defined
    lab.producer.defined = kept[:-1]
    lab.clock.now_ms += 11 * MINUTE_MS
    for _ in range(3):
        lab.live(2 * HOUR_MS)
        lab.look()
        view = lab.store.view()
        start_ms, end_ms = view.last_samples([gone.id], 0)[gone.id]
        assert end_ms - start_ms == view.window_ms_from(NOON_MS)
        assert start_ms <= NOON_MS < end_ms
        assert view.last_samples([lab.ids[0]], 0)[lab.ids[0]][1] > lab.clock.now_ms - HOUR_MS
    assert (start_ms, end_ms) == (NOON_MS, NOON_MS + HOUR_MS)
