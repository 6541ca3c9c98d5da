"""What a metric costs, and which metric and label explode."""

from pathlib import Path

import pytest
from store_lab import BEGIN_MS, Producer, TurnedClock, resolve

from obsagent._native.codec import BodyWriter, Window, row_sizes
from obsagent.errors import CorruptData
from obsagent.head.budgets import Budgets
from obsagent.head.culprits import culprits
from obsagent.head.entries import Define, DefinedSeries
from obsagent.head.store import Store
from obsagent.samples import Kind


@pytest.fixture
def store(tmp_path: Path):
    opened = Store.open(tmp_path, clock=TurnedClock(), budgets=Budgets(series_per_metric=4, series_total=20))
    yield opened
    opened.close()


def write_hits(store: Store, producer: Producer, increments: int) -> None:
    body = BodyWriter()
    body.put_counter(0, increments, float(increments))
    store.write(producer.frame(BEGIN_MS, body.take(), increments))


def test_rows_have_the_sizes_that_they_take():
    window = Window()
    window.add_counter(3, 1, 2.0)
    window.add_counter(900, 300, 2.0)
    ((_, _, rows),) = window.encode_frames()
    sizes = row_sizes(rows)
    assert sizes == {3: 1 + 1 + 1 + 9, 900: 2 + 1 + 1 + 10}
    assert sum(sizes.values()) == len(rows)
    assert row_sizes(b"") == {}
    with pytest.raises(CorruptData):
        row_sizes(rows[:-1])


def test_checkpoints_count_samples_and_bytes_by_metric(store, tmp_path):
    producer = Producer("shop")
    store.write(producer.open_entry())
    producer.defined.append(resolve(store, "hits", Kind.COUNTER, service="shop"))
    store.write(producer.define_all())
    write_hits(store, producer, 7)
    idle = {"hits": {"series": 1, "samples": 0, "bytes": 0}}
    assert store.status()["cost"] == {"since_ms": BEGIN_MS, "metrics": idle}
    store.checkpoint()
    write_hits(store, producer, 5)
    store.checkpoint()
    assert store.status()["cost"]["metrics"] == {"hits": {"series": 1, "samples": 12, "bytes": 2 * 12}}
    alone = Store.open_read_only(tmp_path).status()["cost"]
    assert alone == {"since_ms": None, "metrics": {"hits": {"series": 1, "samples": None, "bytes": None}}}


def test_nothing_refused_nobody_to_blame(store):
    resolve(store, "hits", Kind.COUNTER, service="shop")
    assert culprits(store.series) == []


def test_the_label_that_explodes_is_named_with_its_newest_values(store):
    producer = Producer("shop")
    store.write(producer.open_entry())
    for number in range(6):
        producer.defined.append(resolve(store, "hits", Kind.COUNTER, service="shop", user=f"u{number}"))
    producer.defined.append(resolve(store, "depth", Kind.GAUGE, service="shop"))
    store.write(producer.define_all())
    assert store.status()["series"]["culprits"] == [
        {"metric": "hits", "series": 5, "refused": 2, "label": "user", "values": 4, "examples": ["u3", "u2", "u1"]}
    ]


def test_a_metric_that_was_refused_for_the_total_is_shown_beside_the_largest_one(store):
    for metric in ("a", "b", "c", "d", "e"):
        for number in range(4):
            resolve(store, metric, Kind.COUNTER, user=f"u{number}")
    producer = Producer("shop")
    store.write(producer.open_entry())
    late = [resolve(store, "late", Kind.COUNTER), resolve(store, "late", Kind.COUNTER, user="x")]
    store.write(Define(producer.session, [DefinedSeries(i, one.id, one) for i, one in enumerate(late)]))
    found = culprits(store.series)
    assert [(each["metric"], each["refused"]) for each in found] == [("late", 2), ("a", 0)]
    assert found[0]["label"] is None
