"""The constants of the reference format and nothing else; FORMAT.md explains them, a test compares the two."""

from __future__ import annotations

from struct import Struct

FORMAT_VERSION = 2
WITHOUT_ERRORS = 1
"""The version of a file whose content has no `errors`."""

MAGIC = b"OBSREFR\n"
HEADER = Struct("<8sHHQI32sIII")
"""magic, version, reserved, content size, about size, sha256 of the content, content crc, about crc, header crc."""

CRC = Struct("<I")

ID_DIGITS = 16
LABEL_DIGITS = 8
"""Hexadecimal digits of the content's hash in an id, and in the label `reference` of a series."""

CONTENT_KEYS = ("model", "version", "rows", "windows", "features", "outputs", "truth", "joint", "left_out", "errors")
ABOUT_KEYS = ("created_ms", "source", "writer")
FEATURE_KEYS = (
    *("kind", "type", "count", "nulls", "nans", "positive_infinities", "negative_infinities", "wrong_types"),
    *("edges", "counts", "sums", "categories", "category_counts", "distinct", "distinct_exact", "spread"),
    *("tdigest", "kappa0", "importance"),
)
JOINT_KEYS = ("score_low", "score_high", "score_bins", "predicted", "truths", "cells")
ERRORS_KEYS = ("errors", "truths", "absolute", "squares", "shares", "bins")
KINDS = ("number", "category")
TYPES = ("float", "int", "bool", "text", "null")

ERROR_BINS_PER_OCTAVE = 32
ERROR_OCTAVES = 40
"""Above and below 1."""
ERROR_BIN_MAX = 2 * ERROR_OCTAVES * ERROR_BINS_PER_OCTAVE
