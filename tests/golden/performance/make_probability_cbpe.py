"""Writes what NannyML estimates of three classes, with the probabilities of all: nannyml_probabilities.json.

    NML_DISABLE_USAGE_LOGGING=1 ENVIRONMENT/bin/python tests/golden/performance/make_probability_cbpe.py

Run it where nannyml is installed, as make_cbpe.py. `names` are the classes; `reference` counts, of each, hundredths
of its probability and whether it is the truth; `chunks`, some of those of 5,000 rows, hundredths of the first and the
second class, and the predicted one: three probabilities of two digits add up to 1. Which classes NannyML calibrates was
seen to differ between machines, probably for how ties are sorted; so `values` are told by the classes that are left as
they are, among them those of nannyml.json.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import nannyml
from make_cbpe import CHUNK, cells, hundredths
from nannyml.performance_estimation.confidence_based import cbpe

METRICS = ["accuracy", "precision", "recall", "f1", "specificity", "roc_auc", "average_precision"]
EVERY = 3
LEFT = [[], [1], [0, 1, 2]]


def estimated(names: list[str], left: list[int], reference: Any, analysis: Any) -> list[dict[str, float]]:
    """What NannyML says of each chunk if it leaves some classes, by their place, as they are."""
    decisions = [at not in left for at in range(len(names))]
    with mock.patch.object(cbpe, "needs_calibration", side_effect=decisions):
        estimator = nannyml.CBPE(
            metrics=METRICS,
            chunk_size=CHUNK,
            y_pred_proba={name: f"y_pred_proba_{name}" for name in names},
            y_pred="y_pred",
            y_true="y_true",
            problem_type="classification_multiclass",
        ).fit(reference)
        table = estimator.estimate(analysis).filter(period="analysis").to_df()
    return table.xs("value", axis=1, level=1)[METRICS].to_dict("records")


def main() -> None:
    reference, analysis, _ = nannyml.load_synthetic_multiclass_classification_dataset()
    names = sorted(reference.y_true.unique())
    scores = {name: hundredths(reference[f"y_pred_proba_{name}"]) for name in names}
    values = {str(left): estimated(names, left, reference, analysis)[::EVERY] for left in LEFT}
    chunks = [analysis.iloc[start : start + CHUNK] for start in range(0, len(analysis), EVERY * CHUNK)]
    first, second, _ = (f"y_pred_proba_{name}" for name in names)
    found = {
        "nannyml": version("nannyml"),
        "names": names,
        "reference": [cells(scores[name], reference.y_true == name) for name in names],
        "chunks": [
            {
                "counts": cells(hundredths(chunk[first]), hundredths(chunk[second]), chunk.y_pred.map(names.index)),
                "values": [{"left": left, "values": values[str(left)][at]} for left in LEFT],
            }
            for at, chunk in enumerate(chunks)
        ],
    }
    text = json.dumps(found, separators=(",", ":")).replace('{"counts"', '\n{"counts"')
    Path(__file__).with_name("nannyml_probabilities.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
