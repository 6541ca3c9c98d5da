"""Predictions by id and their truths through a real agent: killed, restarted, from forked processes, from files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.programs import run_program
from obsagent.by_id.report import TruthReport
from obsagent.errors import PendingTruths


@pytest.fixture
def client(agent: RunningAgent) -> Any:
    client = obsagent.connect(service="shop", endpoint=agent.listen)
    yield client
    client.close()


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "obsagent", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def show(agent: RunningAgent, text: str, *more: str) -> dict[str, Any]:
    done = cli("show", text, "--agent", agent.serve, "--format", "json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def records(agent: RunningAgent) -> dict[str, Any]:
    found: dict[str, Any] = agent.status()["records"]
    return found


def test_truths_before_and_after_their_predictions_through_kills(agent: RunningAgent, client: Any) -> None:
    fraud = client.model("fraud", version="4")
    assert fraud.truths(["early"], [1]) == TruthReport(unmatched=1)
    agent.kill()
    agent.start()
    fraud.predictions([1, 0, 1], scores=[0.9, 0.2, 0.8], ids=["early", "a", "b"])
    client.flush(20).raise_if_pending()
    agent.kill()
    agent.start()
    assert fraud.truths(["a", "b", "early"], [0, 0, 1], timeout=20) == TruthReport(matched=2, duplicate=1)
    agent.stop()
    agent.start()
    assert fraud.truths(["b"], [1], timeout=20) == TruthReport(corrected=1)
    found = show(agent, "b")
    assert [(each["version"], each["value"], each["score"]) for each in found["predictions"]] == [("4", "1", 0.8)]
    assert [each["value"] for each in found["truths"]] == [1.0]
    status = records(agent)
    assert status["predictions"]["received"] == 3
    expected = {"received": 5, "matched": 2, "unmatched": 1, "joined_later": 1, "corrected": 1, "duplicate": 1}
    assert status["truths"] == {**expected, "rejected": 0}
    assert status["dropped"] == 0


def test_nothing_is_lost_or_doubled_while_the_agent_is_killed_again_and_again(agent: RunningAgent, client: Any) -> None:
    fraud = client.model("fraud", version="4")
    reports: list[TruthReport] = []

    def tell() -> None:
        for part in range(40):
            ids = [f"{part}-{number}" for number in range(200)]
            fraud.predictions([1] * 200, ids=ids)
            reports.append(fraud.truths(ids, [1] * 200, timeout=60))

    thread = threading.Thread(target=tell)
    thread.start()
    for _ in range(3):
        thread.join(0.4)
        agent.kill()
        agent.start()
    thread.join(60)
    client.flush(20).raise_if_pending()
    assert len(reports) == 40
    assert all(each.matched + each.unmatched == 200 and each[2:] == (0, 0, 0) for each in reports)
    status = records(agent)
    assert status["predictions"]["received"] == 8_000
    assert status["truths"]["received"] == 8_000
    assert status["truths"]["matched"] + status["truths"]["joined_later"] == 8_000


def test_an_agent_that_is_away_leaves_truths_pending_and_they_count_once(agent: RunningAgent, client: Any) -> None:
    fraud = client.model("fraud")
    fraud.predictions([1], ids=["a"])
    client.flush(20).raise_if_pending()
    agent.kill()
    with pytest.raises(PendingTruths, match="duplicate"):
        fraud.truths(["a", "b"], [1, 0], timeout=0.5)
    agent.start()
    report = fraud.truths(["a", "b"], [1, 0], timeout=20)
    assert (report.matched, report.unmatched) == (1, 1) or report.duplicate == 2
    assert records(agent)["truths"]["matched"] == 1


def test_forked_processes_have_predictions_and_truths_of_their_own(agent: RunningAgent) -> None:
    out = run_program(
        f"""
        import os, obsagent
        client = obsagent.connect(service="forked", endpoint={agent.listen!r})
        fraud = client.model("fraud", version="4")
        fraud.predictions([1, 1], ids=["parent-1", "parent-2"])
        children = []
        for number in range(3):
            child = os.fork()
            if not child:
                fraud.predictions([0, 0], ids=[f"child-{{number}}-1", f"child-{{number}}-2"])
                client.flush(20).raise_if_pending()
                print(fraud.truths([f"child-{{number}}-1"], [0]), flush=True)
                client.close()
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
        client.flush(20).raise_if_pending()
        print(fraud.truths(["parent-1", "child-0-2"], [1, 0]))
        """
    )
    assert out.count("TruthReport(matched=1, unmatched=0") == 3
    assert "TruthReport(matched=2, unmatched=0" in out
    assert records(agent)["predictions"]["received"] == 8


def test_truths_are_imported_from_a_file(agent: RunningAgent, client: Any, tmp_path: Path) -> None:
    client.model("fraud").predictions(["ok", "fraud", "ok"], ids=["1", "2", "3"])
    client.flush(20).raise_if_pending()
    file = tmp_path / "truths.csv"
    file.write_text("request,was,when\n1,ok,2020-01-01T00:00:00Z\n2,ok,\n3,fraud,2999-01-01\n4,ok,x\n,ok,1\n")
    words = ("truth", "import", str(file), "--model", "fraud", "--id", "request", "--value", "was")
    done = cli(*words, "--endpoint", agent.listen, "--format", "json")
    assert json.loads(done.stdout) == {
        "file": str(file),
        "model": "fraud",
        "rows": 5,
        "matched": 3,
        "unmatched": 1,
        "corrected": 0,
        "duplicate": 0,
        "rejected": 1,
    }
    done = cli(*words, "--at", "when", "--endpoint", agent.listen)
    assert done.stdout == f"{file}: 5 truths of fraud: 0 matched, 0 unmatched, 0 corrected, 0 duplicate, 5 rejected\n"
    done = cli(*words[:-1], "wsa", "--endpoint", agent.listen)
    assert (done.returncode, "no column `wsa`; there are request, was, when" in done.stderr) == (2, True)
    done = cli(*words, "--endpoint", f"ipc://{tmp_path}/nobody", "--timeout", "0.3")
    assert (done.returncode, "has not answered in time" in done.stderr) == (1, True)


def files_with(directory: Path, needle: bytes) -> list[str]:
    return [path.name for path in sorted(directory.rglob("*")) if path.is_file() and needle in path.read_bytes()]


def test_what_is_forgotten_is_in_no_file(agent: RunningAgent, client: Any) -> None:
    fraud = client.model("fraud", version="4")
    ids = ["forget-me-please", *(f"other-{number}" for number in range(100))]
    fraud.predictions([1] * 101, ids=ids)
    client.flush(20).raise_if_pending()
    fraud.truths(ids, [1] * 101)
    assert files_with(agent.data, b"forget-me-please")
    control = agent.serve.replace("query.sock", "control.sock")
    done = cli("forget", "--id", "forget-me-please", "--control", control)
    assert (done.returncode, done.stdout) == (0, "forgotten: 1 prediction, 1 truth, 0 rows\n")
    assert files_with(agent.data, b"forget-me-please") == []
    done = cli("show", "forget-me-please", "--agent", agent.serve)
    assert (done.returncode, "nothing is known" in done.stderr) == (1, True)
    assert len(show(agent, "other-7")["predictions"]) == 1
    agent.kill()
    done = cli("forget", "--id", "other-8", "--id", "other-9", "--data", str(agent.data), "--format", "json")
    assert json.loads(done.stdout) == {"predictions": 2, "truths": 2, "rows": 0}
    assert files_with(agent.data, b"other-8") == []
    done = cli("show", "other-7", "--data", str(agent.data))
    assert done.stdout.splitlines()[1].startswith("fraud/4")
    done = cli("forget", "--id", "other-8", "--data", str(agent.data))
    assert done.stdout == "nothing was known: nothing was forgotten\n"
