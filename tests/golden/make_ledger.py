"""Writes a ledger as an agent of this version leaves it, and says what is in it.

    python tests/golden/make_ledger.py tests/golden/ledger_N

All tables, merged runs and fresh ones, something forgotten, and two models. What is in it goes to `ledger_N.json`;
`tests/unit/test_ledger_golden.py` compares. Done once for each version of the format.
"""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import msgpack

from obsagent.fs import Fs
from obsagent.ledger.ledger import Ledger
from obsagent.ledger.view import LedgerView
from unit.ledger_lab import KEY, apply, at_ms, forgotten, kept_rows, predictions, truths

PARTS = 6


def make(directory: Path) -> None:
    """A classifier with scores and a regressor, flushed six times, merged between."""
    chance = random.Random(4)
    ledger = Ledger.open(directory, Fs(), KEY)
    for part in range(PARTS):
        position = 10 * part
        names = [f"r{part}-{number}" for number in range(8)]
        scored = [(name, 20 * part, float(chance.random() < 0.5), chance.random()) for name in names]
        numbers = [(name, 20 * part, chance.uniform(-3, 3), math.nan) for name in names]
        apply(ledger, predictions(scored, version=str(part % 2), slice_="DE"), position)
        apply(ledger, predictions(numbers, model="minutes"), position + 1)
        apply(ledger, truths([(name, 100, chance.choice(["0", "1"])) for name in names[:6]]), position + 2)
        apply(ledger, truths([(name, 100, chance.uniform(-3, 3)) for name in names[:5]], model="minutes"), position + 3)
        apply(ledger, truths([(names[0], 200, "1"), (f"early{part}", 100, "0")]), position + 4)
        apply(ledger, kept_rows([(name, 20 * part, msgpack.packb({"x": part})) for name in names[:2]]), position + 5)
        if part == PARTS - 1:
            apply(ledger, forgotten(["r0-1"], ""), position + 6)
        ledger.flush(position + 7, at_ms(200))
        if part < PARTS - 1:
            while ledger.upkeep():
                pass


def contents(view: LedgerView) -> dict[str, Any]:
    """All that a view shows, as JSON has it."""
    return json.loads(json.dumps({"series": _series(view), "ids": _ids(view), "arrivals": _arrivals(view)}))


def _series(view: LedgerView) -> list[Any]:
    found = []
    for series in view.series():
        for outcomes in view.outcomes([series.number], at_ms(-10), at_ms(140), 50_000):
            told: dict[str, Any] = {"predictions": outcomes.predictions, "joined": outcomes.joined}
            if outcomes.classes is not None:
                told |= {"classes": outcomes.classes.classes, "confusion": outcomes.classes.confusion.tolist()}
                told |= {"scores": [[int(at) for at in row.nonzero()[0]] for row in outcomes.classes.scores]}
                told |= {name: values.tolist() for name, values in outcomes.classes.score_sums.items()}
            if outcomes.numbers is not None:
                told |= {name: getattr(outcomes.numbers, name) for name in ("count", "error", "squared", "truth")}
            found.append([series.model, series.version, series.slice, series.task, outcomes.from_ms, told])
    return found


def _ids(view: LedgerView) -> dict[str, Any]:
    names = [*(f"r{part}-{number}" for part in range(PARTS) for number in range(8)), "early1"]
    return {
        name: [
            [[each.series.model, each.at_ms, each.value, each.score] for each in found.predictions],
            [[*each] for each in found.truths],
            [each.row for each in found.rows],
        ]
        for name in names
        for found in [view.find(None, name)]
    }


def _arrivals(view: LedgerView) -> list[list[Any]]:
    found = view.arrivals()
    return [[*row] for row in zip(found.position.tolist(), found.count.tolist(), found.loss.tolist(), strict=True)]


def main() -> None:
    directory = Path(sys.argv[1])
    make(directory)
    told = contents(Ledger.open_read_only(directory, KEY).view())
    directory.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
