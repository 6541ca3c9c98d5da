"""Detectors on streams: what river's find (golden/drift/detections.json), states, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from golden.drift.streams import ERRORS, NUMBERS
from obsagent.drift import ADWIN, DDM, HDDM_A, HDDM_W, DriftError, PageHinkley

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "drift" / "detections.json").read_text(encoding="utf-8"))
CLASSES: dict[str, Any] = {cls.__name__: cls for cls in (ADWIN, PageHinkley, DDM, HDDM_A, HDDM_W)}
STREAMS: dict[str, list[float]] = {**ERRORS, **NUMBERS}


def named(case: dict[str, Any]) -> str:
    return " ".join([case["detector"], *(f"{key}={value}" for key, value in case["settings"].items())])


@pytest.mark.parametrize("name", dict.fromkeys(map(named, GOLDEN["cases"])))
def test_detections_are_those_of_river(name: str) -> None:
    same = [case for case in GOLDEN["cases"] if named(case) == name]
    assert len(same) >= len(ERRORS)
    assert sum(len(case["drifts"]) for case in same) > 0
    for case in same:
        detector = CLASSES[case["detector"]](**case["settings"])
        drifts, warnings = [], set()
        for position, value in enumerate(STREAMS[case["stream"]]):
            if detector.update(value):
                drifts.append(position)
            if getattr(detector, "warning_detected", False):
                warnings.add(position)
        assert drifts == case["drifts"], case["stream"]
        assert warnings == {at for first, last in case["warnings"] for at in range(first, last + 1)}, case["stream"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_detector_goes_on_from_its_state_as_if_nothing_had_been(name: str) -> None:
    stream = ERRORS["slowly more errors"]
    through, restarted = CLASSES[name](), CLASSES[name]()
    found = []
    for position, value in enumerate(stream):
        if position % 97 == 0:
            state = json.loads(json.dumps(restarted.to_state(), allow_nan=False))
            restarted = CLASSES[name].from_state(state)
            assert restarted.to_state() == through.to_state() == state
        found.append(through.update(value))
        assert restarted.update(value) == found[-1]
    assert any(found)


@pytest.mark.parametrize("name", CLASSES)
def test_settings_travel_with_the_state(name: str) -> None:
    settings: dict[str, Any] = {
        "ADWIN": {"delta": 0.1, "clock": 1},
        "PageHinkley": {"mode": "up", "threshold": 3.0},
        "DDM": {"warm_start": 7},
        "HDDM_A": {"two_sided_test": True},
        "HDDM_W": {"lambda_val": 0.2},
    }[name]
    found = CLASSES[name].from_state(CLASSES[name](**settings).to_state())
    assert {key: getattr(found, key) for key in settings} == settings


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_no_state_is_refused(name: str) -> None:
    cls = CLASSES[name]
    whole = cls().to_state()
    others = {**whole, "detector": "DDM" if name != "DDM" else "ADWIN"}
    for wrong in ({}, others, *({k: v for k, v in whole.items() if k != gone} for gone in whole)):
        with pytest.raises(DriftError, match=f"no state of a {name}"):
            cls.from_state(wrong)


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_no_value_is_refused_and_changes_nothing(name: str) -> None:
    detector = CLASSES[name]()
    detector.update(1)
    before = detector.to_state()
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(DriftError, match="finite"):
            detector.update(wrong)
    if detector.BOUNDED:
        with pytest.raises(DriftError, match="from 0 to 1"):
            detector.update(1.5)
    assert detector.to_state() == before


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DriftError, match="up, down, both"):
        PageHinkley(mode="sideways")


def test_the_window_of_adwin_holds_what_is_new() -> None:
    detector = ADWIN()
    for value in NUMBERS["a large step"]:
        detector.update(value)
    assert detector.width < 1_600  # of 3,000, half of them from before the step
    assert detector.estimation == pytest.approx(25.0, abs=0.2)
    assert detector.variance == pytest.approx(4 / 3, rel=0.2)
    assert len(detector.to_state()["rows"]) < 12


def test_adwin_bears_a_stream_without_any_variance() -> None:
    detector = ADWIN(clock=1)
    assert not any(detector.update(0.1) for _ in range(5_000))
    assert ADWIN().estimation == ADWIN().variance == 0.0
