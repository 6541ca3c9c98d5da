"""The store: its lock, its budgets, its accounts, and what it does when the disk is full or damaged."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from faulty_fs import FailingFs
from store_lab import (
    BEGIN_MS,
    Producer,
    TurnedClock,
    begin,
    check_store,
    make_body,
    refused_definition,
    resolve,
)

from obsagent._native.codec import BodyWriter, Groups, crc32c
from obsagent.errors import StoreError, StoreLocked
from obsagent.head.accounts import Accounts, SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.state import HeadState, UnknownSession
from obsagent.head.store import Store
from obsagent.limits import SESSION_IDLE_LIMIT_MS, WINDOW_MS
from obsagent.samples import Kind


class Lab:
    """A store on a file system that can fail, a clock to turn, and one producer."""

    def __init__(self, directory: Path, budgets: Budgets | None = None) -> None:
        self.directory = directory
        self.budgets = budgets or Budgets()
        self.clock = TurnedClock()
        self.chance = random.Random(1)
        self.producer = Producer("p")
        self.open()
        begin(self.store, self.producer, list(Kind))

    def open(self) -> None:
        self.fs = FailingFs()
        self.store = Store.open(self.directory, clock=self.clock, budgets=self.budgets, fs=self.fs)

    def send(self, at_ms: int | None = None, producer: Producer | None = None, lost: int = 0) -> int:
        producer = producer or self.producer
        body, samples = make_body(enumerate(producer.defined), self.chance)
        return self.store.write(producer.frame(at_ms or self.clock.now_ms, body, samples, lost))

    def check(self) -> None:
        check_store(self.store, [self.producer])
        check_store(Store.open_read_only(self.directory, clock=self.clock), [self.producer])

    def kill(self) -> None:
        self.store._store_lock.release()
        self.open()

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.directory / folder).iterdir())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_what_is_written_is_seen_at_once_and_from_outside_after_a_sync(lab: Lab) -> None:
    position = lab.send()
    check_store(lab.store, [lab.producer])
    assert lab.store.sync() >= position
    lab.check()


def test_a_batch_that_is_sent_twice_is_stored_once(lab: Lab) -> None:
    first = lab.send()
    before = lab.store.position()
    assert lab.store.write(lab.producer.sent[0]) >= first
    assert lab.store.position() == before
    lab.store.sync()
    lab.check()


def test_two_agents_on_one_store(lab: Lab) -> None:
    script = "import sys; from obsagent.head.store import Store; Store.open(sys.argv[1])"
    command = [sys.executable, "-c", script, str(lab.directory)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "StoreLocked" in result.stderr
    assert f"pid {os.getpid()}" in result.stderr
    with pytest.raises(StoreLocked):
        Store.open(lab.directory)
    lab.store.close()
    Store.open(lab.directory).close()


def test_the_lock_is_free_again_when_opening_failed(lab: Lab) -> None:
    lab.store.close()
    crc = crc32c(b"2" + bytes(16))
    (lab.directory / "store.json").write_text(json.dumps({"format": 2, "store_id": "0" * 32, "crc": crc}))
    for _ in range(2):
        with pytest.raises(StoreError, match="newer obsagent"):
            Store.open(lab.directory)
    with pytest.raises(StoreError, match="newer obsagent"):
        Store.open_read_only(lab.directory)


NO_IDENTITY = [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 1, "store_id": 5}', b'{"format": 9, "crc": 1}']


@pytest.mark.parametrize("content", NO_IDENTITY)
def test_a_damaged_identity_is_made_up_for_by_the_files(lab: Lab, content: bytes) -> None:
    lab.send()
    store_id = lab.store.status()["store_id"]
    lab.store.close()
    (lab.directory / "store.json").write_bytes(content)
    lab.open()
    assert lab.store.status()["store_id"] == store_id
    assert (lab.directory / "store.json.corrupt").read_bytes() == content
    lab.check()


def test_a_changed_sketch_is_in_the_next_block_of_the_file(lab: Lab) -> None:
    """And not only in the journal and in the next file's head."""
    (one,) = (series for series in lab.producer.defined if series.kind is Kind.HISTOGRAM)
    lab.send()
    lab.store.checkpoint()
    for sketch in ("loghist", "tdigest", "loghist"):
        asked = lab.store.series.resolve(one.metric, one.kind, one.labels, sketch=sketch)
        assert asked is not None
        lab.store.write(Define(lab.producer.session, [DefinedSeries(0, asked.id, asked)]))
        lab.store.sync()
        assert sketches(lab)[one.id] == sketch
        lab.store.checkpoint()
        assert sketches(lab)[one.id] == sketch
        lab.kill()
        assert sketches(lab)[one.id] == sketch
    lab.store.close()
    for path in (lab.directory / "journal").iterdir():
        path.unlink()
    assert len(lab.files("segments")) == 1
    assert Store.open_read_only(lab.directory).view().table.get(one.id).sketch == "loghist"  # type: ignore[union-attr]


def sketches(lab: Lab) -> dict[int, str]:
    found = [{one.id: one.sketch for one in lab.store.view().series()}]
    found.append({one.id: one.sketch for one in Store.open_read_only(lab.directory).view().series()})
    assert found[0] == found[1]
    return found[0]


def test_there_is_no_store_to_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        Store.open_read_only(tmp_path)


def test_close_leaves_an_empty_journal_and_everything_in_segments(lab: Lab) -> None:
    lab.send()
    lab.send(lab.clock.now_ms + WINDOW_MS)
    lab.store.close()
    reader = Store.open_read_only(lab.directory)
    assert reader.status()["head"] == {"bytes": 0, "windows": 0}
    assert reader.status()["journal"]["files"] == 1
    check_store(reader, [lab.producer])


def test_segments_alone_know_everything_after_a_close(lab: Lab) -> None:
    lab.send()
    lab.store.checkpoint()
    lab.producer.defined.append(resolve(lab.store, "later", Kind.COUNTER, service="shop"))
    lab.store.write(lab.producer.define_all())
    lab.send()
    lab.store.close()
    for path in (lab.directory / "journal").iterdir():
        path.unlink()
    lab.open()
    lab.check()
    assert lab.store.status()["corrupt"] == 0
    assert len(lab.store.series) == 4


def test_series_numbers_outlive_a_restart(lab: Lab) -> None:
    """A client that stays connected in spirit need not define anew before its next frame."""
    lab.store.close()
    lab.open()
    lab.send()
    assert lab.store.status()["accounts"]["total"]["rejected"]["frame"] == 0
    lab.store.sync()
    lab.check()


def test_maybe_checkpoint_waits_for_the_window_and_two_seconds(lab: Lab) -> None:
    lab.clock.now_ms = BEGIN_MS + 9_000
    lab.send()
    edge = BEGIN_MS - BEGIN_MS % WINDOW_MS + WINDOW_MS
    for now_ms, expected in [(edge - 1, False), (edge + 1_999, False), (edge + 2_000, True), (edge + 2_001, False)]:
        assert lab.store.maybe_checkpoint(now_ms) is expected
    lab.send(edge - 1)  # late: it waits for the next edge
    assert lab.store.maybe_checkpoint(edge + 3_000) is False
    assert lab.store.maybe_checkpoint(edge + WINDOW_MS + 2_000) is True
    lab.check()


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


def test_a_view_counts_a_sample_once_while_it_moves_to_a_segment(lab: Lab) -> None:
    lab.send()
    series = lab.producer.defined[0]
    before = lab.store.view()
    during = []
    lab.fs.before = lambda call: during.append(lab.store.view())
    lab.store.checkpoint()
    lab.fs.before = None
    counts = set()
    for view in [before, *during, lab.store.view()]:
        groups = Groups({series.id: 0}, 1)
        view.collect(0, 1 << 60, groups)
        totals = Groups({series.id: 0}, 1)
        view.collect_totals(totals)
        counts |= {groups.samples(0), totals.samples(0)}
        assert view.accounts(0, 1 << 60)["shop"]["stored"] == lab.producer.accounts.observed
    assert len(during) > 2
    assert len(counts) == 1


def test_threads_write_sync_checkpoint_and_read_at_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(journal_file_bytes=5_000, segment_file_bytes=20_000))
    stop = threading.Event()
    failures: list[BaseException] = []

    def repeat(what: object) -> None:
        try:
            while not stop.is_set():
                what()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        groups = Groups({one.id: index for index, one in enumerate(lab.producer.defined)}, 3)
        view = lab.store.view()
        view.collect(0, 1 << 60, groups)
        view.metric_last_ms("m_histogram")
        lab.store.status()

    others = [threading.Thread(target=repeat, args=(what,)) for what in (lab.store.sync, lab.store.checkpoint, read)]
    for thread in others:
        thread.start()
    for number in range(400):
        lab.send(lab.clock.now_ms + number * 500)
    stop.set()
    for thread in others:
        thread.join()
    assert not failures
    lab.store.sync()
    lab.check()


def counter_body(number: int, increments: int) -> bytes:
    writer = BodyWriter()
    writer.put_counter(number, increments, float(increments))
    return writer.take()


def test_samples_of_series_that_are_refused_or_unknown_are_rejected(lab: Lab) -> None:
    session = lab.producer.session
    lab.store.write(Define(session, [refused_definition(7, "much")]))
    for sequence, number in enumerate((7, 8), start=1):
        body = counter_body(number, 5)
        now = lab.clock.now_ms
        lab.store.write(Frame(session, sequence, 1, now, now + 100, SessionAccounts(5 * sequence), body))
    total = lab.store.status()["accounts"]["total"]
    assert total == Accounts(observed=10, rejected_frame=10).as_dict()
    assert lab.store.status()["series"]["refused"] == {"much": 1}


def test_definitions_that_cannot_be_refuse_their_samples_and_nothing_else(lab: Lab) -> None:
    wild = lab.store.series.resolve("wild", Kind.HISTOGRAM, {}, scale=99)
    assert wild is not None
    rows = [DefinedSeries(7, wild.id, wild), DefinedSeries(-1, wild.id), DefinedSeries(1 << 40, 0)]
    lab.store.write(Define(lab.producer.session, rows))
    writer = BodyWriter()
    writer.put_run(7, [1.0, 2.0])
    frame = Frame(lab.producer.session, 1, 1, BEGIN_MS, BEGIN_MS + 9, SessionAccounts(2), writer.take())
    lab.store.write(frame)
    lab.store.sync()
    lab.kill()
    assert lab.store.status()["accounts"]["total"] == Accounts(observed=2, rejected_frame=2).as_dict()
    assert lab.store.status()["corrupt"] == 0


def test_refused_definitions_are_counted_once_across_restarts(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(series_per_metric=2))
    names = [resolve(lab.store, "m", Kind.COUNTER, service="shop", n=str(index)) for index in range(5)]
    lab.store.write(Define(lab.producer.session, [DefinedSeries(10 + i, one.id, one) for i, one in enumerate(names)]))
    lab.send()
    lab.send(lab.clock.now_ms + WINDOW_MS)
    lab.store.checkpoint(lab.clock.now_ms + WINDOW_MS)  # the definitions stay in the journal
    for _ in range(2):
        assert lab.store.view().overflowed == {"m": 3}
        assert Store.open_read_only(lab.directory).view().overflowed == {"m": 3}
        lab.kill()
    lab.store.close()
    lab.open()
    assert lab.store.view().overflowed == {"m": 3}


def test_an_entry_of_a_session_that_nobody_opened_is_refused(lab: Lab) -> None:
    before = lab.store.position()
    with pytest.raises(UnknownSession):
        lab.store.write(Define(b"?" * 16, []))
    assert lab.store.position() == before


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


def test_worker_slots_are_the_lowest_free_ones(lab: Lab) -> None:
    sessions = lab.store.sessions
    assert sessions.free_worker("shop", "host") == 1
    assert sessions.free_worker("shop", "other") == 0
    assert sessions.free_worker("bank", "host") == 0
    lab.store.write(SessionOpen(b"2" * 16, "shop", "host", 1, BEGIN_MS, 2))
    assert sessions.free_worker("shop", "host") == 1
    sessions.set_state(lab.producer.session, "suspended")
    assert sessions.free_worker("shop", "host") == 0
    sessions.set_state(lab.producer.session, "live")
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    assert sessions.free_worker("shop", "host") == 0
    sessions.set_state(lab.producer.session, "live")
    assert sessions.free_worker("shop", "host") == 0


def test_open_sessions_are_live_after_a_restart_and_closed_ones_are_not(lab: Lab) -> None:
    other = Producer("other", worker=1)
    begin(lab.store, other)
    lab.store.sessions.set_state(other.session, "suspended")
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    for restart in (lab.kill, lambda: (lab.store.close(), lab.open())):
        lab.store.sync()
        restart()
        states = {one["worker"]: one["state"] for one in lab.store.status()["sessions"]}
        assert states == {0: "closed", 1: "live"}


def test_sessions_that_are_idle_for_two_hours_are_forgotten(lab: Lab) -> None:
    lab.store.write(lab.producer.close_entry(BEGIN_MS))
    silent = Producer("silent", worker=1)
    begin(lab.store, silent)
    lab.clock.now_ms += SESSION_IDLE_LIMIT_MS
    lab.send(producer=silent)
    lab.store.checkpoint()
    assert len(lab.store.sessions) == 2
    lab.clock.now_ms += 1
    lab.send(producer=silent)
    lab.store.checkpoint()
    assert [one.session for one in lab.store.sessions] == [silent.session]
    lab.store.close()
    lab.open()
    assert [one.session for one in lab.store.sessions] == [silent.session]


def test_a_closed_sessions_last_counters_are_booked(lab: Lab) -> None:
    lab.producer.accounts = SessionAccounts(10, 1, 2, 3, 4)
    lab.store.write(lab.producer.close_entry(BEGIN_MS + 50_000))
    expected = Accounts(10, 0, 1, 2, 3, 4).as_dict()
    for _ in range(2):
        assert lab.store.view().accounts(BEGIN_MS + 45_000, BEGIN_MS + 55_000) == {"shop": expected}
        assert lab.store.view().accounts(BEGIN_MS, BEGIN_MS + 39_000) == {}
        lab.store.sync()
        lab.kill()
    lab.store.checkpoint()
    assert lab.store.view().accounts(BEGIN_MS + 45_000, BEGIN_MS + 55_000) == {"shop": expected}


def test_counters_of_the_accounts_never_fall() -> None:
    account = Accounts(observed=5, dropped_ring=1)
    account.book(SessionAccounts(10, 5, 5, 5, 5), SessionAccounts(13, 4, 6, 7, 8))
    assert account == Accounts(observed=8, dropped_ring=1, dropped_budget=1, dropped_expired=2, rejected_value=3)
    account.add(Accounts(1, 2, 3, 4, 5, 6, 7, 8))
    assert account == Accounts(9, 2, 4, 5, 7, 9, 7, 8)
    assert account.pending == 0
    assert Accounts(observed=36, stored=1, dropped_ring=2, rejected_time=3).pending == 30
    assert Accounts.from_row(account.to_row()) == account


def test_the_last_sample_of_a_metric_is_known_in_the_head_and_behind_it(lab: Lab) -> None:
    lab.send()
    last = lab.producer.sent[-1].end_ms
    assert lab.store.view().metric_last_ms("m_gauge") == last
    assert lab.store.view().metric_last_ms("nothing") is None
    lab.store.checkpoint()
    assert lab.store.view().metric_last_ms("m_gauge") == last
    lab.send(lab.clock.now_ms - 5 * WINDOW_MS)  # late
    lab.store.checkpoint()
    lab.store.close()
    lab.open()
    assert lab.store.view().metric_last_ms("m_gauge") == last


def test_the_last_value_of_a_gauge_is_the_latest_in_memory(lab: Lab) -> None:
    gauge = next(one for one in lab.producer.defined if one.kind == Kind.GAUGE)
    number = lab.producer.defined.index(gauge)
    assert lab.store.gauge_last(gauge.id) is None
    for sequence, (value, at_ms) in enumerate([(1.0, BEGIN_MS + WINDOW_MS), (2.0, BEGIN_MS)], start=1):
        writer = BodyWriter()
        writer.put_gauge(number, value)
        frame = Frame(lab.producer.session, sequence, 1, at_ms, at_ms + 9, SessionAccounts(sequence), writer.take())
        lab.store.write(frame)
    assert lab.store.gauge_last(gauge.id) == (1.0, BEGIN_MS + WINDOW_MS + 9)


def damage(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


def test_a_damaged_entry_costs_itself_and_is_counted(lab: Lab) -> None:
    ends = [lab.send() for _ in range(3)]
    lab.store.sync()
    lab.store._store_lock.release()
    (path,) = (lab.directory / "journal").iterdir()
    damage(path, path.stat().st_size - (ends[2] - ends[1]) - 5)  # in the second frame's body
    reader = Store.open_read_only(lab.directory)
    assert reader.status()["corrupt"] == 1
    lab.open()
    assert lab.store.status()["corrupt"] == 1
    assert f"{path.name}.corrupt" in lab.files("journal")
    stored = lab.store.status()["accounts"]["total"]
    lost = lab.producer.sent[1].accounts.observed - lab.producer.sent[0].accounts.observed
    assert stored["pending"] == lost
    lab.send()
    lab.store.close()
    lab.open()
    assert lab.store.status()["accounts"]["total"]["pending"] == lost


def test_a_lost_journal_file_is_counted(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(journal_file_bytes=300))
    for _ in range(6):
        lab.send()
        lab.store.sync()
    names = lab.files("journal")
    assert len(names) > 3
    (lab.directory / "journal" / names[1]).unlink()
    lab.kill()
    assert lab.store.status()["corrupt"] == 1
    assert lab.store.status()["sessions"][0]["last_applied"] == 6


def test_damage_met_by_a_query_is_counted(lab: Lab) -> None:
    lab.send()
    lab.store.checkpoint()
    path = next((lab.directory / "segments").iterdir())
    block = lab.store.view().blocks[-1]
    damage(path, block.offset + block.header.frames_offset + 3)
    for _ in range(2):
        lab.store.view().collect(0, 1 << 60, Groups({one.id: 0 for one in lab.producer.defined}, 1))
        assert lab.store.status()["corrupt"] == 1


def test_totals_outlive_the_files_that_they_came_from(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(segment_file_age_ms=1))
    for _ in range(4):
        lab.send()
        lab.clock.now_ms += WINDOW_MS
        lab.store.checkpoint()
    lab.check()
    names = lab.files("segments")
    assert len(names) == 4
    for name in names[:-1]:
        (lab.directory / "segments" / name).unlink()
    lab.kill()
    counter = next(one for one in lab.producer.defined if one.kind == Kind.COUNTER)
    totals, recent = Groups({counter.id: 0}, 1), Groups({counter.id: 0}, 1)
    lab.store.view().collect_totals(totals)
    lab.store.view().collect(0, 1 << 60, recent)
    assert totals.samples(0) > recent.samples(0) > 0
    assert lab.store.status()["accounts"]["total"]["stored"] == lab.producer.accounts.observed
    assert [one.key for one in lab.store.series] == [one.key for one in lab.producer.defined]


def test_a_reader_beside_a_busy_agent_never_sees_half(tmp_path: Path) -> None:
    """Every answer of a reader balances: what the accounts call stored is what the windows hold."""
    lab = Lab(tmp_path / "store", Budgets(journal_file_bytes=3_000, segment_file_bytes=8_000))
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            lab.send()
            lab.store.sync()
            lab.clock.now_ms += 1_500
            lab.store.maybe_checkpoint(lab.clock.now_ms)
            stop.wait(0.002)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        seen = []
        for _ in range(15):
            reader = Store.open_read_only(lab.directory)
            groups = Groups({one.id: 0 for one in reader.view().series()}, 1)
            reader.view().collect(0, 1 << 60, groups)
            assert groups.samples(0) == reader.status()["accounts"]["total"]["stored"]
            assert reader.status()["corrupt"] == 0
            seen.append(groups.samples(0))
    finally:
        stop.set()
        thread.join()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_entries_before_the_low_position_of_a_checkpoint_do_nothing(lab: Lab) -> None:
    """Those at the beginning of the file in which the low position lies are read again and again."""
    now = lab.clock.now_ms
    lab.send(now + WINDOW_MS)
    lab.store.checkpoint()
    lab.send(now)
    lab.send(now + WINDOW_MS)
    lab.store.checkpoint(now + WINDOW_MS)
    mark = lab.store._mark
    assert 0 < mark.low < mark.high
    state = HeadState(lab.store.series)
    state.mark = mark
    for entry in (lab.producer.open_entry(), lab.producer.define_all(), lab.producer.sent[0]):
        state.apply(entry, 0)
    assert not state.windows
    state.apply(lab.producer.sent[2], mark.low)
    assert list(state.windows) == [now - now % WINDOW_MS + WINDOW_MS]
    assert state.totals == {}
    lab.kill()
    lab.check()


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


def small_store(lab: Lab) -> dict[str, bytes]:
    """Two blocks in a segment, two frames in the journal; every file by its name."""
    for _ in range(4):
        lab.send()
        lab.store.sync()
        if lab.clock.now_ms < BEGIN_MS + 2 * WINDOW_MS:
            lab.store.checkpoint()
        lab.clock.now_ms += WINDOW_MS
    lab.store._store_lock.release()
    files = (path for path in lab.directory.rglob("*") if path.is_file() and path.name != "store.lock")
    return {str(path.relative_to(lab.directory)): path.read_bytes() for path in files}


def test_no_flipped_bit_keeps_the_agent_from_starting(lab: Lab, tmp_path: Path) -> None:
    """And none brings back more than was stored, or costs more than the block or entry that it is in.

    An entry that says what series numbers mean takes with it what is in the journal of that session.
    """
    whole = small_store(lab)
    sent = [frame.accounts.observed for frame in lab.producer.sent]
    each = [after - before for before, after in zip([0, *sent], sent, strict=False)]
    assert len([name for name in whole if "segment" in name or "journal" in name]) == 2
    copy = tmp_path / "copy"
    for name, data in whole.items():
        for offset in range(0, len(data), 13):
            for other, content in whole.items():
                (copy / other).parent.mkdir(parents=True, exist_ok=True)
                (copy / other).write_bytes(content)
            damaged = bytearray(data)
            damaged[offset] ^= 1 << offset % 8
            (copy / name).write_bytes(damaged)
            store = Store.open(copy, clock=lab.clock, fs=FailingFs())
            groups = Groups({one.id: 0 for one in lab.producer.defined}, 1)
            store.view().collect(0, 1 << 60, groups)
            lost = sum(each) - groups.samples(0)
            assert lost in (0, *each, sum(each[2:])), (name, offset)
            assert not lost or store.status()["corrupt"] or name.startswith("journal"), (name, offset)
            store.close()
            shutil.rmtree(copy)
