"""The catalogue: what there is to ask about, and no more of it than a reader can use."""

import json

from obsagent.answer.catalogue import catalogue
from obsagent.limits import CATALOGUE_VALUES
from obsagent.samples import Kind
from unit.fake_ledger import FakeLedger
from unit.fake_view import FakeView

NOW_MS = 1_767_258_125_250


def shop():
    view = FakeView()
    for endpoint in ("/score", "/batch"):
        series = view.add_series("latency", Kind.HISTOGRAM, "seconds", service="fraud", version="4", endpoint=endpoint)
        view.observe(series, NOW_MS, 0.25)
    view.add_series("latency", Kind.HISTOGRAM, service="risk", host="b")
    view.add_series("depth", Kind.GAUGE, service="risk", host="a")
    view.connect("fraud", live=2, last_ms=NOW_MS - 1000)
    return view


def test_services_have_what_their_series_and_sessions_say():
    assert catalogue(shop())["services"] == [
        {"name": "fraud", "versions": ["4"], "hosts": [], "sessions": 2, "last_ms": NOW_MS - 1000},
        {"name": "risk", "versions": [], "hosts": ["a", "b"], "sessions": 0, "last_ms": None},
    ]


def test_metrics_have_their_kind_labels_and_last_sample():
    depth, latency = catalogue(shop())["metrics"]
    assert (depth["name"], depth["kind"], depth["last_ms"]) == ("depth", "gauge", None)
    assert latency == {
        "name": "latency",
        "kind": "histogram",
        "unit": "seconds",
        "help": "",
        "series": 3,
        "labels": {
            "endpoint": {"values": ["/batch", "/score"], "count": 2},
            "host": {"values": ["b"], "count": 1},
            "service": {"values": ["fraud", "risk"], "count": 2},
            "version": {"values": ["4"], "count": 1},
        },
        "services": ["fraud", "risk"],
        "last_ms": NOW_MS,
    }


def test_one_service_alone():
    found = catalogue(shop(), "risk")
    assert [service["name"] for service in found["services"]] == ["risk"]
    assert [(metric["name"], metric["series"]) for metric in found["metrics"]] == [("depth", 1), ("latency", 1)]
    assert list(found["metrics"][1]["labels"]) == ["host", "service"]


def test_a_service_that_has_sent_no_sample_is_there_and_an_unknown_one_is_not():
    view = shop()
    view.connect("new", live=1, last_ms=NOW_MS)
    assert [service["name"] for service in catalogue(view, "new")["services"]] == ["new"]
    assert catalogue(view, "nowhere")["services"] == catalogue(view, "nowhere")["metrics"] == []


def test_values_are_counted_and_cut():
    view = FakeView()
    for number in range(CATALOGUE_VALUES + 5):
        view.add_series("hits", Kind.COUNTER, user=f"{number:04}")
    (hits,) = catalogue(view)["metrics"]
    assert hits["labels"]["user"]["count"] == CATALOGUE_VALUES + 5
    assert hits["labels"]["user"]["values"] == [f"{number:04}" for number in range(CATALOGUE_VALUES)]


def test_it_goes_into_json_as_it_is():
    found = catalogue(shop())
    assert json.loads(json.dumps(found)) == found


def test_events_by_name():
    view = shop()
    view.add_event("deploy", NOW_MS - 60_000, service="fraud", version="3")
    view.add_event("deploy", NOW_MS, service="fraud", version="4")
    view.add_event("rollback", NOW_MS - 5, service="risk")
    assert catalogue(view)["events"] == [
        {"name": "deploy", "services": ["fraud"], "count": 2, "last_ms": NOW_MS},
        {"name": "rollback", "services": ["risk"], "count": 1, "last_ms": NOW_MS - 5},
    ]
    assert [event["name"] for event in catalogue(view, "risk")["events"]] == ["rollback"]


def test_models_features_and_references_are_those_of_the_series():
    view = FakeView()
    for version, reference in (("3", "0ld00000"), ("4", "new00000")):
        for feature in ("amount", "land"):
            view.add_series(
                "feature",
                Kind.COLUMN,
                service="shop",
                model="fraud",
                version=version,
                variant="live",
                feature=feature,
                reference=reference,
            )
    view.add_series("feature", Kind.COLUMN, service="other", model="churn", feature="age", version="")
    view.add_series("requests", Kind.COUNTER, service="shop", endpoint="/")
    found = catalogue(view)
    alone = {"task": "", "outcomes": None}
    assert found["models"] == [
        {"name": "churn", "versions": [], "variants": [], "services": ["other"], "features": 1, **alone},
        {"name": "fraud", "versions": ["3", "4"], "variants": ["live"], "services": ["shop"], "features": 2, **alone},
    ]
    assert found["features"][1] == {"name": "amount", "models": ["fraud"], "references": ["0ld00000", "new00000"]}
    assert found["references"][0] == {"name": "0ld00000", "models": ["fraud"], "features": 2}
    assert [model["name"] for model in catalogue(view, "shop")["models"]] == ["fraud"]


def test_models_whose_predictions_have_ids_say_which_metrics_make_sense():
    view = FakeView()
    view.ledger = FakeLedger()
    view.add_series(
        "feature", Kind.COLUMN, service="shop", model="fraud", version="4", variant="live", feature="amount"
    )
    view.ledger.predict("fraud", "1", 0, 1, 0.5, country="DE")
    view.ledger.predict("price", "1", 0, 2.5, version="1")
    fraud, price = catalogue(view)["models"]
    assert (fraud["task"], price["task"]) == ("two classes", "numbers")
    assert fraud["outcomes"]["labels"]["country"] == {"values": ["DE"], "count": 1}
    assert "recall" in fraud["outcomes"]["metrics"]
    assert "mae" in price["outcomes"]["metrics"]
    assert "recall" not in price["outcomes"]["metrics"]
    assert (price["versions"], price["services"], price["features"]) == (["1"], [], 0)
