"""The store: its lock, its checkpoints, and what is seen of it at once, from outside and after a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from failing_store import Lab
from store_lab import BEGIN_MS, check_store, resolve

from obsagent._native.codec import BodyWriter, Groups, crc32c
from obsagent.errors import StoreError, StoreLocked
from obsagent.head.accounts import SessionAccounts
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Define, DefinedSeries, Frame
from obsagent.head.state import HeadState
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_what_is_written_is_seen_at_once_and_from_outside_after_a_sync(lab: Lab) -> None:
    position = lab.send()
    check_store(lab.store, [lab.producer])
    assert lab.store.sync() >= position
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
    assert lab.store.status()["corrupt"] == 1  # whether there were entries behind the checkpoint nobody can know
    assert [gap["reason"] for gap in lab.store.status()["gaps"]] == ["a part of the journal is missing"]
    assert len(lab.store.series) == len(lab.producer.defined)


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
        defined = lab.producer.defined
        groups = Groups({one.id: index for index, one in enumerate(defined)}, len(defined))
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
