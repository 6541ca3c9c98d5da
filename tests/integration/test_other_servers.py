"""An agent that reads pages of servers that are not ours: what comes in can be asked for like what clients send."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.page_server import PageServer, answer
from integration.threaded_agent import ThreadedAgent, until
from integration.tmux import need
from obsagent.cli import main
from obsagent.collect.scrape_settings import ScrapeSettings

PAGES = Path(__file__).parents[1] / "unit" / "pages"
VLLM = (PAGES / "vllm.txt").read_text()
TTFT = "vllm:time_to_first_token_seconds"


def target(server: PageServer, service: str = "vllm", **settings: Any) -> ScrapeSettings:
    return ScrapeSettings(service, server.url, server.address, interval_ms=100, timeout_ms=30_000, **settings)


def later(page: str, growth: dict[str, float]) -> str:
    """A page some time after: samples whose lines hold a word of `growth` have grown by so much."""
    lines = []
    for line in page.splitlines():
        for word, by in growth.items():
            if word in line and not line.startswith("#"):
                head, _, value = line.rpartition(" ")
                line = f"{head} {float(value) + by!r}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def histogram(name: str, low: int, count: int, total: float) -> str:
    lines = [f"# TYPE {name} histogram", f'{name}_bucket{{le="1"}} {low}', f'{name}_bucket{{le="+Inf"}} {count}']
    return "\n".join([*lines, f"{name}_sum {total}", f"{name}_count {count}", ""])


@contextmanager
def agent_of(tmp_path: Path, *targets: ScrapeSettings) -> Iterator[ThreadedAgent]:
    agent = ThreadedAgent(tmp_path, scrape=targets)
    try:
        yield agent
    finally:
        agent.stop()


def value(agent: ThreadedAgent, text: str) -> Any:
    rows = agent.query(f"{text} since 1h")["series"]
    return next(iter(rows[0]["values"].values())) if len(rows) == 1 else None


def problems(agent: ThreadedAgent) -> list[str]:
    """Those of scraping: there are other collectors."""
    return [each for each in agent.problems if each.startswith("scrape ")]


def told(capsys: pytest.CaptureFixture[str], agent: ThreadedAgent, *words: str) -> str:
    assert main([*words, "--agent", agent.config.serve]) == 0
    return capsys.readouterr().out


TTFT_GROWTH = {
    f'{TTFT}_bucket{{engine="0",le="0.1"': 60,
    f'{TTFT}_bucket{{engine="0",le="0.25"': 90,
    f'{TTFT}_bucket{{engine="0",le="0.5"': 99,
    f'{TTFT}_bucket{{engine="0",le="2.5"': 99,
    f'{TTFT}_bucket{{engine="0",le="+Inf"': 100,
    f"{TTFT}_sum": 15.0,
    f"{TTFT}_count": 100,
}


def test_a_vllm_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with PageServer(VLLM) as server, agent_of(tmp_path, target(server)) as agent:
        until(lambda: value(agent, "last up") == 1.0)
        until(lambda: value(agent, "sum vllm:request_success_total finished_reason=stop") == 0)
        assert value(agent, "last vllm:num_requests_running by model_name") == 12.0
        server.page = later(VLLM, {**TTFT_GROWTH, 'finished_reason="stop"': 100})
        until(lambda: value(agent, "sum vllm:request_success_total finished_reason=stop") == 100)
        (row,) = agent.query(f"p50,p99,p100,mean,count {TTFT} service=vllm by model_name,instance since 1h")["series"]
        assert row["labels"] == {"model_name": "meta-llama/Llama-3.1-8B-Instruct", "instance": server.address}
        assert row["values"]["p50"] == pytest.approx(0.05 + 0.05 * 50 / 60)
        assert row["values"]["p99"] == 0.5
        assert row["error_bound"]["p99"] == {"absolute": 0.25}
        assert row["error_bound"]["p100"] == {"above": 2.5}
        assert (row["values"]["mean"], row["values"]["count"]) == (0.15, 100)
        assert value(agent, f"under 250ms {TTFT}") == 0.9
        listed = told(capsys, agent, "list", "metrics")
        assert f"{TTFT} " in listed
        assert "classic histogram" in listed
        assert "_bucket" not in listed
        assert "500 ms" in told(capsys, agent, "query", "p99", TTFT, "service=vllm", "by", "model_name", "since", "1h")
        assert agent.status()["agent"]["collectors"][f"scrape vllm {server.address}"]["error"] == ""
        assert not problems(agent)


def test_the_table_of_services_has_the_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "vllm:e2e_request_latency_seconds"
    page = histogram(name, 5, 5, 1.0)
    with PageServer(page) as server, agent_of(tmp_path, target(server)) as agent:
        until(lambda: value(agent, f"count {name}") == 0)
        server.page = later(page, {"_bucket": 10, "_count": 10, "_sum": 4})
        until(lambda: value(agent, f"count {name}") == 10)
        (line,) = [line for line in told(capsys, agent, "top", "--once").splitlines() if line.startswith("vllm")]
        assert "500 ms" in line


def test_a_server_that_restarts_begins_again(tmp_path: Path) -> None:
    def page(total: int, low: int, count: int) -> str:
        return f"# TYPE x_total counter\nx_total {total}\n{histogram('h', low, count, 1.0)}"

    with PageServer(page(1000, 10, 100)) as server, agent_of(tmp_path, target(server)) as agent:
        until(lambda: value(agent, "sum x_total") == 0)
        server.page = page(1005, 10, 104)
        until(lambda: value(agent, "sum x_total") == 5)
        server.page = page(7, 12, 50)
        until(lambda: value(agent, "sum x_total") == 12)
        assert value(agent, "count h") == 54
        assert value(agent, "under 1 h") == 12 / 54


def test_one_target_that_is_down_hides_no_other(tmp_path: Path) -> None:
    with socket.socket() as unheard, PageServer("x 1") as server:
        unheard.bind(("127.0.0.1", 0))
        down = replace(target(server), url=f"http://127.0.0.1:{unheard.getsockname()[1]}/m", instance="down")
        with agent_of(tmp_path, target(server), down) as agent:
            until(lambda: value(agent, "last x") == 1.0)
            until(lambda: problems(agent))
            assert problems(agent) == [f"scrape vllm down: {down.url}: nobody listens there"]
            assert agent.health == "degraded"
            until(lambda: value(agent, "last up instance=down") == 0.0)
            assert value(agent, f"last up instance={server.address}") == 1.0


def test_a_reload_adds_and_removes_targets(tmp_path: Path) -> None:
    with PageServer("a 1") as one, PageServer("b 1") as two, agent_of(tmp_path, target(one, "one")) as agent:
        until(lambda: value(agent, "last a") == 1.0)
        agent.agent._load = lambda: replace(agent.config, scrape=(target(two, "two"),))
        assert agent.agent.reload()["restart_needed"] == []
        until(lambda: value(agent, "last b") == 1.0)
        scrapers = [name for name in agent.status()["agent"]["collectors"] if name.startswith("scrape ")]
        assert scrapers == [f"scrape two {two.address}"]
        asked = len(one.asked)
        before = len(two.asked)
        until(lambda: len(two.asked) > before + 3)
        assert len(one.asked) <= asked + 1  # a round that had begun


def test_labels_that_come_and_go_end_in_the_budget(tmp_path: Path) -> None:
    """A page whose labels are new each time: the store's budget takes them, and the metric that stays is whole."""
    with PageServer() as server:
        numbers = iter(range(1 << 30))

        def page(handler: Any) -> None:
            number = next(numbers)
            churn = "".join(f'churn{{pod="{number}-{pod}"}} 1\n' for pod in range(20))
            answer(handler, f"# TYPE stays_total counter\nstays_total {number}\n{churn}".encode())

        server.page = page
        agent = ThreadedAgent(tmp_path, scrape=(target(server),), series_per_metric=50)
        try:
            until(lambda: (value(agent, "sum stays_total") or 0) > 10)
            known = [each.metric for each in agent.agent._store.view().series()]
            assert known.count("churn") <= 51
            assert agent.query("last churn since 1h")["losses"]["overflow_series"] > 0
        finally:
            agent.stop()


@pytest.mark.parametrize("name", ["triton", "torchserve", "tgi", "dcgm", "node", "openmetrics"])
def test_pages_of_other_servers(tmp_path: Path, name: str) -> None:
    metric, labels, expected = {
        "triton": ("last nv_inference_pending_request_count", "model=resnet50", 7.0),
        "torchserve": ("last DiskUsage", "Hostname=serve-0", 20.054508209228516),
        "tgi": ("last tgi_batch_current_size", "", 17.0),
        "dcgm": ("last DCGM_FI_DEV_GPU_TEMP", "gpu=0", 61.0),
        "node": ("last node_filesystem_avail_bytes", "mountpoint=/", 2.1474836e10),
        "openmetrics": ("last who_knows", "", -3.5),
    }[name]
    with PageServer((PAGES / f"{name}.txt").read_text()) as server:
        if name == "openmetrics":
            server.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        with agent_of(tmp_path, target(server, name)) as agent:
            until(lambda: value(agent, f"{metric} {labels} service={name}") == expected)
            assert not problems(agent)


def test_a_real_node_exporter(tmp_path: Path) -> None:
    program = need("prometheus-node-exporter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    exporter = subprocess.Popen(
        [program, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        settings = ScrapeSettings("node", f"http://{address}/metrics", address, 1_000, 60_000)
        with agent_of(tmp_path, settings) as agent:
            until(lambda: value(agent, "last up service=node") == 1.0)
            until(lambda: (value(agent, "sum node_cpu_seconds_total") or 0) > 0)
            memory = Path("/proc/meminfo").read_text().split()
            assert value(agent, "last node_memory_MemTotal_bytes") == int(memory[1]) * 1024
            assert agent.query("last node_load1 since 1h")["series"]
            assert not problems(agent)
            assert value(agent, "last scrape_samples") > 100
    finally:
        exporter.terminate()
        exporter.wait()
