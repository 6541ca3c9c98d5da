import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reference_lab import whole

from obsagent.config import load
from obsagent.demo import stage
from obsagent.demo.model import MODEL

IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)
LEAVES_A_WORKER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(worker.pid, flush=True)
time.sleep(60)
"""


def python(code: str, log: Path):
    return stage.running("sleeper", [sys.executable, "-c", code], log, {})


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, timeout_s: float = 5.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_child_ends_with_its_with(tmp_path) -> None:
    with python("import time; time.sleep(60)", tmp_path / "log") as child:
        child.check()
        assert is_alive(child.process.pid)
    assert child.process.returncode == -signal.SIGTERM


def test_a_child_ends_when_the_body_raises(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), python("import time; time.sleep(60)", tmp_path / "log") as child:
        raise KeyboardInterrupt
    assert not is_alive(child.process.pid)


def test_a_child_that_ignores_the_request_is_made_to_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(stage, "STOP_TIMEOUT_S", 0.2)
    with python(IGNORES_TERM, tmp_path / "log") as child:
        assert wait_for(lambda: (tmp_path / "log").read_text() == "up\n")
    assert child.process.returncode == -signal.SIGKILL


def test_workers_that_a_child_leaves_behind_end_too(tmp_path) -> None:
    with python(LEAVES_A_WORKER, tmp_path / "log"):
        assert wait_for(lambda: (tmp_path / "log").read_text().endswith("\n"))
        worker = int((tmp_path / "log").read_text())
        assert is_alive(worker)
    assert wait_for(lambda: not is_alive(worker))


def test_interrupts_are_held_while_a_child_ends_and_restored_after(tmp_path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stage.signals_held():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_child_that_ended_says_why(tmp_path) -> None:
    code = "import sys; print('cannot open the store'); sys.exit(3)"
    with python(code, tmp_path / "log") as child, pytest.raises(stage.ChildFailed) as failed:
        child.wait_until(lambda: False, timeout_s=30.0)
    assert str(failed.value).startswith(f"the sleeper ended with exit code 3; the end of {tmp_path / 'log'}:")
    assert str(failed.value).endswith("cannot open the store")


def test_a_child_that_does_not_come_up_is_not_awaited_for_ever(tmp_path) -> None:
    with python("import time; time.sleep(60)", tmp_path / "log") as child:
        started_at = time.monotonic()
        with pytest.raises(stage.ChildFailed, match=r"did not come up within 0 s; .* is empty"):
            child.wait_until(lambda: False, timeout_s=0.3)
        assert time.monotonic() - started_at < 5.0


def test_a_free_port_can_be_bound() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", stage.free_port()))


def test_no_worker_answers_where_nobody_listens() -> None:
    seen: set[int] = set()
    assert not stage.note_worker(stage.free_port(), seen)
    assert not seen


def test_the_agents_configuration_is_one(tmp_path: Path) -> None:
    whole(model=MODEL).save(tmp_path / "delays.ref")
    text = stage.agent_config(tmp_path / "delays.ref", tmp_path / "retraining", duration_s=60)
    (tmp_path / "agent.toml").write_text(text)
    config = load(tmp_path / "agent.toml", {})
    of_2013_ms = (time.time() - datetime(2013, 1, 1, tzinfo=UTC).timestamp()) * 1000
    assert of_2013_ms < config.models[MODEL].horizon_ms <= config.retention[-1]
    assert config.models[MODEL].reference == tmp_path / "delays.ref"
    on_retrain = config.models[MODEL].on_retrain
    assert on_retrain is not None
    assert on_retrain.command[-1] == str(tmp_path / "retraining")
    assert config.models[MODEL].harm.cooldown_ms == 5_000  # a month of the replay
