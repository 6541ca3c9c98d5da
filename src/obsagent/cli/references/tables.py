"""A reference as rows and as JSON."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate
from typing import Any

from obsagent.answer.instants import iso_utc
from obsagent.reference.errors import Errors
from obsagent.reference.feature import FeatureReference
from obsagent.reference.reference import Reference
from obsagent.sketches import TDigest

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
COLUMNS = (
    *("feature", "role", "kind", "type", "samples", "null_share", "nan_share", "infinity_share", "wrong_type_share"),
    *("distinct", "mean", "stddev", "min", "p50", "max", "bins", "kappa0", "importance"),
)


def summary(reference: Reference) -> dict[str, Any]:
    """What there is to say of it besides its columns."""
    return {
        "id": reference.id,
        "model": reference.model,
        "version": reference.version,
        "rows": reference.rows,
        "features": len(reference.features),
        "windows": reference.windows,
        "created": iso_utc(reference.created_ms),
        "source": reference.source,
        "left_out": dict(reference.left_out),
        "errors": None if reference.errors is None else errors_of(reference.errors),
    }


def errors_of(errors: Errors) -> dict[str, Any]:
    """How far predicted numbers were from their truths."""
    return {
        "rows": errors.rows,
        "mae": errors.absolute.mean,
        "rmse": math.sqrt(errors.squares.mean),
        "bias": errors.errors.mean,
        "r2": errors.r2,
    }


def roles(reference: Reference) -> list[tuple[str, str, FeatureReference]]:
    """Name, role and reference of every column."""
    found = [(name, "feature", each) for name, each in reference.features.items()]
    found += [(name, "output", each) for name, each in reference.outputs.items()]
    return found + ([("truth", "truth", reference.truth)] if reference.truth else [])


def as_row(name: str, role: str, feature: FeatureReference) -> dict[str, Any]:
    """The columns of `COLUMNS`; None for what a column of its kind does not have."""
    spread, quantiles = feature.spread, quantiles_of(feature)
    return {
        "feature": name,
        "role": role,
        "kind": feature.kind,
        "type": feature.type,
        "samples": feature.samples,
        "null_share": feature.null_share,
        "nan_share": feature.nan_share,
        "infinity_share": feature.infinity_share,
        "wrong_type_share": feature.wrong_type_share,
        "distinct": round(feature.distinct),
        "mean": spread and finite(spread.mean),
        "stddev": finite(feature.stddev),
        "min": spread and spread.min,
        "p50": quantiles.get("p50"),
        "max": spread and spread.max,
        "bins": max(0, len(feature.counts) - 2) or len(feature.categories),
        "kappa0": feature.kappa0,
        "importance": feature.importance,
    }


def as_json(name: str, role: str, feature: FeatureReference) -> dict[str, Any]:
    """All of a column but its t-digest, whose quantiles it gives."""
    return as_row(name, role, feature) | {
        "quantiles": quantiles_of(feature),
        "edges": list(feature.edges),
        "counts": list(feature.bin_counts),
        "sums": [finite(each) for each in feature.sums],
        "categories": list(feature.categories),
        "distinct_is_exact": feature.distinct_is_exact,
    }


def quantiles_of(feature: FeatureReference) -> dict[str, float]:
    """By name (p50); none without numbers. Exact where each number has a bin of its own, else by the t-digest."""
    if not feature.tdigest:
        return {}
    if feature.distinct_is_exact and feature.distinct == len(feature.edges) - 1:
        ranks = [*accumulate(feature.counts[1:-1])]
        values = [feature.edges[bisect_left(ranks, quantile * feature.count)] for quantile in QUANTILES]
    else:
        values = TDigest.from_bytes(feature.tdigest).quantiles(QUANTILES)
    return {f"p{quantile * 100:g}": value for quantile, value in zip(QUANTILES, values, strict=True)}


def finite(value: float | None) -> float | None:
    """None for what JSON has no number for."""
    return value if value is not None and value - value == 0 else None
