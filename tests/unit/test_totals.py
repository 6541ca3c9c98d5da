"""Totals that are kept up to date from view to view: those of everything that was ever stored, read once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from compaction_lab import Lab
from store_lab import Truth, applied_of, make_body
from tier_lab import HOUR_MS, TierLab

from obsagent._native.codec import Groups
from obsagent.head.totals import RunningTotals
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.segment.reader import BlockReader


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def groups_of(ids: list[int]) -> Groups:
    return Groups({series_id: index for index, series_id in enumerate(ids)}, len(ids))


def read(groups: Groups, count: int) -> list[object]:
    return [(groups.histogram(i), groups.counter(i), groups.gauge(i), groups.samples(i)) for i in range(count)]


def of_view(lab: Lab) -> list[object]:
    groups = groups_of(lab.ids)
    lab.store.view().collect_totals(groups)
    return read(groups, len(lab.ids))


def of_running(lab: Lab, running: RunningTotals, view: View | None = None) -> list[object]:
    groups = groups_of(lab.ids)
    running.collect(view or lab.store.view(), groups)
    return read(groups, len(lab.ids))


def go_on(lab: Lab, chance: random.Random, windows: int = 3) -> None:
    for _ in range(windows):
        body = make_body(enumerate(lab.producer.defined), chance)
        lab.store.write(lab.producer.frame(lab.clock.now_ms, *body))
        lab.clock.now_ms += WINDOW_MS
        lab.store.checkpoint(lab.clock.now_ms - WINDOW_MS)


def test_they_are_those_of_the_store_over_checkpoints_files_and_compaction(lab: Lab) -> None:
    running, chance = RunningTotals(), random.Random(3)
    assert of_running(lab, running) == of_view(lab)
    for _ in range(4):
        go_on(lab, chance)
        assert of_running(lab, running) == of_view(lab)
        lab.compact_all()
        assert of_running(lab, running) == of_view(lab)
    assert len(lab.names()) > 3
    assert running.memory_bytes > 0


def test_a_new_agent_and_one_that_was_not_asked_for_long_have_the_same(lab: Lab) -> None:
    running, chance = RunningTotals(), random.Random(4)
    before = of_running(lab, running)
    go_on(lab, chance, windows=12)
    lab.compact_all()
    later = of_running(lab, RunningTotals())
    assert of_running(lab, running) == later != before
    lab.store.close()
    lab.open()
    assert of_running(lab, RunningTotals()) == of_running(lab, running) == later


def test_they_outlive_what_is_not_kept_any_more(tmp_path: Path) -> None:
    lab, running = TierLab(tmp_path / "store"), RunningTotals()
    ids = [series.id for series in lab.producer.defined]
    for _ in range(3):
        lab.live(4 * HOUR_MS)
        lab.look()
        groups, truth, kept = groups_of(ids), groups_of(ids), groups_of(ids)
        running.collect(lab.store.view(), groups)
        for window in Truth.of([lab.producer], applied_of(lab.store)).windows.values():
            window.collect(truth)
        assert read(groups, len(ids)) == read(truth, len(ids))
    lab.store.view().collect(0, lab.clock.now_ms, kept)
    assert kept.samples(0) < truth.samples(0)  # retention has taken the rest
    lab.crash()
    again = groups_of(ids)
    RunningTotals().collect(lab.store.view(), again)
    assert read(again, len(ids)) == read(truth, len(ids))


def test_every_block_is_read_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[int] = []
    original = BlockReader.merge

    def merge(self: BlockReader, blocks: object, into: object) -> None:
        blocks = list(blocks)  # type: ignore[call-overload]
        merged.append(len(blocks))
        original(self, blocks, into)  # type: ignore[arg-type]

    monkeypatch.setattr(BlockReader, "merge", merge)
    running = RunningTotals()
    for _ in range(3):
        of_running(lab, running)
    go_on(lab, random.Random(5), windows=1)
    of_running(lab, running)
    assert merged[1:] == [1]


def test_half_a_merge_is_not_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    running = RunningTotals()
    of_running(lab, running)
    go_on(lab, random.Random(6), windows=2)

    def fail(*_: object) -> None:
        raise FileNotFoundError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(BlockReader, "merge", fail)
        with pytest.raises(Exception, match="replaced while"):
            of_running(lab, running)
    assert of_running(lab, running) == of_view(lab)
