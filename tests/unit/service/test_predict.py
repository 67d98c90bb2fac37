"""`/predict` and `/predict/batch`: right answers to good requests, clear ones to bad."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC
from support.bundles import IRIS_NAMES, LABELS

from model_artifact.signature import Feature, Output, Signature

ROW = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(IRIS_NAMES, ROW, strict=True))


def shuffled(named: dict[str, float]) -> dict[str, float]:
    return dict(reversed(named.items()))


@pytest.mark.parametrize(
    "body",
    [{"features": ROW}, {"features": NAMED}, NAMED, {"features": shuffled(NAMED)}, shuffled(NAMED)],
    ids=["positional", "named", "bare", "named-shuffled", "bare-shuffled"],
)
def test_every_form_of_one_row_gets_the_estimators_answer(client: TestClient, iris: Any, body: Any) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == 200
    answer = response.json()
    scores = iris.predict_proba([ROW])[0]
    assert answer["prediction"] == iris.predict([ROW])[0]
    assert answer["prediction_class"] == "setosa"
    assert list(answer["probabilities"]) == list(LABELS)
    np.testing.assert_allclose(list(answer["probabilities"].values()), scores, rtol=1e-12)
    assert answer["probability"] == answer["probabilities"]["setosa"]
    assert (answer["model_name"], answer["model_version"]) == ("iris", "1")
    assert UUID(answer["prediction_id"])
    assert answer["timestamp"].endswith("Z")


def test_a_batch_keeps_order_and_equals_single_answers(client: TestClient, iris: Any, iris_rows: Any) -> None:
    rows = iris_rows[::2]
    body = {"requests": [{"features": row} for row in rows]}
    answer = client.post("/predict/batch", json=body).json()
    assert answer["batch_size"] == len(rows) == 75
    assert [item["prediction"] for item in answer["predictions"]] == iris.predict(rows).tolist()
    assert 0 < answer["processing_time"] < 60
    assert len({item["prediction_id"] for item in answer["predictions"]}) == 75
    single = client.post("/predict", json={"features": rows[40]}).json()
    np.testing.assert_allclose(single["probability"], answer["predictions"][40]["probability"], rtol=1e-12)


def test_a_regressor_has_no_classes_and_no_probability(write_bundle: Any, serve: Any, iris_rows: Any) -> None:
    model = LinearRegression().fit(iris_rows, np.arange(150) / 7)
    inputs = tuple(Feature(name, "float64") for name in IRIS_NAMES)
    signature = Signature("regression", "matrix", inputs, (Output("prediction", "float64"),))
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    answer = client.post("/predict", json={"features": ROW}).json()
    assert answer["prediction"] == model.predict([ROW])[0]
    assert (answer["prediction_class"], answer["probability"], answer["probabilities"]) == (None, None, None)


def test_probability_is_that_of_the_returned_class_and_not_the_largest(write_bundle: Any, serve: Any) -> None:
    rng = np.random.default_rng(0)
    data, target = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    model = _Disagreeing().fit(data, target)
    signature = Signature(
        "classification", "matrix", tuple(Feature(name, "float64") for name in IRIS_NAMES),
        (Output("prediction", "int64"), Output("probabilities", "float64", (3,))), (0, 1, 2), LABELS,
    )  # fmt: skip
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    answer = client.post("/predict", json={"features": data[0].tolist()}).json()
    assert answer["prediction_class"] == "virginica"
    assert answer["probability"] == 0.1


class _Disagreeing(SVC):
    """predict and predict_proba need not agree, as with scikit-learn's own SVC."""

    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.full(len(X), 2)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        return np.tile([0.7, 0.2, 0.1], (len(X), 1))


def test_version_by_query_and_by_path(client: TestClient) -> None:
    for path in ("/predict?version=1", "/models/iris/predict", "/models/iris/versions/1/predict"):
        assert client.post(path, json={"features": ROW}).status_code == 200, path
    body = {"requests": [NAMED]}
    for path in ("/models/iris/predict/batch", "/models/iris/versions/1/predict/batch"):
        assert client.post(path, json=body).json()["batch_size"] == 1, path
    for path in ("/predict?version=2", "/models/other/predict", "/models/iris/versions/9/predict"):
        response = client.post(path, json={"features": ROW})
        assert (response.status_code, response.json()["error"]) == (404, "model_not_found"), path
        assert "version 1" in response.json()["message"] or "iris is" in response.json()["message"]


BAD_ROWS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "too few": (
        {"features": [1, 2]},
        [{"field": None, "row": 0, "expected": "an array of 4 values or an object of named features",
          "got": "an array of 2 values"}],
    ),
    "text and range": (
        {"features": ["x", 21, 1, 1]},
        [{"field": "sepal_length", "row": 0, "expected": "a number", "got": '"x"'},
         {"field": "sepal_width", "row": 0, "expected": "a value >= 0 and <= 20", "got": "21"}],
    ),
    "missing and unknown": (
        {"sepal_length": 1, "sepal_width": 1, "petal_length": 1, "petal_widht": 1},
        [{"field": "petal_widht", "row": 0, "expected": f"a known feature ({', '.join(IRIS_NAMES)})",
          "got": "an unknown one"},
         {"field": "petal_width", "row": 0, "expected": "a number", "got": "nothing: it is missing"}],
    ),
    "null": ({"features": [None, 1, 1, 1]},
        [{"field": "sepal_length", "row": 0, "expected": "a number, not null", "got": "null"}]),
    "boolean": ({"features": [True, 1, 1, 1]},
        [{"field": "sepal_length", "row": 0, "expected": "a number", "got": "true"}]),
    "beside features": ({"features": ROW, "extra": 1},
        [{"field": "extra", "row": 0, "expected": "nothing beside 'features'", "got": "1"}]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "detail"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_with_field_row_expected_and_got(
    client: TestClient, body: Any, detail: list[dict[str, Any]]
) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == 422
    assert response.json()["error"] == "invalid_input"
    assert response.json()["detail"] == detail
    assert "expected" in response.json()["message"]


def test_a_bad_row_of_a_batch_is_named(client: TestClient) -> None:
    response = client.post("/predict/batch", json={"requests": [NAMED, {"features": [1, 2, 3, "four"]}, NAMED]})
    assert response.status_code == 422
    assert response.json()["detail"] == [{"field": "petal_width", "row": 1, "expected": "a number", "got": '"four"'}]
    beside = client.post(
        "/predict/batch", json={"requests": [{"features": ["x", 1, 1, 1]}, {**NAMED, "features": ROW}]}
    )
    assert [(item["row"], item["field"]) for item in beside.json()["detail"]] == [
        (0, "sepal_length"), *((1, name) for name in IRIS_NAMES)
    ]  # fmt: skip


def test_a_hopeless_batch_lists_at_most_a_hundred_problems(client: TestClient) -> None:
    response = client.post("/predict/batch", json={"requests": [{"features": ["a", "b", "c", "d"]}] * 90})
    assert len(response.json()["detail"]) == 100


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"features": [1, 2', 422, "invalid_json"),
        (b'{"features": [NaN, 1, 1, 1]}', 422, "invalid_json"),
        (b"\xff\xfe", 422, "invalid_json"),
        (b"", 422, "invalid_json"),
        (b"[" * 5000, 422, "invalid_json"),
        (b'"text"', 422, "invalid_input"),
        (b"null", 422, "invalid_input"),
    ],
)
def test_what_is_not_a_row_is_refused(client: TestClient, body: bytes, status: int, code: str) -> None:
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (status, code)


@pytest.mark.parametrize("body", [{}, {"requests": []}, {"requests": "x"}, {"requests": [NAMED], "more": 1}, [NAMED]])
def test_what_is_not_a_batch_is_refused(client: TestClient, body: Any) -> None:
    response = client.post("/predict/batch", json=body)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_input")


def test_limits_on_rows_and_bytes(serve: Any, iris_bundle: Any) -> None:
    client = serve(iris_bundle, max_batch_rows=2, max_body_bytes=400)
    assert client.post("/predict/batch", json={"requests": [NAMED] * 2}).status_code == 200
    too_many = client.post("/predict/batch", json={"requests": [{"features": ROW}] * 3})
    assert (too_many.status_code, too_many.json()["error"]) == (413, "payload_too_large")
    declared = client.post("/predict", content=b" " * 401, headers={"content-type": "application/json"})
    assert (declared.status_code, declared.json()["error"]) == (413, "payload_too_large")

    def chunks() -> Any:
        yield from [b" " * 100] * 50

    streamed = client.post("/predict", content=chunks(), headers={"content-type": "application/json"})
    assert (streamed.status_code, streamed.json()["error"]) == (413, "payload_too_large")


def test_only_json_is_read(client: TestClient) -> None:
    for declared in ("text/csv", "application/x-python-pickle", "application/x-www-form-urlencoded"):
        response = client.post("/predict", content=b"1,2", headers={"content-type": declared})
        assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    accepted = client.post("/predict", content=json.dumps(NAMED), headers={"content-type": "application/ld+json"})
    assert accepted.status_code == 200


def test_unknown_routes_and_methods_have_the_same_error_shape(client: TestClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/predict", 405)):
        response = client.request(method, path)
        assert response.status_code == status
        assert set(response.json()) == {"error", "message", "detail"}


class _Broken(SVC):
    def predict(self, X: Any) -> Any:  # noqa: N803
        if len(X) == 1:
            raise ValueError("secret-canary in the estimator's message")
        return np.zeros(1)


def test_a_failing_model_is_a_500_that_tells_nothing_of_the_inside(
    write_bundle: Callable[..., Any], serve: Any, iris: Any, iris_rows: Any
) -> None:
    model = _Broken().fit(iris_rows, [0] * 75 + [1] * 75)
    signature = Signature(
        "classification", "matrix", tuple(Feature(name, "float64") for name in IRIS_NAMES),
        (Output("prediction", "int64"),), (0, 1), ("no", "yes"),
    )  # fmt: skip
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    raised = client.post("/predict", json={"features": ROW})
    short = client.post("/predict/batch", json={"requests": [{"features": ROW}] * 2})
    for response in (raised, short):
        assert (response.status_code, response.json()["error"]) == (500, "prediction_failed")
        assert "canary" not in response.text
        assert "Traceback" not in response.text


def test_not_a_number_from_a_model_is_null_in_strict_json(write_bundle: Any, serve: Any, iris_rows: Any) -> None:
    model = LinearRegression().fit(iris_rows, np.arange(150.0))
    model.coef_ = np.full(4, np.nan)
    inputs = tuple(Feature(name, "float64") for name in IRIS_NAMES)
    signature = Signature("regression", "matrix", inputs, (Output("prediction", "float64"),))
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    text = client.post("/predict", json={"features": ROW}).text
    assert json.loads(text, parse_constant=pytest.fail)["prediction"] is None
