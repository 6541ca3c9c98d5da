"""How soon is an agent that was killed under full load ready again?"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obsagent
from benchmarks import loads
from benchmarks.agents import RunningAgent, running_agent, scratch
from benchmarks.measure import Effort, Ratio
from benchmarks.report import Row, Table, at_least, at_most, byte_size, comparison, duration
from obsagent.ask import AgentClient
from obsagent.head.budgets import Budgets
from obsagent.head.directory import StoreDirectory
from obsagent.head.recovery import recover
from obsagent.limits import CHECKPOINT_DELAY_MS, WINDOW_MS

READY_GOAL_S = 2.0
ROUNDS = 5
METRICS = 2
SERIES = 1_000
"""Of each metric."""
LATEST_S = 9.0
"""The kill comes before a checkpoint takes the journal away."""
LOOK_S = 0.1
ACKNOWLEDGED_LIMIT_S = 60.0
SHORT_RUN = 12
"""Too few values at once for a sketch: they are in the journal one by one."""
LONG_RUN = 1_024


@dataclass(frozen=True, slots=True)
class Killed:
    """What had gone into the journal when the agent was killed, and how long that had taken."""

    journal_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Replay:
    """What recovery found in the journal, and how long it took inside the process."""

    journal_bytes: int
    samples: int
    seconds: float


def run(effort: Effort) -> list[Table]:
    """A table for each kind of load."""
    return [
        _measure(f"Runs of {SHORT_RUN} values, in the journal one by one", SHORT_RUN, effort),
        _measure(f"Runs of {LONG_RUN:,} values, in the journal as sketches", LONG_RUN, effort),
    ]


def _measure(title: str, run_length: int, effort: Effort) -> Table:
    rounds = effort.size(ROUNDS, 1)
    with scratch() as directory:
        empty = [_ready_in(directory) for _ in range(rounds + 1)][1:]  # the first one makes the store
        killed = _kill_under_load(directory, run_length, effort)
        left, data = directory / "left", directory / "data"
        data.rename(left)
        ready, replays = [], []
        for _ in range(rounds):
            shutil.copytree(left, data)
            replays.append(_replay(data))
            ready.append(_ready_in(directory))
            shutil.rmtree(data)
    return _table(title, killed, empty, ready, replays)


def _ready_in(directory: Path) -> float:
    """Seconds from the start of the process to its first answer."""
    began = time.perf_counter()
    with running_agent(directory):
        return time.perf_counter() - began


def _kill_under_load(directory: Path, run_length: int, effort: Effort) -> Killed:
    """Records as fast as the agent takes it, and kills it as soon as its journal is as large as wanted."""
    journal_bytes = effort.size(128 << 20, 1 << 20)
    with running_agent(directory) as agent:
        client = obsagent.connect(service=f"producer-{run_length}", endpoint=agent.listen)
        observe = _observers(client)
        values = array("d", loads.lognormal(run_length).tolist())
        for each in observe:  # every series is known before time is taken
            each(values)
        before = client.flush(20).acknowledged
        if not effort.quick:
            _wait_for_a_checkpoint()
        began, position = time.perf_counter(), _position(agent)
        acknowledged, seconds = 0, 0.0
        while not acknowledged or (seconds < LATEST_S and _journal_bytes(agent) < journal_bytes):
            if seconds > ACKNOWLEDGED_LIMIT_S:
                raise RuntimeError(f"nothing was acknowledged in {ACKNOWLEDGED_LIMIT_S:g} s: {client.flush(0)}")
            until = time.perf_counter() + LOOK_S
            while time.perf_counter() < until:  # flushed, thus sealed, each round, batches push out unacknowledged ones
                for each in observe:
                    each(values)
            acknowledged = client.flush(0).acknowledged - before
            seconds = time.perf_counter() - began
        written = _position(agent) - position
        os.kill(agent.pid, signal.SIGKILL)
    client.close(0)
    return Killed(written, seconds)


def _observers(client: Any) -> Sequence[Callable[[Any], object]]:
    families = [client.histogram(f"value_{number}", labels=["series"]) for number in range(METRICS)]
    return [family.labels(series=str(number)).observe_many for family in families for number in range(SERIES)]


def _wait_for_a_checkpoint() -> None:
    """Until the windows before this one have gone into a segment, so that the journal grows for most of a window."""
    since_ms = (time.time_ns() // 1_000_000 - CHECKPOINT_DELAY_MS) % WINDOW_MS
    time.sleep((WINDOW_MS - since_ms) / 1_000 + 0.8)


def _journal_bytes(agent: RunningAgent) -> int:
    return sum(path.stat().st_size for path in (agent.data / "journal").glob("*.journal"))


def _position(agent: RunningAgent) -> int:
    """How many bytes have ever gone into the journal."""
    with AgentClient(agent.serve) as client:
        return int(client.status()["journal"]["position"])


def _replay(data: Path) -> Replay:
    began = time.perf_counter()
    recovered = recover(StoreDirectory(data), Budgets(), time.time_ns() // 1_000_000)
    seconds = time.perf_counter() - began
    samples = sum(window.samples.sample_count for window in recovered.state.windows.values())
    return Replay(recovered.journal_bytes, samples, seconds)


def _table(
    title: str, killed: Killed, empty: Sequence[float], ready: Sequence[float], replays: Sequence[Replay]
) -> Table:
    replay_s = statistics.median(replay.seconds for replay in replays)
    journal_bytes, samples = replays[0].journal_bytes, replays[0].samples
    ratio = killed.seconds / replay_s  # of the same samples: a client that floods calls dropped what came through late
    nothing_s, ready_s = statistics.median(empty), statistics.median(ready)
    limit_s = READY_GOAL_S + killed.seconds
    rows = [
        Row("taken in", None, _rates(samples, killed.journal_bytes, killed.seconds)),
        Row(
            "read and applied again",
            Ratio.exact(ratio),
            _rates(samples, journal_bytes, replay_s),
            (at_least(ratio, 1, "×"),),
        ),
        Row("ready, nothing to replay", None, duration(nothing_s), (at_most(nothing_s, READY_GOAL_S, "s"),)),
        Row(
            f"ready, {byte_size(journal_bytes)} to replay",
            None,
            duration(ready_s),
            (at_most(ready_s, round(limit_s, 2), "s"),),
        ),
    ]
    note = (
        f"{METRICS * SERIES:,} series by turns until the agent was killed, {killed.seconds:.1f} s: {samples:,} samples "
        f"in the journal. Ready is the first answer, from the start of the process; it includes a checkpoint of what "
        f"was replayed. The limit is {READY_GOAL_S:g} s plus the time in which the same samples came in."
    )
    return comparison(title, "taking in", rows, note)


def _rates(samples: int, size: int, seconds: float) -> str:
    return f"{samples / seconds / 1e6:.3g} M/s, {size / seconds / 1e6:.3g} MB/s"
