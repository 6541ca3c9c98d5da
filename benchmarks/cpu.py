"""How much of a processor does the agent take?"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Any

import obsagent
from benchmarks.agents import RunningAgent, running_agent, scratch
from benchmarks.measure import Effort, Ratio
from benchmarks.report import Goal, Row, Table, at_most, comparison
from obsagent.ask import AgentClient

REQUESTS_A_SECOND = 10_000
VALUES_A_REQUEST = 20
BURSTS_A_SECOND = 100
GOAL_PERCENT = 3
SETTLE_S = 4  # the HTTP port loads its libraries two seconds after the rest, and collectors theirs in their first round
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def run(effort: Effort) -> list[Table]:
    """One table: processor time over the time that passed."""
    seconds, load = effort.size(10, 1), os.getloadavg()[0]
    settle = effort.size(SETTLE_S, 0)
    with scratch() as directory, running_agent(directory, "--no-collect") as agent:
        time.sleep(settle)
        alone = _share(agent, lambda: time.sleep(seconds))
    with scratch() as directory, running_agent(directory) as agent:
        time.sleep(settle)
        idle = _share(agent, lambda: time.sleep(seconds))
        client = obsagent.connect(service="busy", endpoint=agent.listen)
        step = client.histogram("step", labels=["number"])
        observes = [step.labels(number=str(number)).observe for number in range(VALUES_A_REQUEST)]
        _serve(observes, settle)
        began = _own_seconds()
        busy = _share(agent, lambda: _serve(observes, seconds))
        recording = (_own_seconds() - began) / seconds
        collectors = _collectors(agent)
        client.close()
    what = f"agent, {REQUESTS_A_SECOND:,} requests a second with {VALUES_A_REQUEST} values each"
    rows = [
        _row("agent, idle, without collectors", alone),
        _row("agent, idle, reading the host, cgroups and processes", idle),
        _row("of that the collectors' own threads", collectors),
        _row(what, busy, at_most(busy * 100, GOAL_PERCENT, "%")),
        _row("the process that records them", recording),
    ]
    note = (
        f"Processor time, user and system, over {seconds} s; the recording process pays for its Python loop too."
        f" When it began, {load:.1f} tasks ran or waited on {os.cpu_count()} processors."
    )
    return [comparison("Processor time", "one processor", rows, note)]


def _row(what: str, share: float, *goals: Goal) -> Row:
    return Row(what, Ratio.exact(share), f"{share * 100:.2g} %", goals)


def _share(agent: RunningAgent, work: Any) -> float:
    """The agent's processor time while `work` runs, over the time that passes."""
    began, before = time.monotonic(), _agent_seconds(agent)
    work()
    return (_agent_seconds(agent) - before) / (time.monotonic() - began)


def _collectors(agent: RunningAgent) -> float:
    """What their rounds take, at the intervals that they have."""
    with AgentClient(agent.serve) as client:
        told = client.status()["agent"]["collectors"]
    shares = [each["cpu_ms"] / each["rounds"] / each["interval_ms"] for each in told.values() if each["rounds"]]
    return float(sum(shares))


def _serve(observes: list[Any], seconds: int) -> None:
    """The values of so many requests a second, in small bursts."""
    due = time.monotonic()
    for _ in range(seconds * BURSTS_A_SECOND):
        for _ in range(REQUESTS_A_SECOND // BURSTS_A_SECOND):
            for observe in observes:
                observe(0.0123)
        due += 1 / BURSTS_A_SECOND
        time.sleep(max(0.0, due - time.monotonic()))


def _agent_seconds(agent: RunningAgent) -> float:
    """User and system time: fields 14 and 15 of the process's stat, counted behind its name."""
    fields = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
