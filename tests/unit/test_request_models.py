"""What a request gives to its models: whose it is, in which slice, and that nothing of it is lost or counted twice."""

from __future__ import annotations

import asyncio
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest
from model_lab import Lab

from obsagent.errors import FeatureError
from obsagent.record.models import observed
from obsagent.record.request import current_request

ROW = {"amount": 1.0, "age": 30}
BUILT_IN = ("latency", "requests", "errors", "in_flight", "queue_delay")


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_features_belong_to_the_model_that_predicts(lab: Lab) -> None:
    champion, shadow = lab.model(), lab.model("fraud", "5", "shadow")
    with lab.request() as request:
        request.features(ROW)
        request.prediction(1, score=0.7, model=champion)
        request.prediction(0, score=0.3, model=shadow)
    assert lab.values("amount", version="4") == lab.values("amount", version="5") == [1.0]
    assert lab.values("prediction.score", version="4", variant="live") == [0.7]
    assert lab.values("prediction.score", version="5", variant="shadow") == [0.3]
    assert lab.total("feature_rows") == lab.total("predictions") == 2
    assert lab.total("requests") == 1


def test_several_features_of_several_models(lab: Lab) -> None:
    first, second = lab.model("first"), lab.model("second")
    with lab.request() as request:
        request.features({"a": 1.0}, model=first)
        request.features({"b": 2.0}, model=second)
        request.features({"a": 3.0}, model=first)
        request.prediction(1, model=second)
    assert lab.values("a", model="first") == [1.0, 3.0]
    assert lab.values("b", model="second") == [2.0]
    assert lab.total("feature_rows", model="first") == 2
    assert lab.total("feature_rows", model="second") == 1
    assert lab.total("predictions", model="first") == 0


def test_a_row_in_parts_is_one_row(lab: Lab) -> None:
    model = lab.model()
    with lab.request(model=model) as request:
        request.features({"a": 1.0})
        request.features({"b": 2.0})
        request.features({"a": 3.0, "c": 1.0})
        request.features(np.ones((2, 1)), names=["d"])
    assert lab.total("feature_rows") == 4
    assert lab.values("a") == [1.0, 3.0]


@pytest.mark.parametrize("order", ["first", "last", "between"])
def test_a_slice_is_of_the_whole_request_whenever_it_is_told(lab: Lab, order: str) -> None:
    model = lab.model()
    with lab.request(model=model) as request:
        if order == "first":
            request.slice(country="DE")
        request.features(ROW)
        if order == "between":
            request.slice(country="DE")
        request.prediction(1, score=0.5)
        if order == "last":
            request.slice(country="FR")
            request.slice(country="DE", plan="free")
    for feature in ("amount", "prediction.value", "prediction.score"):
        assert len(lab.values(feature, country="DE")) == 1
    assert lab.total("feature_rows", country="DE") == lab.total("predictions", country="DE") == 1
    with lab.request(model=model) as request:
        request.features(ROW)
    assert len(lab.values("amount")) == 2
    assert len(lab.values("amount", country="DE")) == 1


@pytest.mark.parametrize("name", ["model", "feature", "worker", "reference", "not a name", "x" * 200])
def test_a_slice_has_a_name_of_its_own(lab: Lab, name: str) -> None:
    lab.model()
    with lab.request() as request, pytest.raises(FeatureError):
        request.slice(**{name: "x"})


def test_a_request_that_raises_delivers_what_it_has(lab: Lab) -> None:
    model = lab.model()
    with suppress(ZeroDivisionError), lab.request(model=model) as request:
        request.features(ROW)
        request.prediction(1 / 0)
    assert lab.values("amount") == [1.0]
    assert lab.total("errors") == 1


def test_what_a_request_was_given_may_be_changed_afterwards(lab: Lab) -> None:
    model = lab.model()
    row, matrix, values = dict(ROW), np.ones((2, 1)), [1, 1]
    with lab.request(model=model) as request:
        request.features(row)
        request.features(matrix, names=["amount"])
        request.predictions(values)
        row["amount"] = matrix[:] = values[0] = 99
    assert lab.values("amount") == [1.0, 1.0, 1.0]
    assert lab.values("prediction.value") == [1, 1]


def test_a_large_matrix_is_counted_at_once_where_its_model_is_known(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observed, "OBSERVED_AT_ONCE_VALUES", 3)
    model = lab.model()
    with lab.request(model=model) as request:
        request.slice(country="DE")
        request.features(np.ones((2, 2)), names=["a", "b"])
        assert lab.values("a", country="DE") == [1.0, 1.0]
    assert lab.total("feature_rows") == 2


def test_outside_of_its_with_a_request_counts_at_once(lab: Lab) -> None:
    model = lab.model()
    request = lab.request(model=model)
    request.features(ROW)
    assert lab.values("amount") == [1.0]
    with lab.request(model=model) as request:
        request.features(ROW)
    request.prediction(1)
    assert lab.values("amount") == [1.0, 1.0]
    assert lab.values("prediction.value") == [1]
    late = lab.request(model=model)
    with late:
        pass
    late.features(ROW)
    assert len(lab.values("amount")) == 3


def test_features_of_nobody_are_rejected_and_said_once(lab: Lab) -> None:
    lab.model("first")
    lab.model("second")
    requests = [lab.request(), lab.request()]
    for request in requests:
        request.__enter__()
        request.features(ROW)
    with pytest.warns(RuntimeWarning, match="which model"):
        requests[1].__exit__(None, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        requests[0].__exit__(None, None, None)
    assert lab.recorder.rejected == 6
    with lab.request() as request, pytest.raises(FeatureError, match="which model"):
        request.prediction(1)


def test_the_only_model_needs_no_name(lab: Lab) -> None:
    lab.model()
    with lab.request() as request:
        request.features(ROW)
        request.predictions([1, 0])
    assert lab.values("amount") == [1.0]
    assert lab.values("prediction.value") == [1, 0]


def test_a_request_that_names_its_model_has_its_labels(lab: Lab) -> None:
    with lab.request("/score", lab.model(variant="canary"), queued_at=0.0):
        pass
    with lab.request("/score"):
        pass
    labels = [each.labels for each in lab.registry.definitions if each.metric == "latency"]
    assert labels == [
        {"endpoint": "/score", "model": "fraud", "version": "4", "variant": "canary"},
        {"endpoint": "/score"},
    ]
    assert lab.total("queue_delay", variant="canary") == 1
    assert lab.total("requests", variant="canary", status="200") == 1
    assert lab.total("requests") == 2


def test_shadow_traffic_is_no_request(lab: Lab) -> None:
    shadow = lab.model(variant="shadow")
    with suppress(ZeroDivisionError), lab.request("/score", shadow, queued_at=0.0, request_id="a") as request:
        request.features(ROW)
        request.prediction(1)
        request.batch(3)
        1 / 0  # noqa: B018
    assert [lab.total(metric) for metric in BUILT_IN] == [0.0] * 5
    assert lab.values("amount", variant="shadow") == [1.0]
    assert lab.total("predictions", variant="shadow") == 1


def test_in_coroutines_and_threads_the_current_request_is_found(lab: Lab) -> None:
    model = lab.model()

    async def serve(number: int) -> None:
        async with lab.request(model=model) as request:
            await asyncio.sleep(0)
            found = current_request()
            assert found is request
            found.slice(part=number % 2)
            found.features({"number": float(number)})
            await asyncio.sleep(0)
            found.prediction(number)

    async def serve_all() -> None:
        await asyncio.gather(*map(serve, range(20)))

    asyncio.run(serve_all())
    assert sorted(lab.values("number", part="1")) == [float(number) for number in range(1, 20, 2)]

    def give() -> None:
        with lab.request(model=model) as request:
            request.features({"number": 1.0})

    threads = [threading.Thread(target=give) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.total("feature_rows") == 28


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1, 2], [0.5]), "1 scores for 2 predictions"),
        (([1, 2], None, ["a"]), "1 ids for 2 predictions"),
        (([1, 2], np.zeros((2, 2))), r"scores\[:, 1\]"),
        ((5,), "values must be a sequence"),
        (("abc",), "values must be a sequence"),
        (([1], None, [1.5]), "text or a whole number"),
        (([1], None, ["x" * 200]), "1 to 128 bytes"),
        (([1], None, [""]), "1 to 128 bytes"),
    ],
)
def test_wrong_batches_of_predictions_raise(lab: Lab, arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(FeatureError, match=said):
        lab.model().predictions(*arguments)


def test_predictions_of_every_form(lab: Lab) -> None:
    model = lab.model()
    model.predictions(np.array([1, 0]), np.array([0.9, 0.1]), np.array([7, 8]))
    model.predictions(["yes", "no"], scores=(0.8, 0.2), ids=["a", b"b"])
    model.prediction("yes", 0.5, id=3)
    model.predictions(iter([True]), ids=iter(["x"]))
    assert lab.values("prediction.value") == [1, 0, "yes", "no", "yes", True]
    assert lab.values("prediction.score") == [0.9, 0.1, 0.8, 0.2, 0.5]
    assert lab.total("predictions") == 6
    with pytest.raises(FeatureError, match=r"predictions\(\) takes many"):
        model.prediction([1, 2])


def test_strictness_speaks_where_the_features_are_given() -> None:
    lab = Lab(is_strict=True)
    lab.model()
    with lab.request() as request:
        request.features({"a": 1.0})
        with pytest.raises(FeatureError, match="unknown b and missing a"):
            request.features({"b": 1.0})
    assert lab.columns == {"a": [1.0]}
