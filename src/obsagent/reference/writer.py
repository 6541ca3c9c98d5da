"""A reference as bytes: a header, the content and what is said about it (FORMAT.md)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgpack

from obsagent._native.codec import crc32c
from obsagent.errors import ObsagentError
from obsagent.limits import REFERENCE_BYTES_MAX
from obsagent.reference.errors import Errors
from obsagent.reference.feature import FeatureReference, Joint
from obsagent.reference.format import (
    CRC,
    ERRORS_KEYS,
    FEATURE_KEYS,
    FORMAT_VERSION,
    HEADER,
    MAGIC,
    WITHOUT_ERRORS,
)
from obsagent.reference.reference import Reference

WRITER = "obsagent"


def pack(reference: Reference) -> bytes:
    """The bytes of a file; raises `ObsagentError` if they are more than a file may have."""
    content = pack_content(reference)
    about = _packed({"created_ms": reference.created_ms, "source": reference.source, "writer": WRITER})
    sums = (sha256(content).digest(), crc32c(content), crc32c(about))
    version = FORMAT_VERSION if reference.errors else WITHOUT_ERRORS
    header = HEADER.pack(MAGIC, version, 0, len(content), len(about), *sums, 0)[: -CRC.size]
    data = b"".join((header, CRC.pack(crc32c(header)), content, about))
    if len(data) > REFERENCE_BYTES_MAX:
        raise ObsagentError(
            f"a reference of {len(reference.features):,} features takes {len(data):,} bytes, "
            f"at most {REFERENCE_BYTES_MAX:,} are read: leave some out with --drop"
        )
    return data


def pack_content(reference: Reference) -> bytes:
    """What the hash is of; keys always in the same order, so that equal references have equal bytes.

    One without errors has the bytes that it had before there were any, and so the same id.
    """
    return _packed(
        {
            "model": reference.model,
            "version": reference.version,
            "rows": reference.rows,
            "windows": reference.windows,
            "features": {name: _feature(each) for name, each in reference.features.items()},
            "outputs": {name: _feature(each) for name, each in sorted(reference.outputs.items())},
            "truth": None if reference.truth is None else _feature(reference.truth),
            "joint": None if reference.joint is None else _joint(reference.joint),
            "left_out": dict(sorted(reference.left_out.items())),
            **({"errors": _errors(reference.errors)} if reference.errors else {}),
        }
    )


def _feature(feature: FeatureReference) -> dict[str, Any]:
    return dict(
        zip(
            FEATURE_KEYS,
            (
                *(feature.kind, feature.type, feature.count, feature.null_count, feature.nan_count),
                *(feature.positive_infinity_count, feature.negative_infinity_count, feature.wrong_type_count),
                *(feature.edges, feature.counts, feature.sums, feature.categories, feature.category_counts),
                *(float(feature.distinct), feature.distinct_is_exact, feature.spread),
                *(feature.tdigest, float(feature.kappa0), feature.importance),
            ),
            strict=True,
        )
    )


def _joint(joint: Joint) -> dict[str, Any]:
    return {
        "score_low": joint.score_low,
        "score_high": joint.score_high,
        "score_bins": joint.score_bins,
        "predicted": joint.predicted,
        "truths": joint.truths,
        "cells": [[*cell, rows] for cell, rows in sorted(joint.cells.items())],
    }


def _errors(errors: Errors) -> dict[str, Any]:
    scatters = (errors.errors, errors.truths, errors.absolute, errors.squares, errors.shares)
    return dict(zip(ERRORS_KEYS, (*scatters, sorted(errors.bins.items())), strict=True))


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed
