"""What is known by the id of one request, as JSON: the answer to a `known` message, and what `obsagent show` prints.

id            as it was asked
predictions   [{"model", "version", "variant", "slice": {label: value}, "value", "score": or null, "at_ms"}], the
              oldest first
truths        [{"model", "value", "at_ms"}], one of each model
rows          [{"model", "version", "variant", "slice", "features": {name: value}, "at_ms"}], one of each model

Times are milliseconds since the epoch. A number that JSON does not know is a text: NaN, inf, -inf.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from obsagent.errors import ProtocolError, UsageError
from obsagent.limits import REQUEST_ID_BYTES_MAX


def known_fields(fields: Mapping[str, Any], view: Any) -> dict[str, Any]:
    """The answer to a `known` message; `view` is a ledger's, None if there are no records."""
    text, model = fields.get("id"), fields.get("model")
    if not isinstance(text, str) or not (model is None or isinstance(model, str)):
        raise ProtocolError("a known message needs the field `id`, a text, and may have `model`")
    return known(text, model, view)


def known(text: str, model: str | None, view: Any) -> dict[str, Any]:
    """What is known by an id, of one model or of all; raises `UsageError` for what is no id."""
    if not text or len(text.encode("utf-8", "replace")) > REQUEST_ID_BYTES_MAX:
        raise UsageError(f"an id has 1 to {REQUEST_ID_BYTES_MAX} bytes")
    if view is None:
        return {"id": text, "predictions": [], "truths": [], "rows": []}
    found = view.find(model, text.encode("utf-8", "replace").decode())
    return {
        "id": text,
        "predictions": [
            {**_series(each.series), "value": _plain(each.value), "score": _plain(each.score), "at_ms": each.at_ms}
            for each in sorted(found.predictions, key=lambda each: each.at_ms)
        ],
        "truths": [{"model": each.model, "value": _plain(each.value), "at_ms": each.at_ms} for each in found.truths],
        "rows": [
            {
                **_series(each.series),
                "features": {name: _plain(value) for name, value in each.row.items()},
                "at_ms": each.at_ms,
            }
            for each in found.rows
        ],
    }


def _series(series: Any) -> dict[str, Any]:
    return {
        "model": series.model,
        "version": series.version,
        "variant": series.variant,
        "slice": dict(series.slice),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not isfinite(value) else value
