"""Every runtime, one conformance suite: the same rows get the estimator's answers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support.bundles import onnx_bytes

from model_artifact.signature import Feature, Output, Signature
from model_service.runtimes.sklearn import load_joblib

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.mark.parametrize("kind", ["onnx", "skops", "joblib"])
def test_a_runtime_answers_as_the_estimator_does(
    write_bundle: Any, serve: Any, iris: Any, iris_rows: Any, kind: str
) -> None:
    content = onnx_bytes(iris, 4) if kind == "onnx" else iris
    client = serve(write_bundle({kind: content}), allow_pickle=True)
    rows = iris_rows[:100]
    answer = client.post("/predict/batch", json={"requests": [{"features": row} for row in rows]}).json()
    assert [item["prediction"] for item in answer["predictions"]] == iris.predict(rows).tolist()
    scores = [list(item["probabilities"].values()) for item in answer["predictions"]]
    np.testing.assert_allclose(scores, iris.predict_proba(rows), rtol=1e-12)


@pytest.mark.parametrize("kind", ["skops", "joblib"])
def test_a_bare_file_describes_itself(write_bundle: Any, serve: Any, iris: Any, kind: str) -> None:
    client = serve(write_bundle({kind: iris}, signature=None, framework=None), allow_pickle=True)
    answer = client.post("/predict", json={"features": ROW}).json()
    assert answer["prediction_class"] == "0"
    assert client.post("/predict", json=dict(zip(["x0", "x1", "x2", "x3"], ROW, strict=True))).status_code == 200
    assert client.post("/predict", json={"features": [*ROW, 1]}).status_code == 422


def test_a_bare_graph_describes_itself(write_bundle: Any, serve: Any, iris: Any) -> None:
    client = serve(write_bundle({"onnx": onnx_bytes(iris, 4)}, signature=None, framework=None))
    assert client.post("/predict", json={"features": ROW}).json()["prediction"] == 0


def frame() -> tuple[pd.DataFrame, list[int]]:
    rows = [("a", 1.0, 3), ("b", np.nan, 4), (np.nan, 2.5, 5), ("a", 7.0, 6)] * 10
    return pd.DataFrame(rows, columns=["kind", "size", "count"]).astype({"kind": object}), [0, 1, 1, 0] * 10


def mixed_pipeline() -> Any:
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["kind"]),
        (SimpleImputer(), ["size"]),
        remainder="passthrough",
    )
    data, target = frame()
    return make_pipeline(columns, RandomForestClassifier(10, random_state=0)).fit(data, target)


def test_mixed_columns_become_a_frame_without_any_user_code(write_bundle: Any, serve: Any) -> None:
    model, (data, _) = mixed_pipeline(), frame()
    inputs = (
        Feature("kind", "string", nullable=True),
        Feature("size", "float64", nullable=True),
        Feature("count", "int64"),
    )
    outputs = (Output("prediction", "int64"), Output("probabilities", "float64", (2,)))
    signature = Signature("classification", "frame", inputs, outputs, (0, 1), ("no", "yes"))
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    rows = [{"kind": "a", "size": 1, "count": 3}, {"count": 4, "kind": "b", "size": None},
            {"kind": None, "size": 2.5, "count": 5.0}]  # fmt: skip
    answer = client.post("/predict/batch", json={"requests": rows}).json()
    expected = model.predict_proba(data.iloc[:3])[:, 1].tolist()
    assert [item["probabilities"]["yes"] for item in answer["predictions"]] == expected


def test_a_bare_mixed_pipeline_takes_its_columns_by_name(write_bundle: Any, serve: Any) -> None:
    model, (data, _) = mixed_pipeline(), frame()
    client = serve(write_bundle({"joblib": model}, signature=None), allow_pickle=True)
    answer = client.post("/predict", json={"kind": None, "size": 2.5, "count": 5}).json()
    assert answer["probabilities"]["1"] == model.predict_proba(data.iloc[[2]])[0, 1]
    assert client.post("/predict", json={"kind": ["a"], "size": 2.5, "count": 5}).status_code == 422


def test_text_is_a_vector(write_bundle: Any, serve: Any) -> None:
    texts, target = ["good film", "bad film", "good", "bad"], ["pos", "neg", "pos", "neg"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, target)
    client = serve(write_bundle({"joblib": model}, signature=None), allow_pickle=True)
    for body in ({"features": "good"}, {"features": ["good"]}, {"text": "good"}):
        assert client.post("/predict", json=body).json()["prediction"] == "pos"


def test_several_outputs_are_a_list(write_bundle: Any, serve: Any, iris_rows: Any) -> None:
    model = LinearRegression().fit(iris_rows, np.array(iris_rows)[:, :2])
    inputs = tuple(Feature(f"x{index}", "float64") for index in range(4))
    signature = Signature("regression", "matrix", inputs, (Output("prediction", "float64", (2,)),))
    client = serve(write_bundle({"joblib": model}, signature=signature), allow_pickle=True)
    answer = client.post("/predict", json={"features": ROW}).json()
    np.testing.assert_allclose(answer["prediction"], ROW[:2])
    assert answer["prediction_class"] is None


def test_onnx_needs_no_model_library(iris_bundle: Any) -> None:
    program = f"""
import sys
from fastapi.testclient import TestClient
from model_service.app import create_app
from model_service.settings import Settings
from pathlib import Path
with TestClient(create_app(Settings(model_root=Path({str(iris_bundle.root)!r})))) as client:
    assert client.post("/predict", json={{"features": [1, 1, 1, 1]}}).status_code == 200
print(*[name for name in ("sklearn", "scipy", "pandas", "joblib", "skops", "skl2onnx", "onnx") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].strip() == ""


def test_boolean_classes_stay_boolean_in_a_graph(write_bundle: Any, serve: Any, iris_rows: Any) -> None:
    target = [index >= 75 for index in range(150)]
    model = LogisticRegression(max_iter=500).fit(iris_rows, target)
    inputs = tuple(Feature(f"x{index}", "float64") for index in range(4))
    outputs = (Output("prediction", "bool"), Output("probabilities", "float64", (2,)))
    signature = Signature("classification", "matrix", inputs, outputs, (False, True), ("no", "yes"))
    client = serve(write_bundle({"onnx": onnx_bytes(model, 4)}, signature=signature))
    answer = client.post("/predict", json={"features": ROW}).json()
    assert (answer["prediction"], answer["prediction_class"]) == (False, "no")


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(max_iter=500),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        RandomForestClassifier(2, max_depth=2, random_state=0),  # two trees: some answers are level
        ExtraTreesClassifier(5, random_state=0),
        DecisionTreeClassifier(max_depth=2, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("names", [None, np.array(["b", "a", "c"])], ids=["numbers", "texts"])
def test_classes_read_from_probabilities_are_those_that_predict_gives(
    tmp_path: Path, estimator: Any, names: Any
) -> None:
    data, target = load_iris(return_X_y=True)
    fitted = clone(estimator).fit(data, target if names is None else names[target])
    joblib.dump(fitted, tmp_path / "model.joblib")
    answers = load_joblib(tmp_path / "model.joblib", None, trusted=True).predict(data.tolist())
    assert answers.predictions.tolist() == fitted.predict(data).tolist()
    assert answers.probabilities is not None
    assert answers.probabilities.tolist() == fitted.predict_proba(data).tolist()
