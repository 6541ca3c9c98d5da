"""Planted shifts of every size, and none, as the agent judges them: found in time, and no alarm without one.

`python -m benchmarks drift_delay` tabulates the same beside three sigma, PSI > 0.2 and KS p < 0.05.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drift_delay import InTheAgent, shifted
from obsagent.drift import Null, ks, psi

OBSERVATIONS = 1_000
BINS = 32


def truth_of(seed: int) -> tuple[np.random.Generator, np.ndarray, list[int]]:
    chance = np.random.default_rng(seed)
    truth = chance.dirichlet(np.full(BINS, 50.0))
    return chance, truth, chance.multinomial(1_000_000, truth).tolist()


@pytest.mark.parametrize(
    ("divergence", "within"), [(0.001, 720), (0.003, 360), (0.01, 30), (0.03, 10), (0.1, 3), (0.5, 1)]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_shift_is_found_in_time_however_small(divergence: float, within: int, seed: int) -> None:
    """In windows of 10 s; what takes an hour is found by the hour."""
    chance, truth, reference = truth_of(seed)
    judges = InTheAgent(Null(reference))
    for counts in chance.multinomial(OBSERVATIONS, truth, 50).tolist():
        assert not judges(counts)
    moved = shifted(truth, divergence)
    found = next((n for n in range(1, within + 1) if judges(chance.multinomial(OBSERVATIONS, moved).tolist())), None)
    assert found is not None


def test_twenty_features_that_do_not_change_over_a_thousand_windows() -> None:
    """No alarm, where PSI is blind and KS alarms in every third window."""
    alarms, by_ks, by_psi = 0, 0, 0
    features = []
    for seed in range(20):
        chance, truth, reference = truth_of(seed)
        features.append((InTheAgent(Null(reference)), reference, chance.multinomial(OBSERVATIONS, truth, 1_000)))
    for window in range(1_000):
        found = [judges(counts[window].tolist()) for judges, _, counts in features]
        alarms += any(found)
        if window % 10 == 0:
            by_ks += any(ks(reference, counts[window]).p_value < 0.05 for _, reference, counts in features)
            by_psi += any(psi(reference, counts[window]) > 0.2 for _, reference, counts in features)
    assert alarms == 0
    assert by_psi == 0
    assert by_ks > 25
