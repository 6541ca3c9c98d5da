"""What README.md shows of performance runs, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_example_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    section = README.read_text(encoding="utf-8").split("\n## Performance\n")[1].split("\n## ")[0]
    program = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    exec(program, {})
    measured, estimated, rate, *recommended = capsys.readouterr().out.splitlines()
    value, low, high, bound = map(float, measured.split())
    assert low < value < high
    assert bound < 0.001
    assert f"# {float(estimated.split()[0]):.2f}: more of the scores" in program
    assert rate == "at most one false recommendation in 100,000,000 truths, on average (1e+03 days)"
    assert len(recommended) == 1
    assert recommended[0].startswith("retrain: day ")


def test_it_loads_numpy_and_nothing_of_the_agent() -> None:
    program = "import sys, obsagent.performance; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {*done.stdout.split()}
    ours = {name for name in loaded if name.startswith("obsagent.") and not name.startswith("obsagent.performance")}
    assert ours == {"obsagent.errors", "obsagent.limits"}
    assert "numpy" in loaded
    assert not loaded & {"scipy", "sklearn", "pandas", "zmq", "obsagent._native"}
