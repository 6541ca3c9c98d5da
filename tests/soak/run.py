"""A long run: an agent, a model process that stays and many that come and go, while everything happens to them.

First half: the agent is stopped and killed and started again, and its clock is stepped. Second half: one agent, whose
vitals are measured, and those of the process that stays; workers, labels, queries and small clock steps go on. In the
end the accounts balance, and nothing is lost that was acknowledged.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from obsagent.ask import AgentClient
from obsagent.errors import AgentUnreachable
from obsagent.head.store import Store
from obsagent.limits import TIER_WINDOWS_MS, WINDOW_MS
from obsagent.segment.tiers import Tiers
from soak import agent_program, worker
from soak.slopes import Allowance, Measured, table
from soak.vitals import Vitals, disk_mb

RATE = 10.0
WORKERS = 3
WARM_UP = 0.3
"""The part of the second half that is not measured, in which caches fill."""
RESTARTS = ((0.12, signal.SIGTERM), (0.25, signal.SIGKILL), (0.37, signal.SIGKILL), (0.5, signal.SIGTERM))
"""At which part of the run the agent ends, and how."""
BIG_STEPS_MS = (180_000, -180_000, 600_000, -600_000)
SMALL_STEPS_MS = (4_000, -4_000)
STEP_EVERY = 0.08
ENDS = ("normally", "exit", "kill", "fork", "killed from outside")
QUERIES = (
    "p50,p99 duration by kind since 5m",
    "rate work by service since 10m step 1m",
    "sum visits since 5m top 5",
    "p99 duration since 30m vs 30m ago",
    "last memory_bytes since 1m",
)
DISK_RISE_MB = 0.75 * agent_program.DISK_BYTES / 1e6
"""Tiers fill, are merged and expire: in a short run it goes up and down by much of what there may be."""
DISK_MOST_MB = 1.5 * agent_program.DISK_BYTES / 1e6
"""Files that do not count any more are there for a while, and so is the one that is being written."""
READY_LIMIT_S, STOP_LIMIT_S = 60.0, 90.0


class Soak:
    """One run in a directory of its own."""

    def __init__(self, directory: Path, seconds: float, seed: int, leak: bool = False) -> None:
        self.directory = directory
        self.seconds = seconds
        self.leak = leak
        self.chance = random.Random(seed)
        self.since_ms = time.time_ns() // 1_000_000
        self.began_s = time.monotonic()
        self.happened: Counter[str] = Counter()
        self.problems: list[str] = []
        self.agent_vitals = Vitals("agent", resident_mb=4, most_mb=120, descriptors=6)
        self.client_vitals = Vitals("process that stays", resident_mb=1.5, most_mb=80)
        self.disk = Measured(Allowance("store", "MB", DISK_RISE_MB, DISK_MOST_MB))
        self._stopping = threading.Event()
        (directory / "ledgers").mkdir()
        (directory / "steps").write_bytes(agent_program.STEPS.pack(0))
        self._log = (directory / "log").open("ab")
        self._step_ms = 0
        self._workers: list[tuple[subprocess.Popen[bytes], float | None]] = []

    @property
    def at_s(self) -> float:
        return time.monotonic() - self.began_s

    def run(self) -> None:
        """Everything, and the checks."""
        self._start_agent()
        stays = self._start_worker(0, "stays")
        asking = threading.Thread(target=self._keep_asking)
        asking.start()
        due = [(part * self.seconds, lambda how=how: self._restart(how)) for part, how in RESTARTS]
        due += [(part / 100 * self.seconds, self._step_clock) for part in range(8, 98, int(STEP_EVERY * 100))]
        due.sort(key=lambda one: one[0])
        try:
            while self.at_s < self.seconds:
                while due and due[0][0] <= self.at_s:
                    due.pop(0)[1]()
                self._churn()
                self._measure(stays.pid)
                time.sleep(min(1.0, self.seconds / 60))
            (self.directory / "stop").touch()
            self._end_workers()
            if stays.wait(STOP_LIMIT_S):
                self.problems.append("the process that stays has not had everything acknowledged")
            self._check_accounts()
        finally:
            self._stopping.set()
            asking.join()
            stays.kill()
        if self._end_agent(signal.SIGTERM):
            self.problems.append(f"the agent failed:\n{self.said()}")
        self._check_store()

    def _start_agent(self) -> None:
        words = [self.directory, self.since_ms, RATE, *(["leak"] if self.leak else [])]
        command = [sys.executable, agent_program.__file__, *map(str, words)]
        self.agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)
        assert self.agent.stdout is not None
        if self.agent.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the agent did not start:\n{self.said()}")

    def _end_agent(self, how: signal.Signals) -> int:
        self.agent.send_signal(how)
        return self.agent.wait(STOP_LIMIT_S)

    def _restart(self, how: signal.Signals) -> None:
        code = self._end_agent(how)
        if code != (0 if how is signal.SIGTERM else -signal.SIGKILL):
            self.problems.append(f"the agent ended with {code}:\n{self.said()}")
        self.happened[f"agent: {how.name}"] += 1
        self._start_agent()
        self.agent_vitals.begin_anew()

    def _step_clock(self) -> None:
        """By minutes in the first half, and by less than a window in the second, which is measured."""
        steps = BIG_STEPS_MS if self.at_s < self.seconds / 2 else SMALL_STEPS_MS
        self._step_ms += steps[self.happened["clock: step"] % len(steps)]
        with (self.directory / "steps").open("r+b") as file:
            file.write(agent_program.STEPS.pack(self._step_ms))
        self.happened["clock: step"] += 1

    def _start_worker(self, seconds: float, end: str) -> subprocess.Popen[bytes]:
        words = [str(self.directory), str(seconds), end]
        return subprocess.Popen([sys.executable, worker.__file__, *words], stderr=self._log)

    def _churn(self) -> None:
        """Workers that have ended are replaced; those that are to be killed from outside are."""
        kept = []
        for process, kill_at_s in self._workers:
            if process.poll() is not None:
                continue
            if kill_at_s is not None and kill_at_s < self.at_s:
                process.kill()
            kept.append((process, kill_at_s))
        while len(kept) < WORKERS:
            end = self.chance.choice(ENDS)
            seconds = self.chance.uniform(1.0, 5.0)
            is_killed = end == ENDS[-1]
            process = self._start_worker(1e6 if is_killed else seconds, "normally" if is_killed else end)
            kept.append((process, self.at_s + seconds if is_killed else None))
            self.happened[f"worker: {end}"] += 1
        self._workers = kept

    def _end_workers(self) -> None:
        for process, kill_at_s in self._workers:
            if kill_at_s is not None:
                process.kill()
            process.wait(STOP_LIMIT_S)

    def _measure(self, stays: int) -> None:
        self.agent_vitals.take(self.at_s, self.agent.pid)
        self.client_vitals.take(self.at_s, stays)
        self.disk.add(self.at_s, disk_mb(self.directory / "data"))

    def _keep_asking(self) -> None:
        """Queries and status, again and again; an agent that is away is no error."""
        with AgentClient(f"ipc://{self.directory}/query.sock", timeout_s=5.0) as client:
            for number in range(1 << 60):
                if self._stopping.wait(0.2):
                    return
                try:
                    client.query(QUERIES[number % len(QUERIES)])
                    client.status()
                    self.happened["question: answered"] += 1
                except AgentUnreachable:
                    self.happened["question: agent away"] += 1
                except Exception as error:
                    self.problems.append(f"{QUERIES[number % len(QUERIES)]}: {error!r}")
                    return

    def _check_accounts(self) -> None:
        """As the agent says, when every client has ended or is idle: what was observed went somewhere."""
        with AgentClient(f"ipc://{self.directory}/query.sock", timeout_s=30.0) as client:
            status = client.status()
        services = status["accounts"]["services"]
        for name, account in services.items():
            gone = sum(account["dropped"].values()) + sum(account["rejected"].values())
            if account["observed"] != account["stored"] + account["pending"] + gone:
                self.problems.append(f"the accounts of {name} do not balance: {account}")
            self.happened[f"rejected: {name}"] += sum(account["rejected"].values())
        if services["stays"]["pending"]:
            self.problems.append(f"the process that stays has samples pending: {services['stays']}")
        total = sum(account["observed"] for account in services.values())
        if total != status["accounts"]["total"]["observed"]:
            self.problems.append("the total is not the sum of the services")
        problems = [each for each in status["agent"]["problems"] if not each.startswith("the clock was set")]  # it was
        if problems or status["corrupt"]:
            self.problems.append(f"the agent is not well: {problems}, corrupt {status['corrupt']}")

    def _check_store(self) -> None:
        """From outside, with no agent: nothing is lost that was acknowledged, and nothing there that was not sent."""
        ledgers = [worker.LEDGER.unpack(path.read_bytes()) for path in (self.directory / "ledgers").iterdir()]
        acknowledged, sent = (sum(column) for column in zip(*ledgers, strict=True))
        store = Store.open_read_only(self.directory / "data")
        services = store.status()["accounts"]["services"]
        self._check_tiers(store.view().tiers)
        ours = [services[name] for name in ("stays", "worker")]
        arrived = sum(account["stored"] + sum(account["rejected"].values()) for account in ours)
        self.happened["samples: acknowledged"] = acknowledged
        if not acknowledged <= arrived <= sent:
            self.problems.append(f"acknowledged {acknowledged}, arrived {arrived}, sent {sent}")

    def _check_tiers(self, tiers: Tiers) -> None:
        """All tiers were filled, and the finest has expired in part."""
        for window_ms in TIER_WINDOWS_MS:
            blocks = tiers.rolled.get(window_ms, ()) if window_ms > WINDOW_MS else tiers.blocks
            self.happened[f"blocks of {window_ms // 1000} s"] = len(blocks)
            if not blocks:
                self.problems.append(f"no file has windows of {window_ms // 1000} s")
        if tiers.whole_from[WINDOW_MS] < self.since_ms:
            self.problems.append("nothing has expired")

    def measured(self) -> list[Measured]:
        """What is judged: the second half, but for its warm-up."""
        from_s = self.seconds * (0.5 + 0.5 * WARM_UP)
        vitals = [*self.agent_vitals.measured.values(), *self.client_vitals.measured.values(), self.disk]
        return [each.after(from_s) for each in vitals]

    def said(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-3_000:]

    def end(self) -> None:
        """Whatever still runs is killed."""
        for process, _ in self._workers:
            with suppress(ProcessLookupError):
                process.kill()
        self.agent.kill()
        self._log.close()


def soak(minutes: float, seed: int, leak: bool = False) -> tuple[str, bool]:
    """The report of a run, and whether all is well."""
    directory = Path(tempfile.mkdtemp(prefix="obs"))
    run = Soak(directory, minutes * 60, seed, leak)
    try:
        run.run()
    finally:
        run.end()
    measured = run.measured()
    complaints = [f"{each.allowance.what}: {each.complaint}" for each in measured if each.complaint]
    complaints += run.problems
    happened = ", ".join(f"{what} {count:,}" for what, count in sorted(run.happened.items()))
    verdict = "\n".join(["NOT well:", *complaints, f"left in {directory}"]) if complaints else "all is well"
    if not complaints:
        shutil.rmtree(directory)
    return f"{minutes:g} minutes, seed {seed}: {happened}\n\n{table(measured)}\n\n{verdict}", not complaints
