"""Every runtime, one conformance suite: the same rows get the estimator's answers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
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
from model_service.runtimes.arrays import joined
from model_service.runtimes.onnx import load as load_onnx
from model_service.runtimes.sklearn import SklearnRuntime, load_joblib

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


class Recorder:
    """Remembers what it was asked."""

    def predict(self, data: Any) -> Any:
        self.asked = data
        return np.zeros(len(data))


NUMBERS = Feature("a", "float64"), Feature("b", "int64"), Feature("c", "float32"), Feature("d", "int8", nullable=True)
ROWS = [[0.1, 2, 3.5, 4], [-0.0, 2**53 - 1, 0.1, -128]]
SOME = [NUMBERS, NUMBERS[:1], NUMBERS[1:2], NUMBERS[:2], NUMBERS[2:3], NUMBERS[3:]]


@pytest.mark.parametrize("inputs", SOME, ids=lambda inputs: "".join(feature.name for feature in inputs))
@pytest.mark.parametrize("layout", ["frame", "matrix"])
def test_an_estimator_is_asked_the_same_about_rows_in_an_array(inputs: tuple[Feature, ...], layout: Any) -> None:
    model = Recorder()
    runtime = SklearnRuntime(model, Signature("other", layout, inputs, (Output("prediction", "float64"),)))
    rows: list[Any] = [[row[NUMBERS.index(feature)] for feature in inputs] for row in ROWS]
    asked = []
    for given in (rows, np.array(rows, dtype=np.float64)):
        runtime.predict(given)
        asked.append(pd.DataFrame(model.asked))
    pd.testing.assert_frame_equal(*asked, check_exact=True)


@pytest.mark.parametrize("by_column", [False, True])
def test_a_graph_is_asked_the_same_about_rows_in_an_array(tmp_path: Path, by_column: bool) -> None:
    table = pd.DataFrame({"x0": [1.0, 3.0, 4.0], "x1": [2.0, 5.0, 4.0]})
    columns = make_column_transformer(("passthrough", ["x1"]), ("passthrough", ["x0"]))
    steps = make_pipeline(columns, LinearRegression()) if by_column else LinearRegression()
    fitted = steps.fit(table if by_column else table.to_numpy(), [1.0, 2.0, 4.0])
    given = {"x0": 1, "x1": 1} if by_column else {"x": 2}
    types = [(name, DoubleTensorType([None, width])) for name, width in given.items()]
    (tmp_path / "model.onnx").write_bytes(to_onnx(fitted, initial_types=types).SerializeToString())
    inputs = Feature("x0", "float64"), Feature("x1", "float64")
    signature = Signature("regression", "frame", inputs, (Output("prediction", "float64"),))
    graph, rows = load_onnx(tmp_path / "model.onnx", signature, False), [(1.0, 2.0), (4.0, 4.0)]
    answers = [graph.predict(asked).predictions.tolist() for asked in (rows, np.array(rows))]
    assert answers[0] == answers[1] == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("arrays", [(), (0,), (0, 2), (0, 1, 2)])
def test_rows_of_requests_are_joined_whatever_they_are_in(arrays: tuple[int, ...]) -> None:
    rows = [[(1.0, 2.0)], [(3.0, 4.0), (5.0, 6.0)], [(7.0, 8.0)]]
    parts: list[Any] = [np.array(part) if at in arrays else part for at, part in enumerate(rows)]
    whole = joined(parts)
    assert isinstance(whole, np.ndarray) is (len(arrays) == len(rows))
    assert [tuple(row) for row in whole] == [row for part in rows for row in part]
    assert joined(parts[:1]) is parts[0]
