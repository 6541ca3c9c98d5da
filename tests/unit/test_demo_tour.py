import os
import re
import sys
from pathlib import Path

import pytest

from obsagent.answer.language import parse
from obsagent.cli import COMMANDS
from obsagent.demo import tour


def queries(run_s: float, deployed_s: float) -> list[str]:
    return [query for _, query in tour.questions(run_s, deployed_s)]


@pytest.mark.parametrize("run_s", [5.0, 61.3, 7200.0])
def test_every_question_is_one(run_s: float) -> None:
    for query in queries(run_s, run_s / 2):
        assert parse(query).text == query


def test_what_is_asked_of_the_model_are_commands() -> None:
    for _, command in tour.OF_THE_MODEL:
        name, *words = command.split()
        assert name in COMMANDS
        if name == "query":
            assert parse(" ".join(words)).text == " ".join(words)


def test_the_default_range_is_named_only_where_it_is_too_short() -> None:
    assert queries(60.0, 30.0)[0] == "p99 latency by endpoint"
    assert queries(295.0, 150.0)[0] == "p99 latency by endpoint since 6m"
    assert queries(3595.0, 1800.0)[0] == "p99 latency by endpoint since 61m"


def test_a_rate_is_over_the_run_and_no_longer() -> None:
    assert "rate requests by endpoint,status since 61s" in queries(60.2, 30.0)


def test_what_was_before_the_deploy_ends_with_it() -> None:
    """The questions take a moment: `since deploy` is then longer than it was."""
    assert queries(60.0, 30.4)[-1] == "p99 latency by endpoint since deploy vs 33s ago"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with this interpreter's programs, `obsagent` among them."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "obsagent").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", os.defpath)
    return programs


def test_a_program_that_the_shell_does_not_find_is_shown_with_its_path(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tour.typed_program() == str(installed / "obsagent")
    assert f"export PATH={installed}:$PATH" in tour.invitation("ipc:///run/query.sock")
    monkeypatch.chdir(tmp_path)
    assert tour.typed_program() == ".venv/bin/obsagent"


def test_a_program_that_the_shell_finds_is_shown_by_its_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed))
    assert tour.typed_program() == "obsagent"
    assert not any("PATH" in line for line in tour.invitation("ipc:///run/query.sock"))


def test_another_obsagent_on_the_path_is_not_taken_for_this_one(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "obsagent").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other))
    assert tour.typed_program() == str(installed / "obsagent")


def test_the_invitation_names_commands_that_there_are() -> None:
    words = [line.split()[1] for line in tour.invitation("ipc:///run/query.sock") if re.match("obsagent ", line)]
    assert words
    assert set(words) <= set(COMMANDS)


def test_a_command_that_fails_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(tour.AnswerFailed, match=r"`obsagent query p99 latency --nonsense` ended with exit code 2"):
        tour.run_command("obsagent", "query", "p99", "latency", "--nonsense")
    assert capfd.readouterr().out == "$ obsagent query p99 latency --nonsense\n"
