"""What does it cost the agent to be scraped by Prometheus?"""

from __future__ import annotations

from benchmarks import days
from benchmarks.agents import scratch
from benchmarks.measure import Arm, Effort, interleave, repeating
from benchmarks.report import Row, Table, byte_size, comparison, nanoseconds
from benchmarks.stores import StandingClock
from obsagent._native.codec import Groups
from obsagent.export.exporter import Exporter
from obsagent.export.negotiate import NATIVE, OPENMETRICS, TEXT
from obsagent.head.store import Store
from obsagent.head.totals import RunningTotals
from obsagent.sketches import LogHist

SERIES = 1_000
SAMPLES = 20
FORMATS = {"**protobuf**": NATIVE.content_type, "OpenMetrics": OPENMETRICS, "classic text": TEXT}


def run(effort: Effort) -> list[Table]:
    """Each format over merging the same totals; the blocks have been read by an earlier scrape."""
    series_count = effort.size(SERIES, 20)
    with scratch() as directory:
        day = days.write(directory, hours=1, series_count=series_count, samples=SAMPLES)
        store = Store.open(directory, clock=StandingClock(day.end_ms))
        table = _table(store, series_count, effort)
        store.close()
    return [table]


def _table(store: Store, series_count: int, effort: Effort) -> Table:
    exporter = Exporter(store.view, lambda: None)
    totals = RunningTotals()
    arms = [Arm("merge the totals", repeating(_merge, store, totals))]
    sizes = []
    for name, accept in FORMATS.items():
        arms.append(Arm(name, repeating(exporter.scrape, accept)))
        sizes.append(f"{name.strip('*')} {byte_size(len(exporter.scrape(accept).body))}")
    reference, *timings = interleave(arms, effort)
    rows = [Row(reference.name, None, nanoseconds(reference))]
    rows += [Row(timing.name, timing.over(reference), nanoseconds(timing)) for timing in timings]
    occupied = sum(len(each) for each in _buckets(store, totals)) / series_count
    note = f"About {occupied:.0f} buckets a series. An answer has: {', '.join(sizes)}."
    return comparison(f"A scrape of {series_count:,} histograms", "merging", rows, note)


def _buckets(store: Store, totals: RunningTotals) -> list[list[int]]:
    """The occupied buckets of every series."""
    every = store.view().series()
    groups = _merge(store, totals)
    encoded = (groups.histogram(index) for index in range(len(every)))
    return [LogHist._from_compact(each).buckets()[0] for each in encoded if each is not None]


def _merge(store: Store, totals: RunningTotals) -> Groups:
    view = store.view()
    every = view.series()
    groups = Groups({series.id: index for index, series in enumerate(every)}, len(every))
    totals.collect(view, groups)
    return groups
