"""Collectors in their threads: what fails or hangs takes nothing from the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from obsagent.collect import rounds
from obsagent.collect.collector import Unreadable
from obsagent.collect.rounds import Collection
from obsagent.readings import Reading
from obsagent.samples import Instrument, Kind

FILL = Instrument("fill", Kind.GAUGE, "How full", "ratio")


class Scripted:
    """A collector whose rounds run what they are given, one after the other, the last one for ever."""

    interval_s = 0.01

    def __init__(self, name: str, *scripts: Callable[[], Iterator[Reading]]) -> None:
        self.name = name
        self._scripts = list(scripts)
        self.closed = threading.Event()

    def collect(self) -> Iterator[Reading]:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        yield from script()

    def close(self) -> None:
        self.closed.set()


def well() -> Iterator[Reading]:
    yield Reading(FILL, 0.5, {"service": "host"})


def half() -> Iterator[Reading]:
    yield Reading(FILL, 0.25, {"service": "host"})
    raise Unreadable("the other disk does not answer: look into dmesg")


class Taken:
    def __init__(self) -> None:
        self.rounds: list[list[Reading]] = []

    def __call__(self, readings: list[Reading]) -> None:
        self.rounds.append(readings)

    def values(self) -> set[float]:
        return {reading.value for readings in self.rounds for reading in readings}


@pytest.fixture
def taken() -> Taken:
    return Taken()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_can_be_read_is_read_though_the_rest_fails(taken: Taken) -> None:
    collector = Scripted("disks", half)
    collection = Collection([collector], taken)
    collection.start()
    wait_for(lambda: len(taken.rounds) > 1)
    status = collection.status()["disks"]
    assert collection.troubles() == ["disks: the other disk does not answer: look into dmesg"]
    assert status["error"] == "the other disk does not answer: look into dmesg"
    assert status["failures"] >= 1
    assert status["readings"] == 1
    collection.stop()
    assert taken.values() == {0.25}
    assert collector.closed.wait(30)


def test_a_trouble_is_over_when_it_is_over(taken: Taken) -> None:
    collection = Collection([Scripted("disks", half, well)], taken)
    collection.start()
    wait_for(lambda: 0.5 in taken.values())
    wait_for(lambda: not collection.troubles())
    collection.stop()


def test_one_that_hangs_is_named_and_left_behind(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "STUCK_AFTER_S", 0.05)
    monkeypatch.setattr(rounds, "STOP_TIMEOUT_S", 0.05)
    release = threading.Event()

    def hang() -> Iterator[Reading]:
        release.wait(60)
        yield Reading(FILL, 9.0, {"service": "host"})

    collection = Collection([Scripted("gpu", hang), Scripted("disks", well)], taken)
    collection.start()
    wait_for(lambda: len(taken.rounds) > 3)
    wait_for(collection.troubles)
    assert [trouble.split(" for ")[0] for trouble in collection.troubles()] == ["gpu: no answer"]
    collection.stop()
    release.set()
    assert taken.values() == {0.5}


def test_a_bug_in_a_collector_is_a_trouble_too(taken: Taken) -> None:
    def broken() -> Iterator[Reading]:
        yield from ()
        raise KeyError("nvme0n1")

    collection = Collection([Scripted("disks", broken)], taken)
    collection.start()
    wait_for(collection.troubles)
    collection.stop()
    assert collection.status()["disks"]["error"] == "'nvme0n1'"


def test_collectors_come_and_go_beside_one_that_stays(taken: Taken) -> None:
    def other() -> Iterator[Reading]:
        yield Reading(FILL, 0.75, {"service": "host"})

    stays, goes, comes = Scripted("stays", well), Scripted("goes", half), Scripted("comes", other)
    collection = Collection([stays, goes], taken)
    collection.start()
    try:
        wait_for(collection.troubles)
        collection.exchange([goes], [comes])
        assert goes.closed.wait(30)
        wait_for(lambda: 0.75 in taken.values())
        assert list(collection.status()) == ["stays", "comes"]
        assert not collection.troubles()
        assert not stays.closed.is_set()
    finally:
        collection.stop()


def test_rounds_of_one_interval_begin_together() -> None:
    assert rounds._until_next(10.0, 1234.5) == 5.5
    assert rounds._until_next(10.0, 1230.0) == 10.0
    assert rounds._until_next(10.0, 1229.99) == pytest.approx(10.01)
