"""A real Prometheus scrapes a running agent: the numbers are those of `obsagent query`, and counters never go back."""

from __future__ import annotations

import math
import random
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import obsagent
from integration.agents import RunningAgent
from integration.page_server import PageServer
from integration.prometheus_server import Prometheus, free_port, need, prometheus
from integration.threaded_agent import until

BUCKET = 2 ** (1 / 64)  # the width of a bucket at scale 6
LATENCY = "obsagent_request_duration_seconds"
SCRAPED = 'timestamp(obsagent_series{service="obsagent"})'
WINDOW_S = 10

YOUNG = [
    "p50,p99,count,mean,sum,rate latency by endpoint since 5m",
    "p99.9 latency service=fraud since 5m",
    "under 20ms latency since 5m",
    "over 20ms latency by endpoint since 5m",
    "p90 vllm:ttft since 5m",
    "rate,sum requests by endpoint,status since 5m",
    "sum requests status=5xx since 5m",
    "sum requests status not 200 since 5m",
    "sum requests endpoint matches ^/s since 5m",
    "error_rate by endpoint since 5m",
    "error_rate endpoint=/rank since 5m",
    "sum cache_hits / sum requests since 5m",
    "mean latency / mean vllm:ttft since 5m",
    "last queue_depth",
    "last queue_limit",
    "last load_share",
    "p99 latency by endpoint since 5m where count above 200",
    "sum requests by endpoint since 5m top 1",
]


class Model:
    """A service that is observed."""

    def __init__(self) -> None:
        self.obs = obsagent.connect("fraud")
        self.chance = random.Random(7)
        self.ttft = self.obs.histogram("vllm:ttft", unit="seconds", help="Time to the first token")
        self.hits = self.obs.counter("cache_hits", help="Found")
        self.obs.gauge("queue_depth", help="Waiting", across="sum").set(4)
        self.obs.gauge("queue_limit", help="At most", across="max").set(9)
        self.obs.gauge("load_share", help="Used", unit="ratio", across="mean").set(0.25)

    def serve(self, count: int) -> None:
        """So many requests, some of which fail."""
        for number in range(count):
            endpoint = "/score" if number % 4 else "/rank"
            with self.obs.request(endpoint, id=f"r{number}") as request:
                time.sleep(0.0005 if number % 10 else 0.004)
                request.status = 500 if number % 20 == 1 else 200
            self.ttft.observe(self.chance.lognormvariate(-3, 0.5))
            self.hits.inc(2)
        self.obs.flush(timeout=30).raise_if_pending()


@pytest.fixture
def model(agent_with_port: RunningAgent) -> Iterator[Model]:
    served = Model()
    yield served
    served.obs.close()


@pytest.fixture
def agent_with_port(stopped_agent: RunningAgent) -> RunningAgent:
    stopped_agent.http = f"127.0.0.1:{free_port()}"  # type: ignore[attr-defined]
    return stopped_agent.start("--http", stopped_agent.http)  # type: ignore[attr-defined]


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def answers(agent: RunningAgent, text: str) -> list[tuple[str, dict[str, Any], str]]:
    """Stat, rows {labels: (value, relative bound)} and PromQL of each number that a query asks for."""
    answer = agent.ask(text, explain=True)
    assert answer["series"], answer
    stats = list(answer["series"][0]["values"])
    found = []
    for stat, promql in zip(stats, answer["explain"]["promql"], strict=True):
        rows = {
            tuple(sorted((name, value) for name, value in row["labels"].items() if value)): row["values"][stat]
            for row in answer["series"]
        }
        found.append((stat, rows, promql))
    return found


def is_same(stat: str, ours: float, theirs: float) -> bool:
    """Equal; of a quantile within a bucket, and where the rank lies between two, in the next one."""
    if stat.startswith("p"):
        return ours / BUCKET**2 <= theirs <= ours * BUCKET**2
    if stat.startswith(("under", "over")):
        return math.isclose(ours, theirs, abs_tol=0.02)
    return math.isclose(ours, theirs, rel_tol=1e-6)


def compare(agent: RunningAgent, server: Prometheus, text: str) -> None:
    for stat, ours, promql in answers(agent, text):
        theirs = server.ask(promql)
        assert ours.keys() == theirs.keys(), f"{text}: {stat}\n{promql}\n{ours}\n{theirs}"
        for labels, value in ours.items():
            assert is_same(stat, value, theirs[labels]), f"{text}: {stat}\n{promql}\n{ours}\n{theirs}"


def test_prometheus_gives_the_same_numbers(agent_with_port: RunningAgent, model: Model, tmp_path: Path) -> None:
    agent = agent_with_port
    model.serve(400)  # before anybody scrapes
    with prometheus(tmp_path / "prometheus", agent.http) as server:
        server.wait("sum(obsagent_requests_total)", lambda value: value == 400)
        model.serve(200)
        server.wait("sum(obsagent_requests_total)", lambda value: value == 600)
        time.sleep(1.1)  # the gauges of workers are combined once a second
        server.wait("obsagent_problems", lambda value: value == 0)
        assert server.one(f"sum(histogram_count({LATENCY}))") == 600  # native ones, then
        for text in YOUNG:
            compare(agent, server, text)
        established(agent, server, model)


def established(agent: RunningAgent, server: Prometheus, model: Model) -> None:
    """Of series that were there before the asked time: exactly what has come within it."""
    begin_s = (time.time() // WINDOW_S + 1) * WINDOW_S
    server.wait(SCRAPED, lambda value: value is not None and value > begin_s + 0.1)
    model.serve(100)
    server.wait("sum(obsagent_requests_total)", lambda value: value == 700)
    since = f"since {datetime.fromtimestamp(begin_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    for text in ("count,sum,mean,p50 latency", "sum requests by endpoint,status", "error_rate", "p90 vllm:ttft"):
        answer = agent.ask(f"{text} {since}", explain=True)
        at_s = seconds_of(answer["to"])
        for number, promql in enumerate(answer["explain"]["promql"]):
            stat = list(answer["series"][0]["values"])[number]
            assert " or obsagent_request_duration" not in promql
            theirs = server.ask(promql, at_s)
            for row in answer["series"]:
                labels = tuple(sorted(row["labels"].items()))
                assert is_same(stat, row["values"][stat], theirs[labels]), f"{text}: {stat}\n{promql}\n{theirs}"
    assert agent.ask(f"count latency {since}")["series"][0]["values"]["count"] == 100


WAIT = "wait_seconds"
SCRAPE = """
[[scrape]]
name = "vllm"
url = "{url}"
interval = "1s"
"""
PAGE = """# TYPE {name} histogram
# HELP {name} How long
{name}_bucket{{model="m",le="0.1"}} {fast}
{name}_bucket{{model="m",le="1"}} {middle}
{name}_bucket{{model="m",le="+Inf"}} {count}
{name}_sum{{model="m"}} {sum}
{name}_count{{model="m"}} {count}
"""


def test_a_scraped_histogram_goes_on_to_prometheus(stopped_agent: RunningAgent, tmp_path: Path) -> None:
    """As the classic histogram that it was, with the numbers that the agent answers itself."""
    agent, http = stopped_agent, f"127.0.0.1:{free_port()}"
    config = tmp_path / "obsagent.toml"
    with PageServer(PAGE.format(name=WAIT, fast=10, middle=20, count=30, sum=90)) as page:
        config.write_text("[collect.host]\nenabled = false\n" + SCRAPE.format(url=page.url))
        agent.start("--http", http, "--config", str(config))
        with prometheus(tmp_path / "prometheus", http) as server:
            server.wait(f"sum({WAIT}_count)", lambda value: value == 0)  # what was before nobody has seen
            page.page = PAGE.format(name=WAIT, fast=70, middle=110, count=130, sum=150)
            server.wait(f"sum({WAIT}_count)", lambda value: value == 100)
            compare(agent, server, f"p50,p90,p99,mean,sum,count {WAIT} by model since 5m")
            bounds = {dict(labels)["le"]: value for labels, value in server.ask(f"{WAIT}_bucket").items()}
            assert bounds == {"0.1": 60, "1.0": 90, "+Inf": 100}
            agent.kill()
            asked = len(page.asked)
            agent.start("--http", http, "--config", str(config))
            until(lambda: len(page.asked) > asked + 1)  # what comes from now on is seen
            page.page = PAGE.format(name=WAIT, fast=71, middle=111, count=131, sum=151)
            server.wait(f"sum({WAIT}_count)", lambda value: value is not None and value > 100)
            assert server.one(f"sum(resets({WAIT}_count[5m]))") == 0


def test_counters_do_not_go_back_when_the_agent_restarts(
    agent_with_port: RunningAgent, model: Model, tmp_path: Path
) -> None:
    agent = agent_with_port
    with prometheus(tmp_path / "prometheus", agent.http) as server:
        model.serve(100)
        server.wait("sum(obsagent_requests_total)", lambda value: value == 100)
        for end in (agent.kill, agent.stop):
            end()
            agent.start("--http", agent.http)
            model.serve(50)
        server.wait("sum(obsagent_requests_total)", lambda value: value == 200)
        assert server.one(f"sum(histogram_count({LATENCY}))") == 200
        assert server.one(f"sum(resets({LATENCY}[5m]))") == 0
        names = [dict(labels)["__name__"] for labels in server.ask('group by (__name__) ({__name__=~".+_total"})')]
        assert len(names) > 10
        for name in names:
            assert {labels: value for labels, value in server.ask(f"resets({name}[5m])").items() if value} == {}, name


def test_exemplars_are_scraped(agent_with_port: RunningAgent, model: Model, tmp_path: Path) -> None:
    agent = agent_with_port
    with prometheus(tmp_path / "prometheus", agent.http) as server:
        model.serve(100)
        server.wait("sum(obsagent_requests_total)", lambda value: value == 100)
        (slowest,) = agent.ask("p99 latency since 5m", exemplars=True)["series"][0]["exemplars"][:1]
        found = server.exemplars(LATENCY)
        assert slowest["request_id"] in {each["labels"]["request_id"] for each in found}
        assert max(float(each["value"]) for each in found) == pytest.approx(slowest["value"])


def test_promtool_finds_nothing_wrong(agent_with_port: RunningAgent, model: Model) -> None:
    need("promtool")
    model.serve(20)
    time.sleep(1.1)
    with urllib.request.urlopen(f"http://{agent_with_port.http}/metrics", timeout=30) as response:
        text = response.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).decode().splitlines()
    assert [line for line in lines if not line.startswith("vllm:")] == []  # a colon is for recording rules
    assert b"obsagent_request_duration_seconds_bucket" in text
