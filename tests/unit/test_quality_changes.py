"""Findings about what changes within the time: a feature that stops, that sticks, that comes as another type."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.options import Options
from obsagent.cli.shell_words import split_line
from obsagent.evaluate.quality_report import quality_report
from unit.feature_lab import Lab

BEGIN_MS = 1_767_254_400_000  # 2026-01-01T08:00:00Z
WINDOW_MS = 10_000
WINDOWS = 40
NOW_MS = BEGIN_MS + WINDOWS * WINDOW_MS + 2_000
Give = Callable[[Lab, int, int], None]


def at(window: int) -> str:
    return f"2026-01-01T08:{window // 6:02}:{window % 6 * 10:02}.000Z"


def found_in(lab: Lab, words: str = "since 7m", **options: Any) -> dict[tuple[str, str], dict[str, Any]]:
    report = quality_report(words, lab.view, lab, NOW_MS, **options)
    for finding in report["findings"]:  # what looks closer can be asked
        asked = " ".join(split_line(finding["look"] + " ").words[2:])
        if "obsagent_samples" not in asked:
            answer(parse(asked), lab.view, NOW_MS, Options(references=lab))
    return {(each["feature"], each["finding"]): each for each in report["findings"]}


def filled(give: Give, *, rows: int = 100, learn: bool = True, windows: int = WINDOWS) -> Lab:
    """A model with a steady feature `age` and whatever `give` gives in a window."""
    lab = Lab()
    if learn:
        lab.learn_numbers("age")
        lab.learn_numbers("amount")
        lab.learn_lands()
    for window in range(windows):
        at_ms = BEGIN_MS + window * WINDOW_MS
        lab.numbers("age", at_ms, lab.normal(100), *([] if learn else [""]))
        give(lab, at_ms, window)
        if rows:
            lab.rows(at_ms, rows)
    return lab


def steady(lab: Lab, at_ms: int, _window: int) -> None:
    lab.numbers("amount", at_ms, lab.normal(100))
    lab.lands(at_ms, lab.some_lands(100))


def with_amount(values: Callable[[Lab, int], list[float]], reference: str | None = None) -> Give:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        lab.numbers("amount", at_ms, values(lab, window), *([] if reference is None else [reference]))
        if reference is None:
            lab.lands(at_ms, lab.some_lands(100))

    return give


def test_a_steady_model_has_none() -> None:
    assert found_in(filled(steady)) == {}


# --- stopped


@pytest.mark.parametrize("rows", [100, 0], ids=["rows are counted", "other features tell"])
def test_a_feature_that_stops_is_no_longer_just_missing(rows: int) -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        if window < 30:
            steady(lab, at_ms, window)

    lab = filled(give, rows=rows)
    found = found_in(lab)
    assert set(found) == {("amount", "stopped"), ("land", "stopped")}
    stopped = found["amount", "stopped"]
    assert stopped["since"] == at(30)
    assert stopped["severity"] == "high"
    assert stopped["says"] == "it has stopped: none of 1,000 rows has it; before, 100 % of them had it"
    assert "missing_share" in stopped["look"]


def test_a_rare_feature_has_not_stopped_for_being_rare() -> None:
    """Two rows of a hundred have it, in every third window."""

    def give(lab: Lab, at_ms: int, window: int) -> None:
        lab.lands(at_ms, lab.some_lands(100))
        if window < 31 and window % 3 == 0:
            lab.numbers("amount", at_ms, lab.normal(2))

    found = found_in(filled(give))
    assert ("amount", "stopped") not in found
    assert ("amount", "missing") in found


def test_an_extra_feature_that_ends_is_no_stopped_one() -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        steady(lab, at_ms, window)
        if window < 20:
            lab.numbers("extra", at_ms, lab.normal(100), "")

    assert set(found_in(filled(give))) == {("extra", "extra_feature")}


# --- stale


def test_a_number_that_does_not_change_any_more() -> None:
    lab = filled(with_amount(lambda lab, window: lab.normal(100) if window < 30 else [0.25] * 100))
    found = found_in(lab)
    assert set(found) == {("amount", "stale")}
    stale = found["amount", "stale"]
    assert stale["since"] == at(30)
    assert stale["says"] == ("it does not change any more: the last 1,000 values are the same: 0.25; before, it varied")
    assert "constant" in stale["look"]


def test_a_category_that_does_not_change_any_more() -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        lab.numbers("amount", at_ms, lab.normal(100))
        lab.lands(at_ms, lab.some_lands(100) if window < 25 else ["FR"] * 100)

    assert found_in(filled(give))["land", "stale"]["since"] == at(25)


def test_without_a_reference_it_is_told_by_the_steps() -> None:
    lab = filled(with_amount(lambda lab, window: lab.normal(100) if window < 30 else [0.25] * 100, ""), learn=False)
    assert found_in(lab)["amount", "stale"]["since"] == at(30)
    short = filled(with_amount(lambda lab, window: lab.normal(100) if window < 38 else [0.25] * 100, ""), learn=False)
    assert ("amount", "stale") not in found_in(short)  # two steps in forty are


def test_what_is_constant_for_a_while_by_nature_is_not_stale() -> None:
    """The hour of the day, a flag that is seldom set, a value that comes back."""
    by_hour = filled(with_amount(lambda lab, window: [float(window // 6 % 3)] * 100))
    assert ("amount", "stale") not in found_in(by_hour)
    flag = filled(with_amount(lambda lab, window: [0.0] * 100 if window % 5 else [0.0] * 99 + [1.0]))
    assert ("amount", "stale") not in found_in(flag)
    seldom = filled(with_amount(lambda lab, window: [0.0] * 99 + [1.0] if window in (3, 4, 9) else [0.0] * 100))
    assert ("amount", "stale") not in found_in(seldom)


def test_a_value_that_changes_once_a_step_is_not_stale() -> None:
    lab = filled(with_amount(lambda lab, window: lab.normal(100) if window < 30 else [window / 100] * 100))
    assert ("amount", "stale") not in found_in(lab)


def test_a_feature_that_never_changed_is_constant_and_not_stale() -> None:
    found = found_in(filled(with_amount(lambda lab, window: [0.5] * 100)))
    assert ("amount", "constant") in found
    assert ("amount", "stale") not in found


# --- type


def test_numbers_that_come_as_text_where_there_is_a_reference() -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        lab.lands(at_ms, lab.some_lands(100))
        if window < 30:
            lab.numbers("amount", at_ms, lab.normal(100))
        else:
            lab.others("amount", at_ms, wrong_types=100)

    found = found_in(filled(give))
    assert set(found) == {("amount", "type_change")}
    change = found["amount", "type_change"]
    assert (change["severity"], change["since"], change["share"]) == ("high", at(30), 1.0)
    assert change["says"] == ("the reference has it as numbers, and 100 % of the last 1,000 values are no numbers")


def test_what_was_never_right_began_before_the_time() -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        lab.lands(at_ms, lab.some_lands(100))
        lab.others("amount", at_ms, wrong_types=100)

    change = found_in(filled(give))["amount", "type_change"]
    assert change["since"] is None


@pytest.mark.parametrize("was_text", [False, True])
def test_without_a_reference_it_is_compared_with_what_it_was(was_text: bool) -> None:
    def give(lab: Lab, at_ms: int, window: int) -> None:
        series = lab.series("code", "")
        if (window < 25) is was_text:
            lab.view.give(series, at_ms, categories=[f"c{number % 7}" for number in range(100)])
        else:
            lab.view.give(series, at_ms, lab.normal(100))

    found = found_in(filled(give, learn=False))
    change = found["code", "type_change"]
    assert change["since"] == at(25)
    before, now = ("text", "numbers") if was_text else ("numbers", "text")
    assert change["says"] == f"it came as {before}, and 100 % of the last 1,500 values are {now}"


def test_a_mixed_column_and_some_wrong_values_are_no_change_of_type() -> None:
    def mixed(lab: Lab, at_ms: int, window: int) -> None:
        lab.view.give(lab.series("code", ""), at_ms, lab.normal(50), categories=["a"] * 50)

    assert not [what for _, what in found_in(filled(mixed, learn=False)) if what == "type_change"]

    def some(lab: Lab, at_ms: int, window: int) -> None:
        steady(lab, at_ms, window)
        lab.others("amount", at_ms, wrong_types=20)

    found = found_in(filled(some))
    assert ("amount", "wrong_type") in found
    assert ("amount", "type_change") not in found


# --- nothing is found where nothing is wrong


def test_clean_data_have_no_finding_over_a_thousand_windows() -> None:
    """Five kinds of features, of each several; reports over all of it, and over an hour at any time."""
    lab = Lab(seed=3)
    names = [f"x{number}" for number in range(4)]
    for name in names:
        lab.learn_numbers(name)
    lab.learn_lands()
    lab.learn_numbers("flag")
    lab.change("flag", lambda expected: dataclasses.replace(expected, counts=(0, 0, 0, 0, 19_000, 1_000, 0, 0, 0, 0)))
    for window in range(1_000):
        at_ms = BEGIN_MS + window * WINDOW_MS
        for name in names:
            lab.numbers(name, at_ms, lab.normal(40))
        lab.numbers("flag", at_ms, [float(lab.chance.random() < 0.05) for _ in range(40)])
        lab.lands(at_ms, lab.some_lands(40))
        lab.rows(at_ms, 40)
        if window % 90 == 89 or window == 999:
            for words in ("since 1h", "since 3h", "since 10m"):
                assert quality_report(words, lab.view, lab, at_ms + 12_000)["findings"] == []
