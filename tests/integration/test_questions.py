"""What engineers on call ask, of a store on disk whose every value is known, by command and from Python."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

import obsagent
from integration.known_week import (
    CANARY_MS,
    DAY_MS,
    HOUR_MS,
    JOURNAL_ONLY_MS,
    MINUTE_MS,
    NOW_MS,
    SILENT_MS,
    SLOW_MS,
    WORKERS,
    KnownWeek,
)
from obsagent.answer.instants import iso_utc
from obsagent.cli import main
from obsagent.clock import SystemClock
from obsagent.limits import WINDOW_MS
from obsagent.segment.recover import is_compacted
from property.query_oracle import Sample, measure

Answer = dict[str, Any]
Groups = dict[tuple[str, ...], list[Sample]]
LAST_5M, LAST_15M, LAST_30M = (NOW_MS - minutes * MINUTE_MS for minutes in (5, 15, 30))
WEEK_MS = NOW_MS - 7 * DAY_MS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("week") / "data"


@pytest.fixture(scope="module")
def week(data) -> KnownWeek:
    return KnownWeek(data)


@pytest.fixture
def command(data, week, capsys, monkeypatch) -> Callable[..., tuple[int, str]]:
    """The command line, typed at the end of the week: its exit code and what it prints."""
    monkeypatch.setattr(SystemClock, "wall_ms", lambda _: NOW_MS)

    def run(text: str, *options: str) -> tuple[int, str]:
        code = main(["query", *text.split(" "), "--data", str(data), *options])
        shown = capsys.readouterr()
        assert shown.err == ""
        return code, shown.out

    return run


@pytest.fixture
def ask(command, data) -> Callable[[str], Answer]:
    """The answer, which the command and Python agree on."""

    def question(text: str) -> Answer:
        code, shown = command(text, "--format", "json")
        answer: Answer = json.loads(shown)
        assert code == 0
        assert obsagent.query(text, data=data).answer == answer
        return answer

    return question


def seconds_since(since_ms: int, until_ms: int = NOW_MS) -> float:
    """The covered time of the last hour, in which there is no window without samples."""
    return (until_ms - (since_ms - since_ms % WINDOW_MS)) / 1000


def check(values: dict[str, Any], bounds: dict[str, Any], samples: list[Sample], seconds: float = math.nan) -> None:
    """Every number is what the raw values say, within its bound."""
    for stat, value in values.items():
        expected, bound = measure(samples, _in_seconds(stat), seconds), bounds[stat]
        slack = 1e-9 * max(1.0, abs(expected))
        if bound:
            slack += bound["relative"] * abs(expected) if "relative" in bound else bound["absolute"]
        assert abs(value - expected) <= slack, f"{stat}: {value} is not {expected}"


def _in_seconds(stat: str) -> str:
    """`under 250ms` as the oracle knows it."""
    return f"{stat.split()[0]} {float(stat.split()[1][:-2]) / 1000}" if stat.endswith("ms") else stat


def check_rows(answer: Answer, truth: Groups, seconds: float = math.nan) -> None:
    """A row for each group, in their order, each with the right numbers."""
    assert [tuple(row["labels"].values()) for row in answer["series"]] == list(truth)
    for row, samples in zip(answer["series"], truth.values(), strict=True):
        assert row["count"] == len(samples)
        check(row["values"], row["error_bound"], samples, seconds)


def values_of(answer: Answer, stat: str) -> dict[tuple[str, ...], Any]:
    return {tuple(row["labels"].values()): row["values"][stat] for row in answer["series"]}


def ratio(week: KnownWeek, above: str, below: str, names: list[str], since_ms: int, until_ms: int = NOW_MS, **labels):
    """A sum by a sum, by labels."""
    top = week.by(above, names, since_ms, until_ms, **labels)
    bottom = week.by(below, names, since_ms, until_ms, **labels)
    return {key: len(top.get(key, [])) / len(samples) for key, samples in bottom.items()}


def test_the_store_holds_the_week_in_every_form(data, week):
    files = list((data / "segments").glob("*.segment"))
    assert sum(map(is_compacted, files)) > 20
    assert not all(map(is_compacted, files))
    assert sum(path.stat().st_size for path in (data / "journal").iterdir()) > 10_000


# --- the example queries


def test_what_is_the_slowest_percent_of_each_endpoint(ask, week):
    check_rows(ask("p99 latency by endpoint since 15m"), week.by("latency", ["endpoint"], LAST_15M))


def test_is_it_slower_than_an_hour_ago(ask, week):
    """An hour ago there was one window, and /score_batch was as fast as ever."""
    answer = ask("p99 latency service=fraud by endpoint since 15m vs 1h ago")
    check_rows(answer, week.by("latency", ["endpoint"], LAST_15M, service="fraud"))
    before = week.by("latency", ["endpoint"], LAST_15M - HOUR_MS, NOW_MS - HOUR_MS, service="fraud")
    for row in answer["series"]:
        check(row["vs"]["values"], row["vs"]["error_bound"], before[row["labels"]["endpoint"],])
        assert row["change"]["p99"]["absolute"] == row["values"]["p99"] - row["vs"]["values"]["p99"]
    batch = answer["series"][1]
    assert batch["change"]["p99"]["beyond_error"]
    assert batch["change"]["p99"]["relative"] > 2


def test_which_version_fails(ask, week):
    answer = ask("error_rate model=fraud by version since 30m")
    rates = ratio(week, "errors", "requests", ["version"], LAST_30M, model="fraud")
    assert values_of(answer, "error_rate") == pytest.approx(rates)
    assert rates["4",] > 5 * rates["3",]


def test_when_was_an_endpoint_slow(ask, week):
    answer = ask("p99 latency endpoint=/score_batch since 3h step 1m where p99 above 500ms")
    (row,) = answer["series"]
    slow = slow_minutes(week, 3 * HOUR_MS)
    assert [point["from"] for point in row["points"]] == [iso_utc(start_ms) for start_ms in slow]
    for point, samples in zip(row["points"], slow.values(), strict=True):
        check(point["values"], point["error_bound"], samples)


def slow_minutes(week: KnownWeek, back_ms: int) -> dict[int, list[Sample]]:
    minutes: dict[int, list[Sample]] = {}
    for sample in week.select("latency", NOW_MS - back_ms, endpoint="/score_batch"):
        minutes.setdefault(sample.window_ms - sample.window_ms % MINUTE_MS, []).append(sample)
    return {start_ms: samples for start_ms, samples in sorted(minutes.items()) if measure(samples, "p99", 0) > 0.5}


def test_which_endpoints_are_the_slowest(ask, week):
    answer = ask("p99 latency by endpoint since 15m top 2")
    truth = {key: measure(samples, "p99", 0) for key, samples in week.by("latency", ["endpoint"], LAST_15M).items()}
    assert list(values_of(answer, "p99")) == sorted(truth, key=truth.__getitem__, reverse=True)[:2]


def test_which_share_of_the_week_was_fast_enough(ask, week):
    answer = ask("under 250ms latency service=fraud since 7d")
    check_rows(answer, {(): week.select("latency", WEEK_MS, service="fraud")})
    assert answer["series"][0]["error_bound"]["under 250ms"]["absolute"] < 0.001


def test_how_many_requests_fail_a_second(ask, week):
    answer = ask("rate requests status=5xx by endpoint,status since 30m")
    failed = week.by("requests", ["endpoint", "status"], LAST_30M, status="503")
    check_rows(answer, failed, seconds_since(LAST_30M))


def test_who_went_silent(ask):
    (row,) = ask("age requests by service,host where age above 1m")["series"]
    assert row["labels"] == {"service": "ranking", "host": "c"}
    silent_s = (NOW_MS - SILENT_MS) / 1000
    assert row["values"]["age"] == pytest.approx(silent_s)  # its last window ended then
    assert row["error_bound"]["age"] == {"absolute": WINDOW_MS / 1000}


def test_how_often_does_the_cache_hit_by_version(ask, week):
    answer = ask("sum cache_hits / sum requests by version since 1d")
    hits = ratio(week, "cache_hits", "requests", ["version"], NOW_MS - DAY_MS)
    assert values_of(answer, "ratio") == pytest.approx(hits)
    assert hits["4",] < 0.5 < hits["3",]


@pytest.mark.parametrize("text", ["recall model=fraud by country since 7d", "roc_auc model=fraud by version since 7d"])
def test_how_good_a_model_is_whose_predictions_have_no_ids(ask, text):
    answer = ask(text)
    assert answer["series"] == []
    assert "no prediction with an id in the last 7d" in answer["empty"]


# --- what happens now


def test_which_is_the_worst_endpoint_now(ask, week):
    answer = ask("p99 latency by endpoint top 1")
    worst = week.select("latency", LAST_5M, endpoint="/score_batch")
    check_rows(answer, {("/score_batch",): worst})


def test_is_the_canary_slower_than_what_is_live(ask, week):
    answer = ask("p50,p99 latency service=fraud endpoint=/score variant=canary since 30m vs variant=live")
    check_rows(answer, {(): week.select("latency", LAST_30M, endpoint="/score", variant="canary")})
    (row,) = answer["series"]
    live = week.select("latency", LAST_30M, endpoint="/score", variant="live")
    assert row["vs"]["count"] == len(live)
    check(row["vs"]["values"], row["vs"]["error_bound"], live)
    assert row["change"]["p50"]["beyond_error"]
    assert row["change"]["p50"]["relative"] == pytest.approx(2, rel=0.2)  # it takes three times as long


def test_every_version_against_the_live_one(ask, week):
    answer = ask("mean latency endpoint=/score by version since 30m vs version=3")
    check_rows(answer, week.by("latency", ["version"], LAST_30M, endpoint="/score"))
    live = week.select("latency", LAST_30M, endpoint="/score", version="3")
    for row in answer["series"]:
        check(row["vs"]["values"], row["vs"]["error_bound"], live)


def test_when_did_it_start(ask, week):
    answer = ask("p99 latency endpoint=/score_batch since 1h step 1m where p99 above 500ms")
    first = answer["series"][0]["points"][0]
    assert first["from"] == iso_utc(SLOW_MS - SLOW_MS % MINUTE_MS)
    assert len(answer["series"][0]["points"]) == len(slow_minutes(week, HOUR_MS))


def test_is_it_the_queue_or_the_computing(ask, week):
    answer = ask("p50,p99 queue_delay,latency endpoint=/score_batch version=3 since 15m")
    assert [row["metric"] for row in answer["series"]] == ["queue_delay", "latency"]
    for row in answer["series"]:
        samples = week.select(row["metric"], LAST_15M, endpoint="/score_batch", version="3")
        check(row["values"], row["error_bound"], samples)
    queue, latency = answer["series"]
    assert queue["values"]["p99"] > 0.8 * latency["values"]["p99"]


def test_is_it_one_worker_or_all(ask, week):
    answer = ask("p99 latency endpoint=/score_batch by host,worker since 15m where p99 above 500ms")
    assert [row["labels"] for row in answer["series"]] == [{"host": "b", "worker": "1"}]
    everyone = ask("p99 latency endpoint=/score_batch by host,worker since 15m")
    check_rows(everyone, week.by("latency", ["host", "worker"], LAST_15M, endpoint="/score_batch"))


def test_how_many_are_in_flight_now_over_all_workers(ask, week):
    """The silent worker's last value is no longer current."""
    answer = ask("last in_flight")
    workers = week.by("in_flight", ["host", "worker"], LAST_5M)
    assert len(workers) == len(WORKERS)
    lasts = [max(samples, key=lambda each: each.at_ms) for samples in workers.values()]
    current = [each.value for each in lasts if each.window_ms >= SILENT_MS]
    assert values_of(answer, "last") == {(): sum(current)}


def test_how_many_are_in_flight_in_each_worker(ask, week):
    check_rows(ask("last,max,mean in_flight by host,worker"), week.by("in_flight", ["host", "worker"], LAST_5M))


def test_does_a_worker_need_too_much_memory(ask, week):
    answer = ask("max memory_bytes by host,worker since 1h where max above 5.9GB")
    workers = week.by("memory_bytes", ["host", "worker"], NOW_MS - HOUR_MS)
    most = {key: max(each.value for each in samples) for key, samples in workers.items()}
    assert values_of(answer, "max") == {key: value for key, value in most.items() if value > 5.9e9}


# --- since the deployment


def test_how_has_the_new_version_done_since_it_was_deployed(ask, week):
    answer = ask("p50,p99,count latency version=4 since deploy")
    assert answer["from"] == iso_utc(CANARY_MS)
    check_rows(answer, {(): week.select("latency", CANARY_MS, version="4")})


def test_a_deployment_is_that_of_the_version_asked_about(ask, week):
    answer = ask("count latency version=3 since deploy by endpoint")
    assert answer["from"] == iso_utc(CANARY_MS - 3 * DAY_MS - 30 * MINUTE_MS)
    check_rows(answer, week.by("latency", ["endpoint"], CANARY_MS - 3 * DAY_MS - 30 * MINUTE_MS, version="3"))


def test_do_more_requests_fail_than_an_hour_ago(ask, week):
    answer = ask("error_rate service=fraud by version since 30m vs 1h ago")
    assert values_of(answer, "error_rate") == pytest.approx(
        ratio(week, "errors", "requests", ["version"], LAST_30M, service="fraud")
    )
    before = ratio(week, "errors", "requests", ["version"], LAST_30M - HOUR_MS, NOW_MS - HOUR_MS, service="fraud")
    canary, live = sorted(answer["series"], key=lambda row: row["labels"]["version"], reverse=True)
    assert canary["vs"] is None  # there was none
    assert live["vs"]["values"]["error_rate"] == pytest.approx(before["3",])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("error_rate version=4 since deploy where error_rate above 5%", 3),
        ("error_rate version=3 since deploy where error_rate above 5%", 0),
        ("p99 latency version=4 endpoint=/score since deploy where p99 above 150ms", 3),
        ("p99 latency version=4 endpoint=/score since deploy where p99 above 2s", 0),
    ],
)
def test_may_the_canary_go_on(command, week, text, code):
    found, _ = command(text, "--exit-match", "--format", "json")
    assert found == code


# --- history


def test_which_statuses_are_the_rarest(ask, week):
    answer = ask("sum requests service=fraud by status since 7d bottom 2")
    counts = {key: len(samples) for key, samples in week.by("requests", ["status"], WEEK_MS, service="fraud").items()}
    assert list(values_of(answer, "sum").items()) == sorted(counts.items(), key=lambda pair: pair[1])[:2]


def test_how_busy_was_each_day(ask, week):
    answer = ask("count latency since 7d step 1d")
    days: dict[int, int] = {}
    for sample in week.select("latency", WEEK_MS):
        days[sample.window_ms // DAY_MS] = days.get(sample.window_ms // DAY_MS, 0) + 1
    (row,) = answer["series"]
    assert [(point["from"], point["values"]["count"]) for point in row["points"]] == [
        (iso_utc(day * DAY_MS), count) for day, count in sorted(days.items())
    ]


def test_what_was_it_like_between_two_times(ask, week):
    answer = ask("p50,max latency from 2025-12-30T06:00Z to 2025-12-31T06:00Z by service")
    from_ms, to_ms = 1_767_074_400_000, 1_767_160_800_000
    assert (answer["from"], answer["to"]) == (iso_utc(from_ms), iso_utc(to_ms))
    check_rows(answer, week.by("latency", ["service"], from_ms, to_ms))


def test_which_endpoints_are_not_the_usual_ones(ask, week):
    answer = ask("count latency endpoint matches ^/score endpoint not /score since 1h by endpoint")
    check_rows(answer, week.by("latency", ["endpoint"], NOW_MS - HOUR_MS, endpoint="/score_batch"))


def test_what_has_only_just_come_counts(ask, week):
    """The last minutes are in the journal alone."""
    answer = ask("count,sum latency since 2m by service")
    assert NOW_MS - 2 * MINUTE_MS > JOURNAL_ONLY_MS
    check_rows(answer, week.by("latency", ["service"], NOW_MS - 2 * MINUTE_MS))


def test_nothing_is_lost(ask):
    losses = ask("count latency since 7d")["losses"]
    assert losses == {
        "dropped": {"ring": 0, "budget": 0, "expired": 0},
        "rejected": {"value": 0, "frame": 0, "time": 0},
        "pending": 0,
        "overflow_series": 0,
    }
