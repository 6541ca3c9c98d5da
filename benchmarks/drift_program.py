"""Compares two matrices, or watches windows, with one library: what `drift.py` starts in that library's environment.

    python drift_program.py compare|watch LIBRARY REFERENCE.npy CURRENT.npy

The last line is JSON: seconds of the processor and bytes that the comparison took beyond what was loaded; or the
windows with an alarm. It imports nothing of the benchmarks, since their needs are not those of the peers.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Compare = Callable[[Any, Any], bool]
"""Whether any column of the second has drifted from the first."""


def ours() -> Compare:
    """Edges, counts and sums of every column, its divergences, its e-value, and e-BH over the columns."""
    from obsagent import drift

    def binned(values: Any, cuts: Any) -> tuple[list[int], list[float]]:
        place = np.searchsorted(cuts, values, side="right")
        place[values == cuts[-1]] -= 1
        bins = len(cuts) + 1
        sums = np.bincount(place, weights=values, minlength=bins)
        return np.bincount(place, minlength=bins).tolist(), sums.tolist()

    def compare(reference: Any, current: Any) -> bool:
        logs = []
        for before, after in zip(reference.T, current.T, strict=True):
            cuts = drift.edges(before)
            (counts, sums), (now, now_sums) = binned(before, cuts), binned(after, cuts)
            drift.psi(counts, now), drift.js_distance(counts, now), drift.ks(counts, now)
            drift.wasserstein(counts, now, cuts, reference_sums=sums, current_sums=now_sums, stddev=before.std())
            logs.append(drift.log_e_value(counts, now))
        return bool(drift.e_bh(logs, 0.05, log=True))

    return compare


def counting() -> Compare:
    """The floor: nothing but numpy's histogram of both, over bins that are known."""

    def compare(reference: Any, current: Any) -> bool:
        for before, after in zip(reference.T, current.T, strict=True):
            cuts = np.linspace(-4, 4, 129)
            np.histogram(before, cuts), np.histogram(after, cuts)
        return False

    return compare


def evidently() -> Compare:
    """Its preset for drift, as it is."""
    report, preset = import_module("evidently").Report, import_module("evidently.presets").DataDriftPreset

    def compare(reference: Any, current: Any) -> bool:
        found = report([preset()]).run(_frame(current), _frame(reference)).dict()
        counts = [metric["value"]["count"] for metric in found["metrics"] if "DriftedColumnsCount" in str(metric)]
        return bool(counts[0] > 0)

    return compare


def nannyml() -> Compare:
    """Its univariate calculator, as it is: the Jensen–Shannon distance; its limits are of chunks as large."""
    library = import_module("nannyml")

    def compare(reference: Any, current: Any) -> bool:
        before, after = _frame(reference), _frame(current)
        calculator = library.UnivariateDriftCalculator(column_names=list(before), chunk_size=len(after))
        found = calculator.fit(before).calculate(after).filter(period="analysis").to_df()
        return bool(found.xs("alert", axis=1, level=2).to_numpy().any())

    return compare


def whylogs() -> Compare:
    """Profiles of both, and its drift report over them."""
    why = import_module("whylogs")
    calculate_drift_scores = import_module("whylogs.viz.drift.column_drift_algorithms").calculate_drift_scores

    def compare(reference: Any, current: Any) -> bool:
        before, after = (why.log(_frame(side)).view() for side in (reference, current))
        scores = calculate_drift_scores(target_view=after, reference_view=before, with_thresholds=True)
        return any(score and score["drift_category"] == "DRIFT" for score in scores.values())

    return compare


LIBRARIES: dict[str, Callable[[], Compare]] = {
    "obsagent": ours,
    "counting": counting,
    "evidently": evidently,
    "nannyml": nannyml,
    "whylogs": whylogs,
}


def _frame(matrix: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(matrix, columns=[f"f{index}" for index in range(matrix.shape[1])])


def main() -> None:
    what, library, *paths = sys.argv[1:]
    reference, current = (np.load(Path(path)) for path in paths)
    compare = LIBRARIES[library]()
    if what == "watch":
        windows = current.reshape(-1, len(reference) // 10, reference.shape[1])
        with contextlib.redirect_stdout(io.StringIO()):
            alarms = sum(compare(reference, window) for window in windows)
        print(json.dumps({"alarms": alarms, "windows": len(windows)}))
        return
    with contextlib.redirect_stdout(io.StringIO()):
        compare(reference[:1_000], current[:1_000])  # what is loaded only when it is used
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        compare(reference, current)
        processor_s = time.process_time() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"processor_s": processor_s, "bytes": (most - loaded) * 1024}))


if __name__ == "__main__":
    main()
