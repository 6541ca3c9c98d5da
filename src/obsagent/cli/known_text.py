"""What is known of one request (`obsagent.answer.known`) as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TextIO

from obsagent.cli.table import LEFT, RIGHT, Style, aligned
from obsagent.errors import printable

Known = dict[str, Any]
SIDES = (LEFT, LEFT, RIGHT, RIGHT, RIGHT, LEFT)


def write_known(known: Known, stream: TextIO) -> None:
    """Predictions with the truths that they met, truths that wait, and rows."""
    style = Style(stream)
    truths = {truth["model"]: truth for truth in known["truths"]}
    if known["predictions"]:
        rows = [_prediction(each, truths) for each in known["predictions"]]
        header, *lines = aligned(["model", "slice", "predicted", "score", "truth", "when"], rows, SIDES, style.width)
        print(style.bold(header), *lines, sep="\n", file=stream)
    predicting = {each["model"] for each in known["predictions"]}
    for model, truth in truths.items():
        at = _time(truth["at_ms"])
        waits = "" if model in predicting else ", which waits for its prediction"
        print(f"truth of {printable(model)}: {_value(truth['value'])}, known {at}{waits}", file=stream)
    for row in known["rows"]:
        print(f"row of {_model(row)}, {_time(row['at_ms'])}:", file=stream)
        features = [[printable(name), _value(value)] for name, value in row["features"].items()]
        _, *lines = aligned(["", ""], features, (LEFT, LEFT), style.width)
        print(*(f"  {line}" for line in lines), sep="\n", file=stream)


def _prediction(row: Known, truths: dict[str, Known]) -> list[str]:
    truth = truths.get(row["model"])
    labels = " ".join(f"{label}={value}" for label, value in row["slice"].items())
    return [
        _model(row),
        printable(labels),
        _value(row["value"]),
        "" if row["score"] is None else f"{row['score']:.6g}",
        "" if truth is None else _value(truth["value"]),
        _time(row["at_ms"]),
    ]


def _model(row: Known) -> str:
    """`fraud/4 canary`: the model, its version, and what role it has if it is not live."""
    name = printable("/".join(filter(None, (row["model"], row["version"]))))
    return name if row["variant"] == "live" else f"{name} {printable(row['variant'])}"


def _value(value: Any) -> str:
    if value is None:
        return "(null)"
    return printable(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
