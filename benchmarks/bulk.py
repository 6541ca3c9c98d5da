"""What does it cost to record an array: the call, and each value in it?"""

from __future__ import annotations

from benchmarks import clients, floor, loads, peers
from benchmarks.measure import Arm, Effort, calls, interleave, repeating
from benchmarks.report import Row, Table, at_most, comparison, nanoseconds

SIZES = (1, 8, 64, 1024, 65_536)
OVERHEAD_NS = 90
OVERHEAD_RATIO = 1.67  # 90 ns where taking a buffer costs 54 ns
PER_VALUE_NS = 1.2


def run(effort: Effort) -> list[Table]:
    """Two tables: calls with few values, and the slope of many."""
    return [_calls(effort), _values(effort)]


def _calls(effort: Effort) -> Table:
    values = loads.lognormal(SIZES[-1])
    empty = floor.load().Empty()
    with clients.unheard() as client:
        observe_many = client.histogram("value").observe_many
        arms = [calls("buffer taken and given back", "take(values)", take=empty.take, values=values[:1])]
        arms += [
            calls(
                f"`observe_many` of {size:,}", "observe_many(values)", observe_many=observe_many, values=values[:size]
            )
            for size in SIZES[:-1]
        ]
        reference, *timings = interleave(arms, effort)
        note = clients.ring_note(client)
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        ratio = timing.over(reference)
        goals = (at_most(ratio.median, OVERHEAD_RATIO, "×"), at_most(timing.ns, OVERHEAD_NS, "ns"))
        rows.append(Row(timing.name, ratio, nanoseconds(timing), goals if timing is timings[0] else ()))
    return comparison("Calls of `observe_many`", "taking a buffer", rows, note)


def _values(effort: Effort) -> Table:
    values = loads.lognormal(SIZES[-1])
    add_up = floor.load().add_up
    with clients.unheard() as client:
        observe_many = client.histogram("value").observe_many
        arms = [Arm("sum of the values, plain C loop", repeating(add_up, values), len(values))]
        arms += [Arm("`observe_many`", repeating(observe_many, values), len(values))]
        datasketches = peers.load("datasketches")
        if datasketches is not None:
            arms += [
                Arm(
                    "datasketches KLL `update`",
                    repeating(datasketches.kll_doubles_sketch().update, values),
                    len(values),
                )
            ]
        reference, ours, *others = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    goal = at_most(ours.ns, PER_VALUE_NS, "ns")
    rows = [
        Row(reference.name, None, nanoseconds(reference)),
        Row(ours.name, ours.over(reference), nanoseconds(ours), (goal,)),
        *(Row(other.name, other.over(reference), nanoseconds(other)) for other in others),
    ]
    return comparison(f"A value of {SIZES[-1]:,} at once", "summing", rows, note)
