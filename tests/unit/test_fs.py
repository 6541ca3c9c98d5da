"""The file system seam: whole writes, atomic files, and the mode bits of what the store makes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from faulty_fs import FailingFs, PowerCutFs

from obsagent.fs import IOV_COUNT_MAX, Fs


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


def test_truncate(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    Fs().truncate(path, 2)
    assert path.read_bytes() == b"ab"


def lost(fs: PowerCutFs, root: Path, target: Path) -> dict[str, bytes]:
    """What is on the disk if everything goes that may go."""
    fs.power_cut(root, target, Always(1.0))
    return {path.name: path.read_bytes() for path in target.iterdir()}


class Always(random.Random):
    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


def test_the_power_cut_takes_unsynced_bytes_and_names(tmp_path: Path) -> None:
    """The tests of recovery rest on this: the disk of the seam forgets what a real one may forget."""
    root = tmp_path / "root"
    root.mkdir()
    fs = PowerCutFs()
    fs.adopt(root)
    kept = fs.write_file(root / "kept", [b"synced"])
    fs.write(kept, [b" and not"], 6)
    nameless = fs.create(root / "nameless")
    fs.write(nameless, [b"x"], 0)
    fs.sync_data(nameless)
    assert lost(fs, root, tmp_path / "disk") == {"kept": b"synced"}


def test_the_power_cut_brings_back_a_removed_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    fs = PowerCutFs()
    fs.adopt(root)
    fs.close(fs.write_file(root / "old", [b"old"]))
    fs.remove(root / "old")
    fs.create(root / "reuses the inode")
    assert lost(fs, root, tmp_path / "disk") == {"old": b"old"}
