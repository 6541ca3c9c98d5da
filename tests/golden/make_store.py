"""Writes a store as an agent of this version leaves it when it is killed, and says what is in it.

    python tests/golden/make_store.py tests/golden/store_N

Segments of 10 s, rolled-up ones of 1 min and 1 h, a ledger, and a journal that holds more than all of them. What is in
it goes to `store_N.json`; `tests/unit/test_golden.py` compares. Done once for each version of the journal or the store.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from obsagent._native.codec import Groups
from obsagent._native.sketch import Column
from obsagent.answer.known import known
from obsagent.fs import Fs
from obsagent.head.budgets import Budgets
from obsagent.head.entries import Records
from obsagent.head.shelf import KEEP_MS
from obsagent.head.store import Store
from obsagent.head.view import View
from obsagent.limits import WINDOW_MS
from obsagent.samples import Kind, Series
from obsagent.sketches import LogHist
from unit import by_id_lab as lab
from unit.store_lab import BEGIN_MS, Producer, TurnedClock, begin, make_body, make_exemplars

WINDOWS = 5
HOUR_MS = 3_600_000
BACKFILLED_MS = 5 * 86_400_000


def make(directory: Path) -> Store:
    """Two sessions over five windows; the last batches are in the journal only."""
    chance, clock = random.Random(2), TurnedClock()
    budgets = Budgets(segment_file_age_ms=2 * WINDOW_MS)
    store = Store.open(directory, clock=clock, budgets=budgets, fs=Fs())
    producers = [Producer("p"), Producer("q", service="bank", worker=1)]
    for producer in producers:
        begin(store, producer, list(Kind))
    for window in range(WINDOWS):
        for producer in producers:
            late_ms = WINDOW_MS if window % 2 else 0
            at_ms = clock.now_ms - late_ms
            body = make_body(enumerate(producer.defined), chance)
            exemplars = make_exemplars(producer.defined, at_ms, chance) if window else ()
            store.write(producer.frame(at_ms, *body, exemplars=exemplars))
            store.write(producer.happens(clock.now_ms))
            keep(store, producer, window)
            store.sync()
        if window == 2:
            store.records.flush()
        clock.now_ms += WINDOW_MS
        if window < WINDOWS - 1:
            store.checkpoint(clock.now_ms - WINDOW_MS)
    store.reach_back(2 * BACKFILLED_MS)
    hour_ms = (BEGIN_MS - BACKFILLED_MS) // HOUR_MS * HOUR_MS
    store.write(producers[0].backfill(hour_ms, *make_body(enumerate(producers[0].defined), chance)))
    store.write(producers[0].refusal(clock.now_ms, 3))
    store.sync()
    while store.maybe_compact(clock.now_ms) or store.maybe_roll_up(clock.now_ms):
        pass
    store.maybe_retire(clock.now_ms)
    clock.now_ms += KEEP_MS
    store.maybe_retire(clock.now_ms)
    return store


def keep(store: Store, producer: Producer, window: int) -> None:
    """A prediction and a row of each window, and the truth of the window before."""
    name, before = f"{producer.name}-{window}", f"{producer.name}-{window - 1}"
    batches = [
        lab.predictions([name], lab.classes("ok" if window % 2 else "fraud"), [window / 10], at_ms=BEGIN_MS + window),
        lab.truths([before], lab.classes("fraud"), at_ms=BEGIN_MS + window),
        lab.rows([name], [{"amount": window, "country": "DE", "age": None}]),
    ]
    for number, batch in enumerate(batches, 3 * window + 1):
        store.write(Records(producer.session, number, 0, 1, batch))


def records_in(ledger: Any) -> dict[str, Any]:
    """Id → what is known by it."""
    ids = [f"{name}-{window}" for name in "pq" for window in range(-1, WINDOWS)]
    return {text: known(text, None, ledger) for text in ids}


def contents(view: View) -> dict[str, Any]:
    """Series, and what each of them has in each window."""
    series = view.series()
    rows = []
    for window in range(WINDOWS + 1):
        at_ms = BEGIN_MS - BEGIN_MS % WINDOW_MS + window * WINDOW_MS
        rows += [row for row in (row_of(view, one, at_ms) for one in series) if row["samples"]]
    return {
        "series": [[one.id, one.metric, int(one.kind), one.labels] for one in series],
        "accounts": view.accounts(0, 1 << 60),
        "contents": rows,
        "exemplars": exemplars_in(view),
    }


def exemplars_in(view: View) -> list[list[Any]]:
    """Those of each series and window of 10 s."""
    begin_ms = BEGIN_MS - BEGIN_MS % WINDOW_MS
    found = view.collect_exemplars([one.id for one in view.series()], begin_ms, begin_ms + WINDOWS * WINDOW_MS)
    return [
        [each.series_id, each.window_ms, each.value, each.time_ms, each.trace_id, each.request_id] for each in found
    ]


def row_of(view: View, series: Series, at_ms: int) -> dict[str, Any]:
    groups = Groups({series.id: 0}, 1)
    view.collect(at_ms, at_ms + 1, groups)
    encoded = groups.histogram(0)
    return {
        "window_ms": at_ms,
        "series": series.id,
        "samples": groups.samples(0),
        "counter": groups.counter(0),
        "gauge": groups.gauge(0),
        "histogram": encoded and described(LogHist._from_compact(encoded)),
        "column": column_in(groups),
    }


def column_in(groups: Groups) -> dict[str, Any] | None:
    """What merges exactly of a column."""
    encoded = groups.column(0)
    if encoded is None:
        return None
    column = Column._from_compact(encoded)
    return {
        "counts": [column.null_count, column.wrong_type_count, column.category_count, column.moments.count],
        "edges": column.edge_counts and [list(column.edge_counts), list(column.edge_sums or ())],
        "top": column.topk and [[key, count] for key, count in column.topk.items()],
        "distinct": column.hll and column.hll.count(),
    }


def described(hist: LogHist) -> dict[str, Any]:
    values = {name: getattr(hist, name) for name in ("count", "sum", "min", "max")}
    return {"buckets": [list(map(int, column)) for column in hist.buckets()], **values}


def main() -> None:
    """Nothing is closed: it is as if the agent had been killed."""
    directory = Path(sys.argv[1])
    store = make(directory)
    what = {**contents(store.view()), "records": records_in(store.records.view())}
    found = json.dumps(what, sort_keys=True, separators=(",", ":"))
    directory.with_suffix(".json").write_text(found + "\n")
    store._journal.close()
    (directory / "store.lock").unlink()


if __name__ == "__main__":
    main()
