"""Cgroups as recorded trees of both versions show them: containers, namespaced or not, pods, and hybrid machines."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from obsagent.collect.cgroup.collector import CgroupCollector
from obsagent.collect.settings import CgroupSettings
from obsagent.collect.surroundings import ModelSession, Surroundings
from unit.recorded_tree import below, grow

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
GB = 1 << 30

V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
V2_CONTAINER = {
    "cpu.stat": "usage_usec 7500000\nuser_usec 5000000\nsystem_usec 2500000\nnr_periods 400\nnr_throttled 120\n"
    "throttled_usec 9000000\nnr_bursts 0\nburst_usec 0\n",
    "cpu.max": "150000 100000\n",
    "memory.current": f"{3 * GB}\n",
    "memory.max": f"{4 * GB}\n",
    "memory.peak": f"{3 * GB + 4096}\n",
    "memory.stat": f"anon {2 * GB}\nfile {GB}\ninactive_file {GB}\nactive_file 0\n",
    "memory.events": "low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n",
    "memory.swap.current": "4096\n",
    "memory.swap.max": "max\n",
    "io.stat": "259:0 rbytes=1000 wbytes=2000 rios=3 wios=4 dbytes=0 dios=0\n8:0 rbytes=10 wbytes=20 rios=1 wios=1\n"
    "7:0 \n",
    "pids.current": "12\n",
    "pids.max": "512\n",
    "cpu.pressure": "some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
}
V1_MOUNTS = (
    "31 30 0:27 {root} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    "32 30 0:28 {root} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "33 30 0:29 {root} /sys/fs/cgroup/blkio ro - cgroup cgroup rw,blkio\n"
    "34 30 0:30 {root} /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
    "35 30 0:31 {root} /sys/fs/cgroup/systemd ro - cgroup cgroup rw,xattr,name=systemd\n"
)
V1_PATHS = "12:memory:{path}\n11:cpu,cpuacct:{path}\n10:blkio:{path}\n9:pids:{path}\n1:name=systemd:{path}\n0::{path}\n"
V1_UNLIMITED = "9223372036854771712\n"
V1_MEMORY = {
    "memory.usage_in_bytes": f"{3 * GB}\n",
    "memory.max_usage_in_bytes": f"{3 * GB + 4096}\n",
    "memory.limit_in_bytes": f"{4 * GB}\n",
    "memory.failcnt": "17\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "memory.stat": f"cache {GB}\nrss {2 * GB}\nhierarchical_memory_limit {4 * GB}\n"
    f"hierarchical_memsw_limit {V1_UNLIMITED}total_swap 4096\ntotal_inactive_file {GB}\n",
}
V1_CPU = {
    "cpuacct.stat": f"user {5 * TICKS_A_SECOND}\nsystem {5 * TICKS_A_SECOND // 2}\n",
    "cpuacct.usage": "7500000000\n",
    "cpu.cfs_quota_us": "150000\n",
    "cpu.cfs_period_us": "100000\n",
    "cpu.stat": "nr_periods 400\nnr_throttled 120\nthrottled_time 9000000000\n",
}
V1_BLKIO = {
    "blkio.throttle.io_service_bytes": "259:0 Read 1\n259:0 Write 2\nTotal 3\n",
    "blkio.throttle.io_service_bytes_recursive": "259:0 Read 1000\n259:0 Write 2000\n8:0 Read 10\n8:0 Write 20\n"
    "259:0 Total 3000\nTotal 3030\n",
    "blkio.throttle.io_serviced_recursive": "259:0 Read 3\n259:0 Write 4\n8:0 Read 1\n8:0 Write 1\nTotal 9\n",
}
V1_PIDS = {"pids.current": "12\n", "pids.max": "512\n"}

EXPECTED = {
    "cgroup_cpu_limit": 1.5,
    "cgroup_memory_bytes": 3 * GB,
    "cgroup_memory_working_set_bytes": 2 * GB,
    "cgroup_memory_peak_bytes": 3 * GB + 4096,
    "cgroup_memory_limit_bytes": 4 * GB,
    "cgroup_memory_utilization": 0.5,
    "cgroup_swap_bytes": 4096,
    "cgroup_tasks": 12,
    "cgroup_tasks_limit": 512,
}
GROWING = {
    "cgroup_cpu_seconds{mode=system}": 2.5,
    "cgroup_cpu_seconds{mode=user}": 5.0,
    "cgroup_cpu_periods": 400,
    "cgroup_cpu_throttled_periods": 120,
    "cgroup_cpu_throttled_seconds": 9.0,
    "cgroup_memory_limit_hits": 17,
    "cgroup_oom_kills": 1,
    "cgroup_disk_read_bytes": 1010,
    "cgroup_disk_write_bytes": 2020,
    "cgroup_disk_reads": 4,
    "cgroup_disk_writes": 5,
}
"""What the recorded files say; a counter begins at its first reading, so that a test lets them grow from 0."""


def v1(path: str) -> dict[str, str]:
    """The files of a container at this place in each hierarchy."""
    hierarchies = {"memory": V1_MEMORY, "cpu,cpuacct": V1_CPU, "blkio": V1_BLKIO, "pids": V1_PIDS}
    files = {}
    for name, each in hierarchies.items():
        files |= below(f"sys/fs/cgroup/{name}{path}", each)
    return files


def zeroed(files: dict[str, str]) -> dict[str, str]:
    """The same files before anything had been counted."""
    return {
        name: re.sub(r"([= ])\d+$|([= ])\d+(?= )", r"\g<1>\g<2>0", text, flags=re.MULTILINE)
        if name.endswith(COUNTING)
        else text
        for name, text in files.items()
    }


COUNTING = (
    "cpu.stat",
    "cpuacct.stat",
    "memory.events",
    "memory.oom_control",
    "io.stat",
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "cpu.pressure",
)


def told(collector: CgroupCollector, **labels: str) -> dict[str, float]:
    """One round: `name{other labels}` → value, of the series that have these labels."""
    found = {}
    for reading in collector.collect():
        if all(reading.labels.get(name) == value for name, value in labels.items()):
            rest = [
                f"{name}={value}" for name, value in sorted(reading.labels.items()) if name not in ("service", "worker")
            ]
            found[reading.instrument.name + (f"{{{','.join(rest)}}}" if rest else "")] = reading.value
    return found


def collector_of(root: Path, *sessions: ModelSession, **more: Any) -> CgroupCollector:
    surroundings = Surroundings(lambda: sessions, root, pid_namespace=lambda: 0, uptime_s=lambda: 1e6, **more)
    return CgroupCollector(CgroupSettings(), surroundings)


def check(root: Path, files: dict[str, str], *, failcnt: str = "") -> dict[str, float]:
    """Reads twice, before and after everything was counted; what stands at last."""
    grow(root, zeroed(files))
    if failcnt:
        grow(root, {failcnt: "0\n"})
    collector = collector_of(root)
    told(collector)
    grow(root, files)
    found = told(collector, service="host")
    for name, value in {**EXPECTED, **GROWING}.items():
        assert found[name] == pytest.approx(value), name
    return found


def test_a_container_with_a_namespace_of_version_2(tmp_path: Path) -> None:
    files = {
        "proc/self/mountinfo": V2_MOUNT.format(root="/"),
        "proc/self/cgroup": "0::/\n",
        **below("sys/fs/cgroup", V2_CONTAINER),
    }
    found = check(tmp_path, files)
    assert "cgroup_swap_limit_bytes" not in found
    assert found["cgroup_pressure_seconds{extent=some,resource=cpu}"] == 2.5


def test_limits_of_those_above_hold_too(tmp_path: Path) -> None:
    pod = "sys/fs/cgroup/kubepods.slice/pod1"
    limits = {"cpu.max": "100000 100000\n", "memory.max": f"{2 * GB}\n", "pids.max": "max\n"}
    files = {
        "proc/self/mountinfo": V2_MOUNT.format(root="/"),
        "proc/self/cgroup": "0::/kubepods.slice/pod1/agent\n",
        **below(f"{pod}/agent", {**V2_CONTAINER, "cpu.max": "max 100000\n", "memory.max": "max\n"}),
        **below(pod, limits),
        **below("sys/fs/cgroup/kubepods.slice", {"memory.max": f"{64 * GB}\n", "cpu.max": "max 100000\n"}),
    }
    found = told(collector_of(grow(tmp_path, files)))
    assert found["cgroup_cpu_limit"] == 1.0
    assert found["cgroup_memory_limit_bytes"] == 2 * GB
    assert found["cgroup_memory_utilization"] == 1.0
    assert found["cgroup_tasks_limit"] == 512


def test_a_container_without_a_namespace_of_version_1(tmp_path: Path) -> None:
    """What is mounted is the container's part; the paths are the machine's."""
    files = {
        "proc/self/mountinfo": V1_MOUNTS.format(root="/docker/0123abc"),
        "proc/self/cgroup": V1_PATHS.format(path="/docker/0123abc"),
        **v1(""),
    }
    check(tmp_path, files, failcnt="sys/fs/cgroup/memory/memory.failcnt")


def test_a_cgroup_of_version_1_on_the_machine_itself(tmp_path: Path) -> None:
    files = {
        "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
        "proc/self/cgroup": V1_PATHS.format(path="/system.slice/obsagent.service"),
        **v1("/system.slice/obsagent.service"),
        **below("sys/fs/cgroup/memory", {"memory.limit_in_bytes": V1_UNLIMITED}),
        **below("sys/fs/cgroup/cpu,cpuacct", {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}),
    }
    failcnt = "sys/fs/cgroup/memory/system.slice/obsagent.service/memory.failcnt"
    check(tmp_path, files, failcnt=failcnt)


def test_a_container_with_a_namespace_of_version_1(tmp_path: Path) -> None:
    files = {
        "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
        "proc/self/cgroup": V1_PATHS.format(path="/"),
        **v1(""),
    }
    check(tmp_path, files, failcnt="sys/fs/cgroup/memory/memory.failcnt")


def test_a_hybrid_machine_counts_everything_once(tmp_path: Path) -> None:
    """Version 2's hierarchy beside the controllers of version 1: it has pressure, and a cpu.stat of its own."""
    unified = "sys/fs/cgroup/unified/system.slice/obsagent.service"
    mount = "36 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n"
    files = {
        "proc/self/mountinfo": V1_MOUNTS.format(root="/") + mount,
        "proc/self/cgroup": V1_PATHS.format(path="/system.slice/obsagent.service"),
        **v1("/system.slice/obsagent.service"),
        **below(unified, {name: V2_CONTAINER[name] for name in ("cpu.stat", "cpu.pressure", "cpu.max")}),
    }
    failcnt = "sys/fs/cgroup/memory/system.slice/obsagent.service/memory.failcnt"
    found = check(tmp_path, files, failcnt=failcnt)
    assert found["cgroup_pressure_seconds{extent=some,resource=cpu}"] == 2.5


def test_a_path_that_leads_nowhere_is_the_container_that_is_mounted(tmp_path: Path) -> None:
    """Some runtimes mount the container's part over the root of a hierarchy whose paths are the machine's."""
    files = {
        "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
        "proc/self/cgroup": V1_PATHS.format(path="/kubepods/burstable/pod1/0123abc"),
        **v1(""),
    }
    check(tmp_path, files, failcnt="sys/fs/cgroup/memory/memory.failcnt")


def test_without_limits_nothing_is_told_of_them(tmp_path: Path) -> None:
    limits = {"cpu.max": "max 100000\n", "memory.max": "max\n", "pids.max": "max\n"}
    files = {
        "proc/self/mountinfo": V2_MOUNT.format(root="/"),
        "proc/self/cgroup": "0::/user.slice\n",
        **below("sys/fs/cgroup/user.slice", {**V2_CONTAINER, **limits}),
    }
    found = told(collector_of(grow(tmp_path, files)))
    assert not [name for name in found if "limit" in name and "hits" not in name]
    assert "cgroup_memory_utilization" not in found
    assert found["cgroup_memory_bytes"] == 3 * GB


def test_a_machine_without_cgroups_tells_nothing(tmp_path: Path) -> None:
    files = {"proc/self/mountinfo": "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "proc/self/cgroup": ""}
    assert told(collector_of(grow(tmp_path, files))) == {}


def stat_of(pid: int) -> dict[str, str]:
    """A process that has been there since the machine began."""
    return {f"proc/{pid}/stat": f"{pid} (model) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0\n"}


def model(pid: int, worker: int) -> ModelSession:
    return ModelSession("fraud", worker, "", pid, 0, 10**15)


def test_the_cgroup_that_workers_share_counts_once(tmp_path: Path) -> None:
    files = {
        "proc/self/mountinfo": V2_MOUNT.format(root="/"),
        "proc/self/cgroup": "0::/kubepods/agent\n",
        **below("sys/fs/cgroup/kubepods/agent", V2_CONTAINER),
        **below("sys/fs/cgroup/kubepods/fraud", {**V2_CONTAINER, "memory.current": f"{2 * GB}\n"}),
        **stat_of(11),
        **stat_of(12),
        **stat_of(13),
        "proc/11/cgroup": "0::/kubepods/fraud\n",
        "proc/12/cgroup": "0::/kubepods/fraud\n",
        "proc/13/cgroup": "0::/../elsewhere\n",  # outside of what the agent may see
    }
    collector = collector_of(grow(tmp_path, files), model(11, 0), model(12, 1), model(13, 2), model(14, 3))
    rows = [
        (reading.labels["worker"], reading.value)
        for reading in collector.collect()
        if reading.instrument.name == "cgroup_memory_bytes" and reading.labels["service"] == "fraud"
    ]
    assert rows == [("0", 2 * GB)]
