"""Questions to a real store: head, segments and journal, live, read-only, through a socket and a command."""

import json
import math
import random
import subprocess
import sys
import threading

import pytest

from obsagent._native.codec import BodyWriter
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.serve import QueryServer
from obsagent.clock import SystemClock
from obsagent.head.accounts import SessionAccounts
from obsagent.head.entries import Define, DefinedSeries, Frame, SessionOpen
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind
from obsagent.wire.socket import ServeSocket

QUERIES = (
    "p0,p50,p90,p99,p99.9,p100,mean,sum,min,max,count latency",
    "p99,count latency by worker",
    "count latency by endpoint,worker since 1h",
    "rate,sum,count requests by status",
    "last,min,max,mean depth",
    "last depth by worker",
    "p99 latency endpoint=/nowhere",
    "p99 latnecy",
)


class Worker:
    """A session that writes to the store as the agent would for it."""

    def __init__(self, store, number):
        self.store = store
        self.name = bytes([number]) * 16
        self.labels = {"service": "fraud", "host": "a", "worker": str(number)}
        self.series = {}
        self.sequence = 0
        self.observed = 0
        store.write(SessionOpen(self.name, "fraud", "a", 100 + number, 0, number))

    def define(self, metric, kind, unit="", per_worker=True, **labels):
        labels |= self.labels if per_worker else {"service": "fraud"}
        series = self.store.series.resolve(metric, kind, labels, unit=unit)
        number = len(self.series)
        self.store.write(Define(self.name, [DefinedSeries(number, series.id, series, metric)]))
        self.series[metric, per_worker, labels.get("status")] = number
        return number

    def send(self, start_ms, samples, fill):
        body = BodyWriter()
        fill(body)
        self.sequence += 1
        self.observed += samples
        accounts = SessionAccounts(observed=self.observed)
        self.store.write(Frame(self.name, self.sequence, 1, start_ms, start_ms + 100, accounts, body.take()))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store with four windows of two workers: two in a segment, one synced, one only just written."""
    store = Store.open(tmp_path_factory.mktemp("store"))
    now_ms = SystemClock().wall_ms()
    generator = random.Random(11)
    truth = []
    workers = [Worker(store, number) for number in (0, 1)]
    for worker in workers:
        worker.latency = worker.define("latency", Kind.HISTOGRAM, "seconds", endpoint="/score")
        worker.ok = worker.define("requests", Kind.COUNTER, status="200")
        worker.depth = worker.define("depth", Kind.GAUGE)
    combined = workers[0].define("depth", Kind.GAUGE, per_worker=False)
    for age in (3, 2, 1, 0):
        at_ms = now_ms - age * WINDOW_MS
        for index, worker in enumerate(workers):
            values = [generator.lognormvariate(-4, 1) for _ in range(500)]
            truth += values
            worker.send(at_ms, 500, lambda body, w=worker, v=values: body.put_loghist(w.latency, v))
            worker.send(at_ms, 7, lambda body, w=worker: body.put_counter(w.ok, 7, 7.0))
            worker.send(at_ms, 1, lambda body, w=worker, d=age + index: body.put_gauge(w.depth, float(d)))
        workers[0].send(at_ms, 1, lambda body, d=2 * age + 1: body.put_gauge(combined, float(d)))
        if age == 2:
            store.checkpoint()
        if age == 1:
            store.sync()
    yield store, sorted(truth), now_ms
    store.close()


def test_the_answer_is_the_sorted_truth_within_the_bound(filled):
    store, truth, now_ms = filled
    (row,) = answer(parse(QUERIES[0]), store.view(), now_ms)["series"]
    assert row["count"] == row["values"]["count"] == len(truth)
    assert (row["values"]["min"], row["values"]["max"]) == (truth[0], truth[-1])
    assert row["values"]["sum"] == pytest.approx(math.fsum(truth))
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
        bound = row["error_bound"][name]["relative"]
        assert row["values"][name] == pytest.approx(truth[math.ceil(q * len(truth)) - 1], rel=bound * (1 + 1e-9))


def test_counters_gauges_and_accounts(filled):
    store, _, now_ms = filled
    view = store.view()
    (requests,) = answer(parse("sum,count requests"), view, now_ms)["series"]
    assert requests["values"] == {"sum": 56, "count": 56}
    depth = answer(parse("last,min,max depth"), view, now_ms)
    assert depth["series"][0]["values"] == {"last": 1.0, "min": 1.0, "max": 7.0}
    assert depth["losses"]["pending"] == 0
    by_worker = answer(parse("last depth by worker"), view, now_ms)["series"]
    assert [row["values"]["last"] for row in by_worker] == [0.0, 1.0]


@pytest.mark.parametrize("query", QUERIES)
def test_a_reader_of_the_files_answers_what_the_live_store_answers(filled, query, tmp_path):
    store, _, now_ms = filled
    store.sync()
    live = answer(parse(query), store.view(), now_ms)
    stored = answer(parse(query), Store.open_read_only(store_directory(store)).view(), now_ms)
    assert stored == live


def store_directory(store):
    return store.status()["directory"]


def obsagent(*words):
    command = [sys.executable, "-m", "obsagent", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_the_command_reads_a_store_without_zmq(filled):
    store, truth, _ = filled
    store.sync()
    code = (
        "import sys; from obsagent.cli import main; code = main(sys.argv[1:]); "
        "print({'zmq', 'numpy', 'rich'} & set(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    words = ["query", "count", "latency", "--format", "json", "--data", store_directory(store)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "set()\n")
    assert json.loads(done.stdout)["series"][0]["values"] == {"count": len(truth)}


@pytest.fixture
def served(filled, tmp_path):
    store, _, _ = filled
    endpoint = f"ipc://{tmp_path}/query.sock"
    socket = ServeSocket(endpoint)
    server = QueryServer(socket, store.view, store.status, SystemClock().wall_ms)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield endpoint
    server.stop()
    thread.join()
    socket.close()


def test_the_commands_ask_an_agent(served, filled):
    _, truth, _ = filled
    table = obsagent("query", "p50,p99", "latency", "by", "worker", "--agent", served)
    assert (table.returncode, table.stderr) == (0, "")
    header, *rows = table.stdout.splitlines()
    assert header.split() == ["worker", "p50", "p99", "samples"]
    assert [row.split()[0] for row in rows[:2]] == ["0", "1"]
    assert rows[-1].startswith(f"{len(truth):,} samples · ±0.54 % · ")
    assert rows[-1].endswith(" · nothing lost")
    status = obsagent("status", "--agent", served, "--format", "json")
    assert json.loads(status.stdout)["accounts"]["services"]["fraud"]["observed"] == len(truth) + 56 + 12


def test_a_mistake_comes_back_from_the_agent_with_its_caret(served):
    done = obsagent("query", "p99", "latency", "by", "endpont", "--agent", served)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "obsagent query: `latency` has no label `endpont`: its labels are endpoint, host, service and worker; "
        "did you mean `endpoint`?",
        "    p99 latency by endpont",
        "                   ^^^^^^^",
    ]


def test_no_store_is_one_clear_line(tmp_path):
    done = obsagent("query", "latency", "--data", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"obsagent query: there is no store in {tmp_path}/none\n"
