"""Totals that begin again are seen as what belongs together: a histogram's parts, or when a count was created."""

from __future__ import annotations

from obsagent.collect.families import Families, families_of
from obsagent.collect.restarts import Restarts
from unit.test_families import page_of


def hist(low: int, high: int, count: int, total: float, created: float | None = None) -> str:
    lines = [
        "# TYPE h histogram",
        f'h_bucket{{le="1"}} {low}',
        f'h_bucket{{le="2"}} {high}',
        f'h_bucket{{le="+Inf"}} {count}',
        f"h_sum {total}",
        f"h_count {count}",
    ]
    return "\n".join([*lines, *([f"h_created {created}"] if created else [])])


def read(text: str) -> Families:
    return families_of(page_of(text))


def begun(*pages: str, whole: bool = True) -> list[list[str]]:
    """The families that have begun again, page by page; a page is read every 10 s from 1000 s on."""
    restarts = Restarts()
    return [
        sorted(family for family, _ in restarts.begun(read(text).totals, 1000.0 + 10 * number, whole=whole))
        for number, text in enumerate(pages)
    ]


def test_one_bucket_that_falls_is_a_restart_of_the_histogram() -> None:
    """The lowest bucket has grown again beyond what it was; the count has too."""
    assert begun(hist(5, 90, 100, 9.0), hist(8, 80, 120, 20.0)) == [[], ["h"]]


def test_growth_is_none() -> None:
    assert begun(hist(5, 90, 100, 9.0), hist(5, 90, 100, 9.0), hist(6, 91, 101, 9.0)) == [[], [], []]


def test_another_moment_of_creation_is_a_restart_without_a_fall() -> None:
    assert begun(hist(1, 2, 3, 1.0, created=500), hist(4, 5, 6, 2.0, created=1005)) == [[], ["h"]]
    assert begun(hist(1, 2, 3, 1.0, created=500), hist(4, 5, 6, 2.0, created=500)) == [[], []]


def test_a_series_created_since_the_last_page_is_watched_from_its_beginning() -> None:
    counter = "# TYPE c counter\nc_total 5\nc_created {}"
    assert begun("other 1", counter.format(1005)) == [[], ["c"]]
    assert begun("other 1", counter.format(900)) == [[], []]
    assert begun(counter.format(1005)) == [[]]  # nothing was read before


def test_of_a_page_that_was_cut_nothing_is_new() -> None:
    assert begun("other 1", "# TYPE c counter\nc_total 5\nc_created 1005", whole=False) == [[], []]


def test_a_counter_alone_is_left_to_the_session() -> None:
    assert begun("# TYPE c counter\nc_total 5", "# TYPE c counter\nc_total 3") == [[], []]


def test_a_sum_that_falls_is_no_restart() -> None:
    restarts = Restarts()
    restarts.begun(read(hist(1, 2, 3, 9.0)).totals, 1000.0, whole=True)
    totals = read(hist(1, 2, 4, 8.0)).totals
    assert restarts.sums_that_fall(totals) == {("h", ())}
    assert not restarts.begun(totals, 1010.0, whole=True)


def test_only_the_last_page_is_remembered() -> None:
    restarts = Restarts()
    for number in range(50):
        restarts.begun(read(f'# TYPE c counter\nc_total{{id="{number}"}} 5').totals, 1000.0 + number, whole=True)
    assert len(restarts._before) == 1
