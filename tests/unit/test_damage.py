"""A small store, damaged everywhere: what is left is what a plain reader of the two FORMAT.md predicts, and no more.

Every reading is compared with `plain_survivors`, values and gaps; and with the truth: nothing is invented, and whatever
is missing lies in a gap. `make damage` flips every bit and cuts at every byte; otherwise it is a share of them.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from damage_lab import (
    BACKFILLED,
    FIRST_MS,
    Files,
    Maker,
    Small,
    check_read,
    check_sound,
    check_started,
    make_small,
    write,
)
from plain_survivors import predict
from store_lab import TurnedClock

from obsagent.head.store import Store

SHARE = int(os.environ.get("OBSAGENT_DAMAGE_SHARE", "97"))
"""One of so many is tried."""
JOURNALS = ("journal that begins late", "journal from the start", "backfills")


@pytest.fixture(scope="module", params=JOURNALS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Small:
    directory = tmp_path_factory.mktemp("small")
    kind = request.param
    return make_small(directory, journal_reaches_back=kind != JOURNALS[0], has_backfills=kind == JOURNALS[2])


@pytest.fixture
def copy() -> Iterator[Path]:
    """A directory in memory, where there is one: thousands of stores are written there."""
    root = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(dir=root) as directory:
        yield Path(directory)


def newest_journal(files: Files) -> str:
    return max(name for name in files if name.startswith("journal"))


def newest_segment(files: Files) -> str:
    return max(name for name in files if name.startswith("segments"))


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_the_whole_store_is_read_as_it_is_described(small: Small, copy: Path) -> None:
    write(copy, small.files)
    assert check_read(small, copy).values == small.values
    assert len(small.values) >= 8
    assert len(small.exemplars) >= 4
    assert sum(map(len, small.files.values())) < 6_000
    assert len([name for name in small.files if "-" in name.removeprefix("segments/")]) == 1


def test_every_flipped_bit(small: Small, copy: Path) -> None:
    tried = 0
    for name, data in small.files.items():
        for bit in range(0, 8 * len(data), SHARE):
            write(copy, {**small.files, name: flipped(data, bit)})
            check_sound(small, check_read(small, copy))
            tried += 1
            if tried % 4 == 0:
                check_started(small, copy)
                shutil.rmtree(copy)
    assert tried > 100


def test_truncation_at_every_byte(small: Small, copy: Path) -> None:
    """What the end of the newest journal file held nobody can know: a torn end is what a killed agent leaves."""
    tried = 0
    for name, data in small.files.items():
        for size in range(0, len(data), max(1, SHARE // 3)):
            write(copy, {**small.files, name: data[:size]})
            found = check_read(small, copy)
            if name != newest_journal(small.files):
                check_sound(small, found)
            else:
                assert all(value <= small.values[key] for key, value in found.values.items())
            tried += 1
            if tried % 4 == 0 and name != newest_journal(small.files):
                check_started(small, copy)
                shutil.rmtree(copy)
    assert tried > 100


@pytest.mark.parametrize("seed", range(3))
def test_two_damages_at_once(small: Small, copy: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = sorted(small.files)
    for number in range(max(40, 4_000 // SHARE)):
        files = dict(small.files)
        hit = [chance.choice(names), chance.choice(names)]
        for name in hit:
            data = files[name]
            if chance.random() < 0.7 or not data:
                files[name] = flipped(data, chance.randrange(8 * len(data))) if data else data
            else:
                files[name] = data[: chance.randrange(len(data))]
        write(copy, files)
        found = check_read(small, copy)
        if newest_journal(files) not in hit:
            check_sound(small, found)
        if number % 10 == 0 and newest_journal(files) not in hit:
            check_started(small, copy)
            shutil.rmtree(copy)


def test_a_leftover_of_which_only_the_head_is_left_says_nothing(small: Small, copy: Path) -> None:
    """Otherwise it would say that the journal counts from there on, and what was compacted would count twice."""
    newest = newest_segment(small.files)
    compacted = next(name for name in small.files if "-" in name.removeprefix("segments/"))
    leftover = f"{compacted.partition('-')[0]}.segment"
    for size in range(0, len(small.files[leftover]), 20):
        for left in (0, 200, 400):
            files = {**small.files, leftover: small.files[leftover][:size], newest: small.files[newest][:left]}
            write(copy, files)
            check_sound(small, check_read(small, copy))


def test_of_a_beginning_that_is_lost_late_samples_in_later_files_are_declared(small: Small, copy: Path) -> None:
    """What the first file that is left holds of times before itself, which is not whole, is not read."""
    oldest = {name: b"" for name in small.files if name.startswith("segments") and name != newest_segment(small.files)}
    assert len(oldest) == 2
    write(copy, {**small.files, **oldest})
    check_sound(small, check_read(small, copy))
    check_started(small, copy)


def test_a_run_of_damaged_bytes(small: Small, copy: Path) -> None:
    """As a bad sector of a disk: a part of a file is zeros, or noise."""
    chance = random.Random(4)
    for name, data in small.files.items():
        for _ in range(max(12, 1_000 // SHARE)):
            begin = chance.randrange(len(data))
            noise = chance.randbytes(chance.choice([16, 64, 200])) if chance.random() < 0.5 else bytes(100)
            write(copy, {**small.files, name: data[:begin] + noise + data[begin + len(noise) :]})
            found = check_read(small, copy)
            if name != newest_journal(small.files):
                check_sound(small, found)


def test_a_file_that_is_missing(small: Small, copy: Path) -> None:
    for name in small.files:
        write(copy, {each: data for each, data in small.files.items() if each != name})
        found = check_read(small, copy)
        if name not in (newest_journal(small.files), first_segment(small.files)):  # what was there nobody can know
            check_sound(small, found)
            check_started(small, copy)
            shutil.rmtree(copy)


def first_segment(files: Files) -> str:
    return min(name for name in files if name.startswith("segments"))


def test_files_that_are_missing_together(small: Small, copy: Path) -> None:
    for gone in ("journal", "segments"):
        write(copy, {name: data for name, data in small.files.items() if not name.startswith(gone)})
        found = check_read(small, copy)
        if gone == "journal":
            check_sound(small, found)
            check_started(small, copy)
            shutil.rmtree(copy)


def test_an_empty_file(small: Small, copy: Path) -> None:
    for name in small.files:
        write(copy, {**small.files, name: b""})
        check_sound(small, check_read(small, copy))
        check_started(small, copy)
        shutil.rmtree(copy)


def test_a_directory_in_the_place_of_a_file(small: Small, copy: Path) -> None:
    for name in small.files:
        write(copy, {each: data for each, data in small.files.items() if each != name})
        (copy / name / "within").mkdir(parents=True)
        found = check_read(small, copy)
        if name not in (newest_journal(small.files), first_segment(small.files)):
            check_sound(small, found)
            check_started(small, copy)
            assert (copy / f"{name}.corrupt" / "within").is_dir()
        shutil.rmtree(copy)


@pytest.mark.parametrize("folder", ["segments", "journal"])
def test_a_file_in_the_place_of_a_directory(small: Small, copy: Path, folder: str) -> None:
    write(copy, {name: data for name, data in small.files.items() if not name.startswith(folder)})
    (copy / folder).rmdir()
    (copy / folder).write_bytes(b"what?")
    store = Store.open(copy, clock=TurnedClock(small.now_ms))
    store.close()
    assert (copy / f"{folder}.corrupt").read_bytes() == b"what?"
    check_sound(small, check_read(small, copy)) if folder == "journal" else None


def test_foreign_files_change_nothing(small: Small, copy: Path) -> None:
    segment, journal = newest_segment(small.files), newest_journal(small.files)
    foreign = {
        "segments/x.segment": b"x" * 200,
        "segments/copy.segment": small.files[segment],
        f"{segment}.bak": small.files[segment],
        f"segments/{segment.removeprefix('segments/').removesuffix('.segment')}-old.segment": small.files[segment],
        "journal/copy.journal": small.files[journal],
        f"{journal}~": small.files[journal],
        "notes.txt": b"do not delete",
    }
    write(copy, {**small.files, **foreign})
    assert check_read(small, copy).values == small.values
    check_started(small, copy)
    assert all((copy / name).read_bytes() == data for name, data in foreign.items())


def test_a_copy_under_a_name_that_could_be_counts_once(small: Small, copy: Path) -> None:
    segment, journal = newest_segment(small.files), newest_journal(small.files)
    base = int(journal.removeprefix("journal/").removesuffix(".journal"))
    copies = {
        "segments/0000000000000009.segment": small.files[segment],
        "segments/0000000000000003-0000000000000005.segment": small.files[segment],
        "segments/0000000000000004-0000000000000009.segment": small.files[first_segment(small.files)],
        f"journal/{base + 7:020d}.journal": small.files[journal],
    }
    for name, data in copies.items():
        write(copy, {**small.files, name: data})
        found = check_read(small, copy)
        check_sound(small, found)
        if name != f"journal/{base + 7:020d}.journal":
            assert found.values == small.values, name
        check_started(small, copy)
        shutil.rmtree(copy)


def test_the_files_of_another_store_are_left_out(small: Small, copy: Path, tmp_path: Path) -> None:
    maker = Maker(tmp_path / "other")
    for _ in range(8):
        maker.window()
    maker.store._segments.give_up()
    maker.window()
    (other,) = [
        path for path in (tmp_path / "other" / "segments").iterdir() if path.name.startswith("0000000000000009")
    ]
    write(copy, {**small.files, f"segments/{other.name}": other.read_bytes()})
    assert check_read(small, copy).values == small.values
    check_started(small, copy)
    assert f"{other.name}.corrupt" in {path.name for path in (copy / "segments").iterdir()} or other.exists()


def test_leftovers_are_removed(small: Small, copy: Path) -> None:
    left = {
        f"{newest_segment(small.files)}.tmp": b"half",
        f"{newest_journal(small.files)}.tmp": b"",
        "store.json.tmp": b"{",
    }
    write(copy, {**small.files, **left})
    check_started(small, copy)
    assert not list(copy.rglob("*.tmp"))


def test_a_gap_is_as_narrow_as_the_block_that_is_lost(small: Small, copy: Path) -> None:
    """A block without a header: the block behind it says which windows it had."""
    segment = newest_segment(small.files)
    first_checkpoint = small.files[segment].find(b"OBSB", small.files[segment].find(b"OBSB") + 1)
    write(copy, {**small.files, segment: flipped(small.files[segment], 8 * first_checkpoint)})
    found = check_read(small, copy)
    begin_ms = BACKFILLED[20] if min(small.values)[0] < FIRST_MS else FIRST_MS + 10_000
    assert found.gaps == [(begin_ms, FIRST_MS + 30_000)]  # late samples, accounts, and perhaps a backfill
    lost = {key[0] for key, value in small.values.items() if found.values.get(key) != value}
    assert lost == {FIRST_MS + 10_000, begin_ms}


def test_prediction_needs_no_obsagent() -> None:
    for name in ("plain_survivors.py", "plain_segment.py", "plain_journal.py", "plain_reader.py"):
        assert "obsagent." not in Path(__file__).with_name(name).read_text().replace("obsagent is", "")
    assert predict.__module__ == "plain_survivors"
