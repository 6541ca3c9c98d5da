"""`obsagent fsck`: what is damaged is found where it is, and repair keeps the rest and says what is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from compaction_lab import Lab, blocks_in
from damage_lab import Small, check_sound, found_in, make_small, write
from faulty_fs import FailingFs, flip
from store_lab import Truth, TurnedClock, applied_of, check_totals

from obsagent import cli
from obsagent.errors import StoreError, StoreLocked
from obsagent.head.repair import repair
from obsagent.head.store import Store
from obsagent.head.verify import verify
from obsagent.segment import format as layout
from obsagent.segment.recover import scan_file


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A store that was killed: a compacted file, plain ones, one that is superseded, a journal."""
    lab = Lab(tmp_path / "store")
    assert lab.store.maybe_compact(lab.clock.now_ms)
    lab.abandon()
    return lab


def files_of(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def plain_segment(lab: Lab) -> Path:
    """One in the middle that is not compacted and holds several checkpoints."""
    directory = lab.directory / "segments"
    return next(
        directory / name for name in lab.names()[2:-1] if "-" not in name and len(blocks_in(directory / name)) > 2
    )


def test_a_sound_store(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_of(lab.directory)
    assert cli.main(["fsck", str(lab.directory)]) == 0
    shown = capsys.readouterr().out
    assert files_of(lab.directory) == before
    assert shown.splitlines()[-1] == "sound"
    assert all(f"segments/{name}" in shown for name in lab.names())
    assert cli.main(["fsck", "--format", "json", str(lab.directory)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sound"]
    assert report["gaps"] == report["missing"] == []
    kinds = {file["kind"]: file for file in report["files"]}
    assert kinds.keys() == {"identity", "compacted", "superseded", "segment", "journal"}
    assert kinds["compacted"]["version"] == layout.VERSION_WITH_COLUMNS
    assert kinds["compacted"]["holds"] == {"head": 1, "compacted block": 1, "frames": 7}
    assert kinds["journal"]["holds"]["frames"] == len(lab.producer.sent)


@pytest.mark.parametrize("where", ["header", "tables", "index", "frame", "head tables", "totals"])
def test_damage_is_found_where_it_is_and_repaired(lab: Lab, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = plain_segment(lab)
    head, block, *_ = blocks_in(path)
    offset = {
        "header": block.offset + 20,
        "tables": block.offset + layout.BLOCK_HEADER.size,
        "index": block.offset + block.header.index_offset,
        "frame": block.offset + block.header.frames_offset,
        "head tables": head.offset + layout.BLOCK_HEADER.size,
        "totals": head.offset + head.header.frames_offset,
    }[where]
    flip(path, offset)
    damaged = path.read_bytes()
    assert cli.main(["fsck", str(lab.directory)]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"segments/{path.name}, byte ")]
    assert len(wrong) == 1
    begin, size = (int(word.replace(",", "")) for word in wrong[0].split(" byte ")[1].split(" bytes")[0].split(", "))
    assert begin <= offset < begin + size
    assert cli.main(["fsck", "--repair", str(lab.directory)]) == 0
    assert path.with_name(path.name + ".corrupt").read_bytes() == damaged
    gaps = verify(lab.directory, lab.clock)["gaps"]
    if where in ("head tables", "totals"):
        assert gaps == []
    else:
        assert len(gaps) == 1
        assert gaps[0]["recorded"]
        assert gaps[0]["to"] - gaps[0]["from"] <= 40_000
    capsys.readouterr()
    assert cli.main(["fsck", str(lab.directory)]) == 0
    shown = capsys.readouterr().out
    assert ("gaps" in shown) == bool(gaps)


def test_what_is_whole_is_kept_by_a_repair(lab: Lab) -> None:
    """One frame of a block is lost: its accounts, its other frames and the totals are not."""
    path = plain_segment(lab)
    head, block, *_ = blocks_in(path)
    flip(path, head.offset + head.header.frames_offset)
    flip(path, block.offset + block.header.frames_offset)
    before = Store.open_read_only(lab.directory, clock=lab.clock)
    expected = before.status()["accounts"]
    accounts = before.view().accounts(0, 1 << 60)
    frames = sum(each.header.frame_count for each in blocks_in(path))
    repair(lab.directory, lab.clock, FailingFs())
    after = Store.open_read_only(lab.directory, clock=lab.clock)
    assert after.status()["accounts"] == expected
    assert sum(each.header.frame_count for each in blocks_in(path)) == frames - head.header.frame_count - 1
    assert blocks_in(path)[0].header.kind == layout.BLOCK_CHECKPOINT
    assert after.view().accounts(0, 1 << 60) == accounts


def test_a_repair_of_a_damaged_head_costs_nothing(lab: Lab) -> None:
    path = plain_segment(lab)
    (head, *_) = blocks_in(path)
    flip(path, head.offset + layout.BLOCK_HEADER.size)
    repair(lab.directory, lab.clock, FailingFs())
    lab.open()
    lab.check()
    check_totals(lab.store.view(), lab.ids, Truth.of([lab.producer], applied_of(lab.store)))
    while lab.store.maybe_compact(lab.clock.now_ms):  # what has no head is left as it is
        pass
    lab.check()
    assert lab.store.status()["corrupt"] == 0


@pytest.mark.parametrize("journal_reaches_back", [False, True])
def test_whatever_is_flipped_a_repair_makes_it_sound(tmp_path: Path, journal_reaches_back: bool) -> None:
    small = make_small(tmp_path / "small", journal_reaches_back=journal_reaches_back)
    chance = random.Random(7)
    unnoticed = []
    for number in range(60):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        (tmp_path / "copy").mkdir()
        name = chance.choice(sorted(small.files))
        data = bytearray(small.files[name])
        for _ in range(1 + number % 2):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        write(tmp_path / "copy", {**small.files, name: bytes(data)})
        if not noticed_and_repaired(small, tmp_path / "copy"):
            unnoticed.append(name)
    assert unnoticed in ([], ["store.json"])  # a letter of its id that is large now is the same id


def noticed_and_repaired(small: Small, directory: Path) -> bool:
    clock = TurnedClock(small.now_ms)
    before = files_of(directory)
    report = verify(directory, clock)
    assert files_of(directory) == before
    after = repair(directory, clock, FailingFs())
    assert after["sound"], after
    assert verify(directory, clock) == after
    found = found_in(Store.open_read_only(directory, clock=clock))
    check_sound(small, found)
    for gap in report["gaps"]:
        assert any(each["from"] <= gap["from"] and gap["to"] <= each["to"] for each in after["gaps"])
    return not report["sound"]


def test_missing_blocks_are_named_until_they_are_declared(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = plain_segment(lab)
    first, last = blocks_in(path)[0].header.sequence, blocks_in(path)[-1].header.sequence
    path.unlink()
    assert cli.main(["fsck", str(lab.directory)]) == 1
    assert f"blocks are missing: sequence {first} to {last} (windows of " in capsys.readouterr().out
    assert cli.main(["fsck", "--repair", str(lab.directory)]) == 0
    assert "blocks are missing" in capsys.readouterr().out


def test_leftovers_are_noted_and_foreign_files_let_be(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    (lab.directory / "segments" / "0000000000000099.segment.tmp").write_bytes(b"half")
    (lab.directory / "notes.txt").write_bytes(b"mine")
    (lab.directory / "segments" / "0000000000000098.segment").mkdir()
    assert cli.main(["fsck", str(lab.directory)]) == 1
    shown = capsys.readouterr().out
    assert "segments/0000000000000099.segment.tmp: the next start removes it" in shown
    assert "notes.txt: it is not the store's" in shown
    assert "segments/0000000000000098.segment, byte 0" in shown
    assert cli.main(["fsck", "--repair", str(lab.directory)]) == 0
    assert (lab.directory / "notes.txt").read_bytes() == b"mine"
    assert not (lab.directory / "segments" / "0000000000000099.segment.tmp").exists()


def test_an_append_under_way_is_no_damage(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    journal = next((lab.directory / "journal").iterdir())
    newest = lab.directory / "segments" / lab.names()[-1]
    for path in (journal, newest):
        path.write_bytes(path.read_bytes()[:-5])
    assert cli.main(["fsck", str(lab.directory)]) == 0
    assert capsys.readouterr().out.count("of an append that is under way or was cut short") == 2


def test_a_file_in_which_only_the_first_block_has_a_header_is_named(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """What follows looks like the end of the file, and a compacted file may hold its checkpoints."""
    path = lab.directory / "segments" / lab.names()[1]
    _, second, *others = scan_file(path, is_last=False).blocks
    for block in (second, *others):
        flip(path, block.offset + 20)
    assert cli.main(["fsck", str(lab.directory)]) == 1
    assert f"segments/{path.name}, byte {second.offset}" in capsys.readouterr().out
    assert cli.main(["fsck", "--repair", str(lab.directory)]) == 0


def test_an_append_that_was_given_up_in_an_older_file_is_no_damage(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = plain_segment(lab)
    last = blocks_in(path)[-1]
    with path.open("r+b") as file:
        file.seek(last.offset)
        block = file.read(last.header.size)
        file.write(block[:-5])
    assert cli.main(["fsck", str(lab.directory)]) == 0
    assert capsys.readouterr().out.count("of an append that is under way or was cut short") == 1


def test_a_store_that_is_in_use_can_be_checked_but_not_repaired(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.open()
    assert cli.main(["fsck", str(lab.directory)]) == 0
    capsys.readouterr()
    before = files_of(lab.directory)
    assert cli.main(["fsck", "--repair", str(lab.directory)]) == StoreLocked.exit_code == 1
    assert f"is in use by pid {os.getpid()}" in capsys.readouterr().err
    assert files_of(lab.directory) == before


def test_a_full_disk_ends_a_repair_and_it_can_be_begun_again(lab: Lab) -> None:
    path = plain_segment(lab)
    block = blocks_in(path)[1]
    flip(path, block.offset + block.header.frames_offset)
    calls = 0
    while True:
        calls += 1
        fs = FailingFs()
        fs.failing = range(calls, calls + 1)
        with suppress(StoreError):
            repair(lab.directory, lab.clock, fs)
        assert block.header.sequence in {each.header.sequence for each in blocks_in(path)}
        if len(fs.log) < calls:
            break
    assert calls > 5
    report = verify(lab.directory, lab.clock)
    assert report["sound"]
    assert len(report["gaps"]) == 1


def test_where_there_is_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_bytes(b"")
    for name, says in [
        ("none", f"there is no {tmp_path / 'none'}"),
        ("empty", "it is empty"),
        ("file", "is no directory"),
        ("other", f"there is no store in {tmp_path / 'other'}"),
    ]:
        for options in ([], ["--repair"]):
            before = sorted(tmp_path.rglob("*"))
            assert cli.main(["fsck", str(tmp_path / name), *options]) == 1
            assert says in capsys.readouterr().err
            assert sorted(tmp_path.rglob("*")) == before


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fsck", "a", "b"]) == 2
    assert cli.main(["fsck", "--format", "csv", "a"]) == 2


def test_a_newer_store_is_refused(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "FORMAT_VERSION", 1)
    for options in ([], ["--repair"]):
        assert cli.main(["fsck", str(lab.directory), *options]) == 1
        assert "was written by a newer obsagent" in capsys.readouterr().err


def test_what_may_not_be_read_is_an_error(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    plain_segment(lab).chmod(0)
    own = os.geteuid()
    if own == 0:
        os.seteuid(65_534)  # root may read everything
    try:
        code = cli.main(["fsck", str(lab.directory)])
    finally:
        os.seteuid(own)
    assert code == 1
    assert "Permission denied" in capsys.readouterr().err
