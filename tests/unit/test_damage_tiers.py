"""Rolled-up files, damaged everywhere: windows of 10 s do not suffer, and what is missing of longer ones lies in a gap.

`test_damage.py` says exactly what is left of the 10 s tier, which this compares with. Of the coarser tiers it is asked
that nothing is invented and that the gaps have all that is missing: also when the 10 s tier has expired, in which the
samples still were. `OBSAGENT_DAMAGE_SHARE=1` flips every bit.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from damage_lab import FIRST_MS, Maker, Small, check_read, write
from faulty_fs import FailingFs
from plain_survivors import predict
from store_lab import TurnedClock

from obsagent._native.codec import Groups, crc32c
from obsagent.errors import StoreError
from obsagent.head.budgets import Budgets
from obsagent.head.store import ReadOnlyStore, Store
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.gaps import Gap

SHARE = int(os.environ.get("OBSAGENT_DAMAGE_SHARE", "97"))
EXPIRING = Budgets(retention_ms=(0, 1 << 50, 1 << 50))
Values = dict[tuple[int, str], tuple[int, float]]
"""Window and metric → increments and sum."""


class RollingMaker(Maker):
    """Its compacted file is rolled up into both tiers."""

    def compact(self) -> None:
        super().compact()
        while self.store.maybe_roll_up(self.clock.now_ms):
            pass


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    directory = tmp_path_factory.mktemp("small") / "store"
    maker = RollingMaker(directory)
    files = maker.make(journal_reaches_back=False)
    found = predict(directory, maker.clock.now_ms)
    assert found.gaps == []
    return Small(files, maker.clock.now_ms, found.values, found.exemplars)


@pytest.fixture
def copy() -> Iterator[Path]:
    root = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(dir=root) as directory:
        yield Path(directory)


def rolled(small: Small) -> list[str]:
    return [name for name in small.files if name.count(".") == 2]


def true_values(small: Small, window_ms: int) -> Values:
    found: Values = {}
    for (start, metric, _), (increments, total) in small.values.items():
        key = start - start % window_ms, metric
        before = found.get(key, (0, 0.0))
        found[key] = before[0] + increments, before[1] + total
    return found


def read(store: Store | ReadOnlyStore, window_ms: int) -> tuple[Values, list[Gap]]:
    """What there is in windows of this length, and the gaps that are known when it has been read."""
    view = store.view()
    series = view.series()
    begin_ms = FIRST_MS - FIRST_MS % window_ms
    count = 300_000 // window_ms + 2
    end_ms = begin_ms + count * window_ms
    groups = Groups({one.id: n for n, one in enumerate(series)}, len(series), begin_ms, window_ms, count)
    view.collect(begin_ms, end_ms, groups, window_ms)
    values: Values = {}
    for step in range(count):
        for number, one in enumerate(series):
            if groups.samples(number, step):
                values[begin_ms + step * window_ms, one.metric] = groups.counter(number, step)
    return values, view.gaps(begin_ms, end_ms)


def check_tier(small: Small, store: Store | ReadOnlyStore, window_ms: int) -> bool:
    """Returns whether something is missing."""
    found, gaps = read(store, window_ms)
    truth = true_values(small, window_ms)
    assert found.keys() <= truth.keys()
    for key, value in truth.items():
        left = found.get(key, (0, 0.0))
        assert left <= value, (window_ms, key)
        if left != value:
            assert any(gap.from_ms < key[0] + window_ms and key[0] < gap.to_ms for gap in gaps), (window_ms, key, gaps)
    return found != truth


def check_damaged(small: Small, directory: Path) -> bool:
    """By a reader, the shortest windows first. Returns whether something is missing."""
    clock = TurnedClock(small.now_ms)
    reader = Store.open_read_only(directory, clock=clock)
    assert read(reader, WINDOW_MS)[0] == true_values(small, WINDOW_MS)
    minutes, hours = (check_tier(small, reader, window_ms) for window_ms in TIER_WINDOWS_MS[1:])
    return minutes or hours


def check_expired(small: Small, directory: Path) -> None:
    """An agent starts, goes on with its roll-ups, and lets the compacted 10 s file go: what then is missing is said."""
    clock = TurnedClock(small.now_ms)
    store = Store.open(directory, clock=clock, fs=FailingFs(), budgets=EXPIRING)
    while store.maybe_compact(clock.now_ms) or store.maybe_roll_up(clock.now_ms):
        pass
    assert store.maybe_retire(clock.now_ms + 1_000_000)
    for window_ms in TIER_WINDOWS_MS[1:]:
        check_tier(small, store, window_ms)
    store.close()
    for window_ms in TIER_WINDOWS_MS[1:]:
        check_tier(small, Store.open_read_only(directory, clock=clock), window_ms)


def damaged(small: Small) -> Iterator[dict[str, bytes]]:
    """The files with one bit flipped, cut short, with zeros or noise in them, empty or gone."""
    chance = random.Random(5)
    for name in rolled(small):
        data = small.files[name]
        for bit in range(chance.randrange(SHARE), 8 * len(data), SHARE):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            yield {**small.files, name: bytes(flipped)}
        for size in range(0, len(data), max(1, SHARE // 3)):
            yield {**small.files, name: data[:size]}
        for _ in range(max(8, 500 // SHARE)):
            begin, junk = chance.randrange(len(data)), chance.choice([bytes(100), chance.randbytes(64)])
            yield {**small.files, name: data[:begin] + junk + data[begin + len(junk) :]}
        yield {each: content for each, content in small.files.items() if each != name}


def test_the_store_is_small_and_whole(small: Small, copy: Path) -> None:
    write(copy, small.files)
    assert check_read(small, copy).values == small.values
    assert len(rolled(small)) == 2
    assert sum(map(len, small.files.values())) < 6_000
    reader = Store.open_read_only(copy, clock=TurnedClock(small.now_ms))
    for window_ms in TIER_WINDOWS_MS:
        assert read(reader, window_ms) == (true_values(small, window_ms), [])
        assert read(reader, window_ms)[0]
    assert {*reader.view().tiers.rolled} == {*TIER_WINDOWS_MS[1:]}


def test_damage_of_a_rolled_up_file(small: Small, copy: Path) -> None:
    tried = lacking = 0
    for files in damaged(small):
        write(copy, files)
        lacking += check_damaged(small, copy)
        tried += 1
        if tried % 3 == 0:
            check_expired(small, copy)
            shutil.rmtree(copy)
    assert tried > 60
    assert 10 < lacking < tried


def test_a_rolled_up_file_that_is_gone_is_made_again(small: Small, copy: Path) -> None:
    write(copy, {name: data for name, data in small.files.items() if name not in rolled(small)})
    check_expired(small, copy)
    assert {name for name in rolled(small) if (copy / name).exists()} == {*rolled(small)}


def test_a_version_from_the_future_is_refused(small: Small, copy: Path) -> None:
    name = rolled(small)[0]
    header = bytearray(small.files[name][:44])
    header[8] = 9
    header[40:] = crc32c(bytes(header[:40])).to_bytes(4, "little")
    write(copy, {**small.files, name: bytes(header) + small.files[name][44:]})
    with pytest.raises(StoreError, match="version 9"):
        Store.open_read_only(copy)
