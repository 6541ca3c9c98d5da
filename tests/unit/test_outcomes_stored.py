"""What comes through a real store, in any order and across kills, beside scikit-learn on the raw rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from outcome_lab import Made, OutcomeDesk, in_disorder
from sklearn import metrics as peer

from obsagent.evaluate.performance_report import performance_report

HOUR_MS = 3_600_000
COUNTRIES, VERSIONS = ("DE", "FR"), (("4", "live"), ("5", "canary"), ("6", "shadow"))
EXACT = {
    "accuracy": lambda truths, predicted, scores: peer.accuracy_score(truths, predicted),
    "recall": lambda truths, predicted, scores: peer.recall_score(truths, predicted),
    "precision": lambda truths, predicted, scores: peer.precision_score(truths, predicted),
    "mcc": lambda truths, predicted, scores: peer.matthews_corrcoef(truths, predicted),
    "log_loss": lambda truths, predicted, scores: peer.log_loss(truths, scores),
    "brier": lambda truths, predicted, scores: peer.brier_score_loss(truths, scores),
}
BINNED = {"roc_auc": peer.roc_auc_score, "average_precision": peer.average_precision_score}


def made_up(desk: OutcomeDesk, seed: int, count: int = 400) -> None:
    """Half of the truths before their predictions, some twice, some other ones first, some never; kills between."""
    chance, begin_ms = random.Random(seed), desk.clock.now_ms - 6 * HOUR_MS
    rows, truths = [], []
    for number in range(count):
        at_ms, country, score = begin_ms + chance.randrange(6 * HOUR_MS), chance.choice(COUNTRIES), chance.random()
        for version, variant in VERSIONS if number % 3 else VERSIONS[:1]:
            own = min(1.0, max(0.0, score + chance.gauss(0, 0.2 if version == "6" else 0.05)))
            rows.append(Made(f"r{number}", at_ms, int(own >= 0.5), own, version, variant, country))
        truth = int(chance.random() < score)
        if chance.random() < 0.8:
            truths.append((f"r{number}", truth))
        if chance.random() < 0.1:
            desk.tell("fraud", [(f"r{number}", 1 - truth)])
    again = truths + chance.sample(truths, 40)
    parts = zip(in_disorder(chance, rows, 5), in_disorder(chance, again, 5), strict=True)
    for number, (predictions, told) in enumerate(parts):
        desk.tell("fraud", told[::2])
        desk.predict("fraud", predictions)
        desk.tell("fraud", told[1::2])
        if number % 2:
            desk.store.records.flush()
        desk.kill()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutcomeDesk]:
    desk = OutcomeDesk(tmp_path_factory.mktemp("store"))
    made_up(desk, 1)
    yield desk
    desk.store.close()


def columns(joined: list[tuple[Made, Any]]) -> tuple[list[int], list[int], list[float]]:
    return [truth for _, truth in joined], [row.value for row, _ in joined], [row.score for row, _ in joined]


@pytest.mark.parametrize("name", [*EXACT, *BINNED])
def test_every_version_and_slice_is_as_recomputed(desk: OutcomeDesk, name: str) -> None:
    found = desk.ask(f"{name} model=fraud by version,country since 7h")
    assert len(found) == len(VERSIONS) * len(COUNTRIES)
    for row in found:
        joined = desk.joined(**row["labels"])
        check(name, row, joined)
        every = [made for made in desk.made if (made.version, made.country) == tuple(row["labels"].values())]
        assert row["maturity"]["predictions"] == len(every)


def check(name: str, row: dict[str, Any], joined: list[tuple[Made, Any]]) -> None:
    assert row["count"] == len(joined)
    if name in EXACT:
        assert row["values"][name] == pytest.approx(EXACT[name](*columns(joined)), rel=1e-9)
        return
    truths, _, scores = columns(joined)
    bound = row["error_bound"][name] and row["error_bound"][name]["absolute"]
    assert abs(row["values"][name] - BINNED[name](truths, scores)) <= bound + 1e-12


@pytest.mark.parametrize("name", ["accuracy", "roc_auc"])
def test_every_window_is_as_recomputed(desk: OutcomeDesk, name: str) -> None:
    (row,) = desk.ask(f"{name} model=fraud variant=canary since 7h step 30m")
    assert len(row["points"]) >= 12
    total = 0
    for point in row["points"]:
        start_ms, end_ms = (int(datetime.fromisoformat(point[end]).timestamp() * 1000) for end in ("from", "to"))
        inside = [pair for pair in desk.joined(variant="canary") if start_ms <= pair[0].at_ms < end_ms]
        total += len(inside)
        if len({truth for _, truth in inside}) == 2:
            check(name, point, inside)
    assert total == row["count"]


def test_rivals_are_compared_on_what_both_predicted(desk: OutcomeDesk) -> None:
    from obsagent.answer.expected import NO_REFERENCES

    report = performance_report("since 7h", desk.store.view(), NO_REFERENCES, desk.clock.now_ms)
    assert [row["version"] for row in report["rows"]] == ["4", "5", "6"]
    assert [rival["second"]["version"] for rival in report["rivals"]] == ["5", "6"]
    for rival in report["rivals"]:
        ours = {row.id: (row.value != truth) for row, truth in desk.joined(version="4")}
        theirs = {row.id: (row.value != truth) for row, truth in desk.joined(version=rival["second"]["version"])}
        both = [(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()]
        assert rival["truths"] == len(both)
        assert rival["first_wrong"] == sum(one and not other for one, other in both)
        assert rival["second_wrong"] == sum(other and not one for one, other in both)
        expected = sum(other - one for one, other in both) / len(both)
        assert rival["difference"] == pytest.approx(expected)
        assert rival["low"] < rival["difference"] < rival["high"]


def test_a_store_without_an_agent_answers_alike(desk: OutcomeDesk) -> None:
    """Also what is only in the journal."""
    desk.store.sync()
    desk.tell("fraud", [("r0", 1), ("r0", 0)])
    desk.store.sync()
    from obsagent.answer.execute import answer
    from obsagent.answer.language import parse
    from obsagent.head.store import Store

    query = parse("accuracy,truths model=fraud by version since 7h")
    alone = Store.open_read_only(desk.directory, clock=desk.clock).view()
    now_ms = desk.clock.now_ms
    assert answer(query, alone, now_ms)["series"] == answer(query, desk.store.view(), now_ms)["series"]


def test_numbers_are_as_recomputed(tmp_path: Path) -> None:
    desk, chance = OutcomeDesk(tmp_path), random.Random(3)
    rows, truths = [], []
    for number in range(300):
        truth = chance.gauss(20, 5)
        for version, spread in (("1", 2.0), ("2", 1.0)):
            made = Made(
                f"p{number}",
                desk.clock.now_ms - number * 1000,
                truth + chance.gauss(0.3, spread),
                None,
                version,
                "live",
                "EU",
            )
            rows.append(made)
        if number % 4:
            truths.append((f"p{number}", truth))
    for predictions, told in zip(in_disorder(chance, rows, 3), in_disorder(chance, truths, 3), strict=True):
        desk.tell("price", told)
        desk.predict("price", predictions)
        desk.kill()
    for row in desk.ask("mae,rmse,r2,bias,error_p90 model=price by version since 10m"):
        name, joined = row["metric"], desk.joined(**row["labels"])
        true, predicted = [truth for _, truth in joined], [made.value for made, _ in joined]
        errors = sorted(abs(one - other) for one, other in zip(true, predicted, strict=True))
        expected = {
            "mae": peer.mean_absolute_error(true, predicted),
            "rmse": math.sqrt(peer.mean_squared_error(true, predicted)),
            "r2": peer.r2_score(true, predicted),
            "bias": sum(predicted) / len(true) - sum(true) / len(true),
            "error_p90": errors[math.ceil(0.9 * len(errors)) - 1],
        }[name]
        assert row["values"][name] == pytest.approx(expected, rel=0.012 if name == "error_p90" else 1e-6)
    from obsagent.answer.expected import NO_REFERENCES

    (rival,) = performance_report("since 10m", desk.store.view(), NO_REFERENCES, desk.clock.now_ms)["rivals"]
    assert rival["better"] == "second"
    assert rival["difference"] < 0
    desk.store.close()


def test_names_of_classes(tmp_path: Path) -> None:
    desk, chance = OutcomeDesk(tmp_path), random.Random(4)
    rows, truths = [], []
    for number in range(200):
        truth = chance.choice("abc")
        value = truth if chance.random() < 0.7 else chance.choice("abc")
        rows.append(Made(f"t{number}", desk.clock.now_ms - number, value, None, "1", "live", "EU"))
        truths.append((f"t{number}", truth))
    desk.predict("topics", rows)
    desk.tell("topics", truths)
    desk.kill()
    (row,) = desk.ask("f1_macro model=topics")
    true, predicted = [truth for _, truth in truths], [made.value for made in rows]
    assert row["values"]["f1_macro"] == pytest.approx(peer.f1_score(true, predicted, average="macro"))
    desk.store.close()


def test_a_slip_of_the_pen_makes_no_third_class(tmp_path: Path) -> None:
    desk, chance = OutcomeDesk(tmp_path), random.Random(6)
    rows, truths = [], []
    for number in range(300):
        score = chance.random()
        rows.append(Made(f"r{number}", desk.clock.now_ms - number, int(score >= 0.5), score, "1", "live", "EU"))
        truths.append((f"r{number}", "maybe" if number % 50 == 0 else int(chance.random() < score)))
    desk.predict("fraud", rows)
    desk.tell("fraud", [each for each in truths if each[1] == "maybe"])
    desk.tell("fraud", [each for each in truths if each[1] != "maybe"])
    desk.kill()
    known = [(made, truth) for made, (_, truth) in zip(rows, truths, strict=True) if truth != "maybe"]
    true, predicted, scores = columns(known)
    for name, wanted in {
        "roc_auc": pytest.approx(peer.roc_auc_score(true, scores), abs=0.002),
        "recall": pytest.approx(peer.recall_score(true, predicted)),
        "brier": pytest.approx(peer.brier_score_loss(true, scores)),
        "f1_macro": pytest.approx(peer.f1_score(true, predicted, average="macro")),
    }.items():
        (row,) = desk.ask(f"{name} model=fraud")
        assert row["values"][name] == wanted
    from obsagent.answer.expected import NO_REFERENCES

    (judged,) = performance_report("since 10m", desk.store.view(), NO_REFERENCES, desk.clock.now_ms)["rows"]
    assert judged["task"] == "two classes"
    assert judged["of_neither"] == 6
    assert judged["confusion"]["classes"] == ["0", "1"]
    assert sum(map(sum, judged["confusion"]["counts"])) == 294
    desk.store.close()


def test_a_class_is_what_something_was_called(tmp_path: Path) -> None:
    """Not what is compared with nothing, such as a first truth."""
    desk = OutcomeDesk(tmp_path)
    desk.predict("topics", [Made("t1", desk.clock.now_ms, "a", None, "1", "live", "EU")])
    desk.tell("topics", [("t1", "b"), ("t2", "a")])
    (model,) = desk.store.view().ledger.models()
    assert model.classes == ("a", "b")
    desk.store.close()
