"""How soon is drift found, and how often is there an alarm without any, beside rules of thumb?"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from operator import add
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Effort
from benchmarks.report import Table, at_most
from obsagent.drift import ESR, DyadicESR, Null, e_bh, js_distance, ks, psi
from obsagent.evaluate.family import ChartKey, Evidence, Family
from obsagent.evaluate.levels import HOUR, WINDOW
from obsagent.evaluate.settings import Settings

Counts: TypeAlias = npt.NDArray[np.int64]
Shares: TypeAlias = npt.NDArray[np.float64]
Rule: TypeAlias = Callable[[list[int]], bool]

DIVERGENCES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.5)
ALPHA = 1e-4
FAMILY_ALPHA = 0.05
AS_CONFIGURED = Settings()
KEY = ChartKey("x", "")
BINS = 32
FEATURES = 20
OBSERVATIONS = 1_000
REFERENCE = 1_000_000
REFERENCE_WINDOWS = 200
BEFORE = 50  # windows before the change
PSI_LIMIT = 0.2
P_LIMIT = 0.05

AGENT = "**the agent**"
DYADIC = "**`DyadicESR`**"
SEVERAL = "**`e_bh` over features**"


def run(effort: Effort) -> list[Table]:
    """Two tables: windows until a planted shift is found, and false alarms where nothing changes."""
    return [_delays(effort), _false_alarms(effort)]


def _delays(effort: Effort) -> Table:
    seeds, most = range(effort.size(15, 2)), effort.size(1_000, 60)
    names = list(_rules(*_reference(np.random.default_rng(0))))
    cells = []
    for divergence in DIVERGENCES:
        found = [_delay(divergence, seed, most) for seed in seeds]
        cells.append([f"{divergence:g}", *(_shown([run[name] for run in found], most) for name in names)])
    note = (
        f"Median of {len(seeds)} runs; {OBSERVATIONS:,} observations a window in {BINS} bins, {BEFORE} windows without "
        f"a change before the shift, a reference of {REFERENCE:,}. Both detectors are set to at most one false alarm "
        f"in {1 / ALPHA:,.0f} windows, the agent, which judges windows of 10 s and hours, to {AS_CONFIGURED.rate}. An "
        "alarm of the others in a window after the shift counts as found, though they give it without a shift too, as "
        "the next table shows. The three-sigma rule is nannyml's: the distance is "
        f"above the mean and three standard deviations of that of {REFERENCE_WINDOWS} windows of the reference's time."
    )
    return Table("Windows until a shift is found", ["KL(before ‖ after)", *names], cells, note)


def _shown(delays: Sequence[int | None], most: int) -> str:
    median = statistics.median(most + 1 if each is None else each for each in delays)
    return f"{median:,.0f}" if median <= most else f"not in {most:,}"


def _delay(divergence: float, seed: int, most: int) -> dict[str, int | None]:
    """Windows until each rule gives an alarm; None for one that has not. An alarm before the shift is not told here."""
    chance = np.random.default_rng(seed)
    reference, truth = _reference(chance)
    rules = _rules(reference, truth)
    for counts in chance.multinomial(OBSERVATIONS, truth, BEFORE).tolist():
        for rule in rules.values():
            rule(counts)
    found: dict[str, int | None] = dict.fromkeys(rules)
    now = shifted(truth, divergence)
    for window in range(1, most + 1):
        counts = chance.multinomial(OBSERVATIONS, now).tolist()
        for name in [name for name, at in found.items() if at is None]:
            if rules[name](counts):
                found[name] = window
        if None not in found.values():
            break
    return found


def _reference(chance: np.random.Generator) -> tuple[list[int], Shares]:
    """Counts of about as many observations a bin, as over quantiles; the shares that they are drawn from."""
    truth: Shares = chance.dirichlet(np.full(BINS, 50.0))
    return chance.multinomial(REFERENCE, truth).tolist(), truth


def shifted(truth: Shares, divergence: float) -> Shares:
    """The same distribution, tilted over the bins, so that KL(truth ‖ it) is as asked, in nats."""
    slope = np.linspace(-1, 1, len(truth))
    low, high, tilted = 0.0, 50.0, truth
    for _ in range(80):
        middle = (low + high) / 2
        tilted = truth * np.exp(middle * slope)
        tilted /= tilted.sum()
        low, high = (middle, high) if (truth * np.log(truth / tilted)).sum() < divergence else (low, middle)
    return tilted


def _rules(reference: list[int], truth: Shares) -> dict[str, Rule]:
    null = Null(reference)
    dyadic, plain = DyadicESR(null, ALPHA), ESR(ALPHA)
    limit = _three_sigma(reference, truth)
    return {
        AGENT: InTheAgent(null),
        DYADIC: dyadic.update,
        "**`ESR`**": lambda counts: plain.update(null.log_e_value(counts)),
        "three sigma": lambda counts: js_distance(reference, counts) > limit,
        f"PSI > {PSI_LIMIT}": lambda counts: psi(reference, counts) > PSI_LIMIT,
        f"KS p < {P_LIMIT}": lambda counts: ks(reference, counts).p_value < P_LIMIT,
    }


class InTheAgent:
    """One feature as the agent judges it by default: every window, and every hour of them."""

    def __init__(self, null: Null) -> None:
        """Nothing has come."""
        self._null = null
        self._families = [Family(WINDOW), Family(HOUR)]
        self._hour = [0.0] * len(null.shares)
        self._count = 0

    def __call__(self, counts: list[int]) -> bool:
        """Takes a window; whether an alarm goes on."""
        self._judge(self._families[0], counts)
        self._hour = list(map(add, self._hour, counts))
        self._count += 1
        if self._count % (HOUR.window_ms // WINDOW.window_ms) == 0:
            self._judge(self._families[1], self._hour)
            self._hour = [0.0] * len(counts)
        return any(family.alarms for family in self._families)

    def _judge(self, family: Family, counts: Sequence[float]) -> None:
        level = family.level
        evidence = {KEY: Evidence(self._null.log_e_value(counts), int(sum(counts)))}
        to_ms = self._count * WINDOW.window_ms
        run_length = AS_CONFIGURED.run_length(level)
        family.judge(evidence, to_ms - level.window_ms, to_ms, alpha=AS_CONFIGURED.alpha, run_length=run_length)


def _three_sigma(reference: list[int], truth: Shares) -> float:
    windows = np.random.default_rng(1).multinomial(OBSERVATIONS, truth, REFERENCE_WINDOWS).tolist()
    distances = [js_distance(reference, window) for window in windows]
    return statistics.fmean(distances) + 3 * statistics.stdev(distances)


def _false_alarms(effort: Effort) -> Table:
    windows = effort.size(1_000, 40)
    chance = np.random.default_rng(3)
    features = [_reference(chance) for _ in range(FEATURES)]
    rules = [_rules(reference, truth) for reference, truth in features]
    nulls = [Null(reference) for reference, _ in features]
    counts = [chance.multinomial(OBSERVATIONS, truth, windows).tolist() for _, truth in features]
    any_alarm = dict.fromkeys([SEVERAL, *rules[0]], 0)
    for window in _windows(counts):
        logs = [null.log_e_value(each) for null, each in zip(nulls, window, strict=True)]
        any_alarm[SEVERAL] += bool(e_bh(logs, FAMILY_ALPHA, log=True))
        for name in rules[0]:
            alarms = [rule[name](each) for rule, each in zip(rules, window, strict=True)]
            any_alarm[name] += any(alarms)
    goals = {SEVERAL: FAMILY_ALPHA, AGENT: ALPHA * FEATURES, DYADIC: ALPHA * FEATURES, "**`ESR`**": ALPHA * FEATURES}
    cells, missed = [], []
    for name, count in any_alarm.items():
        goal = at_most(100 * count / windows, 100 * goals[name], "%") if name in goals else None
        cells.append([name, f"{count / windows:.1%}", str(goal or "")])
        missed += [f"False alarms: {name}, {goal.text}"] if goal and not goal.met else []
    note = f"{FEATURES} features of which none changes, {windows:,} windows of {OBSERVATIONS:,} observations."
    return Table("Windows with a false alarm", ["rule", "share of the windows", "goal"], cells, note, missed)


def _windows(counts: list[list[list[int]]]) -> Iterator[tuple[list[int], ...]]:
    """The counts of all features, window by window."""
    return zip(*counts, strict=True)
