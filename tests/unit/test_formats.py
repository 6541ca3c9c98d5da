"""The two FORMAT.md are enough to read a store: a reader that knows nothing else finds what was stored."""

from __future__ import annotations

import random
from pathlib import Path

import plain_reader
import pytest
from faulty_fs import FailingFs
from store_lab import BEGIN_MS, Producer, TurnedClock, begin, make_body, resolve

from obsagent._native.codec import Groups, check_body
from obsagent.clock import window_start
from obsagent.head.budgets import Budgets
from obsagent.head.entries import SessionClose
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A store with several segment files, and a journal with every type of entry."""
    chance = random.Random(3)
    clock = TurnedClock()
    budgets = Budgets(segment_file_bytes=2_000, frame_bytes=200)
    store = Store.open(tmp_path, clock=clock, budgets=budgets, fs=FailingFs())
    producers = [Producer(f"p{index}", worker=index) for index in range(2)]
    for producer in producers:
        begin(store, producer, list(Kind))
    for step in range(12):
        producer = producers[step % 2]
        body, samples = make_body(enumerate(producer.defined), chance)
        store.write(producer.frame(clock.now_ms, body, samples))
        if step in (0, 10, 11):
            store.write(producers[0].happens(BEGIN_MS))
        clock.now_ms += WINDOW_MS // 2
        store.checkpoint(clock.now_ms - WINDOW_MS)
    store._syncs.begin_file()
    producers[0].defined.append(resolve(store, "later", Kind.COUNTER, service="shop"))
    store.write(Producer("third", worker=2).open_entry())
    store.write(producers[0].define_all())
    store.write(producers[0].refusal(clock.now_ms, 5, "time"))
    body, samples = make_body(enumerate(producers[0].defined), chance)
    store.write(producers[0].frame(clock.now_ms, body, samples))
    store.write(producers[0].happens(clock.now_ms, dropped=2, rejected=1))
    store.write(SessionClose(producers[1].session, producers[1].accounts, clock.now_ms))
    store.sync()
    store._store_lock.release()
    return tmp_path


def blocks_of(directory: Path) -> list[plain_reader.Block]:
    paths = sorted((directory / "segments").iterdir())
    assert len(paths) > 2
    return [block for path in paths for block in plain_reader.read_segment(path)]


def test_segments_read_by_their_description(directory: Path) -> None:
    blocks = blocks_of(directory)
    checkpoints = [block for block in blocks if block.kind == plain_reader.CHECKPOINT]
    assert [block.sequence for block in checkpoints] == list(range(1, len(checkpoints) + 1))
    store = Store.open_read_only(directory)
    counters = [series for series in store.view().series() if series.kind == Kind.COUNTER]
    found = plain_reader.counters_of(blocks)
    assert len(found) == 10
    view = store.view()
    view.windows = []
    for start in range(window_start(BEGIN_MS), window_start(BEGIN_MS) + 12 * WINDOW_MS, WINDOW_MS):
        groups = Groups({series.id: index for index, series in enumerate(counters)}, len(counters))
        view.collect(start, start + 1, groups)
        for index, series in enumerate(counters):
            assert groups.counter(index) == found.get((start, series.id), (0, 0.0))


def test_compacted_segments_read_by_their_description(directory: Path) -> None:
    before = blocks_of(directory)
    store = Store.open(directory, clock=TurnedClock(), budgets=Budgets(segment_file_bytes=2_000), fs=FailingFs())
    while store.maybe_compact(0):
        pass
    store._store_lock.release()
    blocks = plain_reader.read_store(directory / "segments")
    compacted = [block for block in blocks if block.kind == plain_reader.COMPACTED]
    assert len(compacted) > 1
    found = plain_reader.counters_of(blocks)
    assert found.items() >= plain_reader.counters_of(before).items()  # opening has made a checkpoint of the journal
    booked = sum(row[2][1] for block in blocks for row in block.tables[3])
    assert booked == Store.open_read_only(directory).status()["accounts"]["total"]["stored"]
    for head, block in zip(blocks[::2], compacted, strict=False):
        of_file = [each for each in before if block.sequence - block.replaced < each.sequence <= block.sequence]
        assert head.frames == of_file[0].frames
        assert head.tables[4] == of_file[-1].tables[4]
        assert (block.low, block.high, block.cutoff) == (of_file[-1].low, of_file[-1].high, of_file[-1].cutoff)


def test_totals_are_those_of_all_files_before(directory: Path) -> None:
    blocks = blocks_of(directory)
    last_head = max(index for index, block in enumerate(blocks) if block.kind == plain_reader.HEAD)
    before: dict[int, int] = {}
    for (_, series), (increments, _) in plain_reader.counters_of(blocks[:last_head]).items():
        before[series] = before.get(series, 0) + increments
    totals = {}
    for window, found in blocks[last_head].frames:
        assert window == 0
        totals |= {row[0]: plain_reader.varint(row[2], 0)[0] for row in found if row[1] == plain_reader.COUNTER}
    assert totals == before


def test_tables_read_by_their_description(directory: Path) -> None:
    blocks = blocks_of(directory)
    store = Store.open_read_only(directory)
    series, sessions, _, _, totals, _, last_seen, _, event_totals, *_ = blocks[-1].tables
    head = next(block for block in reversed(blocks) if block.kind == plain_reader.HEAD)
    known = {row[0]: (row[1], row[7]) for row in head.tables[0]}
    assert known == {one.id: (one.metric, one.labels) for one in store.view().series() if one.metric != "later"}
    assert {row[0].rstrip(b"\0") for row in head.tables[1]} == {b"p0", b"p1"}
    assert all(len(row) == 13 for row in sessions)
    assert totals["shop"][0] == totals["shop"][1] > 0
    assert set(last_seen) <= {one.metric for one in store.view().series()}
    assert series == []
    events = [row for block in blocks if block.kind == plain_reader.CHECKPOINT for row in block.tables[7]]
    assert events == [[f"e{number}", BEGIN_MS, {"session": "p0"}] for number in (1, 2, 3)]
    assert head.tables[7] == events[: len(head.tables[7])] != []
    assert event_totals == {"shop": [3, 0, 0]}
    booked = sum(row[2][1] for block in blocks for row in block.tables[3])
    assert booked == totals["shop"][1]


def test_the_journal_read_by_its_description(directory: Path) -> None:
    preamble, entries = plain_reader.read_journal(sorted((directory / "journal").iterdir())[-1])
    assert [entry.type for entry in preamble] == [17, 16, 16]
    assert [entry.type for entry in entries] == [7, 1, 2, 4, 3, 6, 5]
    assert [row[1] for row in preamble[0].fields[0]] == ["m_histogram", "m_counter", "m_gauge", "m_column"] * 2
    assert preamble[1].fields[1] == [0, 0, 1, 1, 2, 2, 3, 3]
    _, opened, defined, refused, frame, happened, closed = (entry.fields for entry in entries)
    assert opened[1:4] == ["shop", "host", 7]
    assert [row[:2] for row in defined[1]] == [[0, 0], [1, 1], [2, 2], [3, 3], [4, 8]]
    assert [row[2] is None for row in defined[1]] == [True, True, True, True, False]
    assert refused[6:] == [5, refused[3], 1]
    assert frame[5][0] - refused[5][0] == check_body(frame[6])
    assert happened[1:] == [4, 2, 1, [["e4", frame[3], {"session": "p0"}]]]
    assert closed[0].rstrip(b"\0") == b"p1"
    status = Store.open_read_only(directory).status()
    assert entries[-1].position < status["journal"]["position"]
    assert entries[0].position == int(sorted((directory / "journal").iterdir())[-1].name.split(".")[0])
