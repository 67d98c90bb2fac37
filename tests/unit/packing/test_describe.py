from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from model_artifact.signature import Feature, Output, Signature
from modelport.packing import PackRefused
from modelport.packing.answers import ask
from modelport.packing.describe import check_estimator, describe
from modelport.packing.features import read_features
from modelport.packing.sample import read_sample

ROWS = np.arange(24.0).reshape(12, 2)
CLASSES = np.repeat([3, 5, 7], 4)


def signature(estimator: Any, rows: Any, **given: Any) -> Signature:
    features = read_features(given)
    sample = read_sample(estimator, rows, features.features)
    return describe(estimator, sample, ask(estimator, sample), features)


def test_a_classifier_has_classes_labels_and_probabilities() -> None:
    found = signature(LogisticRegression().fit(ROWS, CLASSES), ROWS)
    assert (found.task, found.classes, found.labels) == ("classification", (3, 5, 7), ("3", "5", "7"))
    assert found.outputs == (Output("prediction", "int64"), Output("probabilities", "float64", (3,)))


def test_probabilities_are_left_out_where_there_are_none() -> None:
    assert not signature(SVC().fit(ROWS, CLASSES), ROWS).has_probabilities


@pytest.mark.parametrize(
    ("estimator", "task", "output"),
    [
        (LinearRegression().fit(ROWS, ROWS[:, 0]), "regression", Output("prediction", "float64")),
        (LinearRegression().fit(ROWS, ROWS), "regression", Output("prediction", "float64", (2,))),
        (KMeans(2, n_init=1, random_state=0).fit(ROWS), "other", Output("prediction", "int32")),
    ],
)
def test_other_tasks_have_values_alone(estimator: Any, task: str, output: Output) -> None:
    found = signature(estimator, ROWS)
    assert (found.task, found.outputs, found.classes) == (task, (output,), ())


@pytest.mark.parametrize("kind", [MultiOutputClassifier, ClassifierChain])
def test_several_outputs_have_neither_classes_nor_probabilities(kind: Any) -> None:
    targets = np.column_stack([CLASSES > 3, CLASSES > 5]).astype(int)
    found = signature(kind(LogisticRegression(max_iter=1000)).fit(ROWS, targets), ROWS)
    assert (found.classes, found.has_probabilities, found.outputs[0].shape) == ((), False, (2,))


@pytest.mark.parametrize(
    "labels", [["low", "mid", "high"], {3: "low", 5: "mid", 7: "high"}, {"3": "low", "5": "mid", "7": "high"}]
)
def test_labels_come_in_order_or_by_class(labels: Sequence[str] | dict[Any, str]) -> None:
    assert signature(LogisticRegression().fit(ROWS, CLASSES), ROWS, labels=labels).labels == ("low", "mid", "high")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["low", "high"], "expected 3 texts, one for each of the classes 3, 5, 7"),
        ("abc", "expected 3 texts"),
        ({4: "low"}, "'4' is not a class; the classes are 3, 5, 7"),
        (["low", "low", "high"], "a label is used twice"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        signature(LogisticRegression().fit(ROWS, CLASSES), ROWS, labels=labels)


def test_labels_of_a_regressor_are_refused() -> None:
    with pytest.raises(PackRefused, match="leave them out"):
        signature(LinearRegression().fit(ROWS, CLASSES), ROWS, labels=["a"])


def test_features_come_from_the_sample_and_from_what_is_declared() -> None:
    table = pd.DataFrame(
        {
            "size": pd.Categorical(["S", "M", "S"], categories=["S", "M", "L"]),
            "age": pd.array([1, None, 3], dtype="Int16"),
            "weight": np.array([1, 2, 3], dtype=np.float32),
        }
    )

    class Constant(BaseEstimator):
        def predict(self, rows: pd.DataFrame) -> Any:
            return np.zeros(len(rows))

    declared = {"weight": {"ge": 0, "default": 2.5, "description": "kg", "nullable": True}}
    assert signature(Constant(), table, features=declared).inputs == (
        Feature("size", "string", categories=("S", "M", "L")),
        Feature("age", "int16", nullable=True),
        Feature("weight", "float32", nullable=True, default=2.5, ge=0, description="kg"),
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"features": {"x0": {"ge": 0, "default": -1}}}, "'x0': default -1 is refused: expected a value >= 0"),
        ({"features": {"x0": {"example": "one"}}}, "'x0': example 'one' is refused: expected a number"),
        ({"rules": [{"expr": "x9 > 0", "message": "m"}]}, "unknown feature 'x9'"),
    ],
)
def test_declared_values_must_hold_to_their_own_rules(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        signature(LinearRegression().fit(ROWS, CLASSES), ROWS, **given)


@pytest.mark.parametrize("name", ["features", "id"])
def test_names_of_the_request_format_are_refused(name: str) -> None:
    table = pd.DataFrame({name: [1.0, 2.0]})
    with pytest.raises(PackRefused, match="reserved by the request format; rename the column"):
        signature(LinearRegression().fit(table, [1.0, 2.0]), table)


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (LinearRegression(), "LinearRegression is not fitted"),
        (LinearRegression, "LinearRegression is a class; create it and fit it first"),
        (StandardScaler().fit(ROWS), "it is a transformer: pack the pipeline that ends in a predictor"),
        (42, "int has no predict method; it cannot be served"),
    ],
)
def test_what_cannot_be_served_is_refused(estimator: Any, sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        check_estimator(estimator)


def test_something_with_predict_that_is_no_estimator_is_refused() -> None:
    class Predicts:
        def predict(self, rows: Any) -> Any:
            return rows

    with pytest.raises(PackRefused, match="Predicts is not a scikit-learn estimator"):
        check_estimator(Predicts())
