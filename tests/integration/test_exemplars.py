"""The slowest request is found by its id: through the agent, after its death, and in its store without it."""

from __future__ import annotations

import csv
import io
from typing import Any

import obsagent
from integration.agents import RunningAgent
from integration.programs import run_program
from integration.threaded_agent import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
QUERY = "p99 latency by endpoint since 1h"
PROGRAM = f"""
    import threading, time, obsagent
    client = obsagent.connect(service="shop")

    def serve(endpoint, slowest):
        for number in range(30):
            with client.request(endpoint, id=f"{{endpoint}}-{{number}}", trace_id="{TRACE}"):
                time.sleep(0.4 if number == slowest else 0.001)
        with client.request(endpoint):
            time.sleep(0.6)

    threads = [threading.Thread(target=serve, args=each) for each in (("/a", 3), ("/b", 17))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    client.flush(20).raise_if_pending()
"""


def found(agent: RunningAgent, *source: str) -> dict[str, Any]:
    """Endpoint → the first exemplar of its row."""
    result = obsagent.query(QUERY, exemplars=True, **({"data": source[0]} if source else {"agent": agent.serve}))
    return {row.labels["endpoint"]: row.exemplars[0] for row in result}


def check(slowest: dict[str, Any]) -> None:
    assert {endpoint: each.request_id for endpoint, each in slowest.items()} == {"/a": "/a-3", "/b": "/b-17"}
    assert {each.trace_id for each in slowest.values()} == {TRACE}
    assert all(0.4 <= each.value < 0.6 for each in slowest.values())  # the slower one has no id


def test_the_slowest_request_outlives_the_agent(agent: RunningAgent) -> None:
    run_program(PROGRAM)
    before = found(agent)
    check(before)
    agent.kill()
    assert found(agent, str(agent.data)) == before
    agent.start()
    assert found(agent) == before
    check_command(agent)
    assert agent.stop() == 0
    assert found(agent, str(agent.data)) == before
    assert agent.command("fsck", str(agent.data)).returncode == 0


def check_command(agent: RunningAgent) -> None:
    """Every form in which the command says it."""
    words = ("query", *QUERY.split(), "--agent", agent.serve, "--exemplars")
    shown = agent.command(*words).stdout
    assert "slowest\n" in shown
    assert f"trace {TRACE}   request /b-17" in shown
    rows = list(csv.DictReader(io.StringIO(agent.command(*words, "--format", "csv").stdout)))
    assert [row["exemplar_request_id"] for row in rows] == ["/a-3", "/b-17"]
    assert all(0.4 <= float(row["exemplar_value"]) < 0.6 for row in rows)


def test_what_is_refused_is_counted(agent: RunningAgent) -> None:
    run_program(
        """
        import obsagent
        from obsagent.record import exemplars
        exemplars._text = lambda value: "x" * 500  # a client of somebody else's
        client = obsagent.connect(service="shop")
        for number in range(5):
            with client.request("/a", id="short"):
                pass
            client.flush(20).raise_if_pending()
        """
    )

    def refused() -> float:
        rows = agent.ask("sum obsagent_exemplars_refused by reason since 1h")["series"]
        return sum(row["values"]["sum"] for row in rows if row["labels"] == {"reason": "id"})

    until(lambda: refused() == 5, "five were refused")
    (row,) = agent.ask("count latency since 1h")["series"]
    assert row["count"] == 5
    assert agent.log.read_text().count("not all of its exemplars") >= 1
