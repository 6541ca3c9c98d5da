"""`obsagent reference from-store`: what a store has kept of a model's features, as a reference."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from reference_lab import category, number, whole
from store_lab import BEGIN_MS, Producer, TurnedClock, resolve

from obsagent import cli
from obsagent._native.codec import BodyWriter
from obsagent.head.store import Store
from obsagent.limits import WINDOW_MS
from obsagent.reference import CATEGORY, NUMBER, PREDICTION, Reference
from obsagent.reference.stored import counts_of, edges_of
from obsagent.samples import Kind
from obsagent.sketches import LogHist

WINDOWS = 30
ROWS = 50
EDGES = (0.0, 10.0, 20.0, 40.0)
NAMES = ("DE", "FR")
PERIOD = "--from 2023-11-14T22:13:20Z --to 2023-11-14T22:20:00Z"


def like() -> Reference:
    """The reference over whose bins was counted."""
    bins = {"edges": EDGES, "counts": (0, 2, 2, 2, 0), "sums": (0.0, 3.0, 30.0, 60.0, 0.0)}
    names = {"categories": NAMES, "category_counts": (5, 3, 1)}
    return whole(features={"amount": number(**bins), "country": category(**names)})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float] | list[str]]:
    """Five minutes of a model of version 4, of its shadow, and of another model; and what was sent of the first."""
    monkeypatch.chdir(tmp_path)
    clock, chance, producer = TurnedClock(), Random(12), Producer("p")
    store = Store.open(Path("store"), clock=clock)
    store.write(producer.open_entry())
    model = {"service": "shop", "model": "fraud", "version": "4", "variant": "live"}
    label = {"reference": like().label}
    producer.defined += [
        resolve(store, "feature", Kind.COLUMN, **model, **label, feature="amount"),
        resolve(store, "feature", Kind.COLUMN, **model, **label, feature="country"),
        resolve(store, "feature", Kind.COLUMN, **model, **label, feature=PREDICTION),
        resolve(store, "feature_rows", Kind.COUNTER, **model),
        resolve(store, "feature", Kind.COLUMN, **{**model, "variant": "shadow"}, **label, feature="amount"),
        resolve(store, "feature", Kind.COLUMN, **{**model, "model": "churn"}, feature="age"),
    ]
    store.write(producer.define_all())
    amounts: list[float] = []
    countries: list[str] = []
    for _ in range(WINDOWS):
        amounts += (numbers := [round(chance.gauss(20, 8), 2) for _ in range(ROWS - 1)])
        countries += (texts := [chance.choice(("DE", "FR", "IT")) for _ in range(ROWS)])
        writer = BodyWriter()
        writer.put_column(0, numbers, edges=EDGES, nulls=1)
        writer.put_column(1, (), texts, names=NAMES)
        writer.put_column(2, [chance.random() for _ in range(ROWS)])
        writer.put_counter(3, 1, float(ROWS))
        writer.put_column(4, [1e6] * ROWS, edges=EDGES)
        writer.put_column(5, [3.0] * ROWS)
        store.write(producer.frame(clock.now_ms, writer.take(), 5 * ROWS + 1))
        clock.now_ms += WINDOW_MS
        store.checkpoint(clock.now_ms - WINDOW_MS)
    store.close()
    assert BEGIN_MS == 1_700_000_000_000
    return {"amount": amounts, "country": countries}


def run(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(["reference", "from-store", *words.split()])
    return (code, *capsys.readouterr())


def test_the_bins_of_a_reference_are_kept(
    store: dict[str, list[float] | list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    like().save("old.ref")
    code, out, err = run(f"--model fraud --version 4 {PERIOD} --data store --like old.ref --format json", capsys)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["rows"], told["features"], told["file"]) == (WINDOWS * ROWS, 2, "fraud-4.ref")
    reference = Reference.load("fraud-4.ref")
    amount, country = reference.features["amount"], reference.features["country"]
    values = np.array(store["amount"], dtype=float)
    below, above = int((values < 0).sum()), int((values > 40).sum())
    assert amount.edges == EDGES
    assert amount.counts == (below, *np.histogram(values, EDGES)[0].tolist(), above)
    assert sum(amount.sums) == pytest.approx(values.sum(), rel=1e-9)
    assert (amount.count, amount.null_count) == (len(values), WINDOWS)
    assert amount.spread is not None
    assert (amount.spread.min, amount.spread.max) == (values.min(), values.max())
    expected = [store["country"].count(name) for name in ("DE", "FR", "IT")]
    assert (country.kind, country.categories, list(country.category_counts)) == (CATEGORY, NAMES, expected)
    assert list(reference.outputs) == [PREDICTION]
    assert (reference.model, reference.version, reference.windows) == ("fraud", "4", WINDOWS)
    assert 100 < amount.kappa0 <= WINDOWS * ROWS
    assert reference.source.startswith("2023-11-14T22:13:20")


def test_without_a_reference_bins_are_made_of_histograms(
    store: dict[str, list[float] | list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(f"--model fraud {PERIOD} --data store --out new.ref", capsys)
    assert code == 0
    assert "new.ref: the reference" in out
    assert "--like FILE keeps the bins of a reference" in err
    reference = Reference.load("new.ref")
    amount, country = reference.features["amount"], reference.features["country"]
    values = np.array(store["amount"], dtype=float)
    assert amount.kind == NUMBER
    assert 60 < len(amount.edges) <= 130
    assert amount.counts == (0, *np.histogram(values, amount.edges)[0].tolist(), 0)
    assert sum(amount.sums) == pytest.approx(values.sum(), rel=0.006)
    assert country.category_counts == (*(store["country"].count(name) for name in country.categories), 0)
    assert {*country.categories} == {"DE", "FR", "IT"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (f"{PERIOD} --data store", 2, "--model NAME"),
        ("--model fraud --data store", 2, "expected: obsagent reference from-store --model NAME --from TIME"),
        ("--model fraud --from yesterdy --data store", 2, "yesterdy"),
        (f"--model frod {PERIOD} --data store", 1, "no value of a feature of frod is kept of that time"),
        (f"--model fraud --version 5 {PERIOD} --data store", 1, "no value of a feature of fraud is kept"),
        ("--model fraud --from 2023-11-15T01:00Z --to 2023-11-15T02:00Z --data store", 1, "no value of a feature"),
        (f"--model fraud {PERIOD} --data nowhere", 1, "nowhere"),
        (f"--model fraud {PERIOD} --data store --like none.ref", 1, "none.ref cannot be read"),
        (f"--model fraud {PERIOD} --truth x", 2, "--truth is for `reference fit`"),
    ],
)
def test_what_does_not_fit_is_said(
    words: str, code: int, says: str, store: dict[str, list[float] | list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(words, capsys)
    assert (found, out) == (code, "")
    assert says in err


@pytest.mark.parametrize(
    "values",
    [
        [Random(1).gauss(0, 1) for _ in range(3_000)],
        [Random(2).lognormvariate(3, 2) for _ in range(3_000)],
        [float(row % 6) for row in range(600)],
        [1.0] * 5,
        [0.0],
        [-3.0, -2.0, 0.0, 1e308, -1e308],
    ],
)
def test_counts_over_edges_at_the_ends_of_buckets_are_exact(values: list[float]) -> None:
    hist = LogHist(6)
    hist.add_many(values)
    edges = edges_of(hist)
    counts, sums = counts_of(hist, edges)
    assert counts == (0, *np.histogram(values, edges)[0].tolist(), 0)
    assert len(sums) == len(counts) <= 131
    assert edges_of(LogHist(6)) == ()
    assert counts_of(LogHist(6), ()) == ((), ())
