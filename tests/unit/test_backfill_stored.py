"""Backfills in the store: in the right window of every tier, through restarts, compaction, roll-ups and retention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from store_lab import Producer, TurnedClock, begin, check_store, make_body
from tier_lab import HOUR_MS, MINUTE_MS, NOON_MS, SHORT, TierLab, check_question, check_totals

from obsagent._native.codec import BodyWriter
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.errors import StoreError
from obsagent.head.rollups import complete_files
from obsagent.head.store import Store
from obsagent.samples import Kind

DAY_MS = 24 * HOUR_MS
LONG = replace(SHORT, retention_ms=(HOUR_MS, 3 * HOUR_MS, 365 * DAY_MS))
OLD_MS = NOON_MS - 300 * DAY_MS
REACH_MS = 366 * DAY_MS


def backfill(lab: TierLab, days: int, hour: int = 0) -> None:
    lab.store.reach_back(REACH_MS)
    body = make_body(enumerate(lab.producer.defined), lab.chance)
    lab.store.write(lab.producer.backfill(NOON_MS - days * DAY_MS + hour * HOUR_MS, *body))
    lab.store.sync()


def check(lab: TierLab) -> None:
    """Every question about then has the answer of the truth, from the agent and from a reader without it."""
    truth = lab.truth()
    for view in lab.views():
        for from_ms, to_ms, step_ms in (
            (OLD_MS, OLD_MS + 1, 0),
            (OLD_MS - DAY_MS, OLD_MS + 30 * DAY_MS, DAY_MS),
            (OLD_MS - 5 * DAY_MS, lab.clock.now_ms, 0),
            (NOON_MS - 100 * DAY_MS, NOON_MS + HOUR_MS, HOUR_MS),
        ):
            check_question(view, truth, lab.ids, from_ms, to_ms, step_ms)
        check_totals(view, truth, lab.ids)


@pytest.mark.parametrize("seed", range(3))
def test_an_hour_of_long_ago_is_found_in_every_tier(tmp_path: Path, seed: int) -> None:
    lab = TierLab(tmp_path / "store", seed, LONG)
    for round_ in range(5):
        for days in (300, 299, 270, 99, 2):
            backfill(lab, days, lab.chance.randrange(3))
        backfill(lab, 300)
        check(lab)
        lab.crash()
        lab.live(90 * MINUTE_MS)
        check(lab)
        if round_ == 2:
            lab.store.close()
            lab.open()
    lab.look()
    check(lab)
    assert complete_files(lab.store.view().tiers, HOUR_MS)
    assert lab.store.view().tiers.begins(10_000) > NOON_MS  # the fine windows that came with them are gone
    assert lab.store.status()["gaps"] == []


def test_it_is_kept_until_it_is_a_year_old_and_then_goes(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", 1, LONG)
    backfill(lab, 300)
    lab.live(5 * HOUR_MS)
    lab.clock.now_ms = OLD_MS + 364 * DAY_MS
    lab.live(3 * HOUR_MS)
    check(lab)
    assert lab.store.view().starts(OLD_MS, OLD_MS + HOUR_MS, HOUR_MS) == [OLD_MS]
    lab.clock.now_ms = NOON_MS + 430 * DAY_MS  # what came in with it, or was merged with that, is a year old too
    for _ in range(3):
        lab.live(3 * HOUR_MS)
    assert lab.store.view().starts(OLD_MS, OLD_MS + HOUR_MS, HOUR_MS) == []


def test_files_with_old_hours_are_merged_as_others_are(tmp_path: Path) -> None:
    """A file that reaches back a year spans more than a quarter of what is kept: no reason to leave it alone."""

    def files(directory: str, send: Callable[[TierLab], None]) -> int:
        lab = TierLab(tmp_path / directory, 1, LONG)
        for _ in range(30):
            send(lab)
            lab.live(HOUR_MS)
        lab.look()
        return len(complete_files(lab.store.view().tiers, HOUR_MS))

    assert files("with", lambda lab: backfill(lab, 300)) <= files("without", lambda lab: lab.send()) + 2


def test_a_month_of_long_ago_is_answered_by_the_day(tmp_path: Path) -> None:
    clock = TurnedClock(NOON_MS)
    store = Store.open(tmp_path, clock=clock)
    producer = Producer("p")
    begin(store, producer, [Kind.COUNTER])
    store.reach_back(REACH_MS)
    sums: dict[int, float] = {}
    for hour in range(0, 30 * 24, 7):
        at_ms = OLD_MS + hour * HOUR_MS
        writer = BodyWriter()
        writer.put_counter(0, 1, float(hour + 1))
        store.write(producer.backfill(at_ms, writer.take(), 1))
        sums[at_ms - at_ms % DAY_MS] = sums.get(at_ms - at_ms % DAY_MS, 0.0) + hour + 1
    store.sync()
    store.checkpoint()
    first, last = (f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}" for at_ms in (OLD_MS, OLD_MS + 31 * DAY_MS))
    query = parse(f"sum m_counter from {first} to {last} step 1d")
    (row,) = answer(query, store.view(), clock.now_ms, Options(zone=UTC))["series"]
    assert {
        instant_ms(point["from"]): point["values"]["sum"] for point in row["points"] if point["values"]["sum"]
    } == sums


def instant_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


# How far back


def test_a_store_that_was_killed_has_its_backfills(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", 1, LONG)
    backfill(lab, 300)
    lab.store.sync()
    lab.crash()
    check_store(lab.store, [lab.producer])
    assert lab.store._state.reach_ms == REACH_MS


def test_the_reach_is_written_before_anything_is_taken(tmp_path: Path) -> None:
    lab = TierLab(tmp_path / "store", 1, LONG)
    lab.send()
    lab.fs.fail_always = {"write"}
    with pytest.raises(StoreError):
        lab.store.reach_back(REACH_MS)
    assert lab.store._state.reach_ms == 0
    lab.fs.fail_always = set()
    lab.store.reach_back(REACH_MS)
    lab.store.reach_back(HOUR_MS)  # it never shrinks
    lab.store.sync()
    lab.crash()
    assert lab.store._state.reach_ms == REACH_MS
    check_store(lab.store, [lab.producer])
