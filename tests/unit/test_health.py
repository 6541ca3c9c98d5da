"""Problems in words: what is wrong, what it means, what to do; and nothing that is over."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from obsagent import health
from obsagent.errors import StoreError
from obsagent.health import Problem, health_of
from obsagent.receive.ingest import Step
from obsagent.upkeep import Trouble


def trouble_of(number: int) -> Trouble:
    """As the journal meets it: the system's error behind the store's own."""
    trouble = Trouble("the journal cannot be synced")
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise StoreError(f"cannot sync {Path('x.journal')}: {error.strerror}") from error
    except StoreError as error:
        trouble.met(error)
    return trouble


def test_the_word_for_all_problems() -> None:
    assert health_of([]) == "ok"
    assert health_of([Problem("compaction fails")]) == "degraded"
    assert health_of([Problem("compaction fails"), Problem("nothing is synced", stops=True)]) == "failing"


def test_a_trouble_that_is_over_is_no_problem() -> None:
    trouble = trouble_of(errno.EIO)
    trouble.is_over()
    for problem_of in (health.journal_problem, health.head_problem, health.upkeep_problem):
        assert problem_of(trouble) is None


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, ": free space on its file system, and it goes on by itself"),
        (errno.EROFS, "make its file system writable again"),
        (errno.EIO, "the disk fails"),
        (errno.EACCES, "the right to write there"),
        (errno.EMFILE, "limit of open files"),
    ],
)
def test_what_to_do_follows_from_the_systems_error(number: int, advice: str) -> None:
    problem = health.journal_problem(trouble_of(number))
    assert problem is not None
    assert problem.stops
    assert f"the journal cannot be synced: cannot sync x.journal: {os.strerror(number)} (for " in problem.says
    assert "nothing is acknowledged, and clients keep what they send" in problem.says
    assert advice in problem.says


def test_an_error_that_nobody_knows_advice_for_is_told_as_it_is() -> None:
    trouble = Trouble("segments are not compacted")
    trouble.met(MemoryError())
    problem = health.upkeep_problem(trouble)
    assert problem is not None
    assert problem.says.startswith("segments are not compacted: MemoryError (for ")
    assert problem.says.endswith("queries of long ranges are slower, and nothing old is removed)")
    assert not problem.stops


def test_a_clock_that_was_set_is_a_problem_for_ten_minutes() -> None:
    step = Step(by_ms=-3 * 3_600_000, wall_ms=0, monotonic_ms=5_000)
    problem = health.clock_problem(step, 65_000)
    assert problem is not None
    assert problem.says.startswith("the clock was set back by 3h, 1m ago: ")
    assert health.clock_problem(step, 5_000 + health.CLOCK_SHOWN_MS + 1) is None
    assert health.clock_problem(None, 0) is None
    forward = health.clock_problem(Step(89_999, 0, 5_000), 6_000)
    assert forward is not None
    assert "set forward by 1m30s" in forward.says
