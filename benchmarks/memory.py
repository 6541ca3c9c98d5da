"""How much memory do the agent and a client hold?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.agents import RunningAgent, running_agent, scratch
from benchmarks.measure import Effort, Ratio
from benchmarks.report import Goal, Row, Table, at_most, byte_size, comparison
from obsagent.ask import AgentClient

METRICS = 10
SAMPLES_A_SECOND = 100
EMPTY = "`python -c pass`"
SAY_RESIDENT = "; print(open('/proc/self/status').read())"
CONNECT = "import obsagent; c = obsagent.connect('x', endpoint='{}'); c.histogram('value').observe(1); c.flush(5)"

# A producer: every second some samples to each of many series, spread over the second, for some seconds.
PRODUCER = f"""
import sys, time, numpy, obsagent
endpoint, per_metric, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = obsagent.connect(service="producer", endpoint=endpoint)
families = [client.histogram(f"metric_{{number}}", labels=["user"]) for number in range({METRICS})]
values = numpy.random.default_rng(1).lognormal(-4, 0.7, 1 << 20)
due = time.monotonic()
for second in range(seconds):
    for family in families:
        for user in range(per_metric):
            first = hash((family, user, second)) % (len(values) - {SAMPLES_A_SECOND})
            family.labels(user=str(user)).observe_many(values[first : first + {SAMPLES_A_SECOND}])
        due += 1 / {METRICS}
        time.sleep(max(0, due - time.monotonic()))
print(client.flush(30).acknowledged)
"""


def run(effort: Effort) -> list[Table]:
    """One table: resident bytes over those of an interpreter that does nothing."""
    per_metric, seconds = effort.size(1_999, 20), effort.size(26, 1)
    series = per_metric * METRICS
    empty, imported = _of_program("pass"), _of_program("import obsagent")
    with scratch() as directory, running_agent(directory) as agent:
        idle = _of_process(agent.pid, "VmRSS")
        connected = _of_program(CONNECT.format(agent.listen))
        acknowledged = _load(agent, per_metric, seconds)
        peak = _of_process(agent.pid, "VmHWM")
        known = _known_series(agent)
    each = (peak - idle) / series
    rows = [
        Row(EMPTY, None, byte_size(empty)),
        _row("agent, idle", idle, empty, at_most(idle / 1e6, 80, "MB")),
        _row(f"agent, {series:,} active series, at its peak", peak, empty, at_most(peak / 1e6, 256, "MB")),
        Row("each active series", None, byte_size(each), (at_most(each, 4_000, "B"),)),
        _row("client, imported: what it adds", imported - empty, empty),
        _row(
            "client, connected, one series: what it adds",
            connected - empty,
            empty,
            at_most((connected - empty) / 1e6, 8, "MB"),
        ),
    ]
    note = (
        f"Active: {METRICS} histograms with {per_metric:,} series each, {SAMPLES_A_SECOND} lognormal samples a second "
        f"to every series for {seconds} s, so that windows are filled, written and released; {acknowledged:,} of "
        f"{series * SAMPLES_A_SECOND * seconds:,} samples acknowledged. The agent then knows {known:,} series, its own "
        "included."
    )
    return [comparison("Resident memory", EMPTY, rows, note)]


def _load(agent: RunningAgent, per_metric: int, seconds: int) -> int:
    """Runs the producer; how many samples the agent acknowledged."""
    words = [sys.executable, "-c", PRODUCER, agent.listen, str(per_metric), str(seconds)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def _row(what: str, resident: float, empty: float, *goals: Goal) -> Row:
    return Row(what, Ratio.exact(resident / empty), byte_size(resident), goals)


def _of_program(program: str) -> float:
    """The largest resident size of a program that runs in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program + SAY_RESIDENT], check=True, capture_output=True, text=True)
    return _bytes(done.stdout, "VmHWM")


def _of_process(pid: int, field: str) -> float:
    return _bytes(Path(f"/proc/{pid}/status").read_text(), field)


def _bytes(status: str, field: str) -> float:
    found = re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024.0


def _known_series(agent: RunningAgent) -> int:
    with AgentClient(agent.serve) as reader:
        return int(reader.status()["series"]["known"])
