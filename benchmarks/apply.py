"""What does it cost the agent to take a sample into its window?"""

from __future__ import annotations

from benchmarks import floor, loads
from benchmarks.measure import Arm, Effort, interleave, repeating
from benchmarks.report import Row, Table, at_most, comparison, nanoseconds
from obsagent._native.codec import BodyWriter, SeriesMap, Window, check_body
from obsagent.samples import Kind

LIMITS_NS = {1: 1.5, 16: 2.0, 1_000: 4.0, 20_000: 12.0}
SAMPLES = 80_000
SKETCHED = 1_000


def run(effort: Effort) -> list[Table]:
    """One table: a frame's samples over summing the same doubles."""
    values = loads.lognormal(SAMPLES)
    limits, arms = {}, [Arm("sum of the values, plain C loop", repeating(floor.load().add_up, values), SAMPLES)]
    for series_count, limit in LIMITS_NS.items():
        body = _runs(values, series_count)
        name = f"apply {SAMPLES:,} samples of {series_count:,} series"
        limits[name] = limit
        arms.append(_applying(name, body, series_count))
    arms.append(Arm("check the last of these frames", repeating(check_body, body), SAMPLES))
    for digest in (False, True):
        name = f"apply them as sketches of {SKETCHED:,} samples" + (", t-digests beside them" if digest else "")
        arms.append(_applying(name, _sketches(values, SAMPLES // SKETCHED, digest), SAMPLES // SKETCHED, digest))
    runs = _runs(values, SAMPLES // SKETCHED)
    arms.append(_applying("apply them one by one, t-digests kept", runs, SAMPLES // SKETCHED, digest=True))
    reference, *timings = interleave(arms, effort)
    rows = [Row(reference.name, None, nanoseconds(reference))]
    for timing in timings:
        goals = (at_most(timing.ns, limits[timing.name], "ns"),) if timing.name in limits else ()
        rows.append(Row(timing.name, timing.over(reference), nanoseconds(timing), goals))
    return [comparison("Time a sample", "summing", rows, "Every frame goes into the same warm window.")]


def _applying(name: str, body: bytes, series_count: int, digest: bool = False) -> Arm:
    series_map, window = SeriesMap(), Window()
    for series in range(series_count):
        series_map.set(series, series, int(Kind.HISTOGRAM), digest=digest)
    window.apply(body, series_map, 0)
    return Arm(name, repeating(window.apply, body, series_map, 0), SAMPLES)


def _runs(values: loads.Values, series_count: int) -> bytes:
    """The samples as they came, those of a series next to each other; a run holds at most 65,536."""
    body = BodyWriter()
    for series, run_of in enumerate(values.reshape(series_count, -1)):
        for first in range(0, len(run_of), 1 << 16):
            body.put_run(series, run_of[first : first + (1 << 16)])
    return body.take()


def _sketches(values: loads.Values, series_count: int, digest: bool) -> bytes:
    body = BodyWriter()
    for series, samples in enumerate(values.reshape(series_count, -1)):
        body.put_loghist(series, samples)
        if digest:
            body.put_tdigest(series, samples)
    return body.take()
