"""Judging windows, hours and days of a view: what is due, what is compared with what, and what is never said twice."""

import dataclasses

import pytest

from obsagent.evaluate.counts import KNOWN, streams_of
from obsagent.evaluate.evaluator import Evaluator
from obsagent.evaluate.family import ChartKey
from obsagent.evaluate.past import shrunk
from obsagent.evaluate.readings import ALARMS, EVALUE, alarm_readings, counted_before, evidence_readings
from obsagent.evaluate.settings import Settings
from obsagent.evaluate.state import Counted, Judged, State, decode, encode
from obsagent.limits import DRIFT_SAMPLES_MIN, DRIFT_SLICES
from unit.feature_lab import LABEL, Lab

BEGIN_MS = 1_767_254_400_000  # 2026-01-01T08:00:00Z
WINDOW_MS = 10_000
HOUR_MS = 3_600_000
FRAUD = Judged("fraud", "4", "live")
SETTINGS = Settings(days=0.05)


class Judge:
    """An evaluator, and a monotonic clock that goes with the wall clock."""

    def __init__(self, lab, state=None, settings=SETTINGS, **options):
        self.lab = lab
        self.now_ms = BEGIN_MS
        self.settings = settings
        self.evaluator = Evaluator(
            state or State(), lab, lambda _: self.settings, monotonic=lambda: self.now_ms / 1000, **options
        )

    def look(self, now_ms, **options):
        self.now_ms = now_ms
        return self.evaluator.look(self.lab.view, now_ms, **options)

    @property
    def families(self):
        return self.evaluator.state.families(FRAUD)

    def alarms(self, level="10s"):
        return {key.feature: alarm for key, alarm in self.families[level].alarms.items()}


@pytest.fixture
def lab():
    lab = Lab()
    lab.learn_numbers("amount")
    return lab


def fill(lab, windows, mean=0.0, first=0, count=100, name="amount", **labels):
    for number in range(first, first + windows):
        lab.numbers(name, BEGIN_MS + number * WINDOW_MS, lab.normal(count, mean), **labels)


def end_of(windows):
    """When the last of so many windows is judged at the earliest."""
    return BEGIN_MS + windows * WINDOW_MS + 2_000


def test_a_window_is_judged_two_seconds_after_its_end_and_once(lab):
    judge = Judge(lab)
    fill(lab, 2)
    assert judge.look(end_of(1) - 1).windows == 0
    assert judge.look(end_of(1)).windows == 1
    assert judge.look(end_of(1) + 1).windows == 0
    fill(lab, 1, first=2)
    assert judge.look(end_of(2)).windows == 1
    assert judge.families["10s"].next_ms == BEGIN_MS + 2 * WINDOW_MS
    assert judge.families["10s"].charts[ChartKey("amount", LABEL)].count == 2


def test_the_last_window_does_not_wait_for_ever(lab):
    judge = Judge(lab)
    fill(lab, 1)
    assert judge.look(end_of(1)).windows == 0  # something may still come
    assert judge.look(end_of(1) + 6_000).windows == 1


def test_what_was_missed_is_caught_up_with(lab):
    judge = Judge(lab)
    fill(lab, 30)
    found = judge.look(end_of(29))
    assert found.windows == 29
    assert [told.to_ms for told in found.told] == [BEGIN_MS + number * WINDOW_MS for number in range(1, 30)]


def test_a_shift_raises_one_alarm_and_says_when_it_began(lab):
    judge = Judge(lab)
    fill(lab, 20)
    fill(lab, 10, mean=1.0, first=20)
    raised = judge.look(end_of(29)).raised
    ((judged, alarm),) = raised
    assert judged == FRAUD
    assert (alarm.feature, alarm.level, alarm.since_ms) == ("amount", "10s", BEGIN_MS + 20 * WINDOW_MS)
    assert judge.evaluator.state.totals == {Counted(FRAUD, "amount", "", "10s"): 1}
    fill(lab, 10, mean=1.0, first=30)
    assert judge.look(end_of(39)).raised == []
    assert list(judge.alarms()) == ["amount"]
    fill(lab, 12, first=40)
    judge.look(end_of(51))
    assert not judge.alarms()
    ((_, over),) = judge.evaluator.state.ended
    assert over is alarm


def test_hours_and_days_find_what_windows_are_too_short_for(lab):
    judge = Judge(lab)
    for number in range(26 * 60):  # 20 values a minute: no window has enough to say anything
        lab.numbers("amount", BEGIN_MS + number * 60_000, lab.normal(20, 0.15))
    found = judge.look(BEGIN_MS + 26 * HOUR_MS, budget_s=60)
    levels = {told.level.name for told in found.told}
    assert levels == {"1h", "1d"}
    assert judge.families["10s"].charts == {}
    assert [alarm.level for _, alarm in found.raised] == ["1h"]
    hours = [told for told in found.told if told.level.name == "1h"]
    assert [told.to_ms % HOUR_MS for told in hours] == [0] * len(hours)


def test_a_second_level_confirms_and_does_not_count(lab):
    judge = Judge(lab)
    for number in range(0, 3 * 360, 6):
        fill(lab, 1, mean=1.0, first=number)
    found = judge.look(BEGIN_MS + 3 * HOUR_MS + 60_000, budget_s=60)
    assert len(found.raised) == 1
    assert "amount" in judge.alarms("10s")
    assert "amount" in judge.alarms("1h")
    assert sum(judge.evaluator.state.totals.values()) == 1


def test_late_values_count_in_their_hour(lab):
    judge = Judge(lab)
    fill(lab, 20)
    judge.look(end_of(19))
    lab.numbers("amount", BEGIN_MS, lab.normal(4_000, 3.0))
    assert judge.look(end_of(19) + 1).windows == 0
    fill(lab, 1, first=370)
    found = judge.look(BEGIN_MS + HOUR_MS + 120_000)
    assert [(told.level.name, told.log_e > 10) for told in found.told if told.level.name == "1h"] == [("1h", True)]


def test_a_replay_of_another_time_is_judged_as_it_comes(lab):
    """Event times months ago, while other things are stored for now."""
    past_ms = BEGIN_MS - 200 * 24 * HOUR_MS
    now_ms = BEGIN_MS
    judge = Judge(lab)
    judged = 0
    for hour in range(30):
        lab.view.increment(lab.view.add_series("requests", 2, "requests"), now_ms, 1)
        lab.numbers("amount", past_ms + hour * HOUR_MS, lab.normal(200))
        now_ms += 4_000
        judged += sum(told.level.name == "1h" for told in judge.look(now_ms).told)
    assert judged >= 25


def test_missing_windows_and_thin_ones_say_nothing(lab):
    judge = Judge(lab)
    fill(lab, 2)
    fill(lab, 2, first=10)
    fill(lab, 1, mean=9.0, first=15, count=DRIFT_SAMPLES_MIN - 1)
    fill(lab, 1, first=17)
    judge.look(end_of(17))
    assert judge.families["10s"].charts[ChartKey("amount", LABEL)].count == 4


@pytest.mark.parametrize("besides", ["nulls", "wrong_types"])
def test_a_feature_that_has_no_value_any_more_has_changed(lab, besides):
    """Its columns have no bins then: nothing is in those of the reference."""
    judge = Judge(lab)
    fill(lab, 10)
    for number in range(10, 14):
        lab.others("amount", BEGIN_MS + number * WINDOW_MS, **{besides: 100})
    found = judge.look(end_of(13))
    assert [alarm.since_ms for _, alarm in found.raised] == [BEGIN_MS + 10 * WINDOW_MS]


def test_slices_are_judged_against_their_own_past(lab):
    """One that has always been other than the whole is no drift; one that changes is."""
    judge = Judge(lab)
    for number in range(80):
        at_ms = BEGIN_MS + number * WINDOW_MS
        lab.numbers("amount", at_ms, lab.normal(60, -0.7), country="DE")
        lab.numbers("amount", at_ms, lab.normal(60, 0.7 if number < 70 else -0.7), country="FR")
        judge.look(at_ms + 2_000)
    alarms = {key.slice for key in judge.families["10s"].alarms if key.slice}
    assert alarms == {"country=FR"}


def test_rolling_references_follow_and_frozen_ones_do_not(lab):
    frozen = Judge(lab)
    rolling = Judge(lab, settings=dataclasses.replace(SETTINGS, against="rolling", past_ms=HOUR_MS))
    for number in range(150):
        at_ms = BEGIN_MS + number * WINDOW_MS
        lab.numbers("amount", at_ms, lab.normal(100, 0.4))
        for judge in (frozen, rolling):
            judge.look(at_ms + 2_000)
    assert frozen.alarms()
    assert not rolling.alarms()
    fill(lab, 10, mean=1.4, first=150)
    rolling.look(end_of(159))
    assert rolling.alarms()


def test_hours_of_the_week_are_compared_with_the_same_hour_weeks_ago(lab):
    """Nights are other than days; a day that is like a night has changed."""
    week_ms = 7 * 24 * HOUR_MS

    def give(hour, mean):
        lab.numbers("amount", BEGIN_MS + hour * HOUR_MS, lab.normal(1_500, mean))

    for week in range(3):
        for hour in range(0, 12, 2):
            give(week * 168 + hour, 1.0 if hour < 6 else -1.0)
    settings = dataclasses.replace(SETTINGS, against="hour-of-week", past_ms=3 * week_ms)
    judge = Judge(lab, settings=settings)
    judge.families["1h"].next_ms = BEGIN_MS + 3 * week_ms
    for hour in (0, 2, 4, 6):
        give(3 * 168 + hour, 1.0)
    give(3 * 168 + 12, 0.0)
    found = judge.look(BEGIN_MS + 3 * week_ms + 14 * HOUR_MS, budget_s=60)
    evidence = {told.to_ms: told.log_e for told in found.told if told.level.name == "1h"}
    by_hour = [evidence[BEGIN_MS + 3 * week_ms + (hour + 1) * HOUR_MS] for hour in (0, 2, 4, 6)]
    assert by_hour[3] > 50
    assert max(by_hour[:3]) < by_hour[3] / 3


def test_a_thin_phase_is_the_whole():
    assert shrunk(None, [3_000.0, 1_000.0]) == [750.0, 250.0]
    assert shrunk([10.0, 30.0], [3_000.0, 1_000.0]) == [760.0, 280.0]


def test_predictions_and_scores_are_features(lab):
    lab.learn_numbers("prediction.score")
    judge = Judge(lab)
    fill(lab, 20, name="prediction.score")
    fill(lab, 10, mean=1.0, first=20, name="prediction.score")
    judge.look(end_of(29))
    assert list(judge.alarms()) == ["prediction.score"]


def test_versions_and_variants_are_judged_by_themselves(lab):
    judge = Judge(lab)
    for variant, mean in (("live", 0.0), ("shadow", 1.0)):
        fill(lab, 20, mean=mean, variant=variant)
    judge.look(end_of(19))
    assert {judged.variant for judged in judge.evaluator.state.levels} == {"live", "shadow"}
    assert not judge.alarms()
    assert judge.evaluator.state.families(FRAUD._replace(variant="shadow"))["10s"].alarms


def test_what_has_no_reference_is_not_judged(lab):
    judge = Judge(lab)
    fill(lab, 5, reference="")
    fill(lab, 5, reference="unknown0")
    assert judge.look(end_of(4)).windows == 0


def test_another_reference_begins_new_charts(lab):
    judge = Judge(lab)
    fill(lab, 10)
    judge.look(end_of(9))
    lab.rename("new00000")
    judge.evaluator.forget_references()
    fill(lab, 10, first=10, reference="new00000")
    judge.look(end_of(19))
    assert set(judge.families["10s"].charts) == {ChartKey("amount", LABEL), ChartKey("amount", "new00000")}


class Failing:
    """References of which one fails."""

    def __init__(self, lab):
        self.lab = lab

    def feature(self, reference, feature):
        if feature == "bad":
            raise RuntimeError("out of order")
        return self.lab.feature(reference, feature)

    def features(self, reference):
        return self.lab.features(reference)

    def current(self, model, version):
        return self.lab.current(model, version)


def test_one_model_that_fails_does_not_keep_the_others(lab):
    evaluator = Evaluator(State(), Failing(lab), lambda _: SETTINGS)
    fill(lab, 5)
    fill(lab, 5, name="bad", model="broken")
    for _ in range(3):
        found = evaluator.look(lab.view, end_of(4) + 10_000)
        assert list(found.troubles) == [Judged("broken", "4", "live")]
        assert "out of order" in found.troubles[Judged("broken", "4", "live")]
    assert evaluator.state.families(FRAUD)["10s"].charts[ChartKey("amount", LABEL)].count >= 4


def test_a_look_that_takes_long_goes_on_at_the_next(lab):
    judge = Judge(lab)
    fill(lab, 40)
    ticks = iter(range(10**9))
    judge.evaluator._monotonic = lambda: end_of(39) / 1000 + next(ticks)
    looks = 0
    while judge.families["10s"].next_ms < BEGIN_MS + 39 * WINDOW_MS:
        found = judge.evaluator.look(lab.view, end_of(39), budget_s=5)
        assert found.windows
        looks += 1
    assert looks > 3
    assert judge.families["10s"].charts[ChartKey("amount", LABEL)].count >= 39


def test_restarts_change_nothing(lab):
    """The state goes through its file after every look; alarms and charts are those of one that never stopped."""
    steady, state = Judge(lab), State()
    for number in range(60):
        at_ms = BEGIN_MS + number * WINDOW_MS
        lab.numbers("amount", at_ms, lab.normal(100, 0.0 if number < 40 else 0.8))
        steady.look(at_ms + 2_000)
        again = Judge(lab, state)
        again.now_ms = at_ms
        again.look(at_ms + 2_000)
        state = decode(encode(again.evaluator.state))
    assert state.totals == steady.evaluator.state.totals == {Counted(FRAUD, "amount", "", "10s"): 1}
    assert state.families(FRAUD)["10s"] == steady.families["10s"]


def test_a_lost_state_is_judged_again_and_counts_nothing_twice(lab):
    fill(lab, 20)
    fill(lab, 10, mean=1.0, first=20)
    judge = Judge(lab, counts_again=False)
    judge.look(end_of(29))
    assert list(judge.alarms()) == ["amount"]
    assert not judge.evaluator.state.totals
    fill(lab, 12, first=30)
    fill(lab, 10, mean=2.0, first=42)
    judge.look(end_of(51))
    assert sum(judge.evaluator.state.totals.values()) == 1


def test_slices_have_charts_as_far_as_there_is_room(lab):
    for number in range(DRIFT_SLICES + 10):
        lab.numbers("amount", BEGIN_MS, lab.normal(5), country=f"C{number}")
    (stream,) = streams_of(lab.view.series()).values()
    assert len(stream.slices) == DRIFT_SLICES
    assert stream.charts_left_out == 10
    assert "country" not in KNOWN


def test_what_is_found_is_told_as_metrics(lab):
    judge = Judge(lab)
    fill(lab, 60, country="DE")
    found = judge.look(end_of(59))
    readings = evidence_readings(found.told)
    assert {reading.instrument for reading in readings} == {EVALUE}
    assert readings[0].labels == {
        "model": "fraud",
        "version": "4",
        "variant": "live",
        "feature": "amount",
        "window": "10s",
    }
    assert readings[0].at_ms == BEGIN_MS + WINDOW_MS - 1
    assert readings[0].value == pytest.approx(found.told[0].log_e / 2.302585092994046)
    assert {reading.labels.get("country") for reading in readings} == {None, "DE"}


def test_the_counter_of_alarms_goes_on_from_what_is_stored():
    key = Counted(FRAUD, "amount", "country=DE", "10s")
    (reading,) = alarm_readings({key: 5}, [key], {key: 4.0})
    assert (reading.instrument, reading.value, reading.begins_at) == (ALARMS, 5.0, 4.0)
    assert counted_before([({**reading.labels, "host": "a"}, 4.0)]) == {key: 4.0}
