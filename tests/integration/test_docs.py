"""Everything that the README shows is run: its Python, its commands, its configuration, its make targets.

What its commands print about a made-up afternoon is compared in tests/unit/test_documented.py, and its session of the
demo in test_demo.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from integration.agents import RunningAgent
from integration.programs import run_program
from integration.prometheus_server import free_port, need
from integration.threaded_agent import until
from obsagent.config import load
from unit.documented import shows_output

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(language: str) -> list[str]:
    return [text for found, text in FENCE.findall(README) if found == language]


def shown_commands() -> list[str]:
    """Lines that begin with `$ ` in console blocks without output, and the commands of shell blocks."""
    blocks = [block for block in fenced("console") if not shows_output(block)]
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    lines += [line for block in fenced("sh") for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.strip()]


QUESTIONS = sorted(
    {line for line in shown_commands() if re.match(r"obsagent (drift|quality|query|status|list|top)", line)}
)
MAKE = sorted({line for line in shown_commands() if line.startswith("make ")})


@pytest.fixture
def fed_agent(stopped_agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> RunningAgent:
    """An agent that the README's own program has fed, and that has read its machine."""
    configuration = stopped_agent.directory / "obsagent.toml"
    configuration.write_text('[collect.host]\ninterval = "1s"\n')
    agent = stopped_agent.start("--config", str(configuration))
    monkeypatch.setenv("OBSAGENT_AGENT", agent.serve)
    run_program(fenced("python")[0])
    until(lambda: "cpu_utilization" in agent.status()["cost"]["metrics"], "the processors have been read twice")
    time.sleep(1.5)  # gauges of workers are combined once a second
    return agent


def test_the_program_and_every_question_work(fed_agent: RunningAgent) -> None:
    assert len(QUESTIONS) >= 5
    for line in QUESTIONS:
        words = shlex.split(line)[1:]
        done = fed_agent.command(*words)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip(), line
        if words[0] == "query":
            assert "no " not in done.stderr, f"{line}\n{done.stderr}"


def test_the_other_programs_work(fed_agent: RunningAgent) -> None:
    _, *programs = fenced("python")
    assert programs
    for program in programs:
        assert run_program(program).strip()


def test_the_configuration_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "obsagent.toml"
    for text in fenced("toml"):
        path.write_text(text)
        assert load(path).models["fraud"].on_retrain
    assert load(path).metrics["latency"].scale == 7  # of the last one, which has every key


def test_the_port_is_asked_as_shown(stopped_agent: RunningAgent) -> None:
    lines = [line for line in shown_commands() if line.startswith("curl ")]
    assert len(lines) >= 3
    agent = stopped_agent.start("--http", f"127.0.0.1:{free_port()}")
    port = agent.status()["agent"]["http"].rpartition(":")[2]
    for line in lines:
        words = shlex.split(line.replace(":9464", f":{port}"))
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        with urllib.request.urlopen(urllib.request.Request(words[-1], method=method), timeout=60) as response:
            assert response.status == 200, line


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    need("promtool")
    (text,) = fenced("yaml")
    path = tmp_path / "prometheus.yml"
    path.write_text(text)
    done = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", MAKE)
def test_make_targets_exist(line: str) -> None:
    done = subprocess.run(["make", "-n", *line.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_help_lists_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "test", "lint", "bench", "readme", "help"):
        assert re.search(rf"make {target}\b", done.stdout)


def test_references_are_made_and_compared_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{row % 37}.5,{'DE' if row % 3 else 'FR'},{row % 100 / 100},{row % 2},{row % 5 // 4}" for row in range(600)
    ]
    Path("train.csv").write_text("\n".join(["amount,country,score,said,was_fraud", *rows]) + "\n")
    lines = [line for line in shown_commands() if line.startswith("obsagent reference ")]
    assert len(lines) == 4
    for line in [lines[0].replace("version 4", "version 3"), *lines]:
        done = RunningAgent.command(*shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip(), line
    assert {path.name for path in Path().iterdir()} == {"train.csv", "fraud-3.ref", "fraud-4.ref"}


def test_the_agent_starts_as_shown() -> None:
    (line,) = [line for line in shown_commands() if line.startswith("obsagent agent")]
    done = RunningAgent.command(*shlex.split(line)[1:], "--help")
    assert done.returncode == 0
    assert sys.version_info >= (3, 11)


def test_files_that_the_readme_links_to_exist() -> None:
    links = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert links
    assert [target for target in links if not (ROOT / target).exists()] == []
