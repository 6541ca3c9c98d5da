"""How long do the commands, and the import, take to start?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import peers, stores
from benchmarks.agents import RunningAgent, running_agent, scratch
from benchmarks.measure import Arm, Effort, Timing, interleave
from benchmarks.report import Goal, Row, Table, at_most, comparison, duration

REFERENCE = "`python -c pass`"
IMPORT = "`import obsagent`"
OVERVIEW = "`obsagent --help`"
HELP = "`obsagent query --help`"
QUERY = "`obsagent query p99 ...`"
INSTALLED_SCRIPT = "import sys; from obsagent.cli import main; sys.exit(main())"
PEERS = ("prometheus_client", "opentelemetry.sdk.metrics", "numpy")
SERIES = 10
WINDOWS = 6
LIMITS = {IMPORT: 2, OVERVIEW: 4, HELP: 4, QUERY: 6}


def run(effort: Effort) -> list[Table]:
    """One table: processes over one that does nothing."""
    with scratch() as directory:
        stores.write_past(directory / "data", series_count=SERIES, windows=WINDOWS, samples=100)
        with running_agent(directory) as agent:
            environment = _with_bytecode(directory)
            arms = [Arm(name, _process(words, environment)) for name, words in _commands(agent).items()]
            reference, *timings = interleave(arms, replace(effort, round_s=0.0, rounds=effort.size(9, 1)))
    rows = [Row(reference.name, None, duration(reference.median))]
    rows += [
        Row(timing.name, timing.over(reference), duration(timing.median), _goals(timing, reference))
        for timing in timings
    ]
    note = "Whole processes, on one processor, files and bytecode at hand. The agent that is asked runs on the other. "
    note = (note + peers.missing_note()).strip()
    return [comparison("Start-up", "`python -c pass`", rows, note)]


def _commands(agent: RunningAgent) -> dict[str, list[str]]:
    command = ["-c", INSTALLED_SCRIPT]
    return {
        REFERENCE: ["-c", "pass"],
        IMPORT: ["-c", "import obsagent"],
        "`import obsagent; obsagent.connect()`": [
            "-c",
            f"import obsagent; obsagent.connect('x', endpoint='{agent.listen}')",
        ],
        OVERVIEW: [*command, "--help"],
        HELP: [*command, "query", "--help"],
        QUERY: [*command, "query", "p99", stores.METRIC, "by", "endpoint", "--agent", agent.serve],
        "`obsagent query p99 ... --data DIR`": [*command, "query", "p99", stores.METRIC, "--data", str(agent.data)],
        **{f"`import {module}`": ["-c", f"import {module}"] for module in PEERS if peers.load(module) is not None},
    }


def _goals(timing: Timing, reference: Timing) -> tuple[Goal, ...]:
    limit = LIMITS.get(timing.name)
    return () if limit is None else (at_most(timing.over(reference).median, limit, "×"),)


def _with_bytecode(directory: Path) -> dict[str, str]:
    """The environment of processes that find compiled what they import, as an installed package is."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**environment, "PYTHONPYCACHEPREFIX": str(directory / "bytecode")}


def _process(words: Sequence[str], environment: dict[str, str]) -> Callable[[int], None]:
    def run_it(repeats: int) -> None:
        for _ in range(repeats):
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment)

    return run_it
