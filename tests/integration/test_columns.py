"""Columns from a client's ring to an answer: the agent killed in between, every observation counted once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import obsagent
from integration.agents import RunningAgent
from integration.stored import FOREVER_MS
from obsagent._native.codec import Groups
from obsagent._native.ring import Column
from obsagent._native.sketch import Column as Summary
from obsagent.head.store import Store
from obsagent.record.client import Client
from obsagent.samples import Kind
from obsagent.wire.frame import SeriesDefinition

EDGES = [-3.0, -1.0, 0.0, 1.0, 3.0]
NAMES = ["DE", "FR"]


@pytest.fixture
def client(agent: RunningAgent) -> Iterator[Client]:
    """Of this process, so that a test may kill the agent in between; closed, or it would keep a slot in later forks."""
    found = obsagent.connect(service="columns", endpoint=agent.listen)
    yield found
    found.close(1)


def define(client: Client, feature: str) -> Column:
    """A column of the client, as a model's feature is one."""
    recorder, definitions = client._recorder, client._registry.definitions
    number = recorder.define(Kind.COLUMN)
    labels = {"model": "fraud", "version": "4", "feature": feature}
    definitions.append(SeriesDefinition(number, "feature", Kind.COLUMN, labels, "", "", 6, "sum"))
    return recorder.column(number)


def stored(data: Path, feature: str) -> Summary:
    view = Store.open_read_only(data).view()
    groups = Groups({one.id: 0 for one in view.series() if one.labels.get("feature") == feature}, 1)
    view.collect(0, FOREVER_MS, groups)
    found = groups.column(0)
    assert found is not None
    return Summary._from_compact(found)


def record(amount: Column, country: Column, rows: np.ndarray) -> None:
    """Some one by one, the others in pieces, with pauses in which batches are sealed."""
    for row in rows[:300]:
        amount.observe(row[0])
        country.observe(NAMES[int(row[1]) % 2])
    for piece in np.array_split(rows[300:], 20):
        amount.observe_many(piece[:, 0])
        country.observe_categories([f"C{int(number)}" for number in piece[:50, 1]])
        country.add_nulls(len(piece) - min(len(piece), 50))
        time.sleep(0.02)


def check(data: Path, rows: np.ndarray) -> None:
    amounts, countries = stored(data, "amount"), stored(data, "country")
    assert amounts.samples == countries.samples == len(rows)
    counts = np.histogram(rows[:, 0], EDGES)[0]
    below, above = (rows[:, 0] < EDGES[0]).sum(), (rows[:, 0] > EDGES[-1]).sum()
    assert amounts.edge_counts == (below, *counts, above)
    assert amounts.moments.mean == pytest.approx(rows[:, 0].mean())
    assert amounts.hll is not None
    assert amounts.hll.count() == pytest.approx(len(rows), rel=0.07)
    assert countries.edge_counts is not None
    assert sum(countries.edge_counts) + countries.null_count == len(rows)


def test_every_observation_is_counted_whatever_happens_to_the_agent(agent: RunningAgent, client: Client) -> None:
    rows = np.random.default_rng(5).normal(0, 1, (60_000, 2))
    rows[:, 1] = np.arange(60_000) % 97
    amount, country = define(client, "amount"), define(client, "country")
    client._recorder.set_edges(amount.series, EDGES)
    client._recorder.set_categories(country.series, NAMES)
    first, second = rows[:30_000], rows[30_000:]
    record(amount, country, first)
    assert client.flush(30).pending == 0
    check(agent.data, first)
    agent.kill()
    record(amount, country, second)
    agent.start()
    result = client.flush(30)
    assert (result.pending, result.dropped, result.rejected) == (0, 0, 0)
    check(agent.data, rows)
    agent.kill()
    check(agent.data, rows)
    agent.start()
    answer = agent.ask("p50,mean,min,max,count feature model=fraud by feature since 1h")
    values = {row["labels"]["feature"]: row["values"] for row in answer["series"]}
    assert answer["metric"]["kind"] == "column"
    assert values["amount"]["count"] == len(rows)
    assert values["amount"]["mean"] == pytest.approx(rows[:, 0].mean())
    assert values["amount"]["p50"] == pytest.approx(np.median(rows[:, 0]), abs=0.01)
    assert (values["amount"]["min"], values["amount"]["max"]) == (rows[:, 0].min(), rows[:, 0].max())
    account = agent.status()["accounts"]["services"]["columns"]
    assert account["observed"] == account["stored"] == 2 * len(rows)
    assert agent.stop() == 0
    check(agent.data, rows)
