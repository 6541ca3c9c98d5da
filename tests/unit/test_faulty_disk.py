"""A disk that is full, read-only, dying, or that takes half of what it is given: by the file system seam.

A file whose sync has failed is left: the kernel may have marked what it lost as clean, and a second sync of it would
succeed and mean nothing. The seam here knows each such file by its inode, and lets nobody write or sync it again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from failing_store import Lab
from faulty_fs import FailingFs
from store_lab import check_store

from obsagent.errors import CorruptData, StoreError
from obsagent.fs import Buffer, Fs
from obsagent.head.budgets import Budgets
from obsagent.limits import WINDOW_MS
from obsagent.segment.recover import read_at

MUTATING = {"create", "write", "sync_data", "sync_directory", "rename", "remove", "truncate"}
SMALL = Budgets(journal_file_bytes=700, segment_file_bytes=2_000)


class DistrustfulFs(FailingFs):
    """Raises AssertionError when a file is used whose sync has failed before; it may be cut and removed."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[int, int] = {}
        self._cutting = False

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        self._check(descriptor)
        return super().write(descriptor, buffers, offset)

    def sync_data(self, descriptor: int) -> None:
        self._check(descriptor)
        try:
            super().sync_data(descriptor)
        except OSError:
            kept = os.dup(descriptor)  # so that no other file gets the same inode
            self.left.setdefault(os.fstat(kept).st_ino, kept)
            raise

    def truncate(self, path: Path, size: int) -> None:
        self._cutting = True
        try:
            super().truncate(path, size)
        finally:
            self._cutting = False

    def _check(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        assert self._cutting or inode not in self.left, "a file is used again whose sync has failed"

    def forget(self) -> None:
        for descriptor in self.left.values():
            os.close(descriptor)


class DistrustfulLab(Lab):
    make_fs = DistrustfulFs
    fs: DistrustfulFs


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def busy_day(lab: Lab) -> int:
    """Syncs, checkpoints, new files and compactions; returns the frames that were acknowledged."""
    acknowledged = 0
    for number in range(1, 10):
        lab.send()
        lab.clock.now_ms += WINDOW_MS
        with suppress(StoreError):
            lab.store.sync()
            acknowledged = number
        with suppress(StoreError):
            lab.store.maybe_checkpoint(lab.clock.now_ms)
        with suppress(StoreError):
            lab.store.maybe_compact(lab.clock.monotonic_ms())
    return acknowledged


def test_no_file_is_used_again_after_its_sync_failed(tmp_path: Path) -> None:
    """Whichever sync of a busy day it is: of the journal, of a segment, of a new file, of a compacted one."""
    failed, number = 0, 0
    while True:
        number += 1
        lab = DistrustfulLab(tmp_path / str(number), SMALL)
        before = len(lab.fs.log)
        lab.fs.failing = range(before + number, before + number + 1)
        acknowledged = busy_day(lab)
        made = lab.fs.log[before:]
        failed += len(lab.fs.left)
        lab.fs.forget()
        lab.kill()
        assert check_store(lab.store, [lab.producer])[lab.producer.session] >= acknowledged
        lab.store.close()
        if number > len(made):
            break
    assert failed > 20


@pytest.mark.parametrize("also", [set(), {"truncate"}])
def test_the_journal_goes_on_in_a_new_file(lab: Lab, also: set[str]) -> None:
    lab.send()
    lab.store.sync()
    (first,) = lab.files("journal")
    size = (lab.directory / "journal" / first).stat().st_size
    lab.send()
    lab.fs.fail_always = {"sync_data", *also}
    for _ in range(3):
        with pytest.raises(StoreError, match="Input/output error"):
            lab.store.sync()
    assert lab.files("journal") == [first]
    assert ((lab.directory / "journal" / first).stat().st_size == size) == (not also)
    lab.fs.fail_always = set()
    lab.store.sync()
    assert len(lab.files("journal")) == 2
    lab.kill()
    lab.check()


@pytest.mark.parametrize("also", [set(), {"truncate"}])
def test_segments_go_on_in_a_new_file(lab: Lab, also: set[str]) -> None:
    lab.send()
    assert lab.store.checkpoint()
    (first,) = lab.files("segments")
    lab.send()
    lab.store.sync()
    lab.fs.fail_always = {"sync_data", *also}
    with pytest.raises(StoreError, match="Input/output error"):
        lab.store.checkpoint()
    lab.fs.fail_always = set()
    assert lab.store.checkpoint()
    assert [name for name in lab.files("segments") if name != first]
    lab.check()
    lab.kill()
    lab.check()
    assert lab.store.status()["corrupt"] == 0


def test_compaction_leaves_nothing_of_a_file_that_it_could_not_sync(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "store", Budgets(segment_file_bytes=1))
    for _ in range(3):
        lab.send()
        lab.store.checkpoint()
    before = lab.files("segments")
    lab.fs.fail_always = {"sync_data"}
    with pytest.raises(StoreError, match="Input/output error"):
        lab.store.maybe_compact(0)
    assert lab.files("segments") == before
    lab.check()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_while_the_disk_takes_nothing_all_is_kept_and_then_stored_once(tmp_path: Path, number: int) -> None:
    lab = Lab(tmp_path / "store", SMALL)
    acknowledged = busy_day(lab)
    assert acknowledged == 9
    lab.fs.errno, lab.fs.fail_always, lab.fs.short_writes = number, MUTATING, True
    assert busy_day(lab) == 0
    durable = lab.store.status()["journal"]["durable"]
    check_store(lab.store, [lab.producer])
    lab.fs.fail_always = set()
    assert busy_day(lab) == 9
    assert lab.store.status()["journal"]["durable"] > durable
    lab.check()
    lab.kill()
    lab.check()


def short(size: Callable[[int], int]) -> Callable[..., int]:
    """Writes only so many bytes of what it is given."""
    whole = os.pwritev

    def write(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        joined = b"".join(buffers)
        return whole(descriptor, [joined[: max(1, size(len(joined)))]], offset)

    return write


@pytest.mark.parametrize("size", [lambda _size: 1, lambda size: size // 2, lambda size: size - 1])
def test_short_writes_are_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: Callable[[int], int]
) -> None:
    monkeypatch.setattr(os, "pwritev", short(size))
    lab = Lab(tmp_path / "store", SMALL)
    assert busy_day(lab) == 9
    lab.check()
    lab.kill()
    lab.check()
    assert lab.store.status()["corrupt"] == 0


def test_a_disk_that_takes_no_byte_and_says_nothing_is_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.send()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", lambda *_: 0)
        with pytest.raises(StoreError, match="took no byte"):
            lab.store.sync()
    lab.store.sync()
    lab.check()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_close_that_fails_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As over NFS: whoever kept the descriptor would write into the next file that is opened."""
    closed: list[int] = []
    really = os.close

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        really(descriptor)
        raise OSError(number, os.strerror(number))

    fs = Fs()
    descriptor = fs.create(tmp_path / "file")
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close)
        fs.close(descriptor)
    assert closed == [descriptor]
    with pytest.raises(OSError, match="Bad file descriptor"):
        fs.close(descriptor)


# Reading ---------------------------------------------------------------------------------------------------------


def unreadable(path: Path, monkeypatch: pytest.MonkeyPatch, errors: list[int]) -> None:
    """From now on nothing can be read of a file; `errors` says with which error."""
    whole, inode = os.pread, path.stat().st_ino

    def read(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == inode:
            raise OSError(errors[0], os.strerror(errors[0]))
        return whole(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", read)


def test_bytes_that_the_disk_cannot_read_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    errors = [errno.EIO]
    with path.open("rb") as file:
        unreadable(path, monkeypatch, errors)
        with pytest.raises(CorruptData, match="bytes from 10 on cannot be read"):
            read_at(file.fileno(), 10, 50)
        errors[0] = errno.EBADF
        with pytest.raises(OSError, match="Bad file descriptor"):
            read_at(file.fileno(), 10, 50)


def test_a_bad_sector_stops_neither_checkpoints_nor_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new segment file begins with totals made from the one before."""
    lab = Lab(tmp_path / "store", Budgets(segment_file_bytes=1))
    lab.send()
    lab.store.checkpoint()
    (first,) = lab.files("segments")
    unreadable(lab.directory / "segments" / first, monkeypatch, [errno.EIO])
    for _ in range(2):
        lab.send(lab.clock.now_ms + WINDOW_MS)
        assert lab.store.checkpoint()
    assert not lab.store.maybe_compact(0) or lab.files("segments")
    assert lab.store.view().accounts(0, 1 << 60)["shop"]["observed"] > 0
    assert lab.store.status()["corrupt"] > 0
    monkeypatch.undo()
    check = lab.store.status()["accounts"]["services"]["shop"]
    assert check["observed"] == check["stored"] == lab.producer.accounts.observed


def test_compaction_goes_on_behind_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path / "store", Budgets(segment_file_bytes=1))
    for _ in range(4):
        lab.send()
        lab.store.checkpoint()
    files = lab.files("segments")
    unreadable(lab.directory / "segments" / files[0], monkeypatch, [errno.EIO])
    while lab.store.maybe_compact(0):
        pass
    left = [name for name in lab.files("segments") if "-" not in name]
    assert files[0] in left
    assert any("-" in name for name in lab.files("segments"))
