"""Harm as it is judged: when it is said, of what, how seldom falsely, and when it is over."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from harm_lab import BEGIN_MS, DAY_MS, HOUR_MS, LIVE, Bench

from obsagent.answer.instants import iso_utc
from obsagent.answer.language import parse
from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import FIRST_TRUTHS, Known
from obsagent.harm.drifted import drifted_of, words_of
from obsagent.harm.evidence import evidence_of
from obsagent.harm.judge import worst_slices
from obsagent.harm.readings import EVALUE, RISK, risk_readings
from obsagent.harm.report import harm_report
from obsagent.limits import HARM_FIRST_TRUTHS, HARM_SLICES

KNOWN = Known(2_000.0, 20_000, "reference 1a2b3c4d")
NEXT = Judged("fraud", "5", "live")


def with_reference(*_: str) -> Known:
    return KNOWN


def test_a_stable_stream_is_not_recommended_whatever_happens_to_its_slices() -> None:
    bench = Bench(with_reference)
    for number in range(40):
        found = bench.add(2_500, 0.11, slice_={"country": f"c{number % 20}"})
        assert found.raised == []
    assert bench.state.versions[LIVE].tracks[""].rows == 100_000
    assert bench.state.episodes == []


def test_a_million_truths_at_the_risk_of_the_reference_recommend_nothing() -> None:
    bench = Bench(with_reference)
    bench.stream.rate = 100_000
    for _ in range(20):
        bench.stream.add(50_000, 0.1)
        bench.look()
        bench.stream.rows.clear()
        bench.state.position = -1
    assert bench.state.versions[LIVE].tracks[""].rows == 1_000_000
    assert bench.state.episodes == []


def test_harm_is_found_and_dated() -> None:
    bench = Bench(with_reference)
    assert not bench.add(20_000, 0.1).raised
    began_ms = bench.stream.now_ms
    ((episode, harm),) = bench.add(4_000, 0.25).raised
    assert abs(episode.since_ms - began_ms) < HOUR_MS / 10
    assert (episode.judged, episode.slice) == (LIVE, "")
    assert harm.lower >= harm.limit == pytest.approx(0.1 + 0.0056 + 0.02, abs=0.001)
    assert harm.risk == pytest.approx(0.25, abs=0.05)
    assert bench.add(20_000, 0.25).raised == []


def test_without_a_reference_the_first_truths_say_what_may_be() -> None:
    bench = Bench()
    bench.add(20_000, 0.3)
    track = bench.state.versions[LIVE].tracks[""]
    assert track.known is not None
    assert HARM_FIRST_TRUTHS <= track.known.rows < HARM_FIRST_TRUTHS + 200
    assert track.known.source == FIRST_TRUTHS
    assert bench.add(5_000, 0.45).raised


def test_a_slice_is_compared_with_itself_and_named() -> None:
    bench = Bench(with_reference)
    bench.stream.rate = 200_000
    for _ in range(50):
        bench.stream.add(400, 0.05, slice_={"country": "DE"})
        bench.stream.add(100, 0.25, slice_={"country": "FR"})
    bench.look()
    assert bench.state.episodes == []
    for _ in range(30):
        bench.stream.add(900, 0.05, slice_={"country": "DE"})
        bench.stream.add(100, 0.45, slice_={"country": "FR"})
    bench.look()
    (episode,) = bench.state.episodes
    assert episode.slice == "country=FR"
    assert worst_slices(bench.state.versions[LIVE])[0][0] == "country=FR"


def test_truths_of_a_minute_that_are_sorted_are_judged_as_a_mixture() -> None:
    bench = Bench(with_reference)
    bench.stream.rate = 10_000_000
    for _ in range(10):
        bench.stream.now_ms += 60_000 - bench.stream.now_ms % 60_000
        bench.stream.add(9_000, 0.02)
        bench.stream.add(1_000, 0.9)
        bench.look()
    assert bench.state.versions[LIVE].tracks[""].rows == 100_000
    assert bench.state.episodes == []


def test_slices_are_bounded() -> None:
    bench = Bench()
    for number in range(HARM_SLICES + 10):
        bench.add(100, 0.1, slice_={"user": str(number)})
    assert len(bench.state.versions[LIVE].tracks) == HARM_SLICES + 1


@pytest.mark.parametrize("variant", ["canary", "shadow"])
def test_what_does_not_answer_is_judged_and_not_recommended(variant: str) -> None:
    bench = Bench(with_reference)
    assert bench.add(20_000, 0.3, Judged("fraud", "5", variant)).raised == []
    (model,) = harm_report(bench.state)["models"]
    assert (model["variant"], model["is_harmful"]) == (variant, True)


def test_an_episode_ends_when_the_risk_is_allowed_again_and_the_cool_down_holds() -> None:
    bench = Bench(with_reference, cooldown_ms=DAY_MS)
    bench.add(10_000, 0.3)
    (episode,) = bench.state.episodes
    found = bench.add(20_000, 0.08)
    assert found.ended == [episode]
    assert episode.why == "the risk is below what is allowed again"
    assert not bench.add(10_000, 0.3).raised
    bench.stream.now_ms += DAY_MS
    assert bench.add(10_000, 0.3).raised
    assert len(bench.state.episodes) == 2


def test_an_episode_ends_when_another_version_answers_instead() -> None:
    bench = Bench(with_reference)
    bench.add(10_000, 0.3)
    (episode,) = bench.state.episodes
    bench.add(500, 0.1, NEXT)
    assert episode.is_open  # both answer
    bench.stream.now_ms += HOUR_MS
    assert bench.add(100, 0.1, NEXT).ended == [episode]
    assert episode.why == "version 5 answers instead"


def test_a_version_that_nobody_replaces_goes_on_doing_harm() -> None:
    bench = Bench(with_reference)
    bench.add(10_000, 0.3)
    bench.stream.now_ms += DAY_MS
    bench.add(500, 0.1, Judged("fraud", "5", "shadow"))
    assert bench.look().ended == []
    assert bench.state.episodes[0].is_open


def test_numbers_are_judged_in_units_of_their_first_ones() -> None:
    bench = Bench()

    def error(size: float) -> object:
        return lambda chance: abs(chance.gauss(0, size))

    bench.add(50_000, 0, draw=error(10.0))
    assert bench.state.episodes == []
    current = bench.state.versions[LIVE].tracks[""].current()
    assert current is not None
    assert current[0] == pytest.approx(8.0, rel=0.05)
    bench.add(10_000, 0, draw=error(14.0))
    (episode,) = bench.state.episodes
    assert episode.slice == ""
    assert bench.state.versions[LIVE].tracks[""].rule.loss == "absolute"


def test_a_few_huge_errors_of_numbers_are_no_harm() -> None:
    bench = Bench()
    bench.add(20_000, 0, draw=lambda chance: abs(chance.gauss(0, 1)))
    bench.add(20_000, 0, draw=lambda chance: abs(chance.gauss(0, 1)) if chance.random() > 1e-4 else 1e6)
    assert bench.state.episodes == []


def test_a_loss_that_does_not_fit_is_the_default() -> None:
    bench = Bench(loss="absolute")
    bench.add(2_000, 0.1)
    assert bench.state.versions[LIVE].tracks[""].rule.loss == "error"


def test_another_tolerance_counts_at_once_and_keeps_what_was_learnt() -> None:
    bench = Bench()
    bench.add(20_000, 0.1)
    before = bench.state.versions[LIVE].tracks[""]
    bench.config = replace(bench.config, tolerance=0.2)
    bench.judge.forget_rules()
    bench.add(20_000, 0.25)
    assert bench.state.episodes == []
    after = bench.state.versions[LIVE].tracks[""]
    assert after.known == before.known
    assert after.rows == 40_000


def test_another_reference_begins_anew() -> None:
    known = [KNOWN]
    bench = Bench(lambda *_: known[0])
    bench.add(20_000, 0.1)
    known[0] = Known(6_000.0, 20_000, "reference 2")
    bench.judge.forget_rules()
    bench.add(20_000, 0.25)
    assert bench.state.versions[LIVE].tracks[""].rows == 20_000
    assert bench.state.episodes == []


def test_a_change_of_the_error_is_dated_though_it_is_no_harm() -> None:
    bench = Bench(with_reference)
    bench.add(20_000, 0.1)
    began_ms = bench.stream.now_ms
    bench.add(20_000, 0.02)
    track = bench.state.versions[LIVE].tracks[""]
    assert abs(track.changed_ms - began_ms) < HOUR_MS / 5
    assert bench.state.episodes == []


def test_the_rate_is_that_of_the_fullest_day() -> None:
    bench = Bench(with_reference)
    bench.add(300_000, 0.1)
    track = bench.state.versions[LIVE].tracks[""]
    assert track.alpha == pytest.approx(0.5 / (160_000 * 365), rel=0.05)
    bench.config = replace(bench.config, false_alarms_ms=30 * DAY_MS)
    bench.judge.forget_rules()
    bench.add(100, 0.1)
    assert track.alpha == pytest.approx(0.5 / (160_000 * 30), rel=0.05)


def test_the_evidence_is_json_and_says_it_all() -> None:
    bench = Bench(with_reference)
    bench.add(10_000, 0.1, slice_={"country": "DE"})
    ((episode, harm),) = bench.add(4_000, 0.3, slice_={"country": "DE"}).raised
    report = {
        "features": [
            {"feature": "age", "alarm": None, "severity": 3.0},
            {"feature": "amount", "alarm": {"since": "2026-01-01", "log10_evalue": 9.0}, "severity": 2.0},
        ]
    }
    drifted = drifted_of(report)
    version = bench.state.versions[LIVE]
    now_ms = int(bench.stream.now_ms)
    asked_ms: list[int] = []

    def drifted_until(_: Judged, until_ms: int) -> list[dict[str, object]]:
        asked_ms.append(until_ms)
        return drifted

    evidence = evidence_of(episode, harm, version, bench.stream, drifted_until, now_ms)
    assert asked_ms == [version.last_ms]
    assert json.loads(json.dumps(evidence, allow_nan=False)) == evidence
    assert [each["feature"] for each in evidence["features"]] == ["amount"]
    assert evidence["worst_slice"]["slice"] == "country=DE"
    assert evidence["reference"]["source"] == "reference 1a2b3c4d"
    assert evidence["difference"] == pytest.approx(harm.risk - 0.1)
    assert evidence["risk"]["lower"] <= harm.risk <= evidence["risk"]["upper"]
    assert evidence["since"].startswith("2026-01-01T0")
    assert evidence["since"] < evidence["newest_truth"] <= iso_utc(now_ms)
    assert evidence["maturity"]["share"] == 1.0


def test_what_is_wrong_with_its_parts_leaves_the_evidence() -> None:
    bench = Bench(with_reference)
    ((episode, harm),) = bench.add(10_000, 0.3).raised

    def fails(*_: object) -> list[dict[str, object]]:
        raise ValueError("no view")

    evidence = evidence_of(episode, harm, bench.state.versions[LIVE], bench.stream, fails, BEGIN_MS)
    assert (evidence["features"], evidence["model"]) == ([], "fraud")


def test_what_is_stored_of_it() -> None:
    bench = Bench(with_reference)
    bench.add(10_000, 0.3, slice_={"country": "DE"})
    readings = {(each.instrument, each.labels.get("country")): each for each in risk_readings(bench.state, [LIVE])}
    assert readings.keys() == {(RISK, None), (RISK, "DE"), (EVALUE, None), (EVALUE, "DE")}
    assert readings[RISK, None].labels == {"model": "fraud", "version": "4", "variant": "live"}
    assert readings[RISK, None].value == pytest.approx(0.3, abs=0.02)
    assert risk_readings(bench.state, [Judged("gone", "", "")]) == []


def test_the_report_on_drift_is_asked_for_one_version() -> None:
    """Of the days before the truths, which may be of last year."""
    words = words_of(Judged('a "b" \\', "4", ""), 1_767_254_400_000)
    days = "from 2025-12-25T08:00:00.000Z to 2026-01-01T08:00:00.000Z"
    assert words == f'model="a \\"b\\" \\\\" version="4" {days}'
    assert parse(f"psi {words}").has_range


def test_the_same_truths_give_the_same_verdict_however_they_are_read() -> None:
    one, other = Bench(with_reference), Bench(with_reference)
    for risk in (0.1, 0.3):
        one.stream.add(4_000, risk)
        for _ in range(40):
            other.stream.add(100, risk)
            other.judge.take(other.stream.arrivals(other.state.position), int(other.stream.now_ms))
    for bench in (one, other):
        bench.look()
    (first,), (second,) = one.state.episodes, other.state.episodes
    assert (first.since_ms, first.slice) == (second.since_ms, second.slice)
    assert one.state.versions[LIVE].tracks[""].to_plain() == other.state.versions[LIVE].tracks[""].to_plain()
