"""What does it cost to compare data with a reference, beside libraries that make reports of data frames?"""

from __future__ import annotations

import sys
import tempfile
import time
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import drift_peers
from benchmarks.measure import Effort, Timing, calls, interleave
from benchmarks.report import Row, Table, at_most, byte_size, comparison, duration, nanoseconds
from obsagent import drift

BINS = 130
FEATURES_IN_THE_AGENT = 1_000
SHARE_OF_A_PROCESSOR = 5.0  # per cent, of a window of 10 s
WINDOW_S = 10.0
PEERS = ("evidently", "nannyml", "whylogs")
OURS = "**`obsagent.drift`**, bins counted by numpy"
FLOOR = "`numpy.histogram`, bins that are known"
WATCHED = 20
WINDOWS = 20
ROWS_A_WINDOW = 2_000


def run(effort: Effort) -> list[Table]:
    """Three tables: a feature's kernels, whole matrices beside peers, alarms on a stream that does not change."""
    pythons = {peer: drift_peers.python_of(peer) for peer in PEERS}
    installed = {peer: str(python) for peer, python in pythons.items() if python}
    missing = [peer for peer in PEERS if peer not in installed]
    note = f"Not installed, so not measured: {', '.join(missing)}; `python -m benchmarks.drift_peers` installs them."
    with tempfile.TemporaryDirectory(prefix="obs") as directory:
        return [
            _kernels(effort),
            _matrices(effort, Path(directory), installed, note if missing else ""),
            _alarms(effort, Path(directory), installed, note if missing else ""),
        ]


def _kernels(effort: Effort) -> Table:
    """Of lists, as the agent has them."""
    chance = np.random.default_rng(1)
    reference = chance.multinomial(1_000_000, np.full(BINS, 1 / BINS)).tolist()
    current = chance.multinomial(1_000, np.full(BINS, 1 / BINS)).tolist()
    cuts = [float(edge) for edge in range(BINS - 1)]
    sums: dict[str, Any] = {"reference_sums": [2.0 * n for n in reference], "current_sums": [2.0 * n for n in current]}
    null, dyadic = drift.Null(reference), drift.DyadicESR(drift.Null(reference))
    arms = [
        calls("sum of the products of two lists", "sum(map(mul, a, b))", mul=mul, a=reference, b=current),
        calls("`Null.log_e_value`", "f(b)", f=null.log_e_value, b=current),
        calls("`DyadicESR.update`", "f(b)", f=dyadic.update, b=current),
        calls("`psi`", "f(a, b)", f=drift.psi, a=reference, b=current),
        calls("`js_distance`", "f(a, b)", f=drift.js_distance, a=reference, b=current),
        calls("`ks`", "f(a, b)", f=drift.ks, a=reference, b=current),
        calls("`wasserstein`", "f(a, b, c, **s)", f=drift.wasserstein, a=reference, b=current, c=cuts, s=sums),
        calls("`chi_squared`", "f(a, b)", f=drift.chi_squared, a=reference, b=current),
    ]
    first, *timings = interleave(arms, effort, time.thread_time)
    rows = [Row(first.name, None, nanoseconds(first))]
    rows += [Row(each.name, each.over(first), nanoseconds(each)) for each in timings]
    rows.append(_agent(timings))
    return comparison(
        f"A feature of {BINS} bins", "that sum", rows, "Lists of Python's integers. Time of the processor."
    )


def _agent(timings: list[Timing]) -> Row:
    """What the agent spends on its windows."""
    each = next(timing.median for timing in timings if "DyadicESR" in timing.name)
    share = 100 * each * FEATURES_IN_THE_AGENT / WINDOW_S
    what = f"{FEATURES_IN_THE_AGENT:,} features every {WINDOW_S:g} s, `DyadicESR`: share of a processor"
    return Row(what, None, f"{share:.2g} %", (at_most(share, SHARE_OF_A_PROCESSOR, "%"),))


def _matrices(effort: Effort, directory: Path, peers: dict[str, str], note: str) -> Table:
    shapes = [(effort.size(1_000_000, 3_000), effort.size(10, 3)), (effort.size(100_000, 2_000), effort.size(100, 4))]
    columns, cells = [""], {name: [name] for name in (FLOOR, OURS, *peers)}
    for rows, features in shapes:
        columns += [f"{rows:,} × {features}", "a value", "memory"]
        paths = _saved(directory, rows, rows, features)
        for name, python, library in _all(peers):
            found = drift_peers.ask(python, "compare", library, *paths)
            cells[name] += _cost(found, 2 * rows * features)
    text = (
        "Two matrices of float64, the reference and as much again; in a process of its own, once, with what it loads "
        "loaded. Time of the processor; memory is what it took at its peak beyond both matrices. Peers do what they do "
        "by default: evidently its preset, nannyml its univariate calculator, whylogs two profiles and its scores; "
        "their telemetry is off. In production the counts come from the clients' sketches, and only the kernels above "
        "are left."
    )
    return Table("Whole columns", columns, list(cells.values()), f"{text} {note}".strip())


def _cost(found: dict[str, float] | None, values: int) -> list[str]:
    if found is None:
        return [f"not in {drift_peers.LIMIT_S} s", "", ""]
    seconds = found["processor_s"]
    return [duration(seconds), duration(seconds / values), byte_size(max(found["bytes"], 0))]


def _all(peers: dict[str, str]) -> list[tuple[str, str, str]]:
    own = [(FLOOR, sys.executable, "counting"), (OURS, sys.executable, "obsagent")]
    return own + [(peer, python, peer) for peer, python in peers.items()]


def _saved(directory: Path, before: int, after: int, features: int) -> tuple[str, str]:
    """Two matrices of the same distribution."""
    chance, paths = np.random.default_rng(before + features), (directory / "reference.npy", directory / "current.npy")
    for path, rows in zip(paths, (before, after), strict=True):
        np.save(path, chance.normal(size=(rows, features)))
    return str(paths[0]), str(paths[1])


def _alarms(effort: Effort, directory: Path, peers: dict[str, str], note: str) -> Table:
    windows, features = effort.size(WINDOWS, 5), effort.size(WATCHED, 4)
    paths = _saved(directory, 10 * ROWS_A_WINDOW, windows * ROWS_A_WINDOW, features)
    cells = [[f"three standard deviations of {features} means", _three_sigma(paths, windows)]]
    for name, python, library in _all(peers)[1:]:
        found = drift_peers.ask(python, "watch", library, *paths)
        alarms = f"{found['alarms']} of {windows}" if found else f"not in {drift_peers.LIMIT_S} s"
        cells.append([name if library != "obsagent" else "**`e_bh` at 5 %**", alarms])
    text = (
        f"{features} columns that do not change, {windows} windows of {ROWS_A_WINDOW:,} rows, a reference of "
        f"{10 * ROWS_A_WINDOW:,}. Peers with the limits that they have unless told otherwise: many of them are on a "
        "distance, which does not alarm for so many rows, nor for changes below it; `drift_delay` tells of those."
    )
    return Table("Windows with an alarm", ["", "any column"], cells, f"{text} {note}".strip())


def _three_sigma(paths: tuple[str, str], windows: int) -> str:
    reference, current = (np.load(path) for path in paths)
    means = current.reshape(windows, ROWS_A_WINDOW, -1).mean(axis=1)
    limit = 3 * reference.std(axis=0) / np.sqrt(ROWS_A_WINDOW)
    alarms = (np.abs(means - reference.mean(axis=0)) > limit).any(axis=1)
    return f"{alarms.sum()} of {windows}"
