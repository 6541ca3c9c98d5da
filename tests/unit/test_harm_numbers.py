"""Harm of models that predict numbers: against their reference, by absolute and by squared errors, within a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from harm_lab import LIVE, Bench
from reference_lab import errors_of, of_numbers

from obsagent.harm.allowed import FIRST_TRUTHS, SPREADS, Known, known_of_reference
from obsagent.harm.evidence import evidence_of
from obsagent.harm.feed import Arrived
from obsagent.harm.report import harm_report
from obsagent.harm.state import decode, encode
from obsagent.reference import Reference

ROWS = 20_000
SIZE = 10.0
GOLDEN = Path(__file__).parents[1] / "golden" / "harm_1.state"


def normal(size: float) -> Callable[[Random], float]:
    return lambda chance: abs(chance.gauss(0, size))


@cache
def reference() -> Reference:
    """Of normal errors."""
    errors = np.random.default_rng(1).normal(0, SIZE, ROWS)
    return replace(of_numbers(), rows=ROWS, errors=errors_of(errors.tolist(), [0.0] * ROWS))


def of_reference(_model: str, _version: str, loss: str, bound: float) -> Known | None:
    return known_of_reference(reference(), loss, lambda _: None, bound)


@pytest.mark.parametrize(("loss", "power"), [("absolute", 1), ("squared", 2)])
def test_the_risk_of_a_reference_is_what_numpy_says(loss: str, power: int) -> None:
    losses = np.abs(np.random.default_rng(1).normal(0, SIZE, ROWS)) ** power
    known = of_reference("m", "1", loss, 0.0)
    assert known is not None
    assert known.scale == pytest.approx(SPREADS[loss] * losses.mean())
    assert known.risk * known.scale == pytest.approx(losses.mean())
    assert known.spread * known.scale == pytest.approx(losses.std())
    assert (known.rows, known.source) == (ROWS, f"reference {reference().label}")
    bound = of_reference("m", "1", loss, 50.0)
    assert bound is not None
    assert bound.scale == 50.0**power
    assert bound.risk * bound.scale == pytest.approx(losses.mean())


def test_a_reference_without_errors_says_nothing_of_numbers() -> None:
    assert known_of_reference(of_numbers(errors=None), "squared", lambda _: None) is None
    assert known_of_reference(of_numbers(), "error", lambda _: None) is None


def test_errors_that_are_huge_or_none_have_a_risk() -> None:
    for errors in ([0.0] * 10, [1e69] * 10, [5e-324] * 10):
        for loss in SPREADS:
            known = known_of_reference(of_numbers(errors=errors_of(errors, [0.0] * 10)), loss, lambda _: None)
            assert known is not None
            assert 0 <= known.risk <= 1


@pytest.mark.parametrize("bound", [0.0, 80.0])
@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_a_stable_stream_recommends_nothing_and_a_planted_rise_is_found(loss: str, bound: float) -> None:
    bench = Bench(of_reference, loss=loss, bound=bound)
    assert not bench.add(100_000, 0, draw=normal(SIZE)).raised
    began_ms = bench.stream.now_ms
    ((episode, harm),) = bench.add(20_000, 0, draw=normal(SIZE * 1.4)).raised
    assert abs(episode.since_ms - began_ms) < 3_600_000
    then = SIZE * math.sqrt(2 / math.pi) if loss == "absolute" else SIZE**2
    track = bench.state.versions[LIVE].tracks[""]
    assert track.known is not None
    assert track.known.risk * track.scale == pytest.approx(then, rel=0.02)
    assert then < harm.limit <= harm.lower < harm.risk


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_without_a_reference_the_first_truths_say_what_may_be(loss: str) -> None:
    bench = Bench(loss=loss)
    bench.add(50_000, 0, draw=normal(SIZE))
    assert bench.state.episodes == []
    assert bench.add(20_000, 0, draw=normal(SIZE * 1.4)).raised


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_a_few_huge_errors_are_no_harm(loss: str) -> None:
    bench = Bench(of_reference, loss=loss)
    bench.add(40_000, 0, draw=lambda chance: abs(chance.gauss(0, SIZE)) if chance.random() > 1e-4 else 1e9)
    assert bench.state.episodes == []


def test_false_recommendations_stay_within_their_rate() -> None:
    """One in 200,000 truths is allowed: of 40 streams of 5,000, at the risk of the reference, one."""
    false = 0
    for seed in range(40):
        bench = Bench(of_reference, seed=seed, loss="squared", tolerance=0.0, false_alarms_ms=86_400_000)
        bench.add(5_000, 0, draw=normal(SIZE))
        false += len(bench.state.episodes)
    assert false <= 1


@pytest.mark.parametrize(
    ("config", "references", "error", "source"),
    [
        ({"loss": "squared"}, of_reference, 4 * SIZE, f"reference {reference().label}"),
        ({"loss": "absolute"}, of_reference, 8 * SIZE * math.sqrt(2 / math.pi), f"reference {reference().label}"),
        ({"loss": "squared", "bound": 60.0}, of_reference, 60.0, "configured"),
        ({"loss": "squared", "bound": 60.0}, lambda *_: None, 60.0, "configured"),
        ({"loss": "squared"}, lambda *_: None, 4 * SIZE, FIRST_TRUTHS),
    ],
)
def test_the_evidence_states_the_bound(config: Any, references: Any, error: float, source: str) -> None:
    bench = Bench(references, **config)
    bench.add(2_000, 0, draw=normal(SIZE))
    ((episode, harm),) = bench.add(20_000, 0, draw=normal(SIZE * 1.6)).raised
    evidence = evidence_of(episode, harm, bench.state.versions[LIVE], bench.stream, lambda *_: [], 0)
    assert evidence["bound"]["error"] == pytest.approx(error, rel=0.1)
    assert evidence["bound"]["source"] == source
    assert evidence["reference"]["risk"] < evidence["reference"]["upper"] < evidence["limit"] < evidence["risk"]["live"]
    assert harm_report(bench.state)["models"][0]["bound"] == evidence["bound"]


def test_classes_have_no_bound() -> None:
    bench = Bench(bound=5.0)
    bench.add(2_000, 0.1)
    assert bench.state.versions[LIVE].tracks[""].rule.bound == 0.0
    assert harm_report(bench.state)["models"][0]["bound"] is None


def test_another_bound_begins_anew() -> None:
    bench = Bench(of_reference, loss="squared", bound=60.0)
    bench.add(2_000, 0, draw=normal(SIZE))
    bench.config = replace(bench.config, bound=50.0)
    bench.judge.forget_rules()
    bench.add(1_000, 0, draw=normal(SIZE))
    assert bench.state.versions[LIVE].tracks[""].rows == 1_000


def test_truths_whose_fourth_powers_nobody_has_kept_say_nothing_of_squares() -> None:
    for loss, rows in (("squared", 0), ("absolute", 100)):
        bench = Bench(loss=loss)
        bench.stream.rows.append((0, Arrived(LIVE, {}, False, 1, 100, 0, 800.0, 1e4, math.nan)))
        bench.look()
        assert bench.state.versions[LIVE].tracks[""].rows == rows


def test_what_is_judged_comes_back_with_its_bound() -> None:
    bench = Bench(of_reference, loss="squared", bound=60.0)
    bench.add(2_000, 0, draw=normal(SIZE), slice_={"country": "DE"})
    found = decode(encode(bench.state))
    assert encode(found) == encode(bench.state)
    for slice_, track in found.versions[LIVE].tracks.items():
        assert (track.rule.bound, track.scale) == (60.0, 3_600.0), slice_


def test_a_state_of_version_1_keeps_its_scale() -> None:
    tracks = [track for version in decode(GOLDEN.read_bytes()).versions.values() for track in version.tracks.values()]
    scales = {track.rule.loss: track.scale for track in tracks if track.known}
    assert scales["error"] == 1.0
    assert scales["absolute"] == pytest.approx(8 * 3.0 * math.sqrt(2 / math.pi), rel=0.1)
