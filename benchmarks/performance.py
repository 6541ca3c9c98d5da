"""What does it cost to take truths, to compute metrics of them, and to estimate metrics without, beside a library?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import drift_peers
from benchmarks.measure import Effort, calls, interleave
from benchmarks.report import Row, Table, byte_size, comparison, duration, nanoseconds
from obsagent.performance import CBPE, BinaryCounts, ClassCounts, HarmDetector, RegressionSums

BATCH = 10_000
PROGRAM = Path(__file__).with_name("performance_program.py")
PEER = "nannyml"
OURS = "**`CBPE`**, with counting the rows"


def run(effort: Effort) -> list[Table]:
    """Three tables: taking truths, asking for metrics, and estimates of the same rows by CBPE."""
    return [_updates(effort), _asking(effort), _estimates(effort)]


def rows(size: int, seed: int, power: float = 1.3) -> Any:
    """Truths, predictions and scores."""
    chance = np.random.default_rng(seed)
    scores = chance.beta(1.5, 2.5, size)
    truths = chance.random(size) < scores**power
    return np.stack([truths, scores >= 0.5, scores], axis=1).astype(np.float64)


def _updates(effort: Effort) -> Table:
    truths, predicted, scores = rows(BATCH, 1).T
    names = {"c": BinaryCounts(), "t": truths, "p": predicted, "s": scores}
    classes = np.random.default_rng(2).integers(0, 10, (2, BATCH)).tolist()
    arms = [
        calls("`numpy.bincount` of a batch: the floor", "f(b, minlength=1025)", f=np.bincount, b=_bins(scores)),
        calls("`BinaryCounts.update`, with scores", "c.update(t, p, s)", **names),
        calls("`BinaryCounts.update`, without", "c.update(t, p)", **names),
        calls("`ClassCounts.update`, of ten", "c.update(t, p)", c=ClassCounts(range(10)), t=classes[0], p=classes[1]),
        calls("`RegressionSums.update`", "c.update(t, p)", c=RegressionSums(), t=scores, p=predicted),
    ]
    first, *timings = interleave([_per_row(each) for each in arms], effort)
    found = [Row(first.name, None, nanoseconds(first))]
    found += [Row(each.name, each.over(first), nanoseconds(each)) for each in timings]
    return comparison("A truth", "that count", found, f"Arrays of {BATCH:,} truths a call; time a truth.")


def _bins(scores: Any) -> Any:
    return (scores * 1024).astype(np.int64)


def _per_row(arm: Any) -> Any:
    return type(arm)(arm.name, arm.run, arm.units * BATCH)


def _asking(effort: Effort) -> Table:
    counts, other = BinaryCounts(), BinaryCounts()
    counts.update(*rows(200_000, 1).T)
    other.update(*rows(1_000, 2).T)
    estimator, detector = CBPE(counts), HarmDetector(0.5)
    arms = [
        calls("`merge`", "a.merge(b)", a=BinaryCounts(), b=other),
        calls("one metric: `roc_auc`", "c.measure('roc_auc')", c=counts),
        calls("all eleven metrics", "c.measures()", c=counts),
        calls("`CBPE` of a reference", "f(c)", f=CBPE, c=counts),
        calls("`CBPE.estimate`: seven metrics", "e.estimate(c)", e=estimator, c=other),
        calls("`to_bytes`", "c.to_bytes()", c=counts),
        calls("`HarmDetector.update`, of one truth or a million", "d.update(100, 1000)", d=detector),
    ]
    cells = [[each.name, nanoseconds(each)] for each in interleave(arms, effort)]
    cells.append(["bytes in memory · stored", f"{byte_size(_held(counts))} · {byte_size(len(counts.to_bytes()))}"])
    return Table("Counts of two classes", ["", "here"], cells, "However many truths were counted.")


def _held(counts: BinaryCounts) -> int:
    return counts.joint.nbytes + counts.sums.nbytes + counts.predictions.nbytes


def _estimates(effort: Effort) -> Table:
    sizes = [effort.size(100_000, 2_000), effort.size(1_000_000, 4_000)]
    peers: list[tuple[str, str, str]] = [(OURS, sys.executable, "obsagent")]
    if python := drift_peers.python_of(PEER):
        peers.append((PEER, str(python), PEER))
    cells = {name: [name] for name, *_ in peers}
    columns, apart = [""], []
    with tempfile.TemporaryDirectory(prefix="obs") as directory:
        for size in sizes:
            columns += [f"{size:,} rows", "a row", "memory"]
            found = {name: drift_peers.ask(*of, *_saved(Path(directory), size), program=PROGRAM) for name, *of in peers}
            for name, each in found.items():
                cells[name] += _cost(each, 2 * size)
            apart.append(_apart([each["estimates"] for each in found.values() if each]))
    note = (
        "So many rows of a reference with truths, and as many without, in ten chunks; seven metrics of each. In a "
        "process of its own, once, with what it loads loaded; time of the processor, memory at its peak beyond them. "
        f"The largest difference between the estimates: {max(apart):.1g}. "
        if len(peers) > 1
        else f"Not installed, so not measured: {PEER}; `python -m benchmarks.drift_peers` installs it. "
    )
    counted = ["the same, of counts that are there", *[duration(10 * _one_estimate(effort)), "", ""] * len(sizes)]
    return Table("Estimates before truths", columns, [*cells.values(), counted], note.strip())


def _one_estimate(effort: Effort) -> float:
    reference, current = BinaryCounts(), BinaryCounts()
    reference.update(*rows(10_000, 1).T)
    current.update(*rows(10_000, 2).T)
    arm = calls("estimate", "e.estimate(c)", e=CBPE(reference), c=current)
    return interleave([arm], effort)[0].median


def _saved(directory: Path, size: int) -> tuple[str, str]:
    paths = directory / "reference.npy", directory / "current.npy"
    np.save(paths[0], rows(size, 1))
    np.save(paths[1], rows(size, 2, 1.1)[:, 1:])
    return str(paths[0]), str(paths[1])


def _cost(found: dict[str, Any] | None, size: int) -> list[str]:
    if found is None:
        return [f"not in {drift_peers.LIMIT_S} s", "", ""]
    seconds = found["processor_s"]
    return [duration(seconds), duration(seconds / size), byte_size(max(found["bytes"], 0))]


def _apart(estimates: list[list[dict[str, float]]]) -> float:
    """The largest difference between two libraries' estimates of the same metric of the same chunk."""
    if len(estimates) < 2:
        return 0.0
    pairs = zip(*estimates, strict=True)
    return max(abs(float(one[name]) - float(other[name])) for one, other in pairs for name in one)
