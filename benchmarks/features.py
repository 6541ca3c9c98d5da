"""What does it cost a model server to tell the features of a row, or of many?

Time is that of the caller's thread: what the drain does meanwhile is another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import clients, floor, peers
from benchmarks.measure import Arm, Effort, calls, interleave, repeating
from benchmarks.report import Row, Table, at_most, comparison, nanoseconds
from obsagent.wire.rules import Rules

FEATURES = 20
ROWS = 4_000
PAUSE_S = 0.008  # in which the drain takes what was told: a server tells no more than it can
CALL_NS = 1_000
PER_VALUE_NS = 1.5
NAMES = [f"f{index}" for index in range(FEATURES)]


def run(effort: Effort) -> list[Table]:
    """Two tables: calls with a row, and the values of a matrix."""
    return [_rows(effort), _values(effort)]


def _model(client: Any) -> Any:
    """A model whose rules have come, though nobody listens."""
    model = client.model("fraud", version="4")
    client.models.take_rules("fraud", "4", Rules())
    return model


def _rows(effort: Effort) -> Table:
    chance = np.random.default_rng(1)
    row = dict(zip(NAMES, chance.random(FEATURES).tolist(), strict=True))
    mixed = {name: value if index % 4 else "DE" for index, (name, value) in enumerate(row.items())}
    array, one = np.array(list(row.values())), np.zeros((1, 1))
    empty = floor.load().Empty()
    with clients.unheard() as client:
        features = _model(client).features
        arms = [calls("empty Cython method", "observe(value)", observe=empty.observe, value=row)]
        arms += [
            calls("a matrix of one value", "features(row, names=names)", features=features, row=one, names=NAMES[:1]),
            calls(f"a mapping of {FEATURES} numbers", "features(row)", features=features, row=row),
            calls(f"a mapping of {FEATURES}, 5 of them categories", "features(row)", features=features, row=mixed),
            calls(f"an array of {FEATURES}", "features(row, names=names)", features=features, row=array, names=NAMES),
        ]
        whylogs = peers.load("whylogs")
        if whylogs is not None:
            arms += [calls(f"whylogs `log` of a row of {FEATURES}", "log(row=row)", log=whylogs.log, row=mixed)]
        reference, *timings = interleave(arms, effort, time.thread_time)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goals = (at_most(timing.ns, CALL_NS, "ns"),) if timing is timings[0] else ()
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison("Calls of `model.features`", "empty method", rows, note)


def in_bursts(function: Callable[[Any], object], rows: Any) -> Callable[[int], None]:
    """What an arm runs whose calls have a pause between them, which takes none of the thread's time."""

    def run(repeats: int) -> None:
        for _ in range(repeats):
            function(rows)
            time.sleep(PAUSE_S)

    return run


def _values(effort: Effort) -> Table:
    rows = effort.size(ROWS, 100)
    effort = Effort(min(effort.rounds, 9), effort.round_s / 2, effort.quick)
    matrix = np.random.default_rng(1).random((rows, FEATURES))
    columns, singles, copy = np.asfortranarray(matrix), matrix.astype(np.float32), np.empty_like(matrix)
    add_up = floor.load().add_up
    with clients.unheard() as client:
        model = _model(client)

        def features(rows: Any) -> None:
            model.features(rows, names=NAMES)

        def copied(rows: Any) -> None:
            np.copyto(copy, rows)

        arms = [Arm("sum of the values, plain C loop", repeating(add_up, matrix.ravel()), matrix.size)]
        arms += [
            Arm(f"a matrix of {rows:,} × {FEATURES}, row after row", in_bursts(features, matrix), matrix.size),
            Arm("the same, column after column", in_bursts(features, columns), matrix.size),
            Arm("the same of float32", in_bursts(features, singles), matrix.size),
            Arm("`numpy.copyto` of the first, after the same pause", in_bursts(copied, matrix), matrix.size),
            Arm(
                "the first without a pause: what the drain cannot keep up with",
                repeating(features, matrix),
                matrix.size,
            ),
        ]
        whylogs, pandas = peers.load("whylogs"), peers.load("pandas")
        if whylogs is not None and pandas is not None:
            frame = pandas.DataFrame(matrix, columns=NAMES)
            arms += [Arm("whylogs `log` of the same frame", repeating(whylogs.log, frame), matrix.size)]
        reference, *timings = interleave(arms, effort, time.thread_time)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    goal = at_most(timings[0].ns, PER_VALUE_NS, "ns")
    table = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goals = (goal,) if timing is timings[0] else ()
        table.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison("A value of a matrix", "summing", table, note)
