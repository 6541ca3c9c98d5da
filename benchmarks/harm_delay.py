"""How soon is retraining recommended when a model does harm, and how often when it does none, beside rules of thumb?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from benchmarks.measure import Effort
from benchmarks.report import Table, at_most
from obsagent.drift import ADWIN
from obsagent.performance import HarmDetector

Rule: TypeAlias = Callable[[int], bool]
"""Takes the errors of a batch; whether it recommends retraining."""

RISK = 0.1
TOLERANCE = 0.002
INCREASES = (0.01, 0.02, 0.05, 0.1)
ALPHA = 1e-8
BATCH = 100
BEFORE = 20_000  # truths without harm before it begins
REFERENCE = 100_000
P_LIMIT = 0.05
OURS = "**`HarmDetector`**"


def run(effort: Effort) -> list[Table]:
    """Two tables: truths until a recommendation, and false ones where the risk stays what it is."""
    return [_delays(effort), _false(effort)]


def _rules() -> dict[str, Rule]:
    detector = HarmDetector.of_reference(round(RISK * REFERENCE), REFERENCE, TOLERANCE, ALPHA)
    adwin, order = ADWIN(), np.random.default_rng(0)
    limit = RISK + 3 * math.sqrt(RISK * (1 - RISK) / (10 * BATCH))
    recent: list[int] = []

    def three_sigma(errors: int) -> bool:
        recent.append(errors)
        del recent[:-10]
        return len(recent) == 10 and sum(recent) / (10 * BATCH) > limit

    def z_test(errors: int) -> bool:
        return (errors / BATCH - RISK) / math.sqrt(RISK * (1 - RISK) / BATCH) > statistics.NormalDist().inv_cdf(
            1 - P_LIMIT
        )

    def watched(errors: int) -> bool:
        rose = False
        for each in order.permutation([1] * errors + [0] * (BATCH - errors)).tolist():
            before = adwin.estimation
            rose |= adwin.update(each) and adwin.estimation > before
        return rose

    rules: dict[str, Rule] = {
        OURS: lambda errors: detector.update(errors, BATCH),
        "ADWIN, upwards": watched,
        "three sigma of 1,000 truths": three_sigma,
        f"p < {P_LIMIT} a batch": z_test,
    }
    return rules


def _delays(effort: Effort) -> Table:
    seeds, before = range(effort.size(11, 2)), effort.size(BEFORE, 2_000)
    names = list(_rules())
    cells = []
    for increase in INCREASES:
        most = effort.size(200_000, 3_000)
        found = [_delay(increase, seed, before, most) for seed in seeds]
        cells.append([f"{increase:g}", *(_shown([run[name] for run in found], most) for name in names)])
    note = (
        f"Median of {len(seeds)} runs; risk {RISK:g} for {before:,} truths, then so much more; batches of {BATCH}. The "
        f"detector: a reference of {REFERENCE:,} truths, a tolerance of {TOLERANCE:g} beyond its upper bound, at most "
        f"one false recommendation in {1 / ALPHA:,.0f} truths. A recommendation of the others after the onset counts, "
        "though they give it without harm too, as the next table shows."
    )
    return Table("Truths until retraining is recommended", ["risk increased by", *names], cells, note)


def _shown(delays: list[int | None], most: int) -> str:
    median = statistics.median(most + 1 if each is None else each for each in delays)
    return f"{median:,.0f}" if median <= most else f"not in {most:,}"


def _delay(increase: float, seed: int, before: int, most: int) -> dict[str, int | None]:
    chance, rules = np.random.default_rng(seed), _rules()
    for errors in chance.binomial(BATCH, RISK, before // BATCH).tolist():
        for rule in rules.values():
            rule(errors)
    found: dict[str, int | None] = dict.fromkeys(rules)
    for batch in range(1, most // BATCH + 1):
        errors = int(chance.binomial(BATCH, RISK + increase))
        for name in [name for name, at in found.items() if at is None]:
            if rules[name](errors):
                found[name] = batch * BATCH
        if None not in found.values():
            break
    return found


def _false(effort: Effort) -> Table:
    streams, truths = effort.size(20, 2), effort.size(1_000_000, 5_000)
    few = effort.size(2, 1)  # ADWIN takes them one by one
    at_limit = HarmDetector.of_reference(round(RISK * REFERENCE), REFERENCE, TOLERANCE, ALPHA).limit
    ours, hardest = (_recommended(OURS, streams, truths, risk) for risk in (RISK, at_limit))
    goals = [at_most(count, ALPHA * truths * streams, "in all") for count in (ours, hardest)]
    cells = [
        [OURS, f"{ours} in {streams} streams", str(goals[0])],
        [f"{OURS}, a risk of just {at_limit:.4f}, its limit", f"{hardest} in {streams} streams", str(goals[1])],
    ]
    for name in list(_rules())[1:]:
        cells.append([name, f"{_recommended(name, few, truths, RISK):,} in {few} streams", ""])
    note = f"Streams of {truths:,} truths, in batches of {BATCH}; a risk of {RISK:g} all the time."
    missed = [f"False recommendations: {goal.text}" for goal in goals if not goal.met]
    return Table("Recommendations without harm", ["rule", "recommendations", "goal"], cells, note, missed)


def _recommended(name: str, streams: int, truths: int, risk: float) -> int:
    count = 0
    for seed in range(streams):
        rule = _rules()[name]
        errors = np.random.default_rng(10_000 + seed).binomial(BATCH, risk, truths // BATCH)
        count += sum(map(rule, errors.tolist()))
    return count
