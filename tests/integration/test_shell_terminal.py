"""`obsagent shell` in a real terminal and in a pipe, with a real agent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.tmux import Tmux, terminal

SHELL = [sys.executable, "-m", "obsagent", "shell"]


@pytest.fixture
def served(agent: RunningAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningAgent]:
    """An agent that knows two endpoints; the shell's history goes to the test's directory."""
    monkeypatch.setenv("OBSAGENT_AGENT", agent.serve)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    client = obsagent.connect(service="shop")
    for endpoint in ("/score", "/batch"):
        with client.request(endpoint):
            pass
    client.flush(10)
    yield agent
    client.close()


@pytest.fixture(params=[80, 200])
def screen(request: pytest.FixtureRequest, served: RunningAgent, tmp_path: Path) -> Iterator[Tmux]:
    with terminal(tmp_path, columns=request.param) as opened:
        opened.enter(f"clear; {' '.join(SHELL)}; echo ended with $?")
        opened.wait_for_text("obsagent>", " table · ipc://")
        yield opened


def test_completion_queries_and_carets(screen: Tmux) -> None:
    screen.type("count lat")
    screen.press("Tab")
    screen.wait_for_text("count latency")
    screen.type(" by endp")
    screen.press("Tab")
    screen.wait_for_text("by endpoint")
    screen.press("Enter")
    screen.wait_for_text("/score", "/batch", "2 samples")
    screen.type("latency endpoint=")
    screen.press("Tab")
    screen.wait_for_text("/score", "/batch")
    screen.press("C-c")
    screen.wait_for(lambda text: text.count("obsagent>") == 3)  # what is typed before the prompt is echoed twice
    screen.enter("p99 latency sinse")
    shown = screen.wait_for(lambda text: "; did" in text and text.count("obsagent>") == 4).splitlines()
    at = shown.index("obsagent> p99 latency sinse")
    assert shown[at + 1] == " " * len("obsagent> p99 latency ") + "^" * len("sinse")
    screen.press("C-d")
    screen.wait_for_text("ended with 0")


def test_an_entry_of_several_lines_history_and_commands(screen: Tmux, tmp_path: Path) -> None:
    screen.enter("count latency \\")
    screen.wait_for_text(".........")
    screen.enter("by service")
    screen.wait_for_text("shop", "2 samples")
    screen.enter("\\format csv")
    screen.wait_for_text("the format is csv", " csv ·")
    screen.enter("\\watch 1s max latency")
    screen.wait_for_text("every 1s", "samples,max")
    screen.press("C-c")
    screen.enter("\\help")
    screen.wait_for(lambda text: "obsagent>" in text.split("\\help WORD explains")[-1] and "WORD explains" in text)
    screen.enter("\\q")
    screen.wait_for_text("ended with 0")
    history = tmp_path / "state" / "obsagent" / "history"
    assert "+count latency \\\n+by service\n" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_a_question_that_nobody_answers_can_be_cancelled(screen: Tmux, served: RunningAgent) -> None:
    served.kill()
    screen.enter("max latency")
    screen.wait_for_text("no agent is listening")
    served.start()
    screen.enter("count latency")
    screen.wait_for_text("2 samples")
    screen.enter("\\q")
    screen.wait_for_text("ended with 0")


def test_a_pipe(served: RunningAgent) -> None:
    entries = "count latency by endpoint\nnonsense latency\n\\format csv\ncount latency by endpoint\n"
    done = subprocess.run(SHELL, input=entries, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout.endswith("the format is csv\nendpoint,samples,count\n/batch,1,1\n/score,1,1\n")
    assert done.stderr.startswith("line 2: `nonsense` is not a stat")


def test_a_pipe_into_a_store_without_an_agent(served: RunningAgent) -> None:
    assert served.stop() == 0
    words = [*SHELL, "--data", str(served.data), "--format", "csv"]
    done = subprocess.run(
        words,
        input="count latency since 1h\n\\list metrics service=shop\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("samples,count\n2,2\n")
    assert "\nlatency " in done.stdout
