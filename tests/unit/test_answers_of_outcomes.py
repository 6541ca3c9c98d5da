"""Derived metrics of outcomes through a whole query, beside what scikit-learn makes of the same predictions."""

import json
import math
import random
from datetime import datetime, timedelta

import pytest
from sklearn import metrics as peer

from obsagent.answer.execute import answer
from obsagent.answer.expected import ExpectedOutcomes
from obsagent.answer.language import parse
from obsagent.answer.mistakes import QueryError
from obsagent.answer.options import Options
from unit.fake_ledger import FakeLedger
from unit.fake_view import FakeGap
from unit.feature_lab import LABEL, Lab

NOW_MS = 1_767_258_125_250
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@pytest.fixture
def lab():
    lab = Lab()
    lab.view.ledger = FakeLedger()
    return lab


@pytest.fixture
def made(lab):
    return fill(lab)


def fill(lab, count=600, seed=5, model="fraud", told=0.7, hours=4, **slices):
    """Predictions of the last hours, every hour better than the one before; what is told of them, row by row."""
    chance = random.Random(seed)
    rows = []
    for index in range(count):
        at_ms = NOW_MS - int(chance.random() * hours * HOUR_MS)
        country, version = chance.choice(("DE", "FR")), chance.choice(("4", "5"))
        score = chance.random()
        truth = int(chance.random() < (score if country == "DE" else (score + 0.5) / 2))
        labels = {"version": version, "country": country, **slices}
        lab.view.ledger.predict(model, f"{model}{index}", at_ms, int(score >= 0.5), score, **labels)
        if chance.random() < told:
            lab.view.ledger.tell(model, f"{model}{index}", truth)
            rows.append({**labels, "at_ms": at_ms, "score": score, "predicted": int(score >= 0.5), "truth": truth})
    return rows


def ask(lab, text, **options):
    result = answer(parse(text), lab.view, NOW_MS, Options(references=lab, **options))
    json.dumps(result, allow_nan=False)
    return result


def only(lab, text, **options):
    (row,) = ask(lab, text, **options)["series"]
    return row


def columns(rows):
    return ([row[name] for row in rows] for name in ("truth", "predicted", "score"))


PEERS = {
    "accuracy": lambda t, p, s: peer.accuracy_score(t, p),
    "precision": lambda t, p, s: peer.precision_score(t, p),
    "recall": lambda t, p, s: peer.recall_score(t, p),
    "f1": lambda t, p, s: peer.f1_score(t, p),
    "specificity": lambda t, p, s: peer.recall_score(t, p, pos_label=0),
    "mcc": lambda t, p, s: peer.matthews_corrcoef(t, p),
    "log_loss": lambda t, p, s: peer.log_loss(t, s),
    "brier": lambda t, p, s: peer.brier_score_loss(t, s),
    "f1_macro": lambda t, p, s: peer.f1_score(t, p, average="macro"),
    "precision_weighted": lambda t, p, s: peer.precision_score(t, p, average="weighted"),
    "recall_micro": lambda t, p, s: peer.recall_score(t, p, average="micro"),
}
BINNED = {"roc_auc": peer.roc_auc_score, "average_precision": peer.average_precision_score}


@pytest.mark.parametrize("name", PEERS)
def test_metrics_are_those_of_all_rows_at_once(lab, made, name):
    row = only(lab, f"{name} model=fraud since 5h")
    assert row["values"][name] == pytest.approx(PEERS[name](*columns(made)), rel=1e-9)
    assert row["count"] == len(made)
    assert row["error_bound"][name] == 0
    low, high = row["interval"][name]
    assert low < row["values"][name] < high
    assert row["maturity"] == {"predictions": 600, "truths": len(made), "share": len(made) / 600}


@pytest.mark.parametrize("name", BINNED)
def test_what_is_binned_is_off_by_no_more_than_its_bound(lab, made, name):
    row = only(lab, f"{name} model=fraud since 5h")
    truths, _, scores = columns(made)
    bound = row["error_bound"][name]["absolute"]
    assert abs(row["values"][name] - BINNED[name](truths, scores)) <= bound < 0.01


def test_rows_and_filters_are_of_versions_and_slices(lab, made):
    found = ask(lab, "recall model=fraud by country,version since 5h")["series"]
    assert len(found) == 4
    for row in found:
        own = [each for each in made if all(each[name] == value for name, value in row["labels"].items())]
        assert row["values"]["recall"] == pytest.approx(PEERS["recall"](*columns(own)))
        assert row["count"] == len(own)
    french = [each for each in made if each["country"] == "FR"]
    row = only(lab, "recall model=fraud country=FR since 5h")
    assert row["values"]["recall"] == pytest.approx(PEERS["recall"](*columns(french)))


def test_steps_are_of_the_time_of_the_prediction(lab, made):
    found = ask(lab, "accuracy model=fraud since 4h step 1h")["series"][0]
    assert sum(point["count"] for point in found["points"]) == len(made)
    for point in found["points"]:
        start_ms = _ms(point["from"])
        own = [each for each in made if start_ms <= each["at_ms"] < start_ms + HOUR_MS]
        assert point["values"]["accuracy"] == pytest.approx(PEERS["accuracy"](*columns(own)))
        assert point["maturity"]["truths"] == len(own)
        assert point["interval"]["accuracy"][0] < point["values"]["accuracy"]


def _ms(text):
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp() * 1000)


def test_a_comparison_marks_what_chance_does_not_explain(lab, made):
    found = ask(lab, "brier model=fraud country=DE since 5h vs country=FR")["series"][0]
    german, french = ([each for each in made if each["country"] == country] for country in ("DE", "FR"))
    assert found["vs"]["values"]["brier"] == pytest.approx(PEERS["brier"](*columns(french)))
    assert found["change"]["brier"]["absolute"] == pytest.approx(
        PEERS["brier"](*columns(german)) - PEERS["brier"](*columns(french))
    )
    assert found["vs"]["maturity"]["truths"] == len(french)
    same = ask(lab, "accuracy model=fraud version=4 since 5h vs version=5")["series"][0]["change"]["accuracy"]
    assert same["absolute"] != 0
    assert not same["beyond_error"]


def test_where_and_top(lab, made):
    found = ask(lab, "recall model=fraud by country,version since 5h where count above 100 bottom 1")
    values = {tuple(row["labels"].values()): row for row in ask(lab, "recall by country,version since 5h")["series"]}
    enough = {key: row["values"]["recall"] for key, row in values.items() if row["count"] > 100}
    if enough:
        assert tuple(found["series"][0]["labels"].values()) == min(enough, key=enough.get)
    assert ask(lab, "recall model=fraud by country since 5h where recall above 1")["series"] == []
    assert ask(lab, "truths model=fraud by country since 5h where count above 100")["series"]


def test_what_is_counted(lab, made):
    found = ask(lab, "truth_maturity,truths,predictions_with_id model=fraud since 5h")["series"]
    values = {row["metric"]: row["values"][row["metric"]] for row in found}
    assert values == {
        "truth_maturity": pytest.approx(len(made) / 600),
        "truths": len(made),
        "predictions_with_id": 600,
    }
    assert "interval" not in found[0]


def test_truths_come_in_any_order_and_are_corrected(lab):
    ledger = lab.view.ledger
    ledger.tell("fraud", "b", 1)
    for number, name in enumerate("abcd"):
        ledger.predict("fraud", name, NOW_MS - MINUTE_MS * number, number % 2, 0.5)
    ledger.tell("fraud", "a", 1)
    assert only(lab, "accuracy")["values"]["accuracy"] == 0.5
    ledger.tell("fraud", "a", 0)
    assert only(lab, "accuracy")["values"]["accuracy"] == 1.0


def test_the_watermark_is_where_truths_become_rare(lab):
    ledger = lab.view.ledger
    for number in range(400):
        at_ms = NOW_MS - (400 - number) * MINUTE_MS
        ledger.predict("fraud", str(number), at_ms, number % 2, 0.5)
        if number < 250 or number % 10 == 0:
            ledger.tell("fraud", str(number), 1)
    row = only(lab, "accuracy since 7h")
    assert abs(_ms(row["watermark"]) - (NOW_MS - 150 * MINUTE_MS)) < 6 * MINUTE_MS
    assert only(lab, "accuracy since 1h")["watermark"] is None
    assert _ms(only(lab, "accuracy since 7h step 1h")["watermark"]) % HOUR_MS == 0


def test_several_models_are_not_one(lab, made):
    fill(lab, model="spam", seed=6)
    with pytest.raises(QueryError, match="`recall` is of one model: add `by model`, or choose with model=NAME"):
        ask(lab, "recall since 5h")
    assert len(ask(lab, "recall by model since 5h")["series"]) == 2


def test_a_metric_without_meaning_for_the_model_says_which_have_one(lab, made):
    with pytest.raises(
        QueryError, match="`mae` is of a model that predicts numbers, and fraud tells two classes apart"
    ):
        ask(lab, "mae model=fraud")
    ledger = lab.view.ledger
    for number in range(50):
        ledger.predict("price", str(number), NOW_MS, float(number))
        ledger.predict("topics", str(number), NOW_MS, "abc"[number % 3])
    with pytest.raises(QueryError, match=r"price predicts numbers: ask for mae, rmse, mape, r2, bias, error_p50"):
        ask(lab, "roc_auc model=price")
    with pytest.raises(QueryError, match=r"topics has more than two classes: ask for accuracy, mcc, precision_macro"):
        ask(lab, "recall model=topics")
    with pytest.raises(QueryError, match="`recall` has no label `contry`: its labels are country, model"):
        ask(lab, "recall by contry")
    with pytest.raises(QueryError, match="ask for it without a stat"):
        ask(lab, "p99 recall")


def test_of_several_models_those_have_rows_for_which_it_makes_sense(lab, made):
    lab.view.ledger.predict("price", "1", NOW_MS, 2.0)
    assert [row["labels"]["model"] for row in ask(lab, "accuracy by model since 5h")["series"]] == ["fraud"]
    assert len(ask(lab, "predictions_with_id by model since 5h")["series"]) == 2


def test_many_classes(lab):
    chance, rows = random.Random(3), []
    for number in range(300):
        truth = chance.choice("abcd")
        predicted = truth if chance.random() < 0.6 else chance.choice("abcd")
        lab.view.ledger.predict("topics", str(number), NOW_MS, predicted)
        lab.view.ledger.tell("topics", str(number), truth)
        rows.append((truth, predicted))
    truths, predicted = zip(*rows, strict=True)
    for average in ("macro", "micro", "weighted"):
        for which, function in (
            ("precision", peer.precision_score),
            ("recall", peer.recall_score),
            ("f1", peer.f1_score),
        ):
            name = f"{which}_{average}"
            assert only(lab, name)["values"][name] == pytest.approx(function(truths, predicted, average=average))
    assert only(lab, "mcc")["values"]["mcc"] == pytest.approx(peer.matthews_corrcoef(truths, predicted))


def test_numbers(lab):
    chance, rows = random.Random(3), []
    for number in range(400):
        truth = chance.gauss(20, 5)
        predicted = truth + chance.gauss(0.5, 2)
        lab.view.ledger.predict("price", str(number), NOW_MS - number * 1000, predicted, region="EU")
        if number % 3:
            lab.view.ledger.tell("price", str(number), truth)
            rows.append((truth, predicted))
    truths, predicted = zip(*rows, strict=True)
    errors = [made - true for true, made in rows]
    expected = {
        "mae": peer.mean_absolute_error(truths, predicted),
        "rmse": math.sqrt(peer.mean_squared_error(truths, predicted)),
        "mape": peer.mean_absolute_percentage_error(truths, predicted),
        "r2": peer.r2_score(truths, predicted),
        "bias": sum(errors) / len(errors),
    }
    for name, value in expected.items():
        row = only(lab, f"{name} model=price by region since 10m")
        assert row["values"][name] == pytest.approx(value, rel=1e-9)
        assert row["count"] == len(rows)
    ordered = sorted(map(abs, errors))
    for name, q in (("error_p50", 0.5), ("error_p90", 0.9), ("error_p97.5", 0.975)):
        row = only(lab, f"{name} model=price since 10m")
        true = ordered[math.ceil(len(ordered) * q) - 1]
        assert abs(row["values"][name] - true) <= row["error_bound"][name]["absolute"] < 0.02 * true
    assert only(lab, "mape since 10m")["interval"] == {"mape": None}
    assert "no `error_p101`" in ask(lab, "error_p101 model=price")["empty"]


def test_estimates_come_before_truths(lab):
    """Where scores mean what they meant, the estimate is what the truth shows."""
    chance, cells = random.Random(7), {}
    for _ in range(20_000):
        score = chance.random()
        key = min(int(score * 1024), 1023), int(score >= 0.5), int(chance.random() < score)
        cells[key] = cells.get(key, 0) + 1
    lab.joints[LABEL] = ExpectedOutcomes(LABEL, ("0", "1"), ("0", "1"), cells, 1024)
    lab.configured["fraud"] = LABEL
    made = [row for row in fill(lab, 3000, told=1.0) if row["country"] == "DE"]
    for name in ("accuracy", "precision", "recall", "f1"):
        row = only(lab, f"estimated_{name} model=fraud country=DE since 5h")
        low, high = row["interval"][f"estimated_{name}"]
        assert low < PEERS[name](*columns(made)) < high
        assert high - low < 0.12
        assert row["reference"] == LABEL
        assert row["count"] == len(made)
    truths, _, scores = columns(made)
    row = only(lab, "estimated_roc_auc model=fraud country=DE since 5h")
    assert row["values"]["estimated_roc_auc"] == pytest.approx(peer.roc_auc_score(truths, scores), abs=0.03)
    drifted = ask(lab, "accuracy,estimated_accuracy model=fraud country=FR since 5h")["series"]
    assert drifted[0]["values"]["accuracy"] != pytest.approx(drifted[1]["values"]["estimated_accuracy"], abs=0.01)


def test_without_truths_the_answer_says_how_many_wait(lab):
    fill(lab, 25, told=0)
    found = ask(lab, "recall model=fraud since 5h")
    assert found["series"] == []
    assert found["empty"].startswith("no truths yet: 25 predictions with ids wait for theirs in the last 5h")
    assert "--model fraud" in found["empty"]
    assert only(lab, "truth_maturity model=fraud since 5h")["values"] == {"truth_maturity": 0}
    assert "needs a reference of fraud that knows scores" in ask(lab, "estimated_recall since 5h")["empty"]


def test_without_ids_the_answer_says_so(lab):
    assert "no prediction with an id in the last 5m, nor ever; `model.pred" in ask(lab, "recall")["empty"]
    fill(lab, 10)
    assert "no prediction with an id has ever come with version=9" in ask(lab, "recall version=9")["empty"]
    found = ask(lab, "recall version=4 from 2020-01-01 to 2020-01-02")
    assert found["empty"].startswith("no prediction with an id with version=4 from 2020-01-01 to 2020-01-02")
    assert found["covered"] is None
    lab.view.ledger = None
    assert "nor ever" in ask(lab, "recall")["empty"]


def test_the_first_step_covers_no_more_than_is_asked_for(lab):
    """Steps begin at multiples of their length, which may be long before."""
    fill(lab, 25)
    found = ask(lab, "accuracy model=fraud since 5h step 30d")
    covered, asked = (datetime.fromisoformat(each["from"]) for each in (found["covered"], found))
    assert timedelta(0) <= asked - covered < timedelta(seconds=10)  # the window that holds the beginning


def test_a_typing_error_is_told_from_what_makes_sense(lab, made):
    assert ask(lab, "recal")["empty"].endswith("did you mean `recall`?")
    assert "did you mean" not in ask(lab, "rmes")["empty"]
    with pytest.raises(QueryError, match="`recall` has no p99: expected recall or count"):
        ask(lab, "recall where p99 above 1")


def test_gaps_of_the_ledger_are_those_of_the_answer(lab, made):
    lab.view.ledger.lost.append(FakeGap(NOW_MS - HOUR_MS, NOW_MS - MINUTE_MS, "a run is damaged"))
    (gap,) = ask(lab, "recall model=fraud since 30m")["gaps"]
    assert gap["reason"] == "a run is damaged"
    assert "gaps" not in ask(lab, "recall model=fraud from 2025-01-01 to 2025-01-02")
    lab.numbers("amount", NOW_MS, [1.0])
    assert "gaps" not in ask(lab, "null_share since 1h")


def test_codes_are_those_of_the_ledger():
    from obsagent.answer import outcomes
    from obsagent.ledger import format as layout
    from obsagent.limits import LEDGER_SCORE_BINS, SCORE_BINS
    from obsagent.performance import error_bins

    for name in ("OTHER", "NUMBER", "NONE", "NO_BIN"):
        assert getattr(outcomes, name) == getattr(layout, name)
    assert layout.ERROR_OCTAVE_MIN == -outcomes.ERROR_OCTAVES
    assert layout.ERROR_BINS_PER_OCTAVE == error_bins.PER_OCTAVE
    assert LEDGER_SCORE_BINS == SCORE_BINS


def test_a_value_that_cannot_be_is_null_and_says_why(lab):
    lab.view.ledger.predict("fraud", "a", NOW_MS, 0)
    lab.view.ledger.tell("fraud", "a", 0)
    row = only(lab, "roc_auc")
    assert row["values"] == {"roc_auc": None}
    assert row["interval"] == {"roc_auc": None}
    assert row["why"]
    assert only(lab, "accuracy")["values"] == {"accuracy": 1.0}


def test_a_metric_of_that_name_that_is_stored_comes_first(lab, made):
    from obsagent.samples import Kind

    lab.view.increment(lab.view.add_series("recall", Kind.COUNTER, service="shop"), NOW_MS, 3)
    assert only(lab, "sum recall")["values"] == {"sum": 3}


def test_features_and_outcomes_in_one_answer(lab, made):
    lab.numbers("amount", NOW_MS, lab.normal(50), country="DE")
    found = ask(lab, "null_share,accuracy model=fraud by country since 5h")["series"]
    assert [(row["metric"], row["labels"]["country"]) for row in found] == [
        ("null_share", "DE"),
        ("accuracy", "DE"),
        ("accuracy", "FR"),
    ]


def test_promql_knows_no_truths(lab, made):
    explain = ask(lab, "recall model=fraud since 5h", explain=True)["explain"]
    assert explain["promql"] == []
    assert "predictions and their truths" in explain["notes"][0]
