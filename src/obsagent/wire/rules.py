"""A model's rules, as the agent tells them to the clients that serve it: the messages `model` and `rules`, pure.

Rules say what becomes of each column *in the client*, before anything of it is encoded: dropped, hashed, counted in the
bins of a reference. They can be long, 1,000 features with 128 edges are a megabyte, so they are the body of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from struct import calcsize, pack, unpack
from typing import Any, NamedTuple

import msgpack

from obsagent.errors import CorruptData
from obsagent.limits import (
    BODY_BYTES_MAX,
    CATEGORIES_MAX,
    CATEGORY_BYTES_MAX,
    EDGES_MAX,
    HASH_KEY_BYTES_MAX,
    HASH_KEY_BYTES_MIN,
    LABEL_VALUE_BYTES_MAX,
    REFERENCE_ID_BYTES_MAX,
    RULES_FEATURES_MAX,
    TIME_MS_MAX,
)
from obsagent.wire.frame import session_of
from obsagent.wire.header import Header

VALUE, SCORE = "prediction.value", "prediction.score"
OUTPUTS = (VALUE, SCORE)
"""The columns of what a model predicts: no feature is called so."""
EDGE_BYTES = calcsize("<d")


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What a reference says of one column: a number's edges, or the categories that have a bin of their own."""

    kind: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What an agent wants of one model and version; of a model that it knows nothing of, nothing."""

    reference: str = ""
    """The id of the reference whose bins these are; empty if there is none."""
    features: Mapping[str, ColumnRule] = field(default_factory=dict)
    outputs: Mapping[str, ColumnRule] = field(default_factory=dict)
    """Of `prediction.value` and `prediction.score`."""
    drop: frozenset[str] = frozenset()
    hash: frozenset[str] = frozenset()
    hash_key: bytes = field(default=b"", repr=False)
    keep_rows: float | str = 0.0
    """The share of rows that is kept one by one, or `errors`: those of requests that failed."""
    horizon_ms: int = 0
    """How far back a backfill may lie; 0: the agent takes none."""


class ModelName(NamedTuple):
    """A checked `model` message: of which model a session asks for the rules."""

    session: bytes
    model: str
    version: str


def read_model(fields: Header) -> ModelName:
    """Checks a `model` message; raises `CorruptData`."""
    return ModelName(session_of(fields), _name(fields.get("model")), _text(fields.get("version"), "version"))


def rules_body(rules: Rules) -> bytes:
    """The body of a `rules` message."""
    packed: bytes = msgpack.packb(
        {
            "reference": rules.reference,
            "features": {name: _packed(rule) for name, rule in rules.features.items()},
            "outputs": {name: _packed(rule) for name, rule in rules.outputs.items()},
            "drop": sorted(rules.drop),
            "hash": sorted(rules.hash),
            "hash_key": rules.hash_key,
            "keep_rows": rules.keep_rows,
            "horizon": rules.horizon_ms,
        },
        use_bin_type=True,
    )
    return packed


def _packed(rule: ColumnRule) -> dict[str, Any]:
    if rule.kind == "number":
        return {"kind": "number", "edges": pack(f"<{len(rule.edges)}d", *rule.edges)}
    return {"kind": "category", "categories": list(rule.categories)}


def read_rules(fields: Header, body: bytes) -> tuple[str, str, Rules]:
    """Model, version and the rules of a `rules` message; raises `CorruptData`."""
    model, version = _name(fields.get("model")), _text(fields.get("version"), "version")
    found = _unpacked(body)
    features = found.get("features", {})
    if not isinstance(features, dict) or len(features) > RULES_FEATURES_MAX:
        raise CorruptData(f"field 'features' of the rules must be a map of at most {RULES_FEATURES_MAX} columns")
    outputs = found.get("outputs", {})
    if not isinstance(outputs, dict) or not outputs.keys() <= set(OUTPUTS):
        raise CorruptData(f"field 'outputs' of the rules must be a map of {' and '.join(OUTPUTS)}")
    hashed = _names(found, "hash")
    return (
        model,
        version,
        Rules(
            _text(found.get("reference", ""), "reference", REFERENCE_ID_BYTES_MAX),
            {_name(name): _read_column(rule) for name, rule in features.items()},
            {name: _read_column(rule) for name, rule in outputs.items()},
            _names(found, "drop"),
            hashed,
            _hash_key(found.get("hash_key", b""), is_needed=bool(hashed)),
            _keep_rows(found.get("keep_rows", 0.0)),
            _horizon(found.get("horizon", 0)),
        ),
    )


def _unpacked(body: bytes) -> dict[str, Any]:
    if len(body) > BODY_BYTES_MAX:
        raise CorruptData(f"rules of {len(body)} bytes; at most {BODY_BYTES_MAX} are allowed")
    try:
        found = msgpack.unpackb(body, raw=False, strict_map_key=True, max_ext_len=0)
    except Exception as error:  # as in `header.unpack`
        raise CorruptData(f"the rules are not msgpack: {str(error) or type(error).__name__}") from None
    if not isinstance(found, dict):
        raise CorruptData("the rules are not a map")
    return found


def _read_column(rule: Any) -> ColumnRule:
    kind = rule.get("kind") if isinstance(rule, dict) else None
    if kind == "number":
        return ColumnRule("number", edges=_edges(rule.get("edges", b"")))
    if kind == "category":
        return ColumnRule("category", categories=_categories(rule.get("categories", [])))
    raise CorruptData("the rule of a column must be that of a number or of a category")


def _edges(packed: Any) -> tuple[float, ...]:
    """None, or two and more finite ones that ascend."""
    if not isinstance(packed, bytes) or len(packed) % EDGE_BYTES or len(packed) > EDGES_MAX * EDGE_BYTES:
        raise CorruptData(f"edges must be at most {EDGES_MAX} numbers of {EDGE_BYTES} bytes")
    edges: tuple[float, ...] = unpack(f"<{len(packed) // EDGE_BYTES}d", packed)
    if not all(map(isfinite, edges)) or any(low >= high for low, high in pairwise(edges)) or len(edges) == 1:
        raise CorruptData("edges must be two or more finite numbers, each above the one before")
    return edges


def _categories(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or len(names) > CATEGORIES_MAX:
        raise CorruptData(f"categories must be a list of at most {CATEGORIES_MAX}")
    found = tuple(_text(name, "category", CATEGORY_BYTES_MAX) for name in names)
    if len(set(found)) != len(found):
        raise CorruptData("a category stands twice in a list")
    return found


def _names(fields: Mapping[str, Any], key: str) -> frozenset[str]:
    names = fields.get(key, [])
    if not isinstance(names, list) or len(names) > RULES_FEATURES_MAX:
        raise CorruptData(f"field {key!r} of the rules must be a list of at most {RULES_FEATURES_MAX} names")
    return frozenset(map(_name, names))


def _hash_key(key: Any, *, is_needed: bool) -> bytes:
    if not isinstance(key, bytes) or len(key) > HASH_KEY_BYTES_MAX or (is_needed and len(key) < HASH_KEY_BYTES_MIN):
        raise CorruptData(f"the key of hashed columns must be {HASH_KEY_BYTES_MIN} … {HASH_KEY_BYTES_MAX} bytes")
    return key


def _keep_rows(share: Any) -> float | str:
    if share == "errors":
        return "errors"
    if type(share) not in (int, float) or not 0 <= share <= 1:
        raise CorruptData("field 'keep_rows' of the rules must be a share from 0 to 1, or 'errors'")
    return float(share)


def _horizon(horizon_ms: Any) -> int:
    if type(horizon_ms) is not int or not 0 <= horizon_ms <= TIME_MS_MAX:
        raise CorruptData(f"field 'horizon' of the rules must be milliseconds, at most {TIME_MS_MAX}")
    return horizon_ms


def _name(value: Any) -> str:
    name = _text(value, "name")
    if not name:
        raise CorruptData("a name in the rules is empty")
    return name


def _text(value: Any, what: str, bytes_max: int = LABEL_VALUE_BYTES_MAX) -> str:
    if not isinstance(value, str) or len(value.encode("utf-8", "surrogatepass")) > bytes_max:
        raise CorruptData(f"{what} must be text of at most {bytes_max} bytes")
    return value
