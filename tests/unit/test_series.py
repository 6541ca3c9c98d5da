"""The series table: identity, budgets, overflow, and what a series costs in memory."""

from __future__ import annotations

import sys
import tracemalloc

import pytest

from obsagent.head.series import SeriesTable, digest, is_overflow, is_own_overflow
from obsagent.samples import Kind, Series


def table(per_metric: int = 3, total: int = 10) -> SeriesTable:
    return SeriesTable(per_metric, total)


def known(series_table: SeriesTable, metric: str, kind: Kind = Kind.COUNTER, **labels: str) -> Series:
    series = series_table.resolve(metric, kind, labels)
    assert series is not None
    assert series_table.adopt(series)
    return series


def test_the_same_definition_is_the_same_series() -> None:
    one = table()
    first = one.resolve("m", Kind.GAUGE, {"a": "1", "b": "2"})
    assert one.resolve("m", Kind.GAUGE, {"b": "2", "a": "1"}) is first
    assert len(one) == 0  # planned, not known
    assert one.adopt(first)  # type: ignore[arg-type]
    assert one.resolve("m", Kind.GAUGE, {"a": "1", "b": "2"}) is first
    assert len(one) == 1


def test_another_kind_is_refused() -> None:
    one = table()
    known(one, "m", Kind.GAUGE, a="1")
    assert one.resolve("m", Kind.COUNTER, {"a": "1"}) is None


def test_beyond_the_metrics_budget_everything_goes_to_one_overflow_series_a_service() -> None:
    one = table(per_metric=2)
    first = known(one, "m", service="s", n="1")
    known(one, "m", service="s", n="2")
    third = one.resolve("m", Kind.COUNTER, {"service": "s", "n": "3"})
    fourth = one.resolve("m", Kind.COUNTER, {"service": "s", "n": "4"})
    assert third is not None
    assert third is fourth
    assert third.labels == {"service": "s", "overflow": "true"}
    assert is_overflow(third)
    assert not is_overflow(first)
    assert one.resolve("m", Kind.COUNTER, {"service": "s", "n": "1"}) is first
    assert not is_overflow(known(one, "other", service="s"))


def test_a_clients_overflow_series_is_told_from_the_stores() -> None:
    one = table(per_metric=1)
    of_client = known(one, "m", service="s", host="h", worker="0", overflow="true")
    of_store = known(one, "m", service="s", host="h", worker="1", n="1")
    assert of_store.labels == {"service": "s", "overflow": "true"}
    assert [is_overflow(each) for each in (of_client, of_store)] == [True, True]
    assert [is_own_overflow(each) for each in (of_client, of_store)] == [False, True]


def test_an_overflow_series_of_another_kind_takes_nothing() -> None:
    one = table(per_metric=1)
    known(one, "m", Kind.COUNTER, service="s", n="1")
    known(one, "m", Kind.COUNTER, service="s", n="2")
    assert one.resolve("m", Kind.GAUGE, {"service": "s", "n": "3"}) is None


def test_the_total_leaves_a_tenth_for_overflow_series() -> None:
    one = table(per_metric=100, total=10)
    for number in range(10):
        assert not is_overflow(known(one, f"m{number}"))
    assert is_overflow(known(one, "m10"))
    assert one.resolve("m11", Kind.COUNTER, {}) is None
    assert one.resolve("m10", Kind.COUNTER, {"n": "1"}) is one.resolve("m10", Kind.COUNTER, {"n": "2"})


def test_adopting_an_id_that_is_anothers_is_refused() -> None:
    one = table()
    first = known(one, "m")
    assert one.adopt(Series(first.id, "m", Kind.COUNTER))
    assert not one.adopt(Series(first.id, "else", Kind.COUNTER))
    assert one.get(first.id) is first


def test_ids_go_on_behind_adopted_ones() -> None:
    one = table()
    one.adopt(Series(41, "m", Kind.COUNTER, {"n": "1"}))
    assert known(one, "m", n="2").id == 42


def test_known_since() -> None:
    one = table()
    known(one, "a")
    planned = one.resolve("b", Kind.COUNTER, {})
    later = known(one, "c")
    assert planned is not None
    one.adopt(planned)
    assert [series.metric for series in one.known_since(1)] == ["c", "b"]
    assert later.id > planned.id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("m", {"a": "bc"}), ("m", {"ab": "c"})),
        (("m", {"a": "b", "c": "d"}), ("m", {"a": "b,c=d"})),
        (("ma", {}), ("m", {"a": ""})),
        (("m", {"a": "1:"}), ("m", {"a1": ":"})),
    ],
)
def test_identities_do_not_run_into_each_other(
    one: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]
) -> None:
    assert digest(*one) != digest(*other)


def test_the_last_definition_says_whether_a_digest_is_kept() -> None:
    one = table()
    first = known(one, "m", Kind.HISTOGRAM, a="1")
    known(one, "other")
    assert (first.sketch, one.news, one.says(first)) == ("loghist", 2, True)
    asked = one.resolve("m", Kind.HISTOGRAM, {"a": "1"}, sketch="tdigest")
    assert asked is not None
    assert (asked.id, asked.sketch, asked.keeps_digest) == (first.id, "tdigest", True)
    assert not one.says(asked)
    assert one.get(first.id) is first  # nothing is decided before an entry says so
    assert one.adopt(asked)
    assert one.get(first.id) is asked
    assert one.resolve("m", Kind.HISTOGRAM, {"a": "1"}, sketch="tdigest") is asked
    assert [series.metric for series in one.known_since(2)] == ["m"]
    assert [series.metric for series in one.known_since(0)] == ["m", "other"]
    assert (len(one), one.news) == (2, 3)


def test_a_planned_series_may_be_asked_for_with_another_sketch() -> None:
    one = table()
    planned = one.resolve("m", Kind.HISTOGRAM, {})
    asked = one.resolve("m", Kind.HISTOGRAM, {}, sketch="tdigest")
    assert planned is not None
    assert asked is not None
    assert planned.id == asked.id
    assert one.adopt(asked)
    assert one.resolve("m", Kind.HISTOGRAM, {}, sketch="tdigest") is asked
    assert len(one) == 1


def test_memory_of_a_series() -> None:
    """20,000 series are in the budget; each may cost 1.2 KB at most.

    The interpreter's own table of interned strings may grow meanwhile, by megabytes, but hardly twice in a row.
    """
    taken = min(memory_of_series(prefix) for prefix in ("/e", "/f"))
    assert taken < 1_200, f"on {sys.version}"


def memory_of_series(prefix: str, count: int = 4_000) -> float:
    one = SeriesTable(20_000, 20_000)
    labels = [{"service": "shop", "host": "h1", "worker": str(i % 8), "endpoint": f"{prefix}{i}"} for i in range(count)]
    tracemalloc.start()
    try:
        for each in labels:
            known(one, "latency", Kind.HISTOGRAM, **each)
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


def test_what_is_judged_of_every_feature_has_the_room_of_features() -> None:
    table = SeriesTable(10, 50_000)
    for number in range(1_000):
        for window in ("10s", "1h", "1d"):
            series = table.resolve("drift_evalue", Kind.GAUGE, {"feature": str(number), "window": window})
            assert series is not None
            assert "overflow" not in series.labels
    assert len(table.ids_of("drift_evalue")) == 3_000
