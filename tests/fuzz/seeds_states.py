"""Seeds of counts of performance, and of what is remembered of drift and of harm."""

from __future__ import annotations

from fuzz.seeds_native import Seeds
from obsagent.evaluate import state as drift
from obsagent.evaluate.chart import Chart
from obsagent.evaluate.family import Alarm, ChartKey
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import Counted, Judged
from obsagent.harm import state as harm
from obsagent.harm.allowed import Known
from obsagent.harm.episode import DUE, STARTED, Episode, Told
from obsagent.harm.track import Losses, Rule, Track
from obsagent.performance import BinaryCounts, ClassCounts, RankingSums, RegressionSums

FRAUD = Judged("fraud", "4", "live")
AT_MS = 1_700_000_000_000


def performance_seeds() -> Seeds:
    binary = BinaryCounts()
    binary.update([0, 1, 1, 0, 1], [0, 1, 0, 1, 1], [0.1, 0.9, 0.4, None, 0.8])
    binary.update_predictions([1, 0], [0.5, None])
    yield "binary", binary.to_bytes()
    margins = BinaryCounts(-10.0, 10.0)
    margins.update([0, 1, 1], [0, 1, 1], [-9.0, 3.0, 0.0])
    yield "binary_of_margins", margins.to_bytes()
    classes = ClassCounts(["ant", 2, None])
    classes.update(["ant", 2, None], ["ant", "ant", 2], [[1 / 3] * 3] * 3)
    yield "classes", classes.to_bytes()
    numbers = RegressionSums()
    numbers.update([1.0, 2.0, 0.0, 5.0], [1.5, -7.0, 1e-300, 5.0])
    yield "regression", numbers.to_bytes()
    sums = RegressionSums.from_arrays(2, (1.0, 3.0, 5.0), (0.0, 2.0), bins=([-5, 7], [1, 1]))
    yield "regression_of_sums", sums.to_bytes()
    ranking = RankingSums((1, 3))
    ranking.update([[1, 0], [0, 0, 2]], [[0.1, 0.2], [1, 2, 3]])
    yield "ranking", ranking.to_bytes()


def state_seeds() -> Seeds:
    yield "drift", drift.encode(_drift())
    yield "drift_of_nothing", drift.encode(drift.State())
    yield "harm", harm.encode(_harm())
    yield "harm_of_nothing", harm.encode(harm.State())


def _drift() -> drift.State:
    state = drift.State()
    alarm = Alarm("amount", "1a2b3c4d", "", "1h", 10_000, 20_000, 31.5)
    families = state.families(FRAUD)
    families["10s"].next_ms = 30_000
    families["10s"].charts[ChartKey("amount", "1a2b3c4d")] = Chart(1.5, 2.5, 10_000, 7, 30_000, 0.25, 120, 0, True)
    families["10s"].charts[ChartKey("land", "1a2b3c4d", "Käse=\x1b[0m ")] = Chart()
    families["1h"].charts[alarm.key] = Chart(0.5, 31.5, 10_000, 3, 20_000, 20.0, 50)
    families["1h"].alarms[alarm.key] = alarm
    state.has_ended(FRAUD, [Alarm("old", "1a2b3c4d", "", "10s", 1, 2, 31.5, 3)])
    state.totals[Counted(FRAUD, "amount", "", "10s")] = 3
    state.settings["fraud"] = Settings(days=7)
    return state


def _harm() -> harm.State:
    """A version in harm by its reference, one of numbers that is still learnt, and one that has learnt."""
    live = {"": _track("error", Known(50.0, 500, "reference 1a2b3c4d"), 0.4), "land=Käse": _track("brier", None, 0.1)}
    numbers = {"": _track("absolute", None, 3.0, 1_200), "land=DE": _track("squared", None, 3.0, 10, bound=20.0)}
    versions = {FRAUD: harm.Version(live, AT_MS), Judged("price", "1", ""): harm.Version(numbers, AT_MS, False)}
    episode = Episode("0123456789abcdef", FRAUD, "land=Käse", AT_MS, AT_MS + 1, {"model": "fraud", "slices": [{}]})
    episode.ways = {"command": Told(STARTED, 1), "webhook": Told(DUE, 2, "answered 503", 503, 7)}
    over = Episode("fedcba9876543210", FRAUD, "", 1, 2, is_recorded=True)
    over.end(3, "version 4 answers instead")
    return harm.State(12_345, versions, [over, episode])


def _track(loss: str, known: Known | None, risk: float, rows: int = 300, bound: float = 0.0) -> Track:
    track = Track(Rule(loss, 0.02, 30 * 86_400_000, 0.5, known, bound))
    for minute in range(4):
        losses = risk * rows
        track.take(Losses(rows, losses, losses * max(risk, 1.0), AT_MS + 60_000 * minute))
    return track
