"""What is loaded in users' processes: nothing at import, nothing of the agent ever."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"zmq", "msgpack", "numpy", "zstandard", "rich", "argparse", "asyncio", "dataclasses", "logging"}
AGENT = {"head", "segment", "fs", "receive", "answer", "daemon", "agent_process", "config", "cli", "demo", "store_sink"}


def modules_after(source: str) -> set[str]:
    program = f"{source}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_obsagent_loads_nothing_else() -> None:
    loaded = modules_after("import obsagent") - modules_after("")
    assert {name for name in loaded if name.startswith("obsagent")} == {"obsagent"}
    assert not loaded & HEAVY


def test_the_middlewares_load_no_framework_and_nothing_of_the_agent() -> None:
    loaded = modules_after(
        "import obsagent; obsagent.ASGIMiddleware, obsagent.WSGIMiddleware, obsagent.current_request"
    )
    assert not {name.split(".")[1] for name in loaded if name.startswith("obsagent.")} & AGENT
    assert not loaded & {"zmq", "numpy", "asyncio", "starlette", "flask", "django", "litestar", "wsgiref"}


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_a_client_loads_nothing_of_the_agent(disabled: str) -> None:
    source = f"""
import os
os.environ["OBSAGENT_DISABLED"] = "{disabled}"
import obsagent, time
client = obsagent.connect(service="x", endpoint="ipc:///nowhere/at/all.sock")
client.histogram("step").observe(1.0)
time.sleep(0.3)
"""
    loaded = modules_after(source + "import atexit; atexit.unregister(obsagent.record.clients._close_all)")
    assert not {name.split(".")[1] for name in loaded if name.startswith("obsagent.")} & AGENT
    assert not loaded & {"numpy", "zstandard", "rich", "argparse", "tomllib"}
    assert ("zmq" in loaded) == (disabled == "0")
