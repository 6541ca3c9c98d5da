"""The store over its budgets, on a disk that is full, and on one that fails at any call."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

import pytest
from failing_store import Lab
from faulty_fs import FailingFs
from store_lab import check_store

from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.state import HeadState
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def send_many(lab: Lab, step_ms: int) -> None:
    for number in range(1_000):
        lab.send(lab.clock.now_ms + number * step_ms)


def test_a_head_over_its_budget_is_checkpointed_early(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(head_bytes=1_000))
    lab.send()
    assert lab.store.head_bytes() > 1_000
    assert lab.store.maybe_checkpoint(lab.clock.now_ms)
    assert lab.store.head_bytes() == 0
    lab.check()


def test_a_head_that_cannot_be_written_refuses_more_at_twice_its_budget(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(head_bytes=1_000))
    with pytest.raises(StoreError, match="twice their budget"):
        send_many(lab, WINDOW_MS)
    lab.producer.sent.pop()
    check_store(lab.store, [lab.producer])


def test_entries_are_refused_while_too_much_waits_to_be_synced(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(unsynced_bytes=2_000))
    lab.fs.errno = errno.ENOSPC
    lab.fs.fail_always = {"write", "create"}
    with pytest.raises(StoreError, match="wait to be synced"):
        send_many(lab, 0)
    refused = lab.producer.sent[-1]
    with pytest.raises(StoreError, match="No space left"):
        lab.store.sync()
    lab.fs.fail_always = set()
    lab.store.sync()
    lab.store.write(refused)
    lab.store.sync()
    lab.kill()
    lab.check()
    assert lab.store.status()["sessions"][0]["last_applied"] == refused.sequence


def test_a_full_disk_at_the_start_does_not_keep_the_agent_from_starting(lab: Lab) -> None:
    lab.send()
    lab.store.sync()
    lab.store._store_lock.release()
    lab.fs = FailingFs()
    lab.fs.errno = errno.ENOSPC
    lab.fs.fail_always = {"create", "write"}
    lab.store = Store.open(lab.directory, clock=lab.clock, fs=lab.fs)
    check_store(lab.store, [lab.producer])
    lab.send()
    with pytest.raises(StoreError, match="No space left"):
        lab.store.sync()
    with pytest.raises(StoreError, match="No space left"):
        lab.store.checkpoint()
    check_store(lab.store, [lab.producer])
    lab.fs.fail_always = set()
    lab.store.sync()
    lab.check()
    lab.kill()
    lab.check()


@pytest.mark.parametrize("call", ["create", "write", "sync_data", "rename", "sync_directory"])
def test_a_checkpoint_that_fails_leaves_the_store_as_it_was(lab: Lab, call: str) -> None:
    lab.send()
    lab.store.sync()
    lab.fs.fail_always = {call}
    with pytest.raises(StoreError):
        lab.store.checkpoint()
    check_store(lab.store, [lab.producer])
    lab.send()
    check_store(lab.store, [lab.producer])
    lab.fs.fail_always = set()
    assert lab.store.checkpoint()
    lab.check()
    lab.kill()
    lab.check()


def test_what_arrives_during_a_checkpoint_that_fails_is_kept_with_what_it_took(lab: Lab) -> None:
    lab.send()
    early = lab.store.position()
    lab.fs.before = lambda call: lab.send() and None
    lab.fs.fail_always = {"create"}
    with pytest.raises(StoreError):
        lab.store.checkpoint()
    lab.fs.before = None
    lab.fs.fail_always = set()
    assert len(lab.producer.sent) > 1
    check_store(lab.store, [lab.producer])
    lab.send(lab.clock.now_ms + WINDOW_MS)
    lab.store.checkpoint(lab.clock.now_ms)  # takes nothing: the windows keep their first position
    assert lab.store._mark.low < early
    lab.kill()
    lab.check()


def test_after_a_checkpoint_of_everything_failed_the_cutoff_does_not_go_back(lab: Lab) -> None:
    now = lab.clock.now_ms
    lab.send(now + WINDOW_MS)
    lab.send(now)
    lab.store.checkpoint(now + WINDOW_MS)
    lab.fs.fail_always = {"create", "write"}
    with pytest.raises(StoreError):
        lab.store.checkpoint()
    lab.fs.fail_always = set()
    lab.send(now)
    lab.store.checkpoint(now - 10 * WINDOW_MS)
    lab.store.sync()
    lab.kill()
    lab.check()


def test_what_a_failed_sync_left_in_the_old_file_is_not_applied_again(lab: Lab) -> None:
    """Neither the sync nor the cut succeeds: the old file and the new one hold the same entries."""
    lab.send()
    lab.store.sync()
    lab.send(lab.clock.now_ms + WINDOW_MS)
    lab.fs.fail_always = {"sync_data", "truncate"}
    with pytest.raises(StoreError):
        lab.store.sync()
    lab.fs.fail_always = set()
    lab.store.sync()
    assert len(lab.files("journal")) == 2
    lab.store.checkpoint(lab.clock.now_ms)  # takes nothing, so that both files stay needed
    lab.kill()
    lab.check()


def test_when_applying_fails_the_store_takes_no_more(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(HeadState, "apply", lambda *_: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            lab.send()
    for refused in (lambda: lab.store.write(lab.producer.sent[0]), lab.store.checkpoint, lab.store.close):
        with pytest.raises(StoreError, match="restart"):
            refused()
    lab.open()
    lab.check()
    assert lab.store.status()["sessions"][0]["last_applied"] == 1


def day(lab: Lab) -> int:
    """A bit of everything, in which any call of the file system may fail; returns the frames acknowledged."""
    acknowledged = 0
    for number in range(1, 7):
        lab.send()
        lab.clock.now_ms += 6_000
        with suppress(StoreError):
            lab.store.sync()
            acknowledged = number
        with suppress(StoreError):
            lab.store.maybe_checkpoint(lab.clock.now_ms)
    with suppress(StoreError):
        lab.store.close()
    return acknowledged


def test_every_call_of_the_file_system_may_fail(tmp_path: Path) -> None:
    budgets = Budgets(journal_file_bytes=700, segment_file_bytes=2_000)
    calls = 0
    while True:
        lab = Lab(tmp_path / str(calls), budgets)
        calls += 1
        before = len(lab.fs.log)
        lab.fs.failing = range(before + calls, before + calls + 1)
        acknowledged = day(lab)
        made = len(lab.fs.log) - before
        lab.open()
        applied = check_store(lab.store, [lab.producer])
        assert acknowledged <= applied[lab.producer.session] <= 6
        assert lab.store.status()["corrupt"] == 0
        lab.store.close()
        if calls > made:
            break
    assert calls > 30


def test_every_call_while_opening_may_fail(tmp_path: Path) -> None:
    """Opening then says so, or goes on without a journal file; the next one recovers all the same."""
    lab = Lab(tmp_path / "store")
    lab.send()
    lab.store.checkpoint()
    lab.send()
    lab.store.sync()
    outcomes = set()
    for call in range(1, 100):
        lab.store._store_lock.release()
        fs = FailingFs()
        fs.failing = range(call, call + 1)
        try:
            lab.store = Store.open(lab.directory, clock=lab.clock, fs=fs)
        except StoreError:
            outcomes.add("refused")
            lab.open()
        else:
            outcomes.add("opened")
        check_store(lab.store, [lab.producer])
        if len(fs.log) < call:
            break
        lab.send()
        lab.store.sync()
    assert outcomes == {"opened", "refused"}
    assert call > 8
