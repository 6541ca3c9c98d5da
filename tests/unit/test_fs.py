"""The file system seam: whole writes, atomic files, and the mode bits of what the store makes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from faulty_fs import FailingFs
from lossy_fs import PAGE_BYTES, LossyFs, Survives, everything, nothing, some

from obsagent.fs import IOV_COUNT_MAX, Fs, has_hole


def test_write_takes_more_buffers_than_one_call_may(tmp_path: Path) -> None:
    fs = Fs()
    buffers = [bytes([index % 251]) * (index % 7) for index in range(3 * IOV_COUNT_MAX)]
    descriptor = fs.create(tmp_path / "file")
    assert fs.write(descriptor, buffers, 5) == sum(map(len, buffers))
    fs.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"\0" * 5 + b"".join(buffers)


def test_write_goes_on_after_a_short_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwritev

    def short(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return whole(descriptor, [buffers[0][: max(1, len(buffers[0]) // 2)]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    fs = Fs()
    descriptor = fs.create(tmp_path / "file")
    fs.write(descriptor, [b"abcde", b"", memoryview(b"fgh"), bytearray(b"i")], 0)
    fs.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"abcdefghi"


def test_a_secret_is_its_owners_and_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    before = os.umask(0)
    try:
        Fs().write_secret(path, b"abc")
    finally:
        os.umask(before)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"abc", 0o600)
    with pytest.raises(FileExistsError):
        Fs().write_secret(path, b"def")
    assert path.read_bytes() == b"abc"
    monkeypatch.setattr(Fs, "sync_data", lambda *_: (_ for _ in ()).throw(OSError(5, "no")))
    with pytest.raises(OSError, match="no"):
        Fs().write_secret(tmp_path / "other", b"abc")
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_modes_are_for_owner_and_group(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fs = Fs()
        fs.make_directory(tmp_path / "a" / "b")
        fs.close(fs.write_file(tmp_path / "a" / "b" / "file", [b"x"]))
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("call", ["create", "write", "sync_data", "rename"])
def test_write_file_leaves_the_old_one_when_a_call_fails(tmp_path: Path, call: str) -> None:
    fs = FailingFs()
    path = tmp_path / "file"
    fs.close(fs.write_file(path, [b"old"]))
    fs.fail_always = {call}
    with pytest.raises(OSError, match="Input/output error"):
        fs.write_file(path, [b"new"])
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_remove_of_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    Fs().remove(tmp_path / "nothing")


def test_a_directory_that_could_not_be_made_durable_is_not_there(tmp_path: Path) -> None:
    """Else the next attempt would find it, and trust that it is."""
    fs = FailingFs()
    fs.fail_always = {"sync_directory"}
    with pytest.raises(OSError, match="Input/output"):
        fs.make_directory(tmp_path / "one" / "two")
    assert not (tmp_path / "one").exists()
    fs.fail_always = set()
    fs.make_directory(tmp_path / "one" / "two")
    assert fs.log == ["sync_directory"] * 3


def test_truncate(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    Fs().truncate(path, 2)
    assert path.read_bytes() == b"ab"


@pytest.fixture
def lossy(tmp_path: Path) -> LossyFs:
    """On a disk that has an empty directory, `root`."""
    (tmp_path / "root").mkdir()
    fs = LossyFs()
    fs.adopt(tmp_path / "root")
    return fs


def files(fs: LossyFs, root: Path, survives: Survives) -> dict[str, bytes]:
    return {path.name: data for path, data in fs.disk(root, survives).items() if data is not None}


def test_the_power_cut_takes_unsynced_bytes_and_names(lossy: LossyFs, tmp_path: Path) -> None:
    """The tests of recovery rest on this: the disk of the seam forgets what a real one may forget."""
    root = tmp_path / "root"
    kept = lossy.write_file(root / "kept", [b"synced"])
    lossy.write(kept, [b" and not"], 6)
    nameless = lossy.create(root / "nameless")
    lossy.write(nameless, [b"x"], 0)
    lossy.sync_data(nameless)
    assert files(lossy, root, nothing) == {"kept": b"synced"}
    assert files(lossy, root, everything) == {"kept": b"synced and not", "nameless": b"x"}


def test_the_power_cut_brings_back_a_removed_name(lossy: LossyFs, tmp_path: Path) -> None:
    root = tmp_path / "root"
    lossy.close(lossy.write_file(root / "old", [b"old"]))
    lossy.remove(root / "old")
    lossy.create(root / "reuses the inode")
    assert files(lossy, root, nothing) == {"old": b"old"}


def test_any_pages_of_a_write_may_be_missing(lossy: LossyFs, tmp_path: Path) -> None:
    root = tmp_path / "root"
    one, two, three = (bytes([65 + index]) * PAGE_BYTES for index in range(3))
    lossy.write(lossy.write_file(root / "file", []), [one, two, three], 0)
    found = {files(lossy, root, some(random.Random(seed)))["file"] for seed in range(200)}
    lost = bytes(PAGE_BYTES)
    assert {b"", one, one + two, lost + two, lost + lost + three, one + two + three, one + lost} <= found


def test_a_rename_that_was_not_synced_is_done_or_not_and_never_half(lossy: LossyFs, tmp_path: Path) -> None:
    root = tmp_path / "root"
    lossy.close(lossy.write_file(root / "new", [b"new"]))
    lossy.close(lossy.write_file(root / "name", [b"old"]))
    lossy.rename(root / "new", root / "name")
    outcomes = [{"new": b"new", "name": b"old"}, {"name": b"new"}]
    found = [files(lossy, root, some(random.Random(seed))) for seed in range(50)]
    assert [outcome for outcome in outcomes if outcome in found] == outcomes
    assert all(each in outcomes for each in found)


def test_what_a_failed_sync_left_is_never_certain(lossy: LossyFs, tmp_path: Path) -> None:
    root = tmp_path / "root"
    descriptor = lossy.write_file(root / "file", [b"synced "])
    lossy.write(descriptor, [b"failed "], 7)
    lossy.fail_always = {"sync_data"}
    with pytest.raises(OSError, match="Input/output"):
        lossy.sync_data(descriptor)
    lossy.fail_always = set()
    lossy.write(descriptor, [b"later"], 14)
    lossy.sync_data(descriptor)
    assert files(lossy, root, nothing) == {"file": b"synced " + bytes(7) + b"later"}


def test_a_cut_and_a_directory_are_on_the_disk_when_they_were_synced(lossy: LossyFs, tmp_path: Path) -> None:
    root = tmp_path / "root"
    lossy.close(lossy.write_file(root / "file", [b"abcdef"]))
    before: list[dict[str, bytes]] = []
    lossy.each_operation = lambda _: before.append(files(lossy, root, nothing))
    lossy.truncate(root / "file", 2)
    lossy.make_directory(root / "inside" / "deep")
    assert before[:2] == [{"file": b"abcdef"}] * 2
    assert {*map(str, lossy.disk(root, nothing))} == {".", "file", "inside", "inside/deep"}
    assert files(lossy, root, nothing) == {"file": b"ab"}


@pytest.mark.parametrize(
    ("data", "offset", "reaches_end", "expected"),
    [
        (b"x" * 600, 0, True, False),
        (b"x" * 512 + bytes(512) + b"x", 0, False, True),
        (b"x" * 512 + bytes(511), 0, False, False),  # the rest of the sector is whole: it was written
        (b"x" * 512 + bytes(511), 0, True, True),
        (b"x" * 100 + bytes(512) + b"x" * 100, 0, True, False),  # zeros, but no whole sector of them
        (bytes(12) + b"x" * 100, 500, False, True),
        (bytes(12) + b"x" * 100, 499, False, False),
        (b"", 512, True, False),
        (b"", 7, True, False),
    ],
)
def test_a_hole_is_a_sector_that_was_never_written(data: bytes, offset: int, reaches_end: bool, expected: bool) -> None:
    assert has_hole(data, offset, reaches_end=reaches_end) is expected
