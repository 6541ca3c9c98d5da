"""What the commands load: what takes long to load is noticed here, without a clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from answer_cases import CASES
from answering_agent import answering_in_turn

SLOW = {
    "asyncio",
    "dataclasses",
    "importlib.metadata",
    "inspect",
    "logging",
    "numpy",
    "pathlib",
    "random",
    "rich",
    "shutil",
    "subprocess",
    "tempfile",
    "threading",
    "typing",
    "unicodedata",
    "zmq",
    "zstandard",
}

QUESTION = {
    "obsagent",
    "obsagent.ask",
    "obsagent.cli",
    "obsagent.cli.answers",
    "obsagent.cli.columns",
    "obsagent.cli.footer",
    "obsagent.cli.help",
    "obsagent.cli.layouts",
    "obsagent.cli.outcomes",
    "obsagent.cli.printing",
    "obsagent.cli.query",
    "obsagent.cli.sources",
    "obsagent.cli.table",
    "obsagent.cli.times",
    "obsagent.cli.units",
    "obsagent.endpoints",
    "obsagent.errors",
    "obsagent.limits",
    "obsagent.units",
    "obsagent.wire",
    "obsagent.wire.header",
    "obsagent.wire.zmtp",
    "obsagent.zone",
}
"""Every module of the package on the way of a question with a plain answer."""


def loaded_by(*words: str) -> set[str]:
    """Modules that a command has loaded when it ends, beside those that Python itself begins with."""
    program = (
        "import sys; before = set(sys.modules); from obsagent.cli import main; main(sys.argv[1:])\n"
        "print(*set(sys.modules) - before, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def own(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "obsagent"}


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/query.sock"


def test_a_question_loads_what_it_needs(endpoint: str) -> None:
    with answering_in_turn(endpoint, [CASES["labels"]]):
        loaded = loaded_by("query", "p99", "latency", "by", "endpoint", "--agent", endpoint)
    assert own(loaded) == QUESTION
    assert not loaded & SLOW


@pytest.mark.parametrize("name", ["compared", "steps", "steps_by_label", "several_metrics", "explained", "empty"])
def test_no_answer_loads_what_is_slow(endpoint: str, name: str) -> None:
    with answering_in_turn(endpoint, [CASES[name]]):
        assert not loaded_by("query", "p99", "latency", "--agent", endpoint) & SLOW


def test_json_and_csv_load_no_table(endpoint: str) -> None:
    with answering_in_turn(endpoint, [CASES["labels"]]):
        for output_format in ("json", "csv"):
            loaded = loaded_by("query", "p99", "latency", "--format", output_format, "--agent", endpoint)
            assert not loaded & {*SLOW, "obsagent.cli.answers", "obsagent.cli.layouts", "obsagent.cli.footer"}


def test_the_overview_loads_hardly_more_than_python() -> None:
    loaded = loaded_by("--help")
    assert own(loaded) == {"obsagent", "obsagent.cli", "obsagent.errors"}
    assert not loaded & {*SLOW, "argparse", "collections", "re", "json"}


def test_the_help_of_a_question_loads_no_way_to_ask_it() -> None:
    program = (
        "import sys; from obsagent.cli import main\nmain(['query', '--help'])\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {*SLOW, "obsagent.ask", "msgpack", "socket", "json"}
