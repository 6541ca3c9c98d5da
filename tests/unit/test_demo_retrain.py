import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from obsagent.demo import retrain


def evidence(version: str, since: str | None, *features: str) -> dict[str, Any]:
    return {
        "model": "delays",
        "version": version,
        "since": since,
        "newest_truth": "2013-03-12T17:00:00.000Z",
        "risk": {"live": 0.3551},
        "reference": {"risk": 0.133},
        "features": [{"feature": name} for name in features],
    }


def test_the_command_keeps_the_evidence_that_it_is_given(tmp_path: Path) -> None:
    given = evidence("1", "2013-03-09T09:28:00.000Z")
    command = [sys.executable, "-m", "obsagent.demo.retrain", str(tmp_path)]
    done = subprocess.run(command, input=json.dumps(given).encode(), capture_output=True, check=True)
    [path] = tmp_path.iterdir()
    assert path.name == "delays-1-2013-03-09.json"
    assert done.stdout.decode().strip().endswith(str(path))
    assert retrain.kept(tmp_path) == [given]


def test_the_evidence_is_a_line_for_each_recommendation() -> None:
    found = [evidence("1", "2013-03-09T09:28:00.000Z"), evidence("2", None, "temp", "dewp", "dest", "humid")]
    assert retrain.table(found) == [
        "version   since        sure with    brier   reference   drifted",
        "1         2013-03-09   2013-03-12   0.355   0.133",
        "2         ?            2013-03-12   0.355   0.133       temp, dewp, dest, …",
    ]
