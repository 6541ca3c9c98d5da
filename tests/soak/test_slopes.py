"""The long run can fail: a leak is seen through noise, jumps and sawteeth, and what only jumps is let pass."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from soak.slopes import Allowance, Measured, table, theil_sen
from soak.vitals import DESCRIPTORS, RESIDENT, THREADS, Vitals

SECONDS = range(60)


def measured(values: Iterator[float], rise: float = 3.0, most: float = float("inf")) -> Measured:
    found = Measured(Allowance("agent: resident", "MB", rise, most))
    for at_s, value in enumerate(values):
        found.add(at_s, value)
    return found


def noise(chance: random.Random) -> float:
    """Mostly little; now and then a checkpoint, which takes some megabytes for a moment."""
    return chance.gauss(0, 0.5) + (chance.uniform(3, 15) if chance.random() < 0.2 else 0)


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_is_seen_through_noise(seed: int) -> None:
    chance = random.Random(seed)
    leaking = measured(40 + 0.1 * at_s + noise(chance) for at_s in SECONDS)
    assert leaking.complaint == "grows"
    assert leaking.rise == pytest.approx(5.9, abs=1.5)


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_no_leak(seed: int) -> None:
    chance = random.Random(seed)
    assert measured(40 + noise(chance) for _ in SECONDS).complaint == ""


def test_a_sawtooth_is_no_leak_and_one_that_climbs_is() -> None:
    assert measured(40 + at_s % 10 for at_s in SECONDS).complaint == ""
    assert measured(40 + at_s % 10 + at_s / 10 for at_s in SECONDS).complaint == "grows"


def test_what_was_measured_before_the_warm_up_does_not_count() -> None:
    warming = measured(40 + min(at_s, 20) for at_s in SECONDS)
    assert warming.complaint == "grows"
    assert warming.after(20).complaint == ""


def test_a_few_points_are_no_verdict() -> None:
    assert measured(iter([1.0] * 7)).complaint == "measured 7 times only"
    assert Measured(Allowance("agent: threads", "", 0.5)).complaint == "measured 0 times only"


def test_too_much_is_too_much_however_steady() -> None:
    assert measured((200.0 for _ in SECONDS), most=120).complaint == "too much"


def test_the_slope_of_a_line_is_its_slope_wherever_a_quarter_of_its_points_are() -> None:
    points = [(float(at_s), 2.0 * at_s) for at_s in range(1_000)]
    wild = [(at_s, 1e9 if at_s % 4 == 1 else value) for at_s, value in points]
    assert theil_sen(points) == 2.0
    assert theil_sen(wild) == pytest.approx(2.0, rel=0.5)


def test_the_table_says_what_is_not_well() -> None:
    text = table([measured(40.0 + at_s for at_s in SECONDS), measured(40.0 for _ in SECONDS), measured(iter([]))])
    assert text.splitlines()[1:] == [
        "agent: resident, MB     40    99       99        60        59    3  grows",
        "agent: resident, MB     40    40       40         0         0    3  ok",
        "agent: resident, MB                                                 measured 0 times only",
    ]


LEAKS = {
    RESIDENT: "kept.append(bytearray(os.urandom(400_000)))",
    DESCRIPTORS: "kept.append(os.dup(1))",
    THREADS: "threading.Thread(target=time.sleep, args=[100], daemon=True).start()",
    "": "os.urandom(400_000)",
}
PROGRAM = """
import os, threading, time
kept = []
while True:
    {}
    time.sleep(0.1)
"""


@pytest.mark.parametrize("leak", LEAKS)
def test_a_process_that_leaks_is_found_out(leak: str) -> None:
    """The measuring and the judging together, on real processes: the other three, and one that leaks nothing, pass."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(LEAKS[leak])])
    vitals = Vitals("leaky", resident_mb=1.5)
    try:
        time.sleep(0.5)
        for number in range(20):
            vitals.take(number, process.pid)
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    complaints = {what: one.complaint for what, one in vitals.measured.items()}
    expected = {what: "grows" if what == leak else "" for what in complaints}
    if leak == THREADS:
        complaints.pop(RESIDENT), expected.pop(RESIDENT)  # a thread has a stack
    assert complaints == expected


def test_a_process_that_is_gone_is_not_measured() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    vitals = Vitals("gone", resident_mb=1)
    vitals.take(0, process.pid)
    assert not vitals.measured[RESIDENT].points
