"""Writes what NannyML estimates on its synthetic data, with counts of the same rows: nannyml.json.

    NML_DISABLE_USAGE_LOGGING=1 ENVIRONMENT/bin/python tests/golden/performance/make_cbpe.py

Run it where nannyml is installed (`python -m benchmarks.drift_peers` makes such an environment); obsagent does not need
it. Scores have two digits, so that counts of each hundredth hold all that is known of them. `reference` counts (score,
predicted, truth), `chunks` (score, predicted) of 5,000 rows each, as [*cell, rows]; of many classes the score is the
probability of the predicted class.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nannyml
import numpy as np

CHUNK = 5_000
BINARY = ["accuracy", "precision", "recall", "f1", "specificity", "roc_auc", "average_precision"]
MANY = ["accuracy", "precision", "recall", "f1"]


def cells(*columns: Any) -> list[list[int]]:
    """Every row that comes, and how often."""
    rows, counts = np.unique(
        np.stack([np.asarray(each, dtype=np.int64) for each in columns]), axis=1, return_counts=True
    )
    return [[*row, count] for row, count in zip(rows.T.tolist(), counts.tolist(), strict=True)]


def hundredths(scores: Any) -> Any:
    """Scores of two digits as whole numbers. Raises `ValueError` for others."""
    found = np.rint(np.asarray(scores) * 100)
    if np.abs(found / 100 - scores).max() > 1e-9:
        raise ValueError("these scores have more than two digits")
    return found


def estimated(metrics: list[str], reference: Any, analysis: Any, **columns: Any) -> list[dict[str, float]]:
    """What NannyML says of each chunk."""
    estimator = nannyml.CBPE(metrics=metrics, chunk_size=CHUNK, **columns)
    table = estimator.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    return table.xs("value", axis=1, level=1)[metrics].to_dict("records")


def case(name: str, reference: Any, analysis: Any, counted: Any, values: list[dict[str, float]]) -> dict[str, Any]:
    """Counts of both and the values; `counted` gives score, predicted, and truth if there is one, of a table."""
    chunks = [counted(analysis.iloc[start : start + CHUNK])[:2] for start in range(0, len(analysis), CHUNK)]
    return {
        "name": name,
        "reference": cells(*counted(reference)),
        "chunks": [{"counts": cells(*chunk), "values": found} for chunk, found in zip(chunks, values, strict=True)],
    }


def binary(name: str, truth: str, load: Any) -> dict[str, Any]:
    """A case of two classes."""
    reference, analysis, _ = load()
    values = estimated(
        BINARY,
        reference,
        analysis,
        y_pred_proba="y_pred_proba",
        y_pred="y_pred",
        y_true=truth,
        problem_type="classification_binary",
    )
    return case(
        name,
        reference,
        analysis,
        lambda rows: (hundredths(rows.y_pred_proba), rows.y_pred, *([rows[truth]] if truth in rows else [])),
        values,
    )


def many(name: str) -> dict[str, Any]:
    """A case of three classes."""
    reference, analysis, _ = nannyml.load_synthetic_multiclass_classification_dataset()
    classes = sorted(reference.y_true.unique())
    columns = {each: f"y_pred_proba_{each}" for each in classes}
    values = estimated(
        MANY,
        reference,
        analysis,
        y_pred_proba=columns,
        y_pred="y_pred",
        y_true="y_true",
        problem_type="classification_multiclass",
    )

    def counted(rows: Any) -> tuple[Any, ...]:
        code = rows.y_pred.map(classes.index).to_numpy()
        scores = rows[list(columns.values())].to_numpy()[np.arange(len(rows)), code]
        truth = [rows.y_true.map(classes.index)] if "y_true" in rows else []
        return hundredths(scores), code, *truth

    return case(name, reference, analysis, counted, values)


def main() -> None:
    loads = {
        "work_home_actual": nannyml.load_synthetic_binary_classification_dataset,
        "repaid": nannyml.load_synthetic_car_loan_dataset,
    }
    found = {
        "nannyml": version("nannyml"),
        "binary": [binary(truth, truth, load) for truth, load in loads.items()],
        "many": [many("y_true")],
    }
    text = json.dumps(found).replace('{"counts"', '\n{"counts"').replace('"reference"', '\n"reference"')
    Path(__file__).with_name("nannyml.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
