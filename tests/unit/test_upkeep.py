"""The threads that keep a store go on after any failure, and say as long as it lasts what they cannot do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from obsagent import upkeep
from obsagent.errors import StoreError
from obsagent.limits import JOURNAL_UNSYNCED_BYTES_MAX
from obsagent.upkeep import Checkpointer, Committer, Trouble

LIMIT_S = 10.0


class FakeStore:
    """Fails with what is in `failures`, in turn; None is a success."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.unsynced = 0
        self.calls = 0
        self.records = SimpleNamespace(maybe_flush=lambda: False)

    def position(self) -> int:
        return 5_000_000_000

    def unsynced_bytes(self) -> int:
        return self.unsynced

    def sync(self) -> int:
        self._do()
        return self.position()

    def maybe_checkpoint(self, _now_ms: int) -> bool:
        if not self.failures:
            return False
        self._do()
        return True

    def _do(self) -> None:
        self.calls += 1
        error = self.failures.pop(0) if self.failures else None
        if error is not None:
            raise error


def committer(store: FakeStore, after: Callable[[], None] = lambda: None) -> Committer:
    return Committer(store, after, lambda _seconds: None)  # type: ignore[arg-type]


def test_what_a_restarted_agent_found_on_disk_does_not_wait_to_be_synced() -> None:
    """Whose position is that of years of journal, also if the disk is full from the beginning."""
    store = FakeStore()
    one = committer(store)
    assert one.synced == store.position()
    assert not one.overloaded()
    store.unsynced = JOURNAL_UNSYNCED_BYTES_MAX + 1
    assert one.overloaded()


@pytest.mark.parametrize("error", [StoreError("full"), OSError(5, "EIO"), MemoryError(), ValueError("a bug of ours")])
def test_a_sync_that_fails_is_tried_again_whatever_the_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FAILED_SYNC_PAUSE_S", 0.01)
    store, synced = FakeStore(error, error, None), threading.Event()
    one = committer(store, synced.set)
    one.thread.start()
    one._wanted.set()
    assert synced.wait(LIMIT_S)
    one.stop()
    assert (one.trouble.error, one.trouble.count) == (None, 2)
    assert store.calls >= 3


def test_stopping_waits_for_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FAILED_SYNC_PAUSE_S", 60.0)
    one = committer(FakeStore(*[StoreError("full")] * 3))
    one.thread.start()
    one._wanted.set()
    deadline = time.monotonic() + LIMIT_S
    while not one.trouble.count and time.monotonic() < deadline:
        time.sleep(0.01)
    one.stop()
    assert one.trouble.count == 2  # the last sync as well
    assert str(one.trouble.error) == "full"


def test_a_checkpoint_that_fails_is_a_trouble_until_one_is_written(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeStore(StoreError("full"), StoreError("full"))
    one = Checkpointer(store, lambda: 0, lambda _seconds: None)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        one._look()
        one._look()
        one._look()  # not the time for one
    assert (str(one.trouble.error), one.trouble.count) == ("full", 2)
    store.failures = [None]
    with caplog.at_level(logging.INFO):
        one._look()
    assert one.trouble.error is None
    said = "the head cannot be written to a segment"
    assert [record.getMessage() for record in caplog.records] == [f"{said}: full", f"no longer: {said}"]


def test_a_bug_is_logged_with_its_traceback_and_an_error_of_the_disk_without(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble("it")
    for error in (StoreError("full"), KeyError("what")):
        trouble.met(error)
    known, bug = caplog.records
    assert (known.exc_info, bug.exc_info is not None) == (None, True)
