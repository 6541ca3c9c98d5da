"""Estimates performance before truths with one library: what `performance.py` starts in that library's environment.

    python performance_program.py LIBRARY REFERENCE.npy CURRENT.npy

Columns are truth, prediction and score; the current ones have no truth. The last line is JSON: seconds of the processor
and bytes that it took beyond what was loaded, to fit and to estimate, and the estimates. It imports nothing of the
benchmarks, since their needs are not those of the peers.
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

METRICS = ["accuracy", "precision", "recall", "f1", "specificity", "roc_auc", "average_precision"]
Estimate = Callable[[Any, Any], list[dict[str, float]]]
CHUNKS = 10


def ours() -> Estimate:
    """Counts of the rows, and CBPE of each chunk's."""
    from obsagent.performance import CBPE, BinaryCounts

    def estimate(reference: Any, current: Any) -> list[dict[str, float]]:
        counts = BinaryCounts()
        counts.update(*reference.T)
        estimator, found = CBPE(counts), []
        for chunk in np.array_split(current, CHUNKS):
            counts = BinaryCounts()
            counts.update_predictions(chunk[:, 0], chunk[:, 1])
            found.append({name: each.value or 0.0 for name, each in estimator.estimate(counts).items()})
        return found

    return estimate


def nannyml() -> Estimate:
    """Its CBPE, as it is."""
    library, pandas = import_module("nannyml"), import_module("pandas")

    def estimate(reference: Any, current: Any) -> list[dict[str, float]]:
        estimator = library.CBPE(
            y_pred_proba="score",
            y_pred="predicted",
            y_true="truth",
            metrics=METRICS,
            chunk_size=len(current) // CHUNKS,
            problem_type="classification_binary",
        )
        estimator.fit(pandas.DataFrame(reference, columns=["truth", "predicted", "score"]))
        found = estimator.estimate(pandas.DataFrame(current, columns=["predicted", "score"]))
        table = found.filter(period="analysis").to_df().xs("value", axis=1, level=1)
        return [{str(name): float(value) for name, value in row.items()} for row in table[METRICS].to_dict("records")]

    return estimate


LIBRARIES: dict[str, Callable[[], Estimate]] = {"obsagent": ours, "nannyml": nannyml}


def main() -> None:
    library, *paths = sys.argv[1:]
    reference, current = (np.load(Path(path)) for path in paths)
    estimate = LIBRARIES[library]()
    with contextlib.redirect_stdout(io.StringIO()):
        estimate(reference[:1_000], current[:1_000])  # what is loaded only when it is used
        loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        found = estimate(reference, current)
        processor_s = time.process_time() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"processor_s": processor_s, "bytes": (most - loaded) * 1024, "estimates": found}))


if __name__ == "__main__":
    main()
