"""The Grafana dashboard in deploy/, as Grafana would read it: panels, queries with its variables filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from unit.deployed import DASHBOARD

VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$service": ".*"}


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def queries(row: str | None = None) -> Iterator[tuple[str, str]]:
    """Title and PromQL of each target: of all panels, or of those below one row."""
    current = ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            current = panel["title"]
        elif row in (None, current):
            yield from ((panel["title"], filled(target["expr"])) for target in panel["targets"])


def filled(expression: str) -> str:
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
