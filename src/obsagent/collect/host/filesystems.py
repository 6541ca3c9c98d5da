"""How full file systems are.

A file system behind a network may not answer for hours, and whoever asks it cannot be woken: each is asked in a
thread of its own, and one that has not answered is not asked again before it has.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from obsagent.collect.collector import Unreadable
from obsagent.collect.instruments import HOST, gauge
from obsagent.collect.mounts import unescaped
from obsagent.collect.settings import Names
from obsagent.limits import COLLECT_FILESYSTEMS_MAX
from obsagent.readings import Reading

USED = gauge("filesystem_bytes", "bytes", "sum", "Space of a file system that is in use")
TOTAL = gauge("filesystem_total_bytes", "bytes", "sum", "Size of a file system")
AVAILABLE = gauge("filesystem_available_bytes", "bytes", "sum", "Space that those who are not root can still fill")
UTILIZATION = gauge("filesystem_utilization", "ratio", "max", "Share of the space in use, as df counts it")
INODES = gauge("filesystem_inodes", "inodes", "sum", "Files and directories that a file system holds")
INODE_UTILIZATION = gauge("filesystem_inode_utilization", "ratio", "max", "Share of the inodes in use")

WITHOUT_DEVICE = re.compile(r"nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|lustre|beegfs|9p|virtiofs|overlay|zfs|afs|fuse\..+")
"""What is a file system with files of its own, though the kernel calls it `nodev`."""
FUSE_HELPERS = re.compile(r"fuse\.(gvfsd-fuse|portal|lxcfs|snapfuse|.*appimage.*)")
SHARED_MEMORY = "/dev/shm"
"""The one tmpfs that is read: training and serving fill it, and fail when it is full."""
ANSWER_S = 1.0


class Mount(NamedTuple):
    """A file system where it is mounted; `number` is the kernel's (major:minor)."""

    number: str
    point: str
    kind: str
    device: str

    def labels(self) -> dict[str, str]:
        """Those of its series."""
        return {**HOST, "mount": self.point, "device": self.device}


class Filesystems:
    """Of a file system that is mounted several times the shortest mount point counts."""

    def __init__(self, names: Names, proc: Path, ask: Callable[[str], os.statvfs_result] = os.statvfs) -> None:
        self._names = names
        self._proc = proc
        self._ask = ask
        self._asked: dict[str, Question] = {}

    def read(self) -> Iterator[Reading]:
        """Fill of each; raises `Unreadable` for those that do not answer."""
        mounts = list(self._mounts())
        self._asked = {point: each for point, each in self._asked.items() if each.is_open}
        for mount in mounts:
            if mount.point not in self._asked:
                self._asked[mount.point] = Question(self._ask, mount.point)
        deadline_s = time.monotonic() + ANSWER_S
        troubles = []
        for mount in mounts:
            question = self._asked[mount.point]
            question.wait(deadline_s)
            if question.answer is not None:
                yield from fill(mount, question.answer)
            elif trouble := question.trouble():
                troubles.append(trouble)
        if troubles:
            raise Unreadable(", ".join(troubles))

    def _mounts(self) -> Iterable[Mount]:
        nodev = {line.split()[1] for line in self._lines("filesystems") if line.startswith("nodev")}
        found: dict[str, Mount] = {}
        for mount in map(parse_mount, self._lines("self/mountinfo")):
            if not is_pseudo(mount, nodev) and self._names.accept(mount.point):
                known = found.get(mount.number)
                found[mount.number] = mount if known is None or len(mount.point) < len(known.point) else known
        by_point = {mount.point: mount for mount in found.values()}  # what is mounted over another hides it
        return list(by_point.values())[:COLLECT_FILESYSTEMS_MAX]

    def _lines(self, name: str) -> list[str]:
        return (self._proc / name).read_text(errors="replace").splitlines()


class Question:
    """One file system, asked once; `is_open` until it has answered."""

    def __init__(self, ask: Callable[[str], os.statvfs_result], point: str) -> None:
        self.answer: os.statvfs_result | None = None
        self._point = point
        self._error: OSError | None = None
        self._ask = ask
        self._since_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="obsagent-statvfs", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._ask(self._point)
        except OSError as error:
            self._error = error

    @property
    def is_open(self) -> bool:
        """True if there is no answer yet."""
        return self._thread.is_alive()

    def wait(self, deadline_s: float) -> None:
        """For the answer, but not beyond a time on the monotonic clock."""
        self._thread.join(max(deadline_s - time.monotonic(), 0.0))

    def trouble(self) -> str:
        """Why there is none; empty if it is nobody's fault: unmounted meanwhile, or not for our eyes."""
        if self.is_open:
            return f"{self._point} has not answered for {time.monotonic() - self._since_s:.0f} s: is its server gone?"
        if self._error is None or isinstance(self._error, FileNotFoundError | PermissionError):
            return ""
        return f"{self._point}: {self._error.strerror}"


def parse_mount(line: str) -> Mount:
    """A line of mountinfo: `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw` (proc(5))."""
    before, _, after = line.partition(" - ")
    number, point = before.split()[2], before.split()[4]
    kind, device = after.split()[:2]
    return Mount(number, unescaped(point), kind, unescaped(device))


def is_pseudo(mount: Mount, nodev: set[str]) -> bool:
    """True for what holds no files of its own."""
    if FUSE_HELPERS.fullmatch(mount.kind) or mount.kind == "squashfs":
        return True
    is_nodev = mount.kind in nodev or mount.kind.startswith("fuse.")
    return is_nodev and not WITHOUT_DEVICE.fullmatch(mount.kind) and mount.point != SHARED_MEMORY


def fill(mount: Mount, answer: os.statvfs_result) -> Iterator[Reading]:
    """The readings of one; some (btrfs, many network ones) count no inodes."""
    if not answer.f_blocks:
        return
    labels, size = mount.labels(), answer.f_frsize
    used = answer.f_blocks - answer.f_bfree
    yield Reading(USED, used * size, labels)
    yield Reading(TOTAL, answer.f_blocks * size, labels)
    yield Reading(AVAILABLE, answer.f_bavail * size, labels)
    if used + answer.f_bavail:
        yield Reading(UTILIZATION, used / (used + answer.f_bavail), labels)
    if answer.f_files:
        inodes = answer.f_files - answer.f_ffree
        yield Reading(INODES, inodes, labels)
        yield Reading(INODE_UTILIZATION, inodes / answer.f_files, labels)
