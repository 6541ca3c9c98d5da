"""`obsagent.query` from Python: an agent, a store without one, coroutines, and the command line's errors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

import obsagent
from integration.agents import RunningAgent
from obsagent.errors import AgentUnreachable, StoreError, UsageError

QUERY = "p50,count work_duration by kind since 1h"


@pytest.fixture
def filled(agent: RunningAgent) -> RunningAgent:
    """An agent with the samples of two series."""
    client = obsagent.connect(service="shop")
    step = client.histogram("work_duration", unit="seconds", labels=["kind"])
    step.labels(kind="slow").observe_many([2.0] * 30)
    step.labels(kind="quick").observe_many([0.5] * 20)
    client.flush(10).raise_if_pending()
    client.close()
    return agent


def check(result: obsagent.Result) -> None:
    assert [(row.labels, row["count"]) for row in result] == [({"kind": "quick"}, 20), ({"kind": "slow"}, 30)]
    assert result[1]["p50"] == pytest.approx(2.0, rel=0.006)
    frame = result.to_pandas()
    assert frame["count"].tolist() == result.to_arrow().column("count").to_pylist() == [20, 30]
    assert "quick" in str(result)
    assert "quick" in result._repr_html_()


def test_an_agent_and_its_store_answer_alike(filled: RunningAgent) -> None:
    check(obsagent.query(QUERY, agent=filled.serve))
    check(obsagent.query(QUERY, data=filled.data))
    check(obsagent.query(QUERY, data=filled.data, sketch="loghist"))
    assert filled.stop() == 0
    check(obsagent.query(QUERY, data=str(filled.data)))
    assert obsagent.status(data=filled.data)["accounts"]["services"]["shop"]["stored"] == 50


def test_the_agent_is_found_by_its_variable(filled: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSAGENT_AGENT", filled.serve)
    check(obsagent.query(QUERY))
    assert obsagent.status()["agent"]["health"] == "ok"


def test_coroutines_ask_while_the_loop_goes_on(filled: RunningAgent) -> None:
    async def ask() -> list[obsagent.Result]:
        return await asyncio.gather(*(obsagent.query_async(QUERY, agent=filled.serve) for _ in range(3)))

    for result in asyncio.run(ask()):
        check(result)


def test_an_empty_answer_says_why(filled: RunningAgent) -> None:
    result = obsagent.query("p50 work_duratoin", agent=filled.serve)
    assert len(result) == 0
    assert result.empty is not None
    assert "did you mean `work_duration`" in result.empty


def test_errors_are_those_of_the_command_line(filled: RunningAgent, tmp_path: Path) -> None:
    for source in ({"agent": filled.serve}, {"data": filled.data}):
        with pytest.raises(UsageError, match="since"):
            obsagent.query("p50 work_duration since", **source)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no sketch `nothing`"):
        obsagent.query(QUERY, agent=filled.serve, sketch="nothing")
    with pytest.raises(UsageError, match="not valid UTF-8"):
        obsagent.query("p50 \udce9")
    with pytest.raises(UsageError, match="exclude each other"):
        obsagent.query(QUERY, agent=filled.serve, data=filled.data)
    with pytest.raises(StoreError, match="there is no store"):
        obsagent.query(QUERY, data=tmp_path / "nowhere")


def test_a_missing_agent_is_said_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(AgentUnreachable):
        obsagent.query(QUERY, agent=f"ipc://{tmp_path}/none.sock", timeout=0.5)
    assert time.monotonic() - began < 5


def test_a_client_alone_is_told_what_reading_a_store_needs(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    program = f"""
import sys, obsagent
sys.modules["zstandard"] = None
try:
    obsagent.query("p50 step", data={str(tmp_path)!r})
except ModuleNotFoundError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "zstandard is not installed; it comes with `pip install 'obsagent[agent]'`\n"


def test_query_stays_a_function_whatever_is_imported() -> None:
    import obsagent.answer
    import obsagent.cli.query
    import obsagent.queries

    assert obsagent.query is obsagent.queries.query
    assert obsagent.status is obsagent.queries.status
