"""`obsagent init`, `obsagent config check` and `show`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from obsagent import cli
from obsagent.config_guide import commented

WRONG = """\
lisen = "x"
series_total = 0

[metrics.latency]
scale = 9
[metrics.step]
scal = 1
scale = "x"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OBSAGENT_")]:
        monkeypatch.delenv(name)


def test_init_writes_a_file_that_check_accepts_and_does_not_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init"]) == 0
    path = Path("obsagent.toml")
    assert path.read_text() == commented()
    assert "start with: obsagent agent --config obsagent.toml" in capsys.readouterr().out
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out == "obsagent.toml: ok\n"
    path.write_text("series_total = 3\n")
    assert cli.main(["init"]) == 2
    assert "obsagent.toml is there already: name another file, or overwrite it with --force" in capsys.readouterr().err
    assert path.read_text() == "series_total = 3\n"
    assert cli.main(["init", "--force", "obsagent.toml"]) == 0
    assert path.read_text() == commented()


def test_init_writes_to_stdout_and_says_where_it_cannot_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", "-"]) == 0
    assert capsys.readouterr().out == commented()
    assert cli.main(["init", "nowhere/agent.toml"]) == 1
    assert "nowhere/agent.toml cannot be written: No such file or directory" in capsys.readouterr().err


def test_check_names_everything_that_is_wrong_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.toml").write_text(WRONG)
    assert cli.main(["config", "check", "agent.toml"]) == 78
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("obsagent config: agent.toml:1: unknown key lisen; did you mean listen?")
    assert [line.split(": ")[0] for line in lines[1:]] == ["agent.toml:2", "agent.toml:5", "agent.toml:7"]
    assert "metrics.latency.scale: expected a whole number from 0 to 8, got 9" in lines[2]


def test_check_tells_programs_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("agent.toml").write_text("series_total = 0\n")
    monkeypatch.setenv("OBSAGENT_DISK_BUDGET", "1MB")
    monkeypatch.setenv("OBSAGENT_DSK_BUDGET", "1MB")
    assert cli.main(["config", "check", "agent.toml", "--format", "json"]) == 78
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert [(each["source"], each["line"]) for each in told["errors"]] == [
        ("agent.toml", 1),
        ("OBSAGENT_DISK_BUDGET", None),
    ]
    assert "did you mean OBSAGENT_DISK_BUDGET?" in told["warnings"][0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data = ", r"not TOML: "),
        ('listen = "tcp://0.0.0.0:7000"\n', "on this machine: listen = tcp://0.0.0.0:7000: nobody is let in there"),
        ('socket_group = "no-such-group-here"\n', "on this machine: socket_group: there is no group"),
        ('listen = "nonsense"\n', "agent.toml:1: listen: endpoint 'nonsense': expected ipc://PATH"),
    ],
)
def test_check_refuses_what_the_agent_would(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("agent.toml").write_text(f'{text}\ndata = "store"\n' if "data" not in text else text)
    assert cli.main(["config", "check", "agent.toml"]) == 78
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_there_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["config", "check"]) == 78
    assert "obsagent.toml: cannot be read: No such file" in capsys.readouterr().err
    monkeypatch.setenv("OBSAGENT_CONFIG", "elsewhere.toml")
    assert cli.main(["config", "check"]) == 78
    assert cli.main(["config", "show"]) == 78
    assert capsys.readouterr().err.count("elsewhere.toml: cannot be read") == 2


def test_show_says_where_each_value_comes_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("agent.toml").write_text('data = "/d"\n')
    monkeypatch.setenv("OBSAGENT_SERIES_TOTAL", "7")
    assert cli.main(["config", "show", "agent.toml"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["data", "=", '"/d"', "#", "agent.toml:1"] in shown
    assert ["series_total", "=", "7", "#", "OBSAGENT_SERIES_TOTAL"] in shown
    assert cli.main(["config", "show", "agent.toml", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["series_total"] == {"value": 7, "from": "OBSAGENT_SERIES_TOTAL"}
    assert told["log_format"] == {"value": "text", "from": "default"}
