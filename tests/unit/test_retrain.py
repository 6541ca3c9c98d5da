"""What is run when retraining is recommended: commands and webhooks, and everything that they do wrong."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hooks import serving

from obsagent.limits import RETRAIN_OUTPUT_LINES
from obsagent.retrain.command import run_command
from obsagent.retrain.outcome import Outcome
from obsagent.retrain.runner import Report, Run, Runner, Stage, Way
from obsagent.retrain.webhook import call_webhook

PATIENCE_S = 10.0
EVIDENCE = b'{"model": "fraud"}'


def python(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", text


def run(command: tuple[str, ...], evidence: bytes = EVIDENCE, timeout_s: float = PATIENCE_S) -> Outcome:
    return run_command(command, evidence, timeout_s, threading.Event(), name="fraud")


def test_a_command_gets_the_evidence_and_its_output_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outcome = run(("cat",))
    assert (outcome.worked, outcome.code) == (True, 0)
    assert outcome.says.startswith("exited with 0 after ")
    assert 'on_retrain of fraud: {"model": "fraud"}' in caplog.text


def test_no_shell_reads_it() -> None:
    assert run(("test", "$(true)", "=", "$(true)")).worked


def test_it_is_a_group_and_a_session_of_its_own(tmp_path: Path) -> None:
    place = tmp_path / "ids"
    assert run(
        python(f"import os; open({str(place)!r}, 'w').write(f'{{os.getpid()}} {{os.getpgid(0)}} {{os.getsid(0)}}')")
    ).worked
    own, group, session = map(int, place.read_text().split())
    assert own == group == session != os.getpgid(0)


@pytest.mark.parametrize(
    ("command", "says", "code"),
    [
        (("no-such-program-here",), "no-such-program-here cannot be run: No such file or directory", None),
        (("/",), "/ cannot be run: Permission denied", None),
        (("false",), "exited with 1 after", 1),
        (("sh", "-c", "kill -9 $$"), "was ended by SIGKILL after", -9),
    ],
)
def test_what_fails_says_how(command: tuple[str, ...], says: str, code: int | None) -> None:
    outcome = run(command)
    assert not outcome.worked
    assert outcome.says.startswith(says)
    assert outcome.code == code


def test_what_takes_too_long_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    began = time.monotonic()
    outcome = run(("sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {place}; wait; sleep 60"), timeout_s=0.5)
    assert time.monotonic() - began < PATIENCE_S
    assert "its time is over; raise timeout" in outcome.says
    child = int(place.read_text())
    until(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    """A process that has ended may wait for its new parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_is_ended_with_the_agent() -> None:
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    outcome = run_command(("sleep", "60"), b"", 60.0, stopping)
    assert (outcome.worked, "the agent ends" in outcome.says) == (False, True)


def test_evidence_that_nobody_reads_blocks_nothing() -> None:
    assert run(("true",), b"x" * (1 << 20)).worked
    assert "time is over" in run(("sleep", "60"), b"x" * (1 << 20), 0.3).says


def test_a_command_that_never_stops_writing_costs_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        outcome = run(("sh", "-c", "yes | head -n 300000; head -c 3000000 /dev/zero; yes"), timeout_s=1.5)
    assert "time is over" in outcome.says
    assert len(caplog.records) <= RETRAIN_OUTPUT_LINES + 2


def test_what_it_leaves_in_the_background_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with caplog.at_level(logging.INFO):
        assert run(("sh", "-c", "sleep 5 & echo done")).worked
    assert time.monotonic() - began < 4.0
    assert "on_retrain of fraud: done" in caplog.text


def test_a_webhook_gets_the_evidence_as_json() -> None:
    with serving(204) as hooks:
        assert call_webhook(hooks.url, EVIDENCE, 5.0, key="e1") == Outcome(True, "answered 204", 204)
    ((headers, body),) = hooks.calls
    assert (headers["Content-Type"], headers["Idempotency-Key"]) == ("application/json", "e1")
    assert json.loads(body) == {"model": "fraud"}


@pytest.mark.parametrize(
    ("code", "says", "again"),
    [
        (500, "answered 500 Internal Server Error", True),
        (429, "answered 429 Too Many Requests", True),
        (404, "answered 404 Not Found", False),
        (307, "redirects to http://elsewhere.example/; give that address", False),
        (302, "redirects to http://elsewhere.example/; give that address", False),
    ],
)
def test_a_webhook_that_refuses_says_how(code: int, says: str, again: bool) -> None:
    with serving(code) as hooks:
        outcome = call_webhook(hooks.url, EVIDENCE, 5.0)
    assert (outcome.worked, outcome.code, outcome.may_try_again) == (False, code, again)
    assert outcome.says.startswith(says)
    assert len(hooks.calls) == 1


def test_a_webhook_that_is_not_there_says_how() -> None:
    with serving(200) as hooks:
        pass
    assert call_webhook(hooks.url, EVIDENCE, 5.0) == Outcome(False, "is not there: nobody listens", None, True)
    with serving(0) as hooks:
        assert call_webhook(hooks.url, EVIDENCE, 0.2) == Outcome(False, "did not answer within 0.2s", None, True)


def test_tls_is_verified() -> None:
    with serving(200) as hooks:
        outcome = call_webhook(hooks.url.replace("http:", "https:"), EVIDENCE, 5.0)
    assert "cannot be reached by TLS" in outcome.says
    assert not hooks.calls


def until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Reports:
    """What a runner reports, until it is over with everything."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.all: list[Report] = []

    def ended(self) -> list[Report]:
        self.all += self.runner.reports()
        return [report for report in self.all if report.stage in (Stage.WORKED, Stage.FAILED)]

    @property
    def stages(self) -> list[str]:
        return [str(report.stage) for report in self.all]


def command(*to: str) -> Run:
    return Run("e1", "fraud", Way.COMMAND, to, PATIENCE_S, EVIDENCE)


def webhook(url: str) -> Run:
    return Run("e1", "fraud", Way.WEBHOOK, (url,), PATIENCE_S, EVIDENCE)


def test_a_runner_says_when_a_command_has_started_and_ended() -> None:
    woken = threading.Event()
    runner = Runner(woken.set)
    reports = Reports(runner)
    assert runner.start(command("sh", "-c", "exit 3"))
    until(reports.ended)
    assert reports.stages == ["started", "failed"]
    assert reports.all[-1].code == 3
    assert woken.is_set()


def test_a_webhook_is_called_again_until_it_works() -> None:
    with serving(503, 503, 200) as hooks:
        runner = Runner(pauses_s=(0.01,) * 5)
        reports = Reports(runner)
        assert runner.start(webhook(hooks.url))
        until(reports.ended)
    assert reports.stages == ["retries", "retries", "worked"]
    assert (len(hooks.calls), reports.all[-1].attempts) == (3, 3)
    assert {headers["Idempotency-Key"] for headers, _ in hooks.calls} == {"e1"}


@pytest.mark.parametrize(("code", "attempts"), [(503, 3), (400, 1)])
def test_a_webhook_that_never_works_is_given_up(code: int, attempts: int) -> None:
    with serving(code) as hooks:
        runner = Runner(pauses_s=(0.01, 0.01))
        reports = Reports(runner)
        assert runner.start(webhook(hooks.url))
        until(reports.ended)
    assert len(hooks.calls) == attempts
    assert reports.stages[-1] == "failed"


def test_the_same_is_not_run_twice_at_once_and_nothing_is_after_the_end() -> None:
    runner = Runner()
    assert runner.start(command("sleep", "60"))
    assert not runner.start(command("sleep", "60"))
    began = time.monotonic()
    runner.stop()
    assert time.monotonic() - began < 5.0
    reports = Reports(runner)
    assert "the agent ends" in reports.ended()[0].says
    assert not runner.start(webhook("http://127.0.0.1:9/"))


def test_what_has_ended_is_not_started_again_before_its_report_was_taken() -> None:
    with serving(200) as hooks:
        woken = threading.Event()
        runner = Runner(woken.set)
        assert runner.start(webhook(hooks.url))
        assert woken.wait(PATIENCE_S)
        assert not runner.start(webhook(hooks.url))
        assert [report.stage for report in runner.reports()] == [Stage.WORKED]
        assert len(hooks.calls) == 1


def test_whatever_goes_wrong_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> Outcome:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("obsagent.retrain.runner.run_command", fails)
    runner = Runner()
    reports = Reports(runner)
    assert runner.start(command("true"))
    until(reports.ended)
    assert reports.all[-1].says == "failed: RuntimeError: can't start new thread"


def test_a_webhook_between_two_attempts_is_left_to_the_next_agent() -> None:
    with serving(503) as hooks:
        runner = Runner(pauses_s=(60.0,))
        reports = Reports(runner)
        assert runner.start(webhook(hooks.url))
        until(lambda: hooks.calls)
        runner.stop()
        until(lambda: reports.ended() or reports.all)
    assert reports.stages == ["retries"]
