"""Processes in recorded trees: whose they are, what they take, and those that end, hide or have another's pid."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from obsagent.collect.processes.collector import ProcessesCollector
from obsagent.collect.processes.pages import Pages
from obsagent.collect.processes.procfs import Identity, Processes, parse_stat
from obsagent.collect.settings import Matcher, ProcessesSettings
from obsagent.collect.surroundings import ModelSession, Surroundings
from obsagent.readings import Reading
from unit.recorded_tree import below, grow, read_until_unreadable

HERE = 4026531836
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
NOW_S, UPTIME_S = 1_800_000_000.0, 50_000.0
OLD_TICKS = 100 * TICKS
"""The start of a process that was there before the agent."""


def process(
    pid: int, name: str = "python", *, cpu_s: float = 0.0, start: int = OLD_TICKS, state: str = "S"
) -> dict[str, str]:
    """The files of a process."""
    ticks = round(cpu_s * TICKS)
    stat = (
        f"{pid} ({name}) {state} 1 {pid} {pid} 0 -1 4194560 2500 9 30 4 {ticks} 0 7 8 20 0 3 0 {start} 9000000 1000\n"
    )
    files = {
        "stat": stat,
        "status": f"Name:\t{name}\nNSpid:\t{pid}\nVmRSS:\t4000 kB\nVmSwap:\t     16 kB\nvoluntary_ctxt_switches:\t5\n",
        "io": "rchar: 5000\nwchar: 6000\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 8192\n",
        "smaps_rollup": "55-7f ---p 00000000 00:00 0 [rollup]\nRss: 4000 kB\nPss: 3000 kB\nPrivate_Clean: 1000 kB\n"
        "Private_Dirty: 1500 kB\nPrivate_Hugetlb: 0 kB\n",
        "fd/0": "",
        "fd/1": "",
        "cmdline": f"/usr/bin/{name}\0serve.py\0",
        "cgroup": "0::/system.slice/model.service\n",
    }
    for thread, switches in ((pid, 5), (pid + 1000, 7)):
        files[f"task/{thread}/status"] = f"voluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n"
    return below(f"proc/{pid}", files)


def session(
    pid: int, worker: int = 0, *, namespace: int = 0, age_s: float = 10.0, service: str = "fraud"
) -> ModelSession:
    return ModelSession(service, worker, "", pid, namespace, int((NOW_S - age_s) * 1000))


class Lab:
    """A collector over a tree that changes, and sessions that come and go."""

    def __init__(self, root: Path, *matchers: Matcher) -> None:
        self.root = grow(root, {"proc/": ""})
        self.sessions: list[ModelSession] = []
        surroundings = Surroundings(
            lambda: self.sessions, root, lambda: HERE, uptime_s=lambda: UPTIME_S, wall_s=lambda: NOW_S
        )
        self.collector = ProcessesCollector(ProcessesSettings(match=matchers), surroundings)

    def has(self, *files: dict[str, str]) -> None:
        for each in files:
            grow(self.root, each)

    def ends(self, pid: int) -> None:
        for path in sorted((self.root / f"proc/{pid}").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (self.root / f"proc/{pid}").rmdir()

    def round(self) -> dict[tuple[str, ...], float]:
        return {key(reading): reading.value for reading in self.collector.collect()}


def key(reading: Reading) -> tuple[str, ...]:
    """Metric, service, worker and what else tells it apart."""
    labels = dict(reading.labels)
    first = (reading.instrument.name, labels.pop("service"), labels.pop("worker"))
    return (*first, *labels.values())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_everything_about_a_process(lab: Lab) -> None:
    lab.has(process(7, cpu_s=1.0))
    lab.sessions = [session(7)]
    found = lab.round()
    assert found["memory_bytes", "fraud", "0"] == 1000 * PAGE
    assert found["memory_unique_bytes", "fraud", "0"] == 2500 * 1024
    assert found["memory_proportional_bytes", "fraud", "0"] == 3000 * 1024
    assert found["swap_bytes", "fraud", "0"] == 16 * 1024
    assert found["process_threads", "fraud", "0"] == 3
    assert found["process_descriptors", "fraud", "0"] == 2
    assert found["process_count", "fraud", "0"] == 1
    assert found["cpu_seconds", "fraud", "0"] == 0.0  # it was there before the agent
    lab.has(process(7, cpu_s=3.5))
    assert lab.round()["cpu_seconds", "fraud", "0"] == 2.5


def test_a_process_that_began_after_the_agent_is_counted_from_its_beginning(lab: Lab) -> None:
    lab.has(process(7, cpu_s=2.0, start=round((UPTIME_S + 1) * TICKS)))
    lab.sessions = [session(7, age_s=-2)]
    found = lab.round()
    assert found["cpu_seconds", "fraud", "0"] == 2.0
    assert found["disk_read_bytes", "fraud", "0"] == 4096
    assert found["disk_write_bytes", "fraud", "0"] == 8192
    assert found["process_read_bytes", "fraud", "0"] == 5000
    assert found["process_faults", "fraud", "0", "minor"] == 2500
    assert found["process_faults", "fraud", "0", "major"] == 30
    assert found["process_context_switches", "fraud", "0", "voluntary"] == 12  # of both threads
    assert found["process_context_switches", "fraud", "0", "involuntary"] == 2


def test_every_counter_says_where_it_begins(lab: Lab) -> None:
    """So that the first reading counts: the collector has taken the beginning into account itself."""
    lab.has(process(7))
    lab.sessions = [session(7)]
    counters = [each for each in lab.collector.collect() if each.instrument.kind.word == "counter"]
    assert counters
    assert {each.begins_at for each in counters} == {0.0}


def test_a_name_may_hold_parentheses_and_blanks() -> None:
    (text,) = (text for name, text in process(7, "a) (b) c").items() if name.endswith("/stat"))
    stat = parse_stat(text)
    assert (stat.name, stat.state, stat.start_ticks, stat.resident_bytes) == ("a) (b) c", "S", OLD_TICKS, 1000 * PAGE)


def test_a_pid_that_was_given_again_is_another_process(lab: Lab) -> None:
    lab.has(process(7, cpu_s=1.0))
    lab.sessions = [session(7)]
    lab.round()
    lab.has(process(7, cpu_s=9.0, start=OLD_TICKS + 1))
    assert lab.round() == {}


@pytest.mark.threat("P2")
def test_a_process_younger_than_its_session_has_anothers_pid(lab: Lab) -> None:
    """Of a session of an agent before: its process ended while nobody watched."""
    lab.has(process(7, start=round((UPTIME_S - 60) * TICKS)))
    lab.sessions = [session(7, age_s=3600)]
    assert lab.round() == {}
    lab.sessions = [session(7, age_s=59)]
    assert lab.round()


def test_a_slot_goes_on_counting_with_its_next_process(lab: Lab) -> None:
    lab.has(process(7, cpu_s=1.0))
    lab.sessions = [session(7)]
    lab.round()
    lab.has(process(7, cpu_s=6.0))
    assert lab.round()["cpu_seconds", "fraud", "0"] == 5.0
    lab.ends(7)
    lab.has(process(8, cpu_s=7.0, start=round((UPTIME_S + 1) * TICKS)))
    lab.sessions = [session(8, age_s=-2)]
    assert lab.round()["cpu_seconds", "fraud", "0"] == 12.0


def test_zombies_and_those_that_end_take_nothing_from_the_others(lab: Lab) -> None:
    lab.has(process(7), process(8, state="Z"), process(9))
    lab.sessions = [session(7, 0), session(8, 1), session(9, 2), session(10, 3)]
    assert {worker for _, _, worker, *_ in lab.round()} == {"0", "2"}
    lab.ends(7)
    assert {worker for _, _, worker, *_ in lab.round()} == {"2"}


def test_a_file_that_is_not_for_the_agents_eyes_is_left_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Processes.text

    def guarded(self: Processes, pid: int, file: str) -> str:
        if pid == 7 and file in ("io", "smaps_rollup"):
            raise PermissionError(13, "Permission denied")
        return text(self, pid, file)

    monkeypatch.setattr(Processes, "text", guarded)
    lab.has(process(7), process(8))
    lab.sessions = [session(7, 0), session(8, 1)]
    found = lab.round()
    names = {worker: {name for name, _, each, *_ in found if each == worker} for worker in ("0", "1")}
    assert names["1"] - names["0"] == {
        "disk_read_bytes",
        "disk_write_bytes",
        "process_read_bytes",
        "process_write_bytes",
        "memory_unique_bytes",
        "memory_proportional_bytes",
    }
    assert "cpu_seconds" in names["0"]


def test_what_could_not_be_read_for_a_while_does_not_count_again(lab: Lab) -> None:
    lab.has(process(7))
    lab.sessions = [session(7)]
    lab.round()
    written = (lab.root / "proc/7/io").read_text()
    (lab.root / "proc/7/io").unlink()
    assert ("disk_write_bytes", "fraud", "0") not in lab.round()
    (lab.root / "proc/7/io").write_text(written.replace("write_bytes: 8192", "write_bytes: 9000"))
    assert lab.round()["disk_write_bytes", "fraud", "0"] == 808


def test_a_process_with_many_pages_is_walked_seldom(tmp_path: Path) -> None:
    now = [0.0]

    class Slow(Processes):
        def fields(self, pid: int, file: str) -> dict[str, str]:
            now[0] += 0.5
            return super().fields(pid, file)

    pages, processes, who = Pages(lambda: now[0]), Slow(grow(tmp_path, process(7)) / "proc"), Identity(7, OLD_TICKS)
    walked = []
    for _ in range(24):
        pages.begin()
        walked.append(bool(pages.read(processes, who)))
        now[0] += 5.0
    assert [index for index, each in enumerate(walked) if each] == [0, 10, 20]


def test_a_kernel_without_a_file_tells_the_rest(lab: Lab) -> None:
    lab.has(process(7))
    lab.sessions = [session(7)]
    (lab.root / "proc/7/smaps_rollup").unlink()
    found = {name for name, *_ in lab.round()}
    assert "memory_bytes" in found
    assert "memory_unique_bytes" not in found


def test_a_pid_of_a_container_is_found_in_its_namespace(lab: Lab) -> None:
    """The agent sees the container's process 1 as 4711, and another container's process 1 as 4712."""
    lab.has(process(4711), process(4712), process(1, "init"))
    for pid in (1, 4711, 4712):
        grow(lab.root, {f"proc/{pid}/ns/pid": "", f"proc/{pid}/status": f"NSpid:\t{pid}\t1\n"})
    grow(lab.root, {"proc/4711/stat": process(4711, cpu_s=1.0)["proc/4711/stat"]})
    namespace = (lab.root / "proc/4711/ns/pid").stat().st_ino
    lab.sessions = [session(1, namespace=namespace)]
    lab.round()
    grow(lab.root, {"proc/4711/stat": process(4711, cpu_s=3.0)["proc/4711/stat"]})
    assert lab.round()["cpu_seconds", "fraud", "0"] == 2.0
    lab.sessions = [session(1, namespace=namespace + 10**9)]  # one that cannot be seen
    assert lab.round() == {}


def test_several_clients_of_a_process_count_it_once_for_each_service(lab: Lab) -> None:
    lab.has(process(7))
    lab.sessions = [session(7, 0), session(7, 1), session(7, 0, service="risk")]
    found = lab.round()
    assert {(service, worker) for _, service, worker, *_ in found} == {("fraud", "0"), ("risk", "0")}


@pytest.mark.parametrize(
    ("matcher", "workers"),
    [
        (Matcher("triton", name="tritonserver"), {"0"}),
        (Matcher("triton", name="triton*"), {"0", "1"}),
        (Matcher("triton", command="*serve.py"), {"0", "1", "2"}),
        (Matcher("triton", cgroup="/system.slice/*"), {"0", "1", "2"}),
        (Matcher("triton", name="triton*", cgroup="/user.slice/*"), set()),
    ],
)
def test_matchers_name_processes_without_a_client(tmp_path: Path, matcher: Matcher, workers: set[str]) -> None:
    lab = Lab(tmp_path, matcher)
    lab.has(process(7, "tritonserver"), process(8, "triton_backend_python"), process(9, "nginx"))
    assert {worker for _, _, worker, *_ in lab.round()} == workers


def test_slots_of_matched_processes_are_stable(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Matcher("triton", name="tritonserver"))
    lab.has(process(7, "tritonserver"), process(8, "tritonserver", start=OLD_TICKS + 1))
    lab.round()
    lab.ends(7)
    assert {worker for _, _, worker, *_ in lab.round()} == {"1"}
    lab.has(process(9, "tritonserver", start=OLD_TICKS + 9))
    assert {worker for _, _, worker, *_ in lab.round()} == {"0", "1"}


def test_a_session_goes_before_a_matcher(tmp_path: Path) -> None:
    lab = Lab(tmp_path, Matcher("triton", name="python"))
    lab.has(process(7))
    lab.sessions = [session(7)]
    assert {service for _, service, *_ in lab.round()} == {"fraud"}


def test_a_pid_file_of_no_use_is_said_and_hides_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pid"
    empty.write_text("\n")
    lab = Lab(tmp_path, Matcher("a", pid_file=str(tmp_path / "none.pid")), Matcher("b", pid_file=str(empty)))
    lab.has(process(7))
    lab.sessions = [session(7)]
    readings, said = read_until_unreadable(lab.collector.collect())
    assert re.search(r"none\.pid: No such file.*; .*empty\.pid: expected a pid, got ''", said)
    assert {each.labels["service"] for each in readings} == {"fraud"}


def test_utilization_is_of_one_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    lab = Lab(tmp_path)
    monkeypatch.setattr(lab.collector._tally._differences, "_clock", lambda: now[0])
    lab.has(process(7, cpu_s=1.0))
    lab.sessions = [session(7)]
    assert ("cpu_utilization", "fraud", "0") not in lab.round()
    now[0] += 5.0
    lab.has(process(7, cpu_s=9.0))
    assert lab.round()["cpu_utilization", "fraud", "0"] == pytest.approx(1.6)
