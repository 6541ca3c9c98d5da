"""What processes and the machine do, as the collectors of an agent tell it, against what they know themselves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.agents import RunningAgent
from integration.threaded_agent import until
from integration.tmux import need
from unit.other_user import need_root

MB = 1 << 20
TICKS_S = 2 / os.sysconf("SC_CLK_TCK")
"""What two rounded times may differ by."""

CONFIGURATION = """
[collect.host]
interval = "1s"
[collect.cgroup]
interval = "1s"
[collect.processes]
interval = "1s"
"""

PROGRAM = """
import json, os, sys, time
work, connected = sys.argv[1], sys.argv[2] == "connected"
if os.getpid() == 1:
    import socket
    socket.sethostname("pod-1")
if connected:
    import obsagent
    client = obsagent.connect(service=work)
    client.counter("hello").inc()
    client.flush(30).raise_if_pending()
kept = b"x" * (96 << 20) if work == "memory" else b""
if work == "disk":
    with open(sys.argv[3], "wb", buffering=0) as file:
        for _ in range(24):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
if work == "cpu":
    while sum(os.times()[:2]) < 2.0:
        sum(range(10_000))
for _ in sys.stdin:
    io = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
    pages = int(open("/proc/self/statm").read().split()[1])
    print(json.dumps({
        "cpu": sum(os.times()[:2]), "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "written": int(io["write_bytes"]), "descriptors": len(os.listdir("/proc/self/fd")) - 1,
        "pid": os.getpid(),
    }), flush=True)
"""


class Worker:
    """A process that works once, and then says what it has taken whenever it is asked."""

    def __init__(self, work: str, directory: Path, *, connected: bool = True, prefix: Sequence[str] = ()) -> None:
        how = "connected" if connected else "alone"
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", PROGRAM, work, how, str(directory / f"{work}.bin")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def told(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("tell\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def working(directory: Path, *works: str) -> Iterator[dict[str, Worker]]:
    with ExitStack() as stack:
        workers = {}
        for work in works:
            workers[work] = Worker(work, directory)
            stack.callback(workers[work].end)
        yield workers


def configured(agent: RunningAgent, text: str) -> RunningAgent:
    path = agent.directory / "obsagent.toml"
    path.write_text(text)
    return agent.start("--config", str(path))


def value(agent: RunningAgent, stat: str, metric: str, filters: str) -> float:
    answer = agent.ask(f"{stat} {metric} {filters} since 1h")
    return sum(row["values"][stat] or 0.0 for row in answer["series"])


def test_hogs_appear_in_their_own_series_with_their_own_size(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    agent = configured(stopped_agent, CONFIGURATION)
    with working(tmp_path, "cpu", "memory", "disk") as workers:
        before = {work: worker.told() for work, worker in workers.items()}
        for work, told in before.items():
            until(
                lambda: value(agent, "sum", "cpu_seconds", f"service={work}") >= told["cpu"] - TICKS_S,  # noqa: B023
                f"the processor time of {work}",
            )
            until(
                lambda: value(agent, "sum", "disk_write_bytes", f"service={work}") >= told["written"],  # noqa: B023
                f"what {work} has written",
            )
        until(lambda: value(agent, "last", "memory_bytes", "service=memory") >= 96 * MB, "the memory")
        after = {work: worker.told() for work, worker in workers.items()}
        for work in workers:
            cpu = value(agent, "sum", "cpu_seconds", f"service={work}")
            assert before[work]["cpu"] - TICKS_S <= cpu
            assert cpu <= workers[work].told()["cpu"] + TICKS_S
            memory = value(agent, "last", "memory_bytes", f"service={work}")
            assert memory == pytest.approx(after[work]["memory"], rel=0.1)
            descriptors = value(agent, "last", "process_descriptors", f"service={work}")
            assert abs(descriptors - after[work]["descriptors"]) <= 2
        assert before["cpu"]["cpu"] >= 2.0
        written = value(agent, "sum", "disk_write_bytes", "service=disk")
        assert before["disk"]["written"] <= written <= workers["disk"].told()["written"]
        on_disk = before["disk"]["written"] > 0  # else the test's directory is in memory
        assert not on_disk or written >= 24 * MB
        others = max(value(agent, "last", "memory_bytes", f"service={work}") for work in ("cpu", "disk"))
        assert value(agent, "last", "memory_bytes", "service=memory") >= others + 80 * MB
        rows = agent.ask("last memory_bytes service=memory by worker since 1h")["series"]
        assert [row["labels"]["worker"] for row in rows] == ["0"]
        until(lambda: value(agent, "last", "memory_unique_bytes", "service=memory") >= 96 * MB)


def test_the_machine_is_told_of_by_mode_and_device(stopped_agent: RunningAgent) -> None:
    agent = configured(stopped_agent, CONFIGURATION)
    until(lambda: "cpu_utilization" in metrics(agent), "two rounds")
    rows = agent.ask("cpu_utilization service=host by mode since 1h")["series"]
    shares = {row["labels"]["mode"]: row["values"]["last"] for row in rows}
    assert {"user", "system", "steal"} <= shares.keys()
    assert "idle" not in shares
    assert 0 <= sum(shares.values()) <= 1.000001
    assert 0 < value(agent, "last", "memory_utilization", "service=host") < 1
    assert value(agent, "last", "memory_total_bytes", "service=host") == os.sysconf("SC_PHYS_PAGES") * os.sysconf(
        "SC_PAGE_SIZE"
    )
    statvfs = os.statvfs("/")
    total = value(agent, "last", "filesystem_total_bytes", "mount=/")
    assert total in (0, statvfs.f_blocks * statvfs.f_frsize)  # 0 where / is of a kind that holds nothing
    status = agent.status()["agent"]
    assert {"host", "cgroup", "processes"} <= status["collectors"].keys()
    for each in status["collectors"].values():
        assert each["interval_ms"] in (1_000, 5_000)


def metrics(agent: RunningAgent) -> set[str]:
    return set(agent.status()["cost"]["metrics"])


def test_a_collector_that_is_switched_off_is_off(stopped_agent: RunningAgent) -> None:
    agent = configured(stopped_agent, "[collect.host]\nenabled = false\n[collect.processes]\ninterval = '1s'\n")
    until(lambda: agent.status()["agent"]["collectors"]["processes"]["rounds"] >= 2)
    assert "host" not in agent.status()["agent"]["collectors"]
    assert metrics(agent).isdisjoint({"load_average", "cpu_utilization", "memory_bytes"})


def test_a_process_without_a_client_is_found_by_its_pid_file(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    match = f"[[collect.processes.match]]\nservice = 'server'\npid_file = '{pid_file}'\n"
    agent = configured(stopped_agent, CONFIGURATION + match)
    until(lambda: any("server.pid" in problem for problem in agent.status()["agent"]["problems"]))
    worker = Worker("memory", tmp_path, connected=False)
    try:
        pid_file.write_text(f"{worker.told()['pid']}\n")
        until(lambda: value_or_none(agent, "memory_bytes", "service=server") >= 96 * MB)
        until(lambda: not agent.status()["agent"]["problems"], "the file can be read now")
    finally:
        worker.end()


def test_a_process_in_a_container_is_found_by_the_number_of_its_namespace(
    stopped_agent: RunningAgent, tmp_path: Path
) -> None:
    """It is process 1 there, on a host of another name: what containers are to the kernel, made by hand."""
    need_root()
    agent = configured(stopped_agent, CONFIGURATION)
    container = [need("unshare"), "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
    worker = Worker("memory", tmp_path, prefix=container)
    try:
        assert worker.told()["pid"] == 1
        until(lambda: value_or_none(agent, "memory_bytes", "service=memory") >= 96 * MB)
        assert value(agent, "last", "memory_bytes", "service=memory") == pytest.approx(worker.told()["memory"], rel=0.1)
    finally:
        worker.end()


def value_or_none(agent: RunningAgent, metric: str, filters: str) -> float:
    return value(agent, "last", metric, filters) if metric in metrics(agent) else 0.0


def test_top_and_status_show_them(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    agent = configured(stopped_agent, CONFIGURATION)
    with working(tmp_path, "memory") as workers:
        workers["memory"].told()
        until(lambda: shown(agent))
    done = agent.command("status", "--agent", agent.serve)
    assert re.search(r"^collector +every +rounds", done.stdout, re.MULTILINE)
    assert re.search(r"^processes +1s +[1-9]", done.stdout, re.MULTILINE)


def shown(agent: RunningAgent) -> bool:
    """True if the table has a line for the service with its processor and memory."""
    done = agent.command("top", "--once", "--agent", agent.serve)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("memory ")]
    return re.search(r"cpu +memory", done.stdout) is not None and re.search(r" % +1\d\d MB", lines[0]) is not None
