"""A query reaches the command as it was typed: bash, zsh and fish leave every construct of the language alone."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.tmux import PATIENCE_S, Tmux, need, terminal
from obsagent.answer.language import parse
from obsagent.cli import query as query_command

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "fish")
INTERACTIVE = {"bash": "bash --norc --noprofile -i", "zsh": "zsh -f -i", "fish": "fish --no-config --private -i"}
WORD_END, LINE_END = "\x1f", "\x1e"
FAKE = """#!/bin/sh
{ printf '%s\\037' "$@"; printf '\\036'; } >> "$ARGUMENTS"
"""

QUERIES = (
    "p99 latency by endpoint since 15m",
    "p99 latency service=fraud by endpoint since 15m vs 1h ago",
    "error_rate model=fraud by version since 30m",
    "p99 latency endpoint=/score since 3h step 1m where p99 above 500ms",
    "p99 latency by endpoint since 15m top 5",
    "under 250ms latency service=fraud since 7d",
    "rate requests status=5xx by endpoint,status since 30m",
    "age requests by service,host where age above 1m",
    "sum cache_hits / sum requests by version since 1d",
    "cache_hits / requests",
    "psi model=fraud by feature since 7d top 10",
    "recall model=fraud by country since 7d vs 7d ago where count above 500 bottom 5",
    "p0,p50,p99.9,p100,mean,min,max,sum,count,rate,stddev latency",
    "under 250ms,over 1.5s latency",
    "last in_flight by worker",
    "latency,queue_delay",
    "p99 latency,queue_delay since 1h30m step 5m",
    "rate requests status=500,503,4xx",
    "rate requests status not 200,404",
    "rate requests status not 2xx",
    "rate requests endpoint matches ^/score",
    "rate requests endpoint matches score.v status not 5xx",
    "p99 vllm:time_to_first_token gen_ai.request.model=meta-llama/Llama-3.1-8B",
    "p99 latency since 14:05",
    "p99 latency since 14:05Z",
    "p99 latency since 2026-01-31T14:05:30+01:00",
    "p99 latency from 14:00 to 15:00",
    "p99 latency from 2026-01-31 to 2026-02-01T12:00Z",
    "count latency today",
    "count latency yesterday by endpoint",
    "p99 latency since deploy",
    "p99 latency version=5 since deploy vs version=4",
    "p99 latency variant=canary vs variant=live by endpoint",
    "p99 latency vs endpoint not /score",
    "error_rate by version where error_rate above 5%",
    "error_rate where error_rate below 0.5%",
    "p99 memory_bytes where p99 above 2GB",
    "last offset where last below -5",
    "last offset where last below -5ms",
    "count latency where count below 1e6 bottom 3",
    "under 1s latency where under 1s below 99.9%",
)
"""As in the README and in the help, and each clause with each kind of value."""

WRITTEN = (
    "p99 latency endpoint!=/score",
    "p99 latency endpoint != /score",
    "p99 latency endpoint=~^/score(_batch)?$",
    'p99 latency endpoint =~ "^/a b.*"',
    'p99 latency endpoint="/a b"',
    "p99 latency where p99 > 500ms",
    "error_rate where error_rate < 5%",
)
"""Operators that a shell takes for its own: within quotes they work."""


def shown_queries() -> list[str]:
    """Those of the README and of the command's help, without the command's options."""
    text = (ROOT / "README.md").read_text() + (query_command.__doc__ or "")
    found = re.findall(r"obsagent query ([a-z_].*)", text)
    return sorted({re.split(r" --|`", each)[0].strip() for each in found})


class Heard:
    """The arguments that the command was called with, call by call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    @property
    def calls(self) -> list[list[str]]:
        lines = self._path.read_text().split(LINE_END)[:-1]
        return [line.split(WORD_END)[:-1] for line in lines]

    def next_after(self, count: int) -> list[str] | None:
        """The call after so many, as soon as it has come; None if none comes."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.calls) <= count:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
        return self.calls[count]


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Heard:
    """A command of our name that notes its arguments, first on PATH, in a directory with files to be globbed."""
    programs, work = tmp_path / "programs", tmp_path / "work"
    programs.mkdir()
    work.mkdir()
    for name in ("latency", "p99", "5", "deploy"):
        (work / name).touch()
    fake = programs / "obsagent"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    monkeypatch.setenv("ARGUMENTS", str(tmp_path / "arguments"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.chdir(work)
    return Heard(tmp_path / "arguments")


Type = Callable[[str], list[str] | None]


@pytest.fixture(params=SHELLS)
def typed(request: pytest.FixtureRequest, heard: Heard, tmp_path: Path) -> Iterator[Type]:
    """Types a line into an interactive shell; returns the arguments that the command got of it."""
    need(request.param)
    with terminal(tmp_path, columns=200) as screen:
        _enter_shell(screen, request.param, heard)

        def type_line(line: str) -> list[str] | None:
            count = len(heard.calls)
            screen.enter(line)
            return heard.next_after(count)

        yield type_line


def _enter_shell(screen: Tmux, shell: str, heard: Heard) -> None:
    screen.enter(INTERACTIVE[shell])
    screen.enter("obsagent ready")
    assert heard.next_after(0) == ["ready"]


def test_the_shown_queries_are_there() -> None:
    assert len(shown_queries()) >= 10
    assert "p99 latency by endpoint since 15m" in shown_queries()


@pytest.mark.parametrize("text", [*QUERIES, *WRITTEN, *shown_queries()])
def test_the_language_knows_the_query(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_line_keeps_every_query(shell: str, heard: Heard) -> None:
    asked = [*QUERIES, *shown_queries()]
    script = "\n".join(
        [*(f"obsagent query {text}" for text in asked), *(f"obsagent query '{text}'" for text in WRITTEN)]
    )
    done = subprocess.run([need(shell), "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert heard.calls == [["query", *text.split()] for text in asked] + [["query", text] for text in WRITTEN]


def test_a_terminal_keeps_every_query(typed: Type) -> None:
    for text in [*QUERIES, *shown_queries()]:
        assert typed(f"obsagent query {text}") == ["query", *text.split()]
    for text in WRITTEN:
        assert typed(f"obsagent query '{text}'") == ["query", text]


def test_the_terminal_would_change_other_words(typed: Type, request: pytest.FixtureRequest) -> None:
    """Globbing is on, and so is the expansion of history where a shell has it: the tests above prove something."""
    assert typed("obsagent query p99 lat*") == ["query", "p99", "latency"]
    has_history = request.node.callspec.params["typed"] != "fish"
    repeated = ["obsagent", "query", "p99", "latency"] if has_history else ["!!"]
    assert typed("obsagent query !!") == ["query", *repeated]
