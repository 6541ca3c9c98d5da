"""How long does an agent take to answer?"""

from __future__ import annotations

from benchmarks import stores
from benchmarks.agents import running_agent, scratch
from benchmarks.measure import Arm, Effort, interleave, repeating
from benchmarks.report import Row, Table, at_most, byte_size, comparison, nanoseconds
from obsagent.ask import AgentClient
from obsagent.limits import WINDOW_MS

SERIES = 100
SAMPLES = 1_000
STATUS = "`status`, which reads no window"
ONE_SERIES = "1 h × 1 series"
ALL_SERIES = f"1 h × {SERIES} series, one answer"
BY_SERIES = f"1 h × {SERIES} series, {SERIES} answers"


def run(effort: Effort) -> list[Table]:
    """One table: questions about a store of one hour over `status`."""
    windows = effort.size(3_600_000, 60_000) // WINDOW_MS
    with scratch() as directory:
        stored = stores.write_past(directory / "data", series_count=SERIES, windows=windows, samples=SAMPLES)
        with running_agent(directory) as agent, AgentClient(agent.serve) as reader:
            questions = {
                "10 min × 1 series": f"p99 {stores.METRIC} endpoint=/007 since 10m",
                ONE_SERIES: f"p99 {stores.METRIC} endpoint=/007 since 1h",
                ALL_SERIES: f"p99 {stores.METRIC} since 1h",
                BY_SERIES: f"p99 {stores.METRIC} by endpoint since 1h",
            }
            _check(reader, questions[ALL_SERIES], SERIES * SAMPLES * windows)
            arms = [Arm(STATUS, repeating(reader.status))]
            arms += [Arm(what, repeating(reader.query, text)) for what, text in questions.items()]
            reference, *timings = interleave(arms, effort)
    goals = {ONE_SERIES: 5, ALL_SERIES: 20, BY_SERIES: 20}
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        limits = [at_most(timing.median * 1e3, goals[timing.name], "ms")] if timing.name in goals else []
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), tuple(limits)))
    note = (
        f"Asked from a second process over the agent's socket, warm. The store: {windows} windows of {SERIES} series "
        f"with {SAMPLES:,} samples each, {byte_size(stored)} of segments, {stored / windows / SERIES:.0f} B a series' "
        "window. "
        "The goal of 5 ms is meant for 24 hours of one series, which roll-ups are to make possible."
    )
    return [comparison("p99 from an agent", "`status`", rows, note)]


def _check(reader: AgentClient, text: str, samples: int) -> None:
    """An answer about less than everything would be quick for the wrong reason."""
    (series,) = reader.query(text)["series"]
    if series["count"] < samples * 0.98:  # the oldest window or two fall out of the hour while this runs
        raise RuntimeError(f"{text}: {series['count']} of {samples} samples")
