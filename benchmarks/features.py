"""What does it cost a model server to tell the features of a row, or of many?"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import clients, floor, peers
from benchmarks.measure import Arm, Effort, calls, interleave, repeating
from benchmarks.report import Row, Table, at_most, comparison, nanoseconds
from obsagent.wire.rules import Rules

FEATURES = 20
ROWS = 10_000
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
        reference, *timings = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goals = (at_most(timing.ns, CALL_NS, "ns"),) if timing is timings[0] else ()
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison("Calls of `model.features`", "empty method", rows, note)


def _values(effort: Effort) -> Table:
    rows = effort.size(ROWS, 100)
    matrix = np.random.default_rng(1).random((rows, FEATURES))
    columns, singles = np.asfortranarray(matrix), matrix.astype(np.float32)
    add_up = floor.load().add_up
    with clients.unheard() as client:
        model = _model(client)

        def features(rows: Any) -> None:
            model.features(rows, names=NAMES)

        arms = [Arm("sum of the values, plain C loop", repeating(add_up, matrix.ravel()), matrix.size)]
        arms += [
            Arm(f"a matrix of {rows:,} × {FEATURES}, row after row", repeating(features, matrix), matrix.size),
            Arm("the same, column after column", repeating(features, columns), matrix.size),
            Arm("the same of float32", repeating(features, singles), matrix.size),
        ]
        whylogs, pandas = peers.load("whylogs"), peers.load("pandas")
        if whylogs is not None and pandas is not None:
            frame = pandas.DataFrame(matrix, columns=NAMES)
            arms += [Arm("whylogs `log` of the same frame", repeating(whylogs.log, frame), matrix.size)]
        reference, *timings = interleave(arms, effort)
        note = f"{clients.ring_note(client)} {peers.missing_note()}".strip()
    goal = at_most(timings[0].ns, PER_VALUE_NS, "ns")
    table = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goals = (goal,) if timing is timings[0] else ()
        table.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return comparison("A value of a matrix", "summing", table, note)
