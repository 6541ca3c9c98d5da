"""The machine as a recorded `/proc` shows it, and file systems that do not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from obsagent.collect.host import filesystems
from obsagent.collect.host.collector import HostCollector
from obsagent.collect.host.disks import Disks
from obsagent.collect.host.filesystems import Filesystems
from obsagent.collect.settings import HostSettings, Names
from obsagent.collect.surroundings import Surroundings
from obsagent.readings import Reading
from unit.recorded_tree import grow, read_until_unreadable

TICKS = os.sysconf("SC_CLK_TCK")
MEMORY = """MemTotal:       16000000 kB
MemFree:         2000000 kB
MemAvailable:    6000000 kB
Buffers:          500000 kB
Cached:          3500000 kB
SwapCached:            0 kB
Active:          4000000 kB
Inactive:        3000000 kB
SwapTotal:       1000000 kB
SwapFree:         750000 kB
Shmem:            123000 kB
Slab:             200000 kB
SReclaimable:     100000 kB
"""
DISKS = """ 259       0 nvme0n1 {reads} 0 2000 {read_ms} {writes} 0 4000 {write_ms} 0 {busy_ms} 50 0 0 0 0 0 0
 259       1 nvme0n1p1 100 0 2000 50 200 0 4000 100 0 120 150 0 0 0 0 0 0
 253       0 dm-0 100 0 2000 50 200 0 4000 100 0 120 150 0 0 0 0 0 0
   7       0 loop0 5 0 10 1 0 0 0 0 0 1 1 0 0 0 0 0 0
   8       0 sda 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
"""
NET = """Inter-|   Receive                                                |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
veth12: 77 7 0 0 0 0 0 0 77 7 0 0 0 0 0 0
"""
MOUNTS = """23 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw
24 23 259:2 /var /mnt/again rw - ext4 /dev/nvme0n1p2 rw
25 23 0:21 / /proc rw - proc proc rw
26 23 0:22 / /sys rw - sysfs sysfs rw
27 23 0:23 / /run rw - tmpfs tmpfs rw
28 23 0:24 / /dev/shm rw - tmpfs tmpfs rw
29 23 0:25 / /mnt/mo\\040dels rw - nfs4 server:/models rw
30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw
31 23 7:0 / /snap/core ro - squashfs /dev/loop0 ro
"""
PRESSURE = "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n"
NODEV = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tnfs4\nnodev\tcgroup2\n\text4\n\tsquashfs\n"


def cpu(user_s: float, idle_s: float) -> str:
    line = f"{round(user_s * TICKS)} 0 0 {round(idle_s * TICKS)} 0 0 0 0 0 0"
    return f"cpu  {line}\ncpu0 {line}\ncpu1 {line}\nbtime 1700000000\n"


def disks(reads: int = 100, read_ms: int = 50, busy_ms: int = 120) -> str:
    return DISKS.format(reads=reads, read_ms=read_ms, writes=200, write_ms=100, busy_ms=busy_ms)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"))
    monkeypatch.setattr(psutil, "sensors_temperatures", dict)
    return grow(
        tmp_path,
        {
            "proc/stat": cpu(10, 30),
            "proc/meminfo": MEMORY,
            "proc/vmstat": "pswpin 3\npswpout 4\noom_kill 2\n",
            "proc/diskstats": disks(),
            "proc/net/dev": NET,
            "proc/self/mountinfo": MOUNTS,
            "proc/filesystems": NODEV,
            "proc/pressure/cpu": PRESSURE,
            "proc/pressure/io": PRESSURE,
            "proc/zoneinfo": "",
            "sys/block/nvme0n1/slaves/": "",
            "sys/block/dm-0/slaves/nvme0n1": "",
            "sys/block/loop0/": "",
            "sys/block/sda/": "",
        },
    )


@pytest.fixture(autouse=True)
def _statvfs(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = os.statvfs_result((4096, 4096, 1000, 400, 300, 100, 75, 75, 0, 255))
    monkeypatch.setattr(Filesystems.__init__, "__defaults__", (lambda point: fake,))


def by_name(readings: Iterator[Reading]) -> dict[tuple[str, ...], float]:
    found = {}
    for reading in readings:
        assert reading.labels["service"] == "host"
        assert reading.instrument.help
        assert reading.instrument.unit
        others = (value for name, value in reading.labels.items() if name != "service")
        found[reading.instrument.name, *others] = reading.value
    return found


def test_the_machine(root: Path) -> None:
    collector = HostCollector(HostSettings(), Surroundings(root=root))
    first = by_name(collector.collect())
    assert first["cpu_seconds", "user"] == 20
    assert first["cpu_count",] == 2
    assert ("cpu_utilization", "user") not in first
    assert first["memory_bytes",] == 10_000_000 * 1024
    assert first["memory_utilization",] == 0.625
    assert first["memory_shared_bytes",] == 123_000 * 1024
    assert first["swap_bytes",] == 250_000 * 1024
    assert first["oom_kills",] == 2
    assert first["disk_read_bytes", "nvme0n1"] == 2000 * 512
    assert first["disk_write_bytes", "nvme0n1"] == 4000 * 512
    assert {name[1] for name in first if name[0] == "disk_reads"} == {"nvme0n1"}
    assert {name[1] for name in first if name[0].startswith("network")} == {"eth0"}
    assert first["network_transmit_drops", "eth0"] == 4
    assert first["pressure_seconds", "io", "full"] == 0.5
    assert ("pressure_seconds", "memory", "some") not in first
    mounts = {name[1] for name in first if name[0] == "filesystem_bytes"}
    assert mounts == {"/", "/dev/shm", "/mnt/mo dels"}
    assert first["filesystem_bytes", "/", "/dev/nvme0n1p2"] == 600 * 4096
    assert first["filesystem_utilization", "/", "/dev/nvme0n1p2"] == pytest.approx(600 / 900)
    assert first["filesystem_inode_utilization", "/", "/dev/nvme0n1p2"] == 0.25


def test_shares_are_of_the_time_between_two_rounds(root: Path) -> None:
    collector = HostCollector(HostSettings(), Surroundings(root=root))
    by_name(collector.collect())
    grow(root, {"proc/stat": cpu(11, 33), "proc/diskstats": disks(reads=110, read_ms=100)})
    second = by_name(collector.collect())
    assert second["cpu_utilization", "user"] == pytest.approx(0.25)
    assert ("cpu_utilization", "idle") not in second
    assert second["cpu_core_utilization", "0"] == pytest.approx(0.25)
    assert second["disk_read_latency", "nvme0n1"] == pytest.approx(0.005)
    assert ("disk_write_latency", "nvme0n1") not in second  # nothing was written
    assert second["disk_utilization", "nvme0n1"] == 0


def test_a_part_that_fails_takes_nothing_from_the_others(root: Path) -> None:
    (root / "proc/diskstats").write_text("nonsense\n")
    (root / "proc/meminfo").unlink()
    readings, said = read_until_unreadable(HostCollector(HostSettings(), Surroundings(root=root)).collect())
    assert "disks: " in said
    assert "memory: " in said
    names = {reading.instrument.name for reading in readings}
    assert {"cpu_seconds", "network_receive_bytes", "filesystem_bytes", "pressure_seconds"} <= names


def test_a_device_that_is_named_is_read_whatever_it_lies_on(root: Path) -> None:
    found = by_name(Disks(Names(include=("dm-*",)), root / "sys").read())
    assert {name[1] for name in found} == {"dm-0"}


class Server:
    """Answers for one mount point only when it is let."""

    def __init__(self, silent: str) -> None:
        self._silent = silent
        self.back = threading.Event()
        self.asked: list[str] = []

    def __call__(self, point: str) -> os.statvfs_result:
        self.asked.append(point)
        if point == self._silent:
            self.back.wait(60)
        return os.statvfs_result((4096, 4096, 1000, 400, 300, 100, 75, 75, 0, 255))


def test_a_server_that_does_not_answer_holds_up_nobody(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "ANSWER_S", 0.05)
    server = Server("/mnt/mo dels")
    part = Filesystems(Names(), root / "proc", server)
    for _ in range(3):
        readings, said = read_until_unreadable(part.read())
        assert "/mnt/mo dels has not answered for" in said
        assert {reading.labels["mount"] for reading in readings} <= {"/", "/dev/shm"}
    assert server.asked.count("/mnt/mo dels") == 1  # it is not asked again before it has answered
    server.back.set()
    monkeypatch.setattr(filesystems, "ANSWER_S", 30)
    assert "/mnt/mo dels" in {reading.labels["mount"] for reading in part.read()}
    assert "/mnt/mo dels" in {reading.labels["mount"] for reading in part.read()}


def test_a_file_system_that_is_not_for_our_eyes_is_no_trouble(root: Path) -> None:
    def ask(point: str) -> os.statvfs_result:
        raise PermissionError(13, "Permission denied")

    assert list(Filesystems(Names(), root / "proc", ask).read()) == []


def test_a_broken_disk_is_named_and_the_others_are_read(root: Path) -> None:
    def ask(point: str) -> os.statvfs_result:
        if point == "/":
            raise OSError(5, "Input/output error")
        return os.statvfs_result((4096, 4096, 1000, 400, 300, 0, 0, 0, 0, 255))

    readings, said = read_until_unreadable(Filesystems(Names(), root / "proc", ask).read())
    assert said == "/: Input/output error"
    assert {reading.labels["mount"] for reading in readings} == {"/dev/shm", "/mnt/mo dels"}
