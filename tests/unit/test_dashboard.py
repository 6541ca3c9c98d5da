"""The Grafana dashboard: well formed, and all of its queries are PromQL."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from dashboards import dashboard, queries

from integration.tmux import need

ROWS = ["Requests", "Models' processes and the machine", "GPUs", "The agent itself"]
COLUMNS = 24
SHOWN = (
    *("obsagent_request_duration_seconds", "obsagent_requests_total", "obsagent_request_errors_total"),
    *("obsagent_request_queue_delay_seconds", "obsagent_requests_in_flight"),
    *("cpu_utilization_ratio", "memory_bytes", "gpu_utilization_ratio", "gpu_memory_bytes"),
    *("obsagent_problems", "obsagent_samples_total", "obsagent_resident_bytes", "obsagent_cpu_seconds_total"),
)


def test_panels_lie_beside_each_other_and_each_has_queries() -> None:
    panels = dashboard()["panels"]
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == ROWS
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"]
            references = [target["refId"] for target in panel["targets"]]
            assert len({*references}) == len(references)


def test_everything_asks_the_chosen_prometheus() -> None:
    variables = {each["name"]: each for each in dashboard()["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    used = {*re.findall(r"\$\{?(\w+)", json.dumps(dashboard()))} - {"__rate_interval", "__all"}
    assert used == {*variables}
    sources = {json.dumps(target["datasource"]) for each in dashboard()["panels"] for target in each.get("targets", ())}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}


def test_it_shows_what_it_is_for() -> None:
    every = " ".join(expression for _, expression in queries())
    assert [name for name in SHOWN if name not in every] == []


def test_legends_name_labels_that_the_query_keeps() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            kept = {label for group in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in group.split(", ")}
            assert {*re.findall(r"{{(\w+)}}", target["legendFormat"])} <= kept, panel["title"]


def test_prometheus_takes_every_query(tmp_path: Path) -> None:
    asked = list(queries())
    assert len(asked) > 25
    rules = [{"record": f"q{number}", "expr": expression} for number, (_, expression) in enumerate(asked)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    done = subprocess.run([need("promtool"), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(asked)} rules found" in done.stdout
